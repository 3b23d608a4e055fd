"""What happened to an ECO, line by line: all of it, or by pages (Relay)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.types import Info

from strike_adapters.postgres.eco_lists import Page
from strike_adapters.postgres.timelines import line_cursor
from strike_app.graphql.context import Context
from strike_app.graphql.pages import PageInfo
from strike_app.graphql.scalars import Position

First = Annotated[
    int | None,
    strawberry.argument(description="The oldest so many, 1 to 200; 50 unless told."),
]
After = Annotated[
    str | None, strawberry.argument(description="Only those that come after this cursor.")
]
Last = Annotated[
    int | None,
    strawberry.argument(description="The newest so many, 1 to 200; not with `first`."),
]
Before = Annotated[
    str | None, strawberry.argument(description="Only those that come before this cursor.")
]


@strawberry.type(description="One event of an ECO or of its pager runs, in words.")
class TimelineEntry:
    position: Position = strawberry.field(description="Its place in the log.")
    at: datetime = strawberry.field(description="When it happened.")
    kind: str = strawberry.field(description="The event's fixed name, such as strike.eco.created.")
    line: str = strawberry.field(description="What happened, for people.")
    actor: str = strawberry.field(description="Who did it: a user, a contact, a part of Strike.")
    run_id: UUID | None = strawberry.field(description="The pager run it belongs to, if any.")
    correlation_id: UUID = strawberry.field(description="The same for all that one request caused.")

    @classmethod
    def of(cls, row: dict[str, Any]) -> TimelineEntry:
        return cls(
            position=Position(row["position"]),
            at=row["at"],
            kind=row["kind"],
            line=row["line"],
            actor=row["actor"],
            run_id=row["run_id"],
            correlation_id=row["correlation_id"],
        )


@strawberry.type(description="One line in a timeline (Relay).")
class TimelineEdge:
    cursor: str = strawberry.field(description="Where it stands in the timeline, for good.")
    node: TimelineEntry = strawberry.field(description="The line.")


@strawberry.type(description="A page of a timeline, in the order of the log (Relay).")
class TimelineConnection:
    edges: list[TimelineEdge] = strawberry.field(description="The lines of this page.")
    page_info: PageInfo = strawberry.field(description="What comes before and after.")
    eco_id: strawberry.Private[UUID]
    known_total: strawberry.Private[int | None]

    @strawberry.field(description="How many lines there are on all pages; counted if asked for.")
    async def total_count(self, info: Info[Context, None]) -> int:
        if self.known_total is not None:
            return self.known_total
        return await info.context.loaders.timeline_counts.load(self.eco_id)

    @classmethod
    def of(cls, page: Page, eco_id: UUID, total: int | None = None) -> TimelineConnection:
        """The page of that ECO. `total`: of all pages, where that is known already."""
        edges = [
            TimelineEdge(cursor=line_cursor(row), node=TimelineEntry.of(row)) for row in page.rows
        ]
        if total is None and not (page.has_next or page.has_previous):
            total = len(edges)
        return cls(
            edges=edges, page_info=PageInfo.of(page, line_cursor), eco_id=eco_id, known_total=total
        )
