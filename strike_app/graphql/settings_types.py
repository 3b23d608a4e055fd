"""What admins see and set: links, members, pager lists, accounts, API tokens, audits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from strike_app.graphql.scalars import GeoJSON
from strike_app.graphql.types import StrikeInfo, Tenant
from strike_domain import contacts as people
from strike_domain import ports, registry
from strike_domain.actors import Actor, Role, Scope, Side
from strike_domain.contacts import DeclineReason, Language
from strike_domain.eco import PagingPolicy
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import LinkStatus


@strawberry.type(description="The relationship that lets a NOC call out a contractor.")
class Link:
    noc_id: UUID = strawberry.field(description="Who calls out.")
    osp_id: UUID = strawberry.field(description="Who is called out.")
    status: LinkStatus = strawberry.field(description="How far it has come.")
    paging_policy: PagingPolicy = strawberry.field(description="For new ECOs.")
    suspended_by: Side | None = strawberry.field(description="Who can resume it.")

    @classmethod
    def of(cls, link: ports.Link) -> Link:
        return cls(**link.model_dump())

    @strawberry.field(description="The NOC.")
    async def noc(self, info: StrikeInfo) -> Tenant:
        return Tenant.of(await info.context.loaders.tenants.load(self.noc_id))

    @strawberry.field(description="The contractor.")
    async def osp(self, info: StrikeInfo) -> Tenant:
        return Tenant.of(await info.context.loaders.tenants.load(self.osp_id))


@strawberry.type(description="Somebody who belongs to your tenant.")
class Member:
    user_id: UUID = strawberry.field(description="Their id in Strike.")
    email: str = strawberry.field(description="In lower case.")
    name: str = strawberry.field(description="As entered when they were first added anywhere.")
    role: Role = strawberry.field(description="What they may do here.")

    @classmethod
    def of(cls, one: registry.Member) -> Member:
        return cls(user_id=one.user_id, email=one.email, name=one.name, role=one.role)


@strawberry.type(description="Somebody on a pager list.")
class Contact:
    name: str = strawberry.field(description="Who.")
    phone: str = strawberry.field(
        description="E.164; for viewers, and in API tokens' hands, the last four digits only."
    )
    language: Language = strawberry.field(description="In which the prompts are spoken.")
    consented: bool = strawberry.field(description="Agreed to be rung by a machine.")
    texted: bool = strawberry.field(description="Gets a text with a link as well, when rung.")


@strawberry.type(description="A key that declines and says why.")
class DeclineKey:
    key: str = strawberry.field(description="0 or 3 to 8.")
    reason: DeclineReason = strawberry.field(description="What it says.")
    minutes: int | None = strawberry.field(description="With TOO_FAR: more than so many.")


@strawberry.type(description="An OSP's ordered contacts for one region, or its default list.")
class PagerList:
    id: UUID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Its name, unique within the company.")
    region: GeoJSON | None = strawberry.field(
        description="Polygon or MultiPolygon; null: the default list, for everywhere else."
    )
    contacts: list[Contact] = strawberry.field(description="In the order of ringing.")
    rounds: int = strawberry.field(description="How often the list is gone through.")
    answer_seconds: int = strawberry.field(description="How long one phone may ring.")
    decline_keys: list[DeclineKey] = strawberry.field(description="Beside 1, 2 and 9.")
    ring_again_minutes: int | None = strawberry.field(
        description="Pause before the exhausted list is rung again; null: it is not."
    )
    ring_again_times: int = strawberry.field(description="How often at the most.")

    @classmethod
    def of(cls, one: people.PagerList, actor: Actor) -> PagerList:
        again = one.ring_again
        return cls(
            id=one.id,
            name=one.name,
            region=None if one.region is None else GeoJSON(one.region),
            contacts=[_contact(person, one, actor) for person in one.contacts],
            rounds=one.rounds,
            answer_seconds=one.answer_seconds,
            decline_keys=[DeclineKey(**key.model_dump()) for key in one.decline_keys],
            ring_again_minutes=again.after_minutes if again else None,
            ring_again_times=again.times if again else 0,
        )


def _contact(person: people.Contact, of: people.PagerList, actor: Actor) -> Contact:
    # Private numbers: for those who work with them, and not for machines that only read.
    is_shown = actor.role.covers(Role.OPERATOR) and actor.scopes is None
    return Contact(
        name=person.name,
        phone=person.phone if is_shown else person.masked_phone,
        language=person.language,
        consented=person.phone in of.consented,
        texted=person.phone in of.texted,
    )


@strawberry.type(description="How far the job numbers of a year are.")
class JobNumbers:
    year: int = strawberry.field(description="Of the ECOs' creation, UTC.")
    last: int = strawberry.field(description="The last one taken.")


@strawberry.type(description="Your Twilio subaccount. Its token can be set, and never read.")
class TwilioAccount:
    account_sid: str = strawberry.field(description="AC and 32 digits.")
    from_number: str = strawberry.field(description="What the person rung sees; E.164.")

    @classmethod
    def of(cls, terms: TwilioTerms) -> TwilioAccount:
        return cls(account_sid=terms.account_sid, from_number=terms.from_number)


@strawberry.type(description="Your Render instance. Its secret can be set, and never read.")
class RenderInstance:
    base_url: str = strawberry.field(description="Where it is.")
    client_id: str = strawberry.field(description="Who we are there.")
    project: str = strawberry.field(description="Where subsectors are made.")
    polling_seconds: float = strawberry.field(description="How often each ECO is polled.")
    inactivity_hours: float = strawberry.field(description="Until an ECO counts as stale.")
    grace_hours: float = strawberry.field(description="From completion to closing.")

    @classmethod
    def of(cls, terms: RenderTerms) -> RenderInstance:
        return cls(**terms.model_dump(exclude={"osp_id"}))


@strawberry.type(description="A machine's token, without the token itself.")
class ApiToken:
    id: UUID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="What it is for; events name it as their actor.")
    role: Role = strawberry.field(description="What it may do at the most.")
    scopes: list[Scope] = strawberry.field(description="What it may be used for.")
    created_by: str = strawberry.field(description="Who made it.")
    created_at: datetime = strawberry.field(description="When.")
    expires_at: datetime = strawberry.field(description="From when on it proves nothing.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked.")
    last_used_at: datetime | None = strawberry.field(description="To the minute.")

    @classmethod
    def of(cls, one: registry.ApiToken) -> ApiToken:
        shown = one.model_dump(exclude={"digest", "tenant_id", "scopes"})
        return cls(**shown, scopes=sorted(one.scopes))


@strawberry.type(description="Who changed what in the settings.")
class SettingsChange:
    number: int = strawberry.field(description="Give it to `before` for older ones.")
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(description="Who.")
    action: str = strawberry.field(description="What was done, such as link.suspend.")
    subject: str = strawberry.field(description="To what.")
    before: JSON | None = strawberry.field(description="As it was; null: there was none.")
    after: JSON | None = strawberry.field(description="As it is since; null: it is gone.")
    correlation_id: UUID = strawberry.field(description="The same for all that one request caused.")

    @classmethod
    def of(cls, number: int, one: registry.Audit) -> SettingsChange:
        return cls(
            number=number,
            at=one.at,
            actor=one.actor,
            action=one.action,
            subject=one.subject,
            before=None if one.before is None else JSON(one.before),
            after=None if one.after is None else JSON(one.after),
            correlation_id=one.correlation_id,
        )
