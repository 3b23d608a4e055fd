"""All addresses of the console."""

from __future__ import annotations

from aiohttp import web

from strike_app.web import own_files
from strike_app.web.pages import board, choices, create, eco, home, job, live, timeline, times
from strike_app.web.settings_pages import SETTINGS

PAGES = (home, choices, live, board, create, eco, timeline, times, job, *SETTINGS)
"""Each has `routes()`."""


def routes() -> list[web.RouteDef]:
    return [one for part in (own_files, *PAGES) for one in part.routes()]
