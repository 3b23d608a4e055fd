"""Two steps to a callout, for programs whose person is to see it first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from strike_app.graphql.mutation import NO_KEY, CreateEcoInput, EcoResult, run
from strike_app.graphql.problems import Problems, answered
from strike_app.graphql.types import StrikeInfo
from strike_domain.callouts import EcoOrder
from strike_domain.drafts import Draft


@strawberry.type(description="A callout that is ready. Nobody is rung before it is confirmed.")
class EcoDraft:
    confirmation: str = strawberry.field(
        description="Eight letters and digits, to show to a person and give to `confirmEco`."
    )
    expires_at: datetime = strawberry.field(description="Until when it can be confirmed.")

    @classmethod
    def of(cls, draft: Draft) -> EcoDraft:
        return cls(confirmation=draft.confirmation, expires_at=draft.expires_at)


DraftResult = Annotated[
    EcoDraft | Problems,
    strawberry.union("DraftResult", description="The draft, or why it would be refused."),
]


@strawberry.type
class DraftMutation:
    @strawberry.mutation(
        description="Check a callout as `createEco` does, and keep it for ten minutes, for this "
        "login or token alone. Nobody is rung."
    )
    async def draft_eco(
        self,
        info: StrikeInfo,
        input: Annotated[CreateEcoInput, strawberry.argument(description="What is broken where.")],
    ) -> DraftResult:
        order, caller = EcoOrder(**vars(input)), info.context.user.id
        drafting = info.context.services.drafting
        return await answered(
            info, lambda actor: EcoDraft.of(drafting.draft(order, caller, actor)), "input"
        )

    @strawberry.mutation(
        description="Call out as drafted. The same confirmation again gives the same ECO."
    )
    async def confirm_eco(
        self,
        info: StrikeInfo,
        confirmation: Annotated[str, strawberry.argument(description="Of `draftEco`.")],
    ) -> EcoResult:
        caller, drafting = info.context.user.id, info.context.services.drafting
        return await run(info, NO_KEY, lambda actor: drafting.confirm(confirmation, caller, actor))
