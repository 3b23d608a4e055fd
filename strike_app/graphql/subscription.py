"""What changes, as it changes."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any
from uuid import UUID

import strawberry

from strike_adapters.postgres.changes import Watch
from strike_adapters.postgres.queries import EcoNow, Queries
from strike_app.graphql.context import Context
from strike_app.graphql.query import EcoId, WaitFor, reach
from strike_app.graphql.scalars import Position
from strike_app.graphql.types import AlertKind, Eco, PagingAlert, StrikeInfo
from strike_domain.access import Action
from strike_domain.eco import PagingExhausted, PagingUnroutable
from strike_domain.errors import Forbidden, NotFound, WaitTimedOut

SETTLE_SECONDS = 0.25
"""How long an answer waits for the slowest read model; one that has failed delays no longer."""

MEMBER_SECONDS = 30.0
"""How long somebody who left the tenant may still be told something."""

AfterPosition = Annotated[
    Position | None,
    strawberry.argument(description="Skip the first answer if nothing newer has happened."),
]


@strawberry.type(description="What changes, as it changes.")
class Subscription:
    @strawberry.subscription(
        description="The ECO as it is now, and again after every change of it, of its calls or of "
        "its timeline. Changes in quick succession may arrive as one: the latest state wins. "
        "To go on after a lost connection, give the last position as `afterPosition`."
    )
    async def eco_changed(
        self,
        info: StrikeInfo,
        eco_id: EcoId,
        after_position: AfterPosition = None,
        wait_for: WaitFor = None,
    ) -> AsyncGenerator[Eco, None]:
        info.context.may(Action.ECO_SEE)
        await reach(info, wait_for)
        told: tuple[int, ...] | None = None
        async with aclosing(_moments(info.context, eco_id)) as moments:
            async for now in moments:
                known = after_position if told is None else None
                if now.marks != told and (known is None or now.newest > known):
                    yield Eco.of({**now.row, "position": now.position})
                told = now.marks

    @strawberry.subscription(
        description="Every ECO for which nobody is coming and nobody is being rung, at once: its "
        "list was exhausted, or there was nobody to ring. From now on, or from `afterPosition`, "
        "each exactly once and in order."
    )
    async def paging_alerts(
        self, info: StrikeInfo, after_position: AfterPosition = None
    ) -> AsyncGenerator[PagingAlert, None]:
        tenant_id = info.context.may(Action.ECO_SEE)
        services = info.context.services
        last: int = after_position if after_position is not None else -1
        with services.changes.watch(tenant_id=tenant_id) as watch:
            if last < 0:
                last = await services.queries.newest_line()
            async with aclosing(_wakings(info.context, watch)) as wakings:
                async for _ in wakings:
                    for row in await services.queries.alerts(tenant_id, last):
                        last = row["position"]
                        yield await _alert(services.queries, tenant_id, row)


async def _alert(queries: Queries, tenant_id: UUID, row: dict[str, Any]) -> PagingAlert:
    # The timeline may know of an ECO that the other read models do not have yet.
    with suppress(WaitTimedOut):
        await queries.wait_for(row["position"])
    now = await _settled(queries, tenant_id, row["eco_id"])
    return PagingAlert(
        position=Position(row["position"]),
        at=row["at"],
        kind=_KINDS[row["kind"]],
        line=row["line"],
        eco=Eco.of({**now.row, "position": now.position}),
    )


_KINDS = {PagingExhausted.TOPIC: AlertKind.EXHAUSTED, PagingUnroutable.TOPIC: AlertKind.NO_LIST}


async def _moments(context: Context, eco_id: UUID) -> AsyncGenerator[EcoNow, None]:
    """The ECO now, and whenever it may have changed. Raises `NotFound` and `Forbidden`."""
    _, tenant_id = context.acting()
    services = context.services
    with services.changes.watch(eco_id) as watch:
        async with aclosing(_wakings(context, watch)) as wakings:
            async for _ in wakings:
                yield await _settled(services.queries, tenant_id, eco_id)


async def _wakings(context: Context, watch: Watch) -> AsyncGenerator[None, None]:
    """Now, and whenever `watch` is woken. Raises `Forbidden` once the user has left the tenant."""
    _, tenant_id = context.acting()
    is_member_until = time.monotonic() + MEMBER_SECONDS
    while True:
        yield
        await watch.wait(MEMBER_SECONDS)
        if time.monotonic() >= is_member_until:
            services = context.services
            if not await services.queries.belongs(context.user, tenant_id, services.clock.now()):
                raise Forbidden("You are not a member of this tenant.", "NOT_A_MEMBER")
            is_member_until = time.monotonic() + MEMBER_SECONDS


async def _settled(queries: Queries, tenant_id: UUID, eco_id: UUID) -> EcoNow:
    """The ECO as soon as all read models agree on it; as it is, if one of them stays behind."""
    now = await _now(queries, tenant_id, eco_id)
    if not now.is_whole:
        with suppress(WaitTimedOut):
            await queries.wait_for(now.newest, SETTLE_SECONDS)
        now = await _now(queries, tenant_id, eco_id)
    return now


async def _now(queries: Queries, tenant_id: UUID, eco_id: UUID) -> EcoNow:
    now = await queries.eco_now(tenant_id, eco_id)
    if now is None:
        raise NotFound("ECO")
    return now
