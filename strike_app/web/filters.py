"""How values look on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from babel.dates import format_datetime
from markupsafe import Markup, escape

from strike_app.web.refusals import said
from strike_app.web.told import told

MOMENT = "yyyy-MM-dd HH:mm:ss 'UTC'"


def of_language(language: str) -> dict[str, Callable[..., Any]]:
    """The filters of templates in that language."""
    return {
        "moment": lambda value, kind="time": moment(value, language, kind),
        "duration": duration,
        "said": lambda error: said(error, language),
        "told": lambda text: told(text, language),
    }


def moment(value: str | datetime | None, language: str, kind: str = "time") -> Markup:
    """A `<time>` that the page's script shows in the reader's zone; UTC without, and on hover.

    `kind`: time (hour and minute, with the day if it is another one), ago, date.
    """
    if value is None:
        return Markup("")
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    at = at.astimezone(UTC)
    utc = format_datetime(at, MOMENT, locale=language)
    return Markup('<time datetime="{}" data-show="{}" title="{}">{}</time>').format(
        at.isoformat(), kind, utc, utc
    )


def duration(seconds: float | None) -> str:
    """As `45 s`, `3 min 20 s`, `2 h 5 min` or `3 d 4 h`: two units at the most."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    for size, unit, part, below in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {below}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def as_json(value: Mapping[str, Any] | list[Any]) -> Markup:
    """A value for a data attribute, which scripts parse."""
    return escape(orjson.dumps(value).decode())
