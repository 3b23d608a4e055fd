"""Commands of admins. Each answers with the object as it is then, or says why it was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID, uuid4

import strawberry
from pydantic import SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from strike_app.graphql.problems import Problems, answered
from strike_app.graphql.scalars import GeoJSON
from strike_app.graphql.settings_types import (
    ApiToken,
    JobNumbers,
    Link,
    Member,
    PagerList,
    RenderInstance,
    TwilioAccount,
)
from strike_app.graphql.types import StrikeInfo, Tenant
from strike_app.tokens import new_secret
from strike_domain import contacts, errors
from strike_domain.access import Action, require
from strike_domain.actors import Actor, Role, Scope
from strike_domain.administration import Administration
from strike_domain.contacts import DECLINE_KEYS, DeclineReason, Language, RingAgain
from strike_domain.eco import PagingPolicy
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.regions import parse_region

T = TypeVar("T")
S = TypeVar("S")


def _or_problem(name: str, what: str) -> Any:
    return strawberry.union(name, description=f"{what}, or why nothing was changed.")


@strawberry.type(description="An API token with the token itself: shown now, and never again.")
class ApiTokenMade:
    token: ApiToken = strawberry.field(description="What it is.")
    secret: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")


@strawberry.type(description="What an outside system said when it was asked.")
class AccountTested:
    works: bool = strawberry.field(description="Whether it would work tonight.")
    problem: str | None = strawberry.field(description="What is wrong.")


TenantResult = Annotated[Tenant | Problems, _or_problem("TenantResult", "The tenant")]
LinkResult = Annotated[Link | Problems, _or_problem("LinkResult", "The link")]
MemberResult = Annotated[Member | Problems, _or_problem("MemberResult", "The member")]
PagerListResult = Annotated[PagerList | Problems, _or_problem("PagerListResult", "The list")]
JobNumbersResult = Annotated[JobNumbers | Problems, _or_problem("JobNumbersResult", "The numbers")]
TwilioResult = Annotated[TwilioAccount | Problems, _or_problem("TwilioResult", "The account")]
RenderResult = Annotated[RenderInstance | Problems, _or_problem("RenderResult", "The instance")]
TokenMadeResult = Annotated[ApiTokenMade | Problems, _or_problem("TokenMadeResult", "The token")]
TokenResult = Annotated[ApiToken | Problems, _or_problem("TokenResult", "The token")]
TestedResult = Annotated[AccountTested | Problems, _or_problem("TestedResult", "What was found")]

Other = Annotated[UUID, strawberry.argument(description="The other company.")]


@strawberry.input(description="Somebody on the list, in the order of ringing.")
class ContactInput:
    name: str = strawberry.field(description="Who.")
    phone: str = strawberry.field(description="With its country code.")
    language: Language = strawberry.field(default=Language.ENGLISH, description="For the prompts.")
    consented: bool = strawberry.field(default=False, description="Agreed to be rung by a machine.")
    texted: bool = strawberry.field(
        default=False, description="Gets a text with a link as well, when rung."
    )


@strawberry.input(description="A key that declines and says why.")
class DeclineKeyInput:
    key: str = strawberry.field(description="0 or 3 to 8.")
    reason: DeclineReason = strawberry.field(description="What it says.")
    minutes: int | None = strawberry.field(default=None, description="With TOO_FAR.")


@strawberry.input(description="A whole pager list, in place of what it was.")
class PagerListInput:
    id: UUID | None = strawberry.field(default=None, description="Null: a new list.")
    name: str = strawberry.field(description="Unique within the company.")
    contacts: list[ContactInput] = strawberry.field(description="In the order of ringing.")
    region: GeoJSON | None = strawberry.field(
        default=None, description="Polygon or MultiPolygon; null: the default list."
    )
    rounds: int = strawberry.field(default=1, description="1 to 10.")
    answer_seconds: int = strawberry.field(default=30, description="5 to 120.")
    decline_keys: list[DeclineKeyInput] | None = strawberry.field(
        default=None, description="Null: 3 for cannot, 4 for more than an hour away."
    )
    ring_again_minutes: int | None = strawberry.field(default=None, description="1 to 1440.")
    ring_again_times: int = strawberry.field(default=0, description="0 to 20.")


@strawberry.input(description="Your Twilio subaccount.")
class TwilioInput:
    account_sid: str = strawberry.field(description="AC and 32 digits.")
    from_number: str = strawberry.field(description="With its country code.")
    auth_token: str | None = strawberry.field(
        default=None, description="Null: the stored one stays, if the account is the same."
    )


@strawberry.input(description="Your Render instance.")
class RenderInput:
    base_url: str = strawberry.field(description="https.")
    client_id: str = strawberry.field(description="Who we are there.")
    project: str = strawberry.field(description="Where subsectors are made.")
    client_secret: str | None = strawberry.field(
        default=None, description="Null: the stored one stays, if URL and client are the same."
    )
    polling_seconds: float = strawberry.field(default=30, description="How often to poll.")
    inactivity_hours: float = strawberry.field(default=72, description="Until stale.")
    grace_hours: float = strawberry.field(default=24, description="From completion to closing.")


@strawberry.type
class SettingsMutation:
    @strawberry.mutation(description="Give your tenant another name.")
    async def rename_tenant(
        self,
        info: StrikeInfo,
        name: Annotated[str, strawberry.argument(description="Up to 200 characters.")],
    ) -> TenantResult:
        return await _run(info, lambda do, actor: Tenant.of(do.rename_tenant(name, actor)))

    @strawberry.mutation(description="Give somebody a role; an unknown address is a new user.")
    async def set_member(
        self,
        info: StrikeInfo,
        email: Annotated[str, strawberry.argument(description="As the login knows them.")],
        role: Annotated[Role, strawberry.argument(description="What they may do here.")],
        name: Annotated[str, strawberry.argument(description="Of a new user.")] = "",
    ) -> MemberResult:
        return await _run(
            info, lambda do, actor: Member.of(do.set_member(email, name, role, actor))
        )

    @strawberry.mutation(description="Take somebody's role away; the last admin stays.")
    async def remove_member(
        self,
        info: StrikeInfo,
        user_id: Annotated[UUID, strawberry.argument(description="Who.")],
    ) -> MemberResult:
        return await _run(info, lambda do, actor: Member.of(do.remove_member(user_id, actor)))

    @strawberry.mutation(description="As a NOC, ask a contractor for a link.")
    async def propose_link(
        self,
        info: StrikeInfo,
        osp_id: Other,
        paging_policy: Annotated[
            PagingPolicy, strawberry.argument(description="For new ECOs.")
        ] = PagingPolicy.AUTOMATIC,
    ) -> LinkResult:
        return await _run(
            info, lambda do, actor: Link.of(do.propose_link(osp_id, actor, paging_policy))
        )

    @strawberry.mutation(description="As a NOC, take a proposal back; answers what it was.")
    async def withdraw_link(self, info: StrikeInfo, osp_id: Other) -> LinkResult:
        return await _run(info, lambda do, actor: Link.of(do.withdraw_link(osp_id, actor)))

    @strawberry.mutation(description="As a contractor, agree to be called out by a NOC.")
    async def accept_link(self, info: StrikeInfo, noc_id: Other) -> LinkResult:
        return await _run(info, lambda do, actor: Link.of(do.accept_link(noc_id, actor)))

    @strawberry.mutation(description="As a contractor, turn a NOC down; answers what it was.")
    async def decline_link(self, info: StrikeInfo, noc_id: Other) -> LinkResult:
        return await _run(info, lambda do, actor: Link.of(do.decline_link(noc_id, actor)))

    @strawberry.mutation(description="No new ECOs; those that there are go on.")
    async def suspend_link(self, info: StrikeInfo, tenant_id: Other) -> LinkResult:
        return await _run(info, lambda do, actor: Link.of(do.suspend_link(tenant_id, actor)))

    @strawberry.mutation(description="Active again, by the side that suspended it.")
    async def resume_link(self, info: StrikeInfo, tenant_id: Other) -> LinkResult:
        return await _run(info, lambda do, actor: Link.of(do.resume_link(tenant_id, actor)))

    @strawberry.mutation(description="As a NOC, say whether paging starts by itself.")
    async def set_paging_policy(
        self,
        info: StrikeInfo,
        osp_id: Other,
        paging_policy: Annotated[PagingPolicy, strawberry.argument(description="For new ECOs.")],
    ) -> LinkResult:
        return await _run(
            info, lambda do, actor: Link.of(do.set_paging_policy(osp_id, paging_policy, actor))
        )

    @strawberry.mutation(description="Store a pager list; runs keep the snapshot they have.")
    async def save_pager_list(
        self,
        info: StrikeInfo,
        input: Annotated[PagerListInput, strawberry.argument(description="The whole list.")],
    ) -> PagerListResult:
        def save(do: Administration, actor: Actor) -> PagerList:
            require(actor, Action.LISTS_EDIT)
            given = pager_list_of(input)
            saved = do.change_list(given, actor) if input.id else do.add_list(given, actor)
            return PagerList.of(saved, actor)

        return await _run(info, save, "input")

    @strawberry.mutation(description="Take a list away; answers what it was.")
    async def remove_pager_list(
        self,
        info: StrikeInfo,
        id: Annotated[UUID, strawberry.argument(description="Which list.")],
    ) -> PagerListResult:
        return await _run(info, lambda do, actor: PagerList.of(do.remove_list(id, actor), actor))

    @strawberry.mutation(description="Let the year's job numbers go on after `last`; only up.")
    async def raise_job_numbers(
        self,
        info: StrikeInfo,
        year: Annotated[int, strawberry.argument(description="Such as 2026.")],
        last: Annotated[int, strawberry.argument(description="The next is one more.")],
    ) -> JobNumbersResult:
        def raise_them(do: Administration, actor: Actor) -> JobNumbers:
            return JobNumbers(year=year, last=do.raise_job_numbers(year, last, actor))

        return await _run(info, raise_them)

    @strawberry.mutation(description="Set your Twilio subaccount.")
    async def set_twilio_account(
        self,
        info: StrikeInfo,
        input: Annotated[TwilioInput, strawberry.argument(description="All of it.")],
    ) -> TwilioResult:
        terms = TwilioTerms(account_sid=input.account_sid, from_number=input.from_number)
        token = _secret(input.auth_token)
        return await _run(
            info,
            lambda do, actor: TwilioAccount.of(do.set_twilio(terms, token, actor)),
            "input",
        )

    @strawberry.mutation(description="Ask Twilio whether a call could be placed. None is.")
    async def test_twilio_account(self, info: StrikeInfo) -> TestedResult:
        return await _test(info, Action.TWILIO_EDIT, info.context.services.checks.twilio)

    @strawberry.mutation(description="Set your Render instance.")
    async def set_render_instance(
        self,
        info: StrikeInfo,
        input: Annotated[RenderInput, strawberry.argument(description="All of it.")],
    ) -> RenderResult:
        def save(do: Administration, actor: Actor) -> RenderInstance:
            require(actor, Action.RENDER_EDIT)
            fields = {name: value for name, value in vars(input).items() if name != "client_secret"}
            terms = _checked(RenderTerms, osp_id=actor.tenant_id, **fields)
            secret = _secret(input.client_secret)
            return RenderInstance.of(do.set_render(terms, secret, actor))

        return await _run(info, save, "input")

    @strawberry.mutation(description="Ask Render whether it would let us in. No task is made.")
    async def test_render_instance(self, info: StrikeInfo) -> TestedResult:
        return await _test(info, Action.RENDER_EDIT, info.context.services.checks.render)

    @strawberry.mutation(description="Make a machine's token; it is shown in this answer only.")
    async def create_api_token(
        self,
        info: StrikeInfo,
        name: Annotated[str, strawberry.argument(description="What it is for.")],
        role: Annotated[Role, strawberry.argument(description="At most your own.")],
        scopes: Annotated[list[Scope], strawberry.argument(description="At least one.")],
        days: Annotated[int, strawberry.argument(description="How long, 1 to 366.")] = 90,
    ) -> TokenMadeResult:
        secret = new_secret()

        def make(do: Administration, actor: Actor) -> ApiTokenMade:
            token = do.create_token(name, role, frozenset(scopes), days, secret, actor)
            return ApiTokenMade(token=ApiToken.of(token), secret=secret.get_secret_value())

        return await _run(info, make)

    @strawberry.mutation(description="Let a token prove nothing from now on.")
    async def revoke_api_token(
        self,
        info: StrikeInfo,
        id: Annotated[UUID, strawberry.argument(description="Which token.")],
    ) -> TokenResult:
        return await _run(info, lambda do, actor: ApiToken.of(do.revoke_token(id, actor)))


async def _run(
    info: StrikeInfo, command: Callable[[Administration, Actor], T], *prefix: str
) -> T | Problems:
    do = info.context.services.administration
    return await answered(info, lambda actor: command(do, actor), *prefix)


async def _test(
    info: StrikeInfo, action: Action, test: Callable[[UUID], str | None]
) -> AccountTested | Problems:
    def tested(actor: Actor) -> AccountTested:
        problem = test(info.context.may(action))
        return AccountTested(works=problem is None, problem=problem)

    return await answered(info, tested)


def _secret(text: str | None) -> SecretStr | None:
    return None if text is None else SecretStr(text)


def pager_list_of(given: PagerListInput) -> contacts.PagerList:
    """The list as the domain knows it, its numbers as they were written. Raises `Rejected`."""
    minutes, times = given.ring_again_minutes, given.ring_again_times
    again = None if minutes is None else _checked(RingAgain, after_minutes=minutes, times=times)
    keys = given.decline_keys
    people = [
        contacts.Contact(name=p.name, phone=p.phone, language=p.language) for p in given.contacts
    ]
    return _checked(
        contacts.PagerList,
        id=given.id or uuid4(),
        osp_id=uuid4(),
        name=given.name,
        contacts=tuple(people),
        region=None if given.region is None else parse_region(given.region, path=("region",)),
        rounds=given.rounds,
        answer_seconds=given.answer_seconds,
        decline_keys=DECLINE_KEYS
        if keys is None
        else tuple(_checked(contacts.DeclineKey, **vars(one)) for one in keys),
        ring_again=again,
        consented=frozenset(one.phone for one in given.contacts if one.consented),
        texted=frozenset(one.phone for one in given.contacts if one.texted),
    )


def _checked(kind: Callable[..., S], **values: Any) -> S:
    """Raises `Rejected` (VALUE_INVALID) with the path of the first wrong field."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = tuple(to_camel(one) if isinstance(one, str) else one for one in first["loc"])
        raise errors.Rejected("VALUE_INVALID", f"{first['msg']}.", path) from None
