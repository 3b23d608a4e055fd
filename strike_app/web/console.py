"""All addresses of the console."""

from __future__ import annotations

from aiohttp import web

from strike_app.web import own_files
from strike_app.web.pages import (
    accounts,
    audit,
    board,
    choices,
    company,
    home,
    links,
    list_editor,
    lists,
    tokens,
)

SETTINGS = (lists, list_editor, links, company, accounts, tokens, audit)

PAGES = (home, choices, board, *SETTINGS)
"""Each has `routes()`."""


def routes() -> list[web.RouteDef]:
    return [one for part in (own_files, *PAGES) for one in part.routes()]
