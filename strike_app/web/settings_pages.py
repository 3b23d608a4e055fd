"""The pages on which a company sets what it owns, and looks after its links."""

from __future__ import annotations

from strike_app.web.pages import (
    accounts,
    audit,
    company,
    links,
    list_editor,
    lists,
    tokens,
)

SETTINGS = (lists, list_editor, links, company, accounts, tokens, audit)
"""As `PAGES` of the console."""
