"""Lists of ECOs: what is asked for, and pages of what is found (Relay)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from strike_adapters.postgres import eco_lists
from strike_adapters.postgres.cursors import write_cursor
from strike_adapters.postgres.eco_lists import COUNTED, KEYS, EcoSort, Page
from strike_app.graphql.pages import PageInfo
from strike_app.graphql.types import Eco, StrikeInfo
from strike_domain.eco import EcoStatus, JobType, PagingState, Priority, RenderState


@strawberry.input(description="From one moment until another one, each with its time zone.")
class PeriodInput:
    since: datetime | None = strawberry.field(
        default=None, description="From then on, that moment included."
    )
    until: datetime | None = strawberry.field(default=None, description="Before that moment.")


@strawberry.input(description="A part of the map, in degrees of WGS 84.")
class BoxInput:
    west: float = strawberry.field(
        description="Longitude; greater than `east` where the box crosses 180 degrees."
    )
    south: float = strawberry.field(description="Latitude.")
    east: float = strawberry.field(description="Longitude.")
    north: float = strawberry.field(description="Latitude.")


def _any_of(of_what: str) -> Any:
    return strawberry.field(
        default=None, description=f"Only {of_what}; null or empty: whatever it is."
    )


def _when(what: str) -> Any:
    return strawberry.field(default=None, description=f"Only those {what} in this period.")


@strawberry.input(description="Which ECOs are wanted: those for which all of it is true.")
class EcoFilterInput:
    ids: list[UUID] | None = strawberry.field(
        default=None,
        description="Only those of these that are yours and as all else says; null or empty: all.",
    )
    status: list[EcoStatus] | None = _any_of("in one of these")
    paging_state: list[PagingState] | None = _any_of("where paging is in one of these")
    render_state: list[RenderState] | None = _any_of("where the field tasks are in one of these")
    job_type: list[JobType] | None = _any_of("of one of these kinds")
    priority: list[Priority] | None = _any_of("of one of these priorities")
    other_side: list[UUID] | None = _any_of(
        "with one of these companies on the other side: contractors for a NOC, NOCs for a "
        "contractor"
    )
    stale: bool | None = strawberry.field(
        default=None, description="Only where the field has been silent for too long, or has not."
    )
    created: PeriodInput | None = _when("created")
    updated: PeriodInput | None = _when("last changed")
    accepted: PeriodInput | None = _when("accepted")
    started: PeriodInput | None = _when("started")
    completed: PeriodInput | None = _when("completed")
    closed: PeriodInput | None = _when("closed")
    cancelled: PeriodInput | None = _when("cancelled")
    search: str | None = strawberry.field(
        default=None,
        description="Only with all of these words, or beginnings of words, in description, job "
        "number or ticket. Capitals, accents and punctuation make no difference; ten words count.",
    )
    within: BoxInput | None = strawberry.field(
        default=None, description="Only where the box around the place touches this one."
    )


def filter_of(
    given: EcoFilterInput | None,
    status: Iterable[EcoStatus] | None = None,
    paging_state: Iterable[PagingState] | None = None,
) -> eco_lists.EcoFilter:
    """What was asked for; `status` and `paging_state` are the arguments of before the filter."""
    values: dict[str, Any] = dict(vars(given)) if given else {}
    for name, value in (("status", status), ("paging_state", paging_state)):
        if value is not None and values.get(name) is None:
            values[name] = list(value)
    for name in eco_lists.PERIODS:
        if isinstance(values.get(name), PeriodInput):
            values[name] = eco_lists.Period(**vars(values[name]))
    if values.get("within") is not None:
        values["within"] = eco_lists.Box(**vars(values["within"]))
    return eco_lists.EcoFilter(**values)


@strawberry.type(description="One ECO in a list (Relay).")
class EcoEdge:
    node: Eco = strawberry.field(description="The ECO.")
    row: strawberry.Private[dict[str, Any]]
    sort: strawberry.Private[EcoSort]

    @strawberry.field(description="Where it stands in the list, for this sort only.")
    def cursor(self) -> str:
        return write_cursor(self.row, self.sort, KEYS[self.sort])


@strawberry.type(description="A page of ECOs (Relay).")
class EcoConnection:
    edges: list[EcoEdge] = strawberry.field(description="The ECOs of this page.")
    page_info: PageInfo = strawberry.field(description="What comes before and after.")
    tenant_id: strawberry.Private[UUID]
    wanted: strawberry.Private[eco_lists.EcoFilter]
    as_of: strawberry.Private[datetime | None]
    counting: strawberry.Private[asyncio.Future[tuple[int, bool]] | None] = None

    @strawberry.field(
        description=f"How many there are on all pages; counted up to {COUNTED:,}, and only when "
        "it is asked for."
    )
    async def total_count(self, info: StrikeInfo) -> int:
        return (await self._counted(info))[0]

    @strawberry.field(description=f"Whether `totalCount` is exact: false above {COUNTED:,}.")
    async def total_count_is_exact(self, info: StrikeInfo) -> bool:
        return (await self._counted(info))[1]

    async def _counted(self, info: StrikeInfo) -> tuple[int, bool]:
        """Both fields together cost one question."""
        if self.counting is None:
            lists = info.context.services.queries.lists
            question = lists.total(self.tenant_id, self.wanted, self.as_of)
            self.counting = asyncio.ensure_future(question)
        return await self.counting

    @classmethod
    def of(
        cls,
        page: Page,
        sort: EcoSort,
        tenant_id: UUID,
        wanted: eco_lists.EcoFilter,
        as_of: datetime | None,
    ) -> EcoConnection:
        """The page, as it was asked for."""
        edges = [EcoEdge(node=Eco.of(row, as_of), row=row, sort=sort) for row in page.rows]
        return cls(
            edges=edges,
            page_info=PageInfo.of(page, lambda row: write_cursor(row, sort, KEYS[sort])),
            tenant_id=tenant_id,
            wanted=wanted,
            as_of=as_of,
        )


@strawberry.type(description="How many ECOs are in this status.")
class StatusCount:
    status: EcoStatus = strawberry.field(description="Which.")
    count: int = strawberry.field(description="How many; 0 where there is none.")


@strawberry.type(description="Of how many ECOs paging is in this state.")
class PagingStateCount:
    paging_state: PagingState = strawberry.field(description="Which.")
    count: int = strawberry.field(description="How many; 0 where there is none.")


@strawberry.type(description="Of how many ECOs the field tasks are in this state.")
class RenderStateCount:
    render_state: RenderState = strawberry.field(description="Which.")
    count: int = strawberry.field(description="How many; 0 where there is none.")


@strawberry.type(description="How many ECOs have this priority.")
class PriorityCount:
    priority: Priority = strawberry.field(description="Which.")
    count: int = strawberry.field(description="How many; 0 where there is none.")


@strawberry.type(description="How many ECOs there are in each state, all counted.")
class EcoCounts:
    total: int = strawberry.field(description="All of them.")
    stale: int = strawberry.field(description="Where the field has been silent for too long.")
    nobody_coming: int = strawberry.field(
        description="Open, or with a crew at work, while nobody accepted or could be rung."
    )
    by_status: list[StatusCount] = strawberry.field(description="In the order of the work.")
    by_paging_state: list[PagingStateCount] = strawberry.field(description="By paging state.")
    by_render_state: list[RenderStateCount] = strawberry.field(description="By render state.")
    by_priority: list[PriorityCount] = strawberry.field(description="From least to most urgent.")

    @classmethod
    def of(cls, groups: Iterable[dict[str, Any]]) -> EcoCounts:
        """From rows of `EcoLists.groups`."""
        sums = _Sums()
        for row in groups:
            sums.add(row)
        return cls(
            total=sums.total,
            stale=sums.stale,
            nobody_coming=sums.nobody_coming,
            by_status=[StatusCount(status=one, count=sums.by[one]) for one in EcoStatus],
            by_paging_state=[
                PagingStateCount(paging_state=one, count=sums.by[f"paging {one}"])
                for one in PagingState
            ],
            by_render_state=[
                RenderStateCount(render_state=one, count=sums.by[f"render {one}"])
                for one in RenderState
            ],
            by_priority=[PriorityCount(priority=one, count=sums.by[one]) for one in Priority],
        )


ACTIVE = (EcoStatus.OPEN, EcoStatus.IN_PROGRESS)
NOBODY = (PagingState.EXHAUSTED, PagingState.NO_LIST)


class _Sums:
    """Sums over the combinations of states."""

    def __init__(self) -> None:
        self.total = self.stale = self.nobody_coming = 0
        self.by: Counter[str] = Counter()

    def add(self, row: dict[str, Any]) -> None:
        count = row["count"]
        self.total += count
        self.stale += count * row["stale"]
        if row["status"] in ACTIVE and row["paging_state"] in NOBODY:
            self.nobody_coming += count
        self.by[row["status"]] += count
        self.by[row["priority"]] += count
        self.by[f"paging {row['paging_state']}"] += count
        self.by[f"render {row['render_state']}"] += count
