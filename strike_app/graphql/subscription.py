"""What changes, as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated
from uuid import UUID

import strawberry

from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.queries import EcoNow
from strike_adapters.postgres.views.eco_timeline import ALERTS
from strike_app.following import Change, Reader
from strike_app.graphql.context import Context
from strike_app.graphql.query import EcoId, WaitFor, reach
from strike_app.graphql.scalars import Position
from strike_app.graphql.types import AlertKind, Eco, EcoChange, PagingAlert, StrikeInfo
from strike_domain.access import Action
from strike_domain.eco import PagingExhausted, PagingUnroutable
from strike_domain.errors import NotFound

SETTLE_SECONDS = 0.25
"""How long a first answer waits for the slowest read model; a failed one delays no longer."""

AfterPosition = Annotated[
    Position | None,
    strawberry.argument(
        description="Go on after this position, as an earlier answer gave it; null: from now on."
    ),
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
        context = info.context
        tenant_id = context.may(Action.ECO_SEE)
        await reach(info, wait_for)
        known, told = _after(context, after_position), 0
        following = context.services.following
        async with aclosing(following.eco(_reader(context), eco_id)) as changes:
            async for change in changes:
                if change is None:
                    now = await _settled(context, tenant_id, eco_id)
                    told = now.position
                    if known is None or now.newest > known:
                        yield Eco.of({**now.row, "position": now.position})
                elif change.again or change.position > told:
                    told = max(told, change.position)
                    yield await _eco(context, change)

    @strawberry.subscription(
        description="Each change of an ECO of yours, of its calls or of its timeline, exactly once "
        "and in the order in which they happened, with the ECO as it is now. From now on, or all "
        "after `afterPosition`. Ends with the code RESUME_FROM, and the `position` to begin again "
        "at, for whoever reads too slowly."
    )
    async def ecos_changed(
        self, info: StrikeInfo, after_position: AfterPosition = None
    ) -> AsyncGenerator[EcoChange, None]:
        context = info.context
        async with _changes(context, after_position) as found:
            async for change in found:
                shown = change.answers.get(EcoChange)
                if shown is None:
                    eco = await _eco(context, change, row_position=True)
                    shown = change.answers[EcoChange] = EcoChange.of(change, eco)
                yield shown

    @strawberry.subscription(
        description="Every ECO for which nobody is coming and nobody is being rung, at once: its "
        "list was exhausted, or there was nobody to ring. From now on, or from `afterPosition`, "
        "each exactly once and in order."
    )
    async def paging_alerts(
        self, info: StrikeInfo, after_position: AfterPosition = None
    ) -> AsyncGenerator[PagingAlert, None]:
        context = info.context
        async with _changes(context, after_position) as found:
            async for change in found:
                if change.kind in ALERTS and change.at is not None:
                    yield PagingAlert(
                        position=Position(change.position),
                        at=change.at,
                        kind=_KINDS[change.kind],
                        line=change.line,
                        eco=await _eco(context, change),
                        told=change,
                    )


_KINDS = {PagingExhausted.TOPIC: AlertKind.EXHAUSTED, PagingUnroutable.TOPIC: AlertKind.NO_LIST}


def _changes(context: Context, after_position: Position | None) -> aclosing[AsyncGenerator[Change]]:
    """The changes of the tenant, closed at the end. Raises `Forbidden`."""
    context.may(Action.ECO_SEE)
    after = _after(context, after_position)
    return aclosing(context.services.following.changes(_reader(context), after))


def _reader(context: Context) -> Reader:
    actor, tenant_id = context.acting()
    return Reader(context.user, actor, tenant_id, context.transport)


def _after(context: Context, asked: Position | None) -> int | None:
    """What the transport remembers goes before what the query says: it is the newer one."""
    return asked if context.resumed_after is None else context.resumed_after


async def _eco(context: Context, change: Change, *, row_position: bool = False) -> Eco:
    """The ECO of a change; its position is what it promises, or its row's own."""
    if change.row is None:
        # Its read model has failed; the log still has it, and the change was found by tenant.
        log = context.services.callouts.log
        found = await context.services.run(lambda: log.eco(change.eco_id))
        eco = Eco.of_aggregate(found, change.promised)
    else:
        position = change.row["position"] if row_position else change.promised
        eco = Eco.of({**change.row, "position": position})
    eco.told = change
    return eco


async def _settled(context: Context, tenant_id: UUID, eco_id: UUID) -> EcoNow:
    """The ECO as soon as all read models agree on it; as it is, if one of them stays behind."""
    now = await _now(context, tenant_id, eco_id)
    if not now.is_whole:
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await _until_reached(context.services.changes, now.newest)
        now = await _now(context, tenant_id, eco_id)
    return now


async def _until_reached(changes: Changes, position: int) -> None:
    """By what is heard alone: a thousand who come back at once must not all ask the database."""
    with changes.watch() as watch:
        while changes.reached() < position:
            await watch.wait(SETTLE_SECONDS)


async def _now(context: Context, tenant_id: UUID, eco_id: UUID) -> EcoNow:
    async with context.services.following.turn:
        now = await context.services.queries.eco_now(tenant_id, eco_id)
    if now is None:
        raise NotFound("ECO")
    return now
