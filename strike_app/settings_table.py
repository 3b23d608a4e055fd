"""`strike settings`: what is set, where it came from, and nothing of what is secret."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic_settings import EnvSettingsSource
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strike_app.scrubbing import HIDDEN, scrubbed
from strike_app.settings import FILE, PREFIX, Settings, read_file

OTHERS = frozenset(
    f"{PREFIX}{name}"
    for name in ("SETTINGS_FILE", "LOG", "DEBUG", "DATA_DIR", "API_TOKEN", "GRAPHQL_URL")
)
"""Variables that are read elsewhere, or are a client's."""


@dataclass(frozen=True)
class Row:
    """`origin`: environment, file or default. `name`: the variable."""

    name: str
    value: str
    origin: str
    description: str


def rows(settings: Settings, env: Mapping[str, str] = os.environ) -> Iterator[Row]:
    """Every setting, then OpenTelemetry's variables that are set."""
    in_env = EnvSettingsSource(Settings)()
    in_file = read_file(env.get(FILE), set(Settings.model_fields))
    for name, field in Settings.model_fields.items():
        origin = "environment" if name in in_env else "file" if name in in_file else "default"
        value = getattr(settings, name)
        shown = _shown(value) if field.repr else _redacted(value)
        yield Row(f"{PREFIX}{name.upper()}", shown, origin, field.description or "")
    for name in sorted(env):
        if name.startswith("OTEL_"):
            shown = HIDDEN if "HEADERS" in name else scrubbed(env[name])
            yield Row(name, shown, "environment", "OpenTelemetry's own; see docs/telemetry.md.")


def unknown(env: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like settings and are none: a slip of the pen does nothing, silently."""
    known = OTHERS | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in env if name.startswith(PREFIX) and name not in known)


def _shown(value: Any) -> str:
    return "" if value is None else scrubbed(str(value))


def _redacted(value: Any) -> str:
    """Of an address with a secret in it, where it leads to; of any other, that it is set."""
    if value is None:
        return ""
    places = [_place(one.strip()) for one in str(value).split(",")]
    return ", ".join(places)


def _place(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    if not parts.scheme or not parts.hostname:
        return HIDDEN
    return f"{parts.scheme}://{parts.hostname}{port}/{HIDDEN}"


def show(*, as_json: bool, console: Console | None = None) -> None:
    """Print them. Raises `ValidationError` for a setting that is wrong."""
    found, strange = [*rows(Settings())], unknown()
    console = console or Console()
    if as_json:
        told = {"settings": [asdict(one) for one in found], "unknown": strange}
        console.out(json.dumps(told, indent=2, ensure_ascii=False), highlight=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("setting", "value", "from", "what it is"):
        table.add_column(heading)
    for one in found:
        style = "dim" if one.origin == "default" else ""
        said = Text(one.description, "dim")
        table.add_row(Text(one.name, style), Text(one.value), Text(one.origin, style), said)
    console.print(table)
    for name in strange:
        console.print(Text(f"{name} is set, and is no setting.", "bold yellow"))
