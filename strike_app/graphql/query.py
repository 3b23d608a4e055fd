"""Questions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from strike_adapters.postgres.eco_lists import EcoSort, PageAsked
from strike_adapters.postgres.times_queries import TimesBy
from strike_app.graphql.eco_lists import EcoConnection, EcoCounts, EcoFilterInput, filter_of
from strike_app.graphql.evidence import Evidence, evidence_of
from strike_app.graphql.readiness import Drill, Readiness
from strike_app.graphql.response_times import ResponseTimes, times_of
from strike_app.graphql.scalars import GeoJSON, Position
from strike_app.graphql.selection import selected
from strike_app.graphql.timelines import TimelineEntry
from strike_app.graphql.types import Eco, Me, StrikeInfo, columns_for
from strike_domain.access import Action
from strike_domain.drill import drill
from strike_domain.eco import EcoStatus, PagingState
from strike_domain.errors import Rejected
from strike_domain.geometry import parse_location
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


Wanted = Annotated[
    EcoFilterInput | None,
    strawberry.argument(description="Only those for which all of it is true; null: all."),
]


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
        columns = columns_for(selected(info)) if moment is None else frozenset[str]()
        row = await info.context.services.queries.eco(tenant_id, id, columns)
        if row is None or moment is None:
            return Eco.of(row) if row else None
        past = await info.context.loaders.pasts.load((id, moment))
        return Eco.of_past(past, moment) if past else None

    @strawberry.field(
        description="Your tenant's ECOs. Pages are stable: a new ECO moves no page's edge."
    )
    async def ecos(
        self,
        info: StrikeInfo,
        filter: Wanted = None,
        sort: Annotated[
            EcoSort, strawberry.argument(description="In which order.")
        ] = EcoSort.NEWEST,
        first: Annotated[
            int | None,
            strawberry.argument(description="The first so many, 1 to 200; 50 unless told."),
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="Only those that come after this cursor.")
        ] = None,
        last: Annotated[
            int | None,
            strawberry.argument(description="The last so many, 1 to 200; not with `first`."),
        ] = None,
        before: Annotated[
            str | None, strawberry.argument(description="Only those that come before this cursor.")
        ] = None,
        status: Annotated[
            list[EcoStatus] | None,
            strawberry.argument(
                description="Only in one of these.",
                deprecation_reason="Use `filter.status`; this goes on 2027-06-01.",
            ),
        ] = None,
        paging_state: Annotated[
            list[PagingState] | None,
            strawberry.argument(
                description="Only where paging is in one of these.",
                deprecation_reason="Use `filter.pagingState`; this goes on 2027-06-01.",
            ),
        ] = None,
        wait_for: WaitFor = None,
        as_of: AsOf = None,
    ) -> EcoConnection:
        tenant_id = info.context.may(Action.ECO_SEE)
        moment = past_moment(info, as_of, wait_for)
        asked = PageAsked.of(first, after, last, before)
        wanted = filter_of(filter, status, paging_state)
        await reach(info, wait_for)
        columns = columns_for(selected(info, "edges", "node"))
        lists = info.context.services.queries.lists
        page = await lists.page(tenant_id, asked, wanted, sort, as_of=moment, columns=columns)
        return EcoConnection.of(page, sort, tenant_id, wanted, moment)

    @strawberry.field(description="How many of your tenant's ECOs are in each state.")
    async def eco_counts(
        self,
        info: StrikeInfo,
        filter: Wanted = None,
        wait_for: WaitFor = None,
        as_of: AsOf = None,
    ) -> EcoCounts:
        tenant_id = info.context.may(Action.ECO_SEE)
        moment = past_moment(info, as_of, wait_for)
        await reach(info, wait_for)
        lists = info.context.services.queries.lists
        return EcoCounts.of(await lists.groups(tenant_id, filter_of(filter), moment))

    @strawberry.field(
        description="How fast your tenant's callouts were accepted, started and completed: one "
        "entry for each group that there is. At most 2,000 groups (TOO_MANY_GROUPS)."
    )
    async def response_times(
        self,
        info: StrikeInfo,
        by: Annotated[
            list[TimesBy],
            strawberry.argument(description="What to compare; none: all in one entry."),
        ],
        since: Annotated[
            datetime | None,
            strawberry.argument(description="Created from then on; 90 days before `until`."),
        ] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="Created before then; null: now.")
        ] = None,
        time_zone: Annotated[
            str, strawberry.argument(description="Of days and hours, such as America/Denver.")
        ] = "UTC",
    ) -> list[ResponseTimes]:
        return await times_of(info, by, since, until, time_zone)

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

        return await services.run(lambda: Readiness.of(paging.lists_of(wanted, actor)))

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
