"""Where pages of lists begin and end (Relay)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import strawberry

from strike_adapters.postgres.eco_lists import Page


class Edge(Protocol):
    """What stands in a page, with its place."""

    cursor: str


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
    def of(cls, page: Page, edges: Sequence[Edge]) -> PageInfo:
        """Of the page that these edges were made of."""
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        )
