"""Commands. Each answers with the object and the position, or says why it was refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import strawberry

from strike_app.graphql.problems import Problems, answered
from strike_app.graphql.query import EcoId
from strike_app.graphql.scalars import GeoJSON, Position
from strike_app.graphql.types import Eco, StrikeInfo
from strike_domain.actors import Actor
from strike_domain.callouts import EcoOrder
from strike_domain.eco import Eco as EcoAggregate
from strike_domain.eco import Priority, is_storable
from strike_domain.errors import Rejected
from strike_domain.log import Receipt


@strawberry.input(description="What to create. Everything is checked before anything is stored.")
class CreateEcoInput:
    osp_id: UUID = strawberry.field(description="The contractor; needs an active link.")
    location: GeoJSON = strawberry.field(description="A Point or LineString, longitude first.")
    job_type: str = strawberry.field(description="CMR, MFR or FNOL.")
    description: str = strawberry.field(description="What is broken; up to 4,000 characters.")
    client_reference: str | None = strawberry.field(
        default=None, description="Idempotency key: the same one again gives the same ECO."
    )
    ticket: str | None = strawberry.field(default=None, description="Your own ticket number.")
    priority: Priority = strawberry.field(default=Priority.NORMAL, description="How urgent it is.")
    affected_customers: int | None = strawberry.field(
        default=None, description="How many customers are without service."
    )


@strawberry.type(description="The command is durable.")
class EcoChanged:
    eco: Eco = strawberry.field(description="The ECO right after the command.")
    position: Position = strawberry.field(
        description="Give this to `waitFor`, to read your own write."
    )


EcoResult = Annotated[
    EcoChanged | Problems,
    strawberry.union("EcoResult", description="The changed ECO, or why nothing was changed."),
]

Command = Callable[[Actor], Receipt[EcoAggregate]]

MAX_KEY = 200
"""Longest idempotency key, in characters."""

Key = Annotated[
    str | None,
    strawberry.argument(
        description="Idempotency key, up to 200 characters: the same command with the same key and "
        "arguments changes nothing a second time, and answers as if it were the first."
    ),
]


@dataclass(frozen=True)
class Once:
    """A command that may come again: its key, and what else makes it this one."""

    key: str | None
    what: tuple[Any, ...] = ()

    def said_by(self, actor: Actor) -> Actor:
        """The actor, giving this very command. Raises `Rejected` (IDEMPOTENCY_KEY_INVALID)."""
        if self.key is None:
            return actor
        if not self.key.strip() or len(self.key) > MAX_KEY or not is_storable(self.key):
            message = f"Use 1 to {MAX_KEY} ordinary characters, or leave it out."
            raise Rejected("IDEMPOTENCY_KEY_INVALID", message, ("idempotencyKey",))
        said = json.dumps([actor.tenant_id, self.key, *self.what], default=str, sort_keys=True)
        command_id = uuid5(NAMESPACE_URL, f"strike:command:{said}")
        return actor.model_copy(update={"command_id": command_id})


NO_KEY = Once(None)


@strawberry.type(description="Commands: durable when they are answered.")
class Mutation:
    @strawberry.mutation(description="Call out a contractor. Paging starts by itself.")
    async def create_eco(
        self,
        info: StrikeInfo,
        input: Annotated[CreateEcoInput, strawberry.argument(description="What is broken where.")],
    ) -> EcoResult:
        order = EcoOrder(**vars(input))
        callouts = info.context.services.callouts
        return await run(info, NO_KEY, lambda actor: callouts.create_eco(order, actor), "input")

    @strawberry.mutation(description="Stop the callout: nobody else is rung, a live call is ended.")
    async def cancel_eco(
        self,
        info: StrikeInfo,
        eco_id: EcoId,
        reason: Annotated[str, strawberry.argument(description="Why; up to 4,000 characters.")],
        idempotency_key: Key = None,
    ) -> EcoResult:
        callouts = info.context.services.callouts
        once = Once(idempotency_key, ("cancel_eco", eco_id, reason))
        return await run(info, once, lambda actor: callouts.cancel_eco(eco_id, reason, actor))

    @strawberry.mutation(description="Correct an ECO; what is left out stays as it is.")
    async def amend_eco(
        self,
        info: StrikeInfo,
        eco_id: EcoId,
        description: Annotated[
            str | None, strawberry.argument(description="Up to 4,000 characters.")
        ] = None,
        location: Annotated[
            GeoJSON | None, strawberry.argument(description="A Point or LineString.")
        ] = None,
        priority: Annotated[Priority | None, strawberry.argument(description="How urgent.")] = None,
        idempotency_key: Key = None,
    ) -> EcoResult:
        callouts = info.context.services.callouts
        changes = {"description": description, "location": location, "priority": priority}
        once = Once(idempotency_key, ("amend_eco", eco_id, description, location, priority))
        return await run(info, once, lambda actor: callouts.amend_eco(eco_id, actor, **changes))  # type: ignore[arg-type]

    @strawberry.mutation(description="Ring again, the list for the place or a chosen one.")
    async def dispatch_pager(
        self,
        info: StrikeInfo,
        eco_id: EcoId,
        list_id: Annotated[
            UUID | None, strawberry.argument(description="Null: the list for the place.")
        ] = None,
        idempotency_key: Key = None,
    ) -> EcoResult:
        paging = info.context.services.paging
        once = Once(idempotency_key, ("dispatch_pager", eco_id, list_id))
        return await run(info, once, lambda actor: paging.dispatch(eco_id, actor, list_id))

    @strawberry.mutation(
        description="Ring whoever offered to come later, alone. Their key makes it theirs."
    )
    async def take_up_offer(
        self,
        info: StrikeInfo,
        eco_id: EcoId,
        call_id: Annotated[UUID, strawberry.argument(description="`callId` of the offer.")],
        idempotency_key: Key = None,
    ) -> EcoResult:
        paging = info.context.services.paging
        once = Once(idempotency_key, ("take_up_offer", eco_id, call_id))
        return await run(info, once, lambda actor: paging.take_up_offer(eco_id, call_id, actor))

    @strawberry.mutation(description="Put a remark into the timeline, which both sides see.")
    async def add_note(
        self,
        info: StrikeInfo,
        eco_id: EcoId,
        text: Annotated[str, strawberry.argument(description="Up to 4,000 characters.")],
        idempotency_key: Key = None,
    ) -> EcoResult:
        callouts = info.context.services.callouts
        once = Once(idempotency_key, ("add_note", eco_id, text))
        return await run(info, once, lambda actor: callouts.add_note(eco_id, text, actor))

    @strawberry.mutation(
        description="Have the field tasks made after all: they had failed, or were not wanted."
    )
    async def retry_field_tasks(
        self, info: StrikeInfo, eco_id: EcoId, idempotency_key: Key = None
    ) -> EcoResult:
        callouts = info.context.services.callouts
        once = Once(idempotency_key, ("retry_field_tasks", eco_id))
        return await run(info, once, lambda actor: callouts.retry_field_tasks(eco_id, actor))

    @strawberry.mutation(
        description="Say that a crew is at work. Refused where field tasks say how it stands."
    )
    async def start_work(
        self, info: StrikeInfo, eco_id: EcoId, idempotency_key: Key = None
    ) -> EcoResult:
        callouts = info.context.services.callouts
        once = Once(idempotency_key, ("start_work", eco_id))
        return await run(info, once, lambda actor: callouts.start_work(eco_id, actor))

    @strawberry.mutation(
        description="Say that the work is done. Refused where field tasks say how it stands."
    )
    async def complete_eco(
        self, info: StrikeInfo, eco_id: EcoId, idempotency_key: Key = None
    ) -> EcoResult:
        callouts = info.context.services.callouts
        once = Once(idempotency_key, ("complete_eco", eco_id))
        return await run(info, once, lambda actor: callouts.complete_eco(eco_id, actor))

    @strawberry.mutation(
        description="Say within the grace period that work completed by hand is not done after all."
    )
    async def reopen_eco(
        self, info: StrikeInfo, eco_id: EcoId, idempotency_key: Key = None
    ) -> EcoResult:
        callouts = info.context.services.callouts
        once = Once(idempotency_key, ("reopen_eco", eco_id))
        return await run(info, once, lambda actor: callouts.reopen_eco(eco_id, actor))


async def run(info: StrikeInfo, once: Once, command: Command, *prefix: str) -> EcoResult:
    """The ECO as a command has left it, or why it was refused; `prefix` as of `answered`."""

    def changed(actor: Actor) -> EcoChanged:
        receipt = command(once.said_by(actor))
        eco = Eco.of_aggregate(receipt.aggregate, receipt.position)
        return EcoChanged(eco=eco, position=Position(receipt.position))

    return await answered(info, changed, *prefix)
