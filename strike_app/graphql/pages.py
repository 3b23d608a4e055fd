"""Where pages of lists begin and end (Relay)."""

from __future__ import annotations

from collections.abc import Sequence

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
    def of(cls, page: Page, cursors: Sequence[str]) -> PageInfo:
        """Of a page whose first and last edges have the first and last of these cursors."""
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
