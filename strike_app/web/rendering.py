"""Templates become pages: compressed, with a policy under which nothing inside them runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strike_adapters.telemetry import sampled_below
from strike_app.headers import policy_of
from strike_app.settings import Settings
from strike_app.web import filters, settings_wording, wording
from strike_app.web.viewer import Viewer
from strike_app.web.words import LANGUAGES, words_in

HERE = Path(__file__).parent
OWN = HERE / "own"
OWN_PATH = "/own/"

HTMX = "HX-Request"


def render(viewer: Viewer, template: str, status: int = 200, **values: Any) -> web.Response:
    """A page, or the part of one that htmx asks for, in the viewer's language."""
    return html(text_of(viewer, template, **values), viewer.services.settings, status)


def text_of(viewer: Viewer, template: str, **values: Any) -> str:
    """The text of a page, or of a part of one, in the viewer's language."""
    values |= {"viewer": viewer, "own": own_path, "languages": LANGUAGES}
    values["traced"] = sampled_below()
    return environment(viewer.language).get_template(template).render(values)


def html(
    text: str, settings: Settings, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer that a browser shows and runs nothing of but this server's files."""
    response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
    response.headers["Content-Security-Policy"] = policy(settings)
    response.headers["Vary"] = "Accept-Language, Cookie, HX-Request"
    response.enable_compression()
    return response


def policy(settings: Settings) -> str:
    """No inline script or style, no eval, no other host but that of the map's tiles."""
    tiles = f" {settings.tiles_origin}" if settings.tiles_origin else ""
    own = {
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' data:{tiles}",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
    }
    return policy_of(own)


@cache
def environment(language: str) -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(words_in(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(filters.of_language(language))
    made.globals |= {
        "as_json": filters.as_json,
        "is_alarm": wording.is_alarm,
        "PAGING": wording.PAGING,
        "PLACE_KINDS": wording.PLACE_KINDS,
        "STATUS": wording.STATUS,
        "TASKS": wording.TASKS,
        "OVER": wording.OVER,
        "SORTS": wording.SORTS,
        "tone_of": wording.tone_of,
        "CALLS": wording.CALLS,
        "RUNS": wording.RUNS,
        "RENDER": wording.RENDER,
        "PRIORITIES": wording.PRIORITIES,
        "PRIORITY": wording.PRIORITY,
        "call_look": wording.call_look,
    }
    made.globals |= settings_wording.WORDS
    return made


def own_path(name: str) -> Markup:
    """The address of a file of `own/`, which changes when one of them does: browsers keep it."""
    return Markup(f"{OWN_PATH}{own_digest()}/{name}")  # noqa: S704 - a name of ours


@cache
def own_digest() -> str:
    """Of all of them: scripts import each other by their plain names."""
    digest = hashlib.sha256()
    for file in sorted(OWN.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
