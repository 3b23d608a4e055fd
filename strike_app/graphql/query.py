"""Questions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from strike_adapters.postgres.queries import cursor_of
from strike_app.graphql.evidence import Evidence, evidence_of
from strike_app.graphql.readiness import Drill, Readiness
from strike_app.graphql.scalars import GeoJSON, Position
from strike_app.graphql.types import Eco, Me, StrikeInfo, TimelineEntry
from strike_app.list_map import draw
from strike_domain.access import Action
from strike_domain.drill import drill
from strike_domain.eco import EcoStatus, PagingState
from strike_domain.errors import Rejected
from strike_domain.geometry import parse_location
from strike_domain.readiness import check_lists
from strike_domain.routing import NoRoute, Route

EcoId = Annotated[UUID, strawberry.argument(description="Which ECO.")]

WaitFor = Annotated[
    Position | None,
    strawberry.argument(
        description="Answer only when the read models have taken in this position (bounded)."
    ),
]

AsOf = Annotated[
    datetime | None,
    strawberry.argument(
        description="As it was at this moment of the past, with its time zone; not with waitFor."
    ),
]


@strawberry.type(description="Where a page begins and ends (Relay).")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether older ones follow.")
    has_previous_page: bool = strawberry.field(description="Whether this is not the first page.")
    start_cursor: str | None = strawberry.field(description="Of the first edge; null without any.")
    end_cursor: str | None = strawberry.field(description="Give it to `after` for the next page.")


@strawberry.type(description="One ECO in a list (Relay).")
class EcoEdge:
    cursor: str = strawberry.field(description="Where it stands in the list.")
    node: Eco = strawberry.field(description="The ECO.")


@strawberry.type(description="A page of ECOs, newest first (Relay).")
class EcoConnection:
    edges: list[EcoEdge] = strawberry.field(description="The ECOs of this page.")
    page_info: PageInfo = strawberry.field(description="What comes before and after.")


@strawberry.type(description="Who would be rung for a place, and why.")
class WouldBeRung:
    list_id: UUID | None = strawberry.field(description="Null if nobody can be rung.")
    list_name: str | None = strawberry.field(description="Its name.")
    contacts: list[str] = strawberry.field(description="Names, in the order of ringing.")
    reason: str = strawberry.field(description="Why that list, or why none.")

    @classmethod
    def of(cls, route: Route | NoRoute) -> WouldBeRung:
        if isinstance(route, NoRoute):
            return cls(list_id=None, list_name=None, contacts=[], reason=route.reason)
        chosen = route.pager_list
        return cls(
            list_id=chosen.id,
            list_name=chosen.name,
            contacts=[one.name for one in chosen.contacts],
            reason=route.reason,
        )


@strawberry.type(description="Questions, answered from the read models.")
class Query:
    @strawberry.field(description="You and your tenants. Needs no X-Tenant-ID.")
    async def me(self, info: StrikeInfo) -> Me:
        return Me.of(info.context.user)

    @strawberry.field(description="One ECO; null if there is none, or it is not yours.")
    async def eco(
        self, info: StrikeInfo, id: EcoId, wait_for: WaitFor = None, as_of: AsOf = None
    ) -> Eco | None:
        tenant_id = info.context.may(Action.ECO_SEE)
        moment = past_moment(info, as_of, wait_for)
        await reach(info, wait_for)
        row = await info.context.services.queries.eco(tenant_id, id)
        if row is None or moment is None:
            return Eco.of(row) if row else None
        past = await info.context.loaders.pasts.load((id, moment))
        return Eco.of_past(past, moment) if past else None

    @strawberry.field(description="Your tenant's ECOs, newest first.")
    async def ecos(
        self,
        info: StrikeInfo,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 200.")] = 50,
        after: Annotated[
            str | None, strawberry.argument(description="Only older ones than at this cursor.")
        ] = None,
        status: Annotated[
            list[EcoStatus] | None, strawberry.argument(description="Only in one of these.")
        ] = None,
        paging_state: Annotated[
            list[PagingState] | None,
            strawberry.argument(description="Only where paging is in one of these."),
        ] = None,
        wait_for: WaitFor = None,
        as_of: AsOf = None,
    ) -> EcoConnection:
        tenant_id = info.context.may(Action.ECO_SEE)
        moment = past_moment(info, as_of, wait_for)
        await reach(info, wait_for)
        page = await info.context.services.queries.ecos(
            tenant_id, first=first, after=after, statuses=status, paging=paging_state, as_of=moment
        )
        edges = [EcoEdge(cursor=cursor_of(row), node=Eco.of(row, moment)) for row in page.rows]
        page_info = PageInfo(
            has_next_page=page.has_next,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        )
        return EcoConnection(edges=edges, page_info=page_info)

    @strawberry.field(description="Everything that happened to an ECO; empty if it is not yours.")
    async def eco_timeline(
        self, info: StrikeInfo, eco_id: EcoId, wait_for: WaitFor = None
    ) -> list[TimelineEntry]:
        tenant_id = info.context.may(Action.ECO_SEE)
        await reach(info, wait_for)
        rows = await info.context.services.queries.timelines(tenant_id, [eco_id])
        return [TimelineEntry.of(row) for row in rows]

    @strawberry.field(
        description="Everything that proves what happened to an ECO; null if it is not yours."
    )
    async def evidence(self, info: StrikeInfo, eco_id: EcoId) -> Evidence | None:
        return await evidence_of(info, eco_id)

    @strawberry.field(description="The list that a callout there would ring. Stores nothing.")
    async def who_would_be_rung(
        self,
        info: StrikeInfo,
        osp_id: Annotated[UUID, strawberry.argument(description="The contractor.")],
        location: Annotated[
            GeoJSON, strawberry.argument(description="A Point or LineString, longitude first.")
        ],
    ) -> WouldBeRung:
        tenant_id = info.context.may(Action.LISTS_PREVIEW)
        actor, _ = info.context.acting()
        services = info.context.services
        paging = services.paging_seen_by(tenant_id)
        place = parse_location(location)  # type: ignore[arg-type]
        route = await services.run(lambda: paging.who_would_be_rung(osp_id, place, actor))
        return WouldBeRung.of(route)

    @strawberry.field(
        description="Whether the contractor's lists would ring somebody tonight, and what to mend."
    )
    async def readiness(
        self,
        info: StrikeInfo,
        osp_id: Annotated[
            UUID | None, strawberry.argument(description="Null: your own tenant.")
        ] = None,
    ) -> Readiness:
        info.context.may(Action.LISTS_PREVIEW)
        actor, tenant_id = info.context.acting()
        services, wanted = info.context.services, osp_id or tenant_id
        paging = services.paging_seen_by(tenant_id)

        def check() -> Readiness:
            lists = paging.lists_of(wanted, actor)
            found = check_lists(lists)
            return Readiness.of(found, draw(lists, found, "Pager lists"))

        return await services.run(check)

    @strawberry.field(
        description="A silent drill: who would be rung when for a callout there, and hear what."
    )
    async def drill(
        self,
        info: StrikeInfo,
        osp_id: Annotated[UUID, strawberry.argument(description="The contractor.")],
        location: Annotated[
            GeoJSON, strawberry.argument(description="A Point or LineString, longitude first.")
        ],
    ) -> Drill:
        tenant_id = info.context.may(Action.LISTS_PREVIEW)
        actor, _ = info.context.acting()
        services = info.context.services
        paging = services.paging_seen_by(tenant_id)
        place = parse_location(location)  # type: ignore[arg-type]

        def ring_down() -> Drill:
            route = paging.who_would_be_rung(osp_id, place, actor)
            if isinstance(route, NoRoute):
                raise Rejected("NO_LIST", route.reason, ("location",))
            return Drill.of(drill(route.pager_list, place, route.reason))

        return await services.run(ring_down)


def past_moment(
    info: StrikeInfo, as_of: datetime | None, wait_for: Position | None
) -> datetime | None:
    """The moment that is asked for, if it is past.

    Raises `Rejected`: AS_OF_WITHOUT_ZONE, AS_OF_IN_FUTURE, AS_OF_WITH_WAIT_FOR.
    """
    if as_of is None:
        return None
    if as_of.tzinfo is None:
        message = "Say of which time zone it is, as 2026-01-15T03:00:00Z."
        raise Rejected("AS_OF_WITHOUT_ZONE", message, ("asOf",))
    if as_of > info.context.services.clock.now():
        raise Rejected("AS_OF_IN_FUTURE", "What will be is not known; name a past time.", ("asOf",))
    if wait_for is not None:
        message = "The past is there already: leave out waitFor, or asOf."
        raise Rejected("AS_OF_WITH_WAIT_FOR", message, ("waitFor",))
    return as_of


async def reach(info: StrikeInfo, position: Position | None) -> None:
    """Wait until the read models have taken in `position`. Raises `WaitTimedOut`."""
    if position is not None:
        await info.context.services.queries.wait_for(position)
