"""Where pages of lists begin and end (Relay)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strawberry

from strike_adapters.postgres.eco_lists import Page


@strawberry.type(description="Where a page begins and ends (Relay).")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether others follow; for `last`, whether `before` was given."
    )
    has_previous_page: bool = strawberry.field(
        description="Whether others come before; for `first`, whether `after` was given."
    )
    start_cursor: str | None = strawberry.field(
        description="Give it to `before` for the page before; null without any edge."
    )
    end_cursor: str | None = strawberry.field(description="Give it to `after` for the next page.")

    @classmethod
    def of(cls, page: Page, cursor: Callable[[Any], str]) -> PageInfo:
        """Of that page; `cursor`: of one of its rows."""
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursor(page.rows[0]) if page.rows else None,
            end_cursor=cursor(page.rows[-1]) if page.rows else None,
        )
