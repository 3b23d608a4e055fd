"""Questions about what a tenant has set."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from strike_adapters.postgres.settings_queries import SettingsQueries
from strike_app.graphql.readiness import Readiness
from strike_app.graphql.settings_mutation import PagerListInput, pager_list_of
from strike_app.graphql.settings_types import (
    ApiToken,
    JobNumbers,
    Link,
    Member,
    PagerList,
    RenderInstance,
    SettingsChange,
    TwilioAccount,
)
from strike_app.graphql.types import StrikeInfo, Tenant, permissions_of
from strike_domain.access import Action
from strike_domain.errors import NotFound, Rejected

MAX_CHANGES = 200


@strawberry.type
class SettingsQuery:
    @strawberry.field(description="The tenant that you act for.")
    async def tenant(self, info: StrikeInfo) -> Tenant:
        tenant_id = info.context.may(Action.TENANT_SEE)
        found = await _settings(info).tenant(tenant_id)
        if found is None:
            raise NotFound("tenant")
        return Tenant.of(found)

    @strawberry.field(description="What you may do for this tenant, such as eco.create.")
    async def permissions(self, info: StrikeInfo) -> list[str]:
        actor, _ = info.context.acting()
        return permissions_of(actor)

    @strawberry.field(description="Your tenant's links, in whatever state.")
    async def links(self, info: StrikeInfo) -> list[Link]:
        tenant_id = info.context.may(Action.LINK_SEE)
        return [Link.of(one) for one in await _settings(info).links(tenant_id)]

    @strawberry.field(description="Who belongs to your tenant.")
    async def members(self, info: StrikeInfo) -> list[Member]:
        tenant_id = info.context.may(Action.MEMBERS_SEE)
        return [Member.of(one) for one in await _settings(info).members(tenant_id)]

    @strawberry.field(description="Your pager lists by name, the default list last.")
    async def pager_lists(self, info: StrikeInfo) -> list[PagerList]:
        tenant_id = info.context.may(Action.LISTS_SEE)
        actor, _ = info.context.acting()
        return [PagerList.of(one, actor) for one in await _settings(info).pager_lists(tenant_id)]

    @strawberry.field(description="One of your pager lists; null if there is none of that id.")
    async def pager_list(
        self,
        info: StrikeInfo,
        id: Annotated[UUID, strawberry.argument(description="Which list.")],
    ) -> PagerList | None:
        tenant_id = info.context.may(Action.LISTS_SEE)
        actor, _ = info.context.acting()
        lists = await _settings(info).pager_lists(tenant_id)
        return next((PagerList.of(one, actor) for one in lists if one.id == id), None)

    @strawberry.field(
        description="How ready your lists would be with this one saved. Stores nothing."
    )
    async def readiness_with(
        self,
        info: StrikeInfo,
        input: Annotated[PagerListInput, strawberry.argument(description="The whole list.")],
    ) -> Readiness:
        tenant_id = info.context.may(Action.LISTS_SEE)
        lists = await _settings(info).pager_lists(tenant_id)

        def check() -> Readiness:
            given = pager_list_of(input)
            return Readiness.of([*(one for one in lists if one.id != given.id), given])

        return await info.context.services.run(check)

    @strawberry.field(description="How far your job numbers are, the newest year first.")
    async def job_numbers(self, info: StrikeInfo) -> list[JobNumbers]:
        tenant_id = info.context.may(Action.JOBS_SEE)
        found = await _settings(info).job_numbers(tenant_id)
        return [JobNumbers(year=year, last=last) for year, last in found]

    @strawberry.field(description="Your Twilio subaccount; null if none is set.")
    async def twilio_account(self, info: StrikeInfo) -> TwilioAccount | None:
        terms = await _settings(info).twilio(info.context.may(Action.TWILIO_SEE))
        return TwilioAccount.of(terms) if terms else None

    @strawberry.field(description="Your Render instance; null if none is set.")
    async def render_instance(self, info: StrikeInfo) -> RenderInstance | None:
        terms = await _settings(info).render(info.context.may(Action.RENDER_SEE))
        return RenderInstance.of(terms) if terms else None

    @strawberry.field(description="Your API tokens, the newest first.")
    async def api_tokens(self, info: StrikeInfo) -> list[ApiToken]:
        tenant_id = info.context.may(Action.TOKENS_SEE)
        return [ApiToken.of(one) for one in await _settings(info).tokens(tenant_id)]

    @strawberry.field(description="Who changed what in your settings, the newest first.")
    async def settings_changes(
        self,
        info: StrikeInfo,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 200.")] = 50,
        before: Annotated[
            int | None, strawberry.argument(description="Only older ones than this number.")
        ] = None,
    ) -> list[SettingsChange]:
        tenant_id = info.context.may(Action.AUDIT_SEE)
        if not 1 <= first <= MAX_CHANGES:
            message = f"Ask for 1 to {MAX_CHANGES} at a time."
            raise Rejected("PAGE_SIZE_INVALID", message, ("first",))
        found = await _settings(info).audits(tenant_id, first=first, before=before)
        return [SettingsChange.of(number, one) for number, one in found]


def _settings(info: StrikeInfo) -> SettingsQueries:
    return info.context.services.queries.settings
