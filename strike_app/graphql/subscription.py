"""What changes, as it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import strawberry

from strike_app.graphql.query import WaitFor, reach
from strike_app.graphql.scalars import Position
from strike_app.graphql.types import Eco, StrikeInfo
from strike_domain.errors import NotFound

AfterPosition = Annotated[
    Position | None,
    strawberry.argument(description="Skip the first answer if nothing newer has happened."),
]


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description="The ECO as it is now, and again after every change of it, of its calls or of "
        "its timeline. Changes in quick succession may arrive as one: the latest state wins."
    )
    async def eco_changed(
        self,
        info: StrikeInfo,
        eco_id: UUID,
        after_position: AfterPosition = None,
        wait_for: WaitFor = None,
    ) -> AsyncGenerator[Eco, None]:
        context = info.context
        _, tenant_id = context.acting()
        queries = context.services.queries
        await reach(info, wait_for)
        told: tuple[int, ...] = () if after_position is None else (after_position,)
        with context.services.changes.watch(eco_id) as watch:
            while True:
                context.refresh()
                row = await queries.eco(tenant_id, eco_id)
                if row is None:
                    raise NotFound("ECO")
                # Each read model is on its own way: the state is new when any of them moved.
                positions = await queries.positions(tenant_id, eco_id)
                if positions != told and (max(positions),) != told:
                    yield Eco.of({**row, "position": max(positions)})
                told = positions
                await watch.wait()
