"""Commands of admins. Each checks who asks, decides, stores and leaves an audit, all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, SecretStr

from strike_domain.access import Action, require
from strike_domain.actors import Actor, Role, Scope, Side
from strike_domain.contacts import PagerList, parse_phone
from strike_domain.eco import PagingPolicy, is_storable
from strike_domain.errors import InvalidTransition, NotFound, Rejected
from strike_domain.geometry import FieldPath
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import Clock, Link, LinkStatus, Tenant
from strike_domain.registry import ApiToken, Audit, Member, Records, Registry

MAX_NAME = 200
"""Longest name of a tenant, person, list or token, in characters."""

MAX_TOKEN_DAYS = 366
"""How long an API token may be good at the most."""

_EMAIL = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f]{1,190}")
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")
_SID = re.compile(r"AC[0-9a-f]{32}")

SECRET = "secret"  # noqa: S105 - the key under which an audit says that one was set


@dataclass(frozen=True)
class Change:
    """The transaction of one command: what is kept, for whom, and how its audit is left."""

    records: Records
    actor: Actor
    tenant_id: UUID
    at: datetime
    correlation_id: UUID

    def audit(self, action: Action, subject: str, before: Any, after: Any, *others: UUID) -> None:
        """Say what changed; nothing is said where nothing did."""
        was, now = _shown(before), _shown(after)
        if was == now:
            return
        self.records.audit(
            Audit(
                at=self.at,
                actor=self.actor.name,
                tenant_id=self.actor.tenant_id,
                seen_by=(self.tenant_id, *others),
                action=action,
                subject=subject,
                before=was,
                after=now,
                correlation_id=self.correlation_id,
            )
        )


class Administration:
    """Tenants, links, members, lists, job numbers, outside accounts and API tokens.

    Every method raises `Forbidden`, `Rejected`, `InvalidTransition` or `NotFound`, and then has
    stored nothing.
    """

    def __init__(
        self, registry: Registry, clock: Clock, new_id: Callable[[], UUID] = uuid4
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._new_id = new_id

    # Tenants --------------------------------------------------------------------------------

    def add_tenant(self, name: str, side: Side, actor: Actor) -> Tenant:
        """A new company on one side; for whoever runs Strike."""
        require(actor, Action.TENANT_ADD)
        tenant = Tenant(id=self._new_id(), name=_name(name), side=side)
        with self._registry.acting_for(None) as records:
            change = self._change(records, actor, tenant.id)
            records.save_tenant(tenant)
            change.audit(Action.TENANT_ADD, tenant.name, None, tenant)
        return tenant

    def rename_tenant(self, name: str, actor: Actor) -> Tenant:
        """Another name for the tenant acted for."""
        with self._changing(actor, Action.TENANT_RENAME) as change:
            before = change.records.tenant(change.tenant_id)
            if before is None:
                raise NotFound("tenant")
            tenant = before.model_copy(update={"name": _name(name)})
            change.records.save_tenant(tenant)
            change.audit(Action.TENANT_RENAME, before.name, before, tenant)
        return tenant

    # Members --------------------------------------------------------------------------------

    def set_member(self, email: str, name: str, role: Role, actor: Actor) -> Member:
        """Give somebody a role; an unknown address becomes a new user of that name.

        Without a name, the address is the name.
        """
        address = _email(email)
        with self._changing(actor, Action.MEMBERS_EDIT) as change:
            members = change.records.members(change.tenant_id)
            before = next((one for one in members if one.email == address), None)
            if before and before.role is Role.ADMIN and role is not Role.ADMIN:
                _keep_an_admin(members, before)
            called = before.name if before else _name(name or address)
            after = change.records.save_member(change.tenant_id, address, called, role)
            change.audit(Action.MEMBERS_EDIT, address, before, after)
        return after

    def remove_member(self, user_id: UUID, actor: Actor) -> Member:
        """Take somebody's role away; open connections of theirs end within half a minute."""
        with self._changing(actor, Action.MEMBERS_EDIT) as change:
            members = change.records.members(change.tenant_id)
            before = next((one for one in members if one.user_id == user_id), None)
            if before is None:
                raise NotFound("member")
            _keep_an_admin(members, before)
            change.records.drop_member(change.tenant_id, user_id)
            change.audit(Action.MEMBERS_EDIT, before.email, before, None)
        return before

    # Links ----------------------------------------------------------------------------------

    def propose_link(
        self, osp_id: UUID, actor: Actor, policy: PagingPolicy = PagingPolicy.AUTOMATIC
    ) -> Link:
        """A NOC asks a contractor; it is PENDING until the contractor accepts."""
        with self._changing(actor, Action.LINK_PROPOSE) as change:
            if not change.records.has_tenant(osp_id, Side.OSP):
                raise NotFound("contractor")
            if change.records.link(change.tenant_id, osp_id):
                raise InvalidTransition("There is a link with this contractor already.")
            noc_id, pending = change.tenant_id, LinkStatus.PENDING
            link = Link(noc_id=noc_id, osp_id=osp_id, status=pending, paging_policy=policy)
            return _store_link(change, Action.LINK_PROPOSE, None, link)

    def withdraw_link(self, osp_id: UUID, actor: Actor) -> Link:
        """Take back a proposal that was not accepted yet."""
        with self._changing(actor, Action.LINK_PROPOSE) as change:
            before = _link(change, osp_id)
            return _drop_pending(change, Action.LINK_PROPOSE, before)

    def accept_link(self, noc_id: UUID, actor: Actor) -> Link:
        """A contractor agrees to be called out by a NOC."""
        with self._changing(actor, Action.LINK_ACCEPT) as change:
            before = _link(change, noc_id)
            _must_be(before, LinkStatus.PENDING, "Only a proposed link can be accepted.")
            after = before.model_copy(update={"status": LinkStatus.ACTIVE})
            return _store_link(change, Action.LINK_ACCEPT, before, after)

    def decline_link(self, noc_id: UUID, actor: Actor) -> Link:
        """A contractor turns a proposal down."""
        with self._changing(actor, Action.LINK_ACCEPT) as change:
            return _drop_pending(change, Action.LINK_ACCEPT, _link(change, noc_id))

    def suspend_link(self, other_id: UUID, actor: Actor) -> Link:
        """No new ECOs over this link; those that there are go on, and both still see them."""
        with self._changing(actor, Action.LINK_SUSPEND) as change:
            before = _link(change, other_id)
            _must_be(before, LinkStatus.ACTIVE, "Only an active link can be suspended.")
            update = {"status": LinkStatus.SUSPENDED, "suspended_by": actor.side}
            return _store_link(
                change, Action.LINK_SUSPEND, before, before.model_copy(update=update)
            )

    def resume_link(self, other_id: UUID, actor: Actor) -> Link:
        """Active again; only the side that suspended it can do that."""
        with self._changing(actor, Action.LINK_SUSPEND) as change:
            before = _link(change, other_id)
            _must_be(before, LinkStatus.SUSPENDED, "Only a suspended link can be resumed.")
            if before.suspended_by not in (None, actor.side):
                raise InvalidTransition(f"Only the {before.suspended_by} can resume it.")
            update = {"status": LinkStatus.ACTIVE, "suspended_by": None}
            return _store_link(
                change, Action.LINK_SUSPEND, before, before.model_copy(update=update)
            )

    def set_paging_policy(self, osp_id: UUID, policy: PagingPolicy, actor: Actor) -> Link:
        """Whether the pager starts by itself for this contractor's new ECOs."""
        with self._changing(actor, Action.LINK_POLICY) as change:
            before = _link(change, osp_id)
            after = before.model_copy(update={"paging_policy": policy})
            return _store_link(change, Action.LINK_POLICY, before, after)

    # Pager lists and job numbers --------------------------------------------------------------

    def add_list(self, pager_list: PagerList, actor: Actor) -> PagerList:
        """A new list, under an id of its own.

        Raises `Rejected`: PHONE_NUMBER_INVALID, NAME_INVALID, NAME_TAKEN, DEFAULT_TAKEN.
        """
        with self._changing(actor, Action.LISTS_EDIT) as change:
            update = {"id": self._new_id(), "osp_id": change.tenant_id}
            return _store_list(change, None, pager_list.model_copy(update=update))

    def change_list(self, pager_list: PagerList, actor: Actor) -> PagerList:
        """A list in place of what it was; runs keep their snapshot. Raises as `add_list`."""
        with self._changing(actor, Action.LISTS_EDIT) as change:
            before = change.records.pager_list(change.tenant_id, pager_list.id)
            if before is None:
                raise NotFound("pager list")
            after = pager_list.model_copy(update={"osp_id": change.tenant_id})
            return _store_list(change, before, after)

    def remove_list(self, list_id: UUID, actor: Actor) -> PagerList:
        """Take a list away; runs that ring it go on."""
        with self._changing(actor, Action.LISTS_EDIT) as change:
            before = change.records.pager_list(change.tenant_id, list_id)
            if before is None:
                raise NotFound("pager list")
            change.records.drop_list(change.tenant_id, list_id)
            change.audit(Action.LISTS_EDIT, before.name, before, None)
        return before

    def raise_job_numbers(self, year: int, last: int, actor: Actor) -> int:
        """Let the year's numbers go on after `last`. Never down: a number is given once."""
        if not 2000 <= year <= 2999 or not 0 <= last <= 9_999_999:
            raise Rejected("JOB_NUMBER_INVALID", "Use a year and a number from 0 to 9,999,999.")
        with self._changing(actor, Action.JOBS_EDIT) as change:
            before = change.records.last_job_number(change.tenant_id, year)
            if last < before:
                message = f"The numbers of {year} are at {before} already; use a higher one."
                raise Rejected("JOB_NUMBER_TAKEN", message, ("last",))
            change.records.set_last_job_number(change.tenant_id, year, last)
            was, now = {"year": year, "last": before}, {"year": year, "last": last}
            change.audit(Action.JOBS_EDIT, str(year), was, now)
        return last

    # Accounts at outside systems -------------------------------------------------------------

    def set_twilio(self, terms: TwilioTerms, token: SecretStr | None, actor: Actor) -> TwilioTerms:
        """The NOC's subaccount. Without a token the stored one stays, for the same account only."""
        if not _SID.fullmatch(terms.account_sid):
            message = "An account's SID is AC and 32 hexadecimal digits."
            raise Rejected("ACCOUNT_SID_INVALID", message, ("accountSid",))
        number = parse_phone(terms.from_number, ("fromNumber",))
        terms = terms.model_copy(update={"from_number": number})
        with self._changing(actor, Action.TWILIO_EDIT) as change:
            before = change.records.twilio(change.tenant_id)
            is_same = before is not None and before.account_sid == terms.account_sid
            _needs_secret(token, "authToken", is_same=is_same)
            change.records.save_twilio(change.tenant_id, terms, token)
            after = {**_shown_always(terms), SECRET: "set anew" if token else "as it was"}
            change.audit(Action.TWILIO_EDIT, terms.account_sid, before, after)
        return terms

    def set_render(self, terms: RenderTerms, secret: SecretStr | None, actor: Actor) -> RenderTerms:
        """The OSP's instance. Without a secret the stored one stays, for the same client only."""
        with self._changing(actor, Action.RENDER_EDIT) as change:
            if terms.osp_id != change.tenant_id:
                raise NotFound("Render instance")
            _must_be_private(terms.base_url)
            before = change.records.render(change.tenant_id)
            # Whoever could send a kept secret elsewhere could read it there.
            is_same = before is not None and (before.base_url, before.client_id) == (
                terms.base_url,
                terms.client_id,
            )
            _needs_secret(secret, "clientSecret", is_same=is_same)
            change.records.save_render(terms, secret)
            after = {**_shown_always(terms), SECRET: "set anew" if secret else "as it was"}
            change.audit(Action.RENDER_EDIT, terms.base_url, before, after)
        return terms

    # API tokens -----------------------------------------------------------------------------

    def create_token(
        self,
        name: str,
        role: Role,
        scopes: frozenset[Scope],
        days: int,
        secret: SecretStr,
        actor: Actor,
    ) -> ApiToken:
        """A machine's token for the tenant acted for. Of `secret`, only the digest is kept."""
        if not 1 <= days <= MAX_TOKEN_DAYS:
            message = f"A token is good for 1 to {MAX_TOKEN_DAYS} days."
            raise Rejected("TOKEN_DAYS_INVALID", message, ("days",))
        if not scopes:
            raise Rejected("TOKEN_SCOPES_EMPTY", "Name at least one scope.", ("scopes",))
        with self._changing(actor, Action.TOKENS_EDIT) as change:
            if not (actor.role.covers(role) and scopes <= (actor.scopes or frozenset(Scope))):
                message = "A token cannot be allowed more than whoever makes it."
                raise Rejected("TOKEN_TOO_MUCH", message, ("role",))
            token = ApiToken(
                id=self._new_id(),
                tenant_id=change.tenant_id,
                name=_name(name),
                role=role,
                scopes=scopes,
                digest=token_digest(secret.get_secret_value()),
                created_by=actor.name,
                created_at=change.at,
                expires_at=change.at + timedelta(days=days),
            )
            change.records.save_token(token)
            change.audit(Action.TOKENS_EDIT, token.name, None, token)
        return token

    def revoke_token(self, token_id: UUID, actor: Actor) -> ApiToken:
        """It proves nothing from now on; revoking it twice changes nothing."""
        with self._changing(actor, Action.TOKENS_EDIT) as change:
            known = change.records.tokens(change.tenant_id)
            before = next((one for one in known if one.id == token_id), None)
            if before is None:
                raise NotFound("API token")
            after = before.model_copy(update={"revoked_at": before.revoked_at or change.at})
            change.records.save_token(after)
            change.audit(Action.TOKENS_EDIT, before.name, before, after)
        return after

    @contextmanager
    def _changing(self, actor: Actor, action: Action) -> Iterator[Change]:
        require(actor, action)
        tenant_id = actor.tenant_id
        if tenant_id is None:
            raise NotFound("tenant")
        with self._registry.acting_for(tenant_id) as records:
            yield self._change(records, actor, tenant_id)

    def _change(self, records: Records, actor: Actor, tenant_id: UUID) -> Change:
        correlation_id = actor.request_id or self._new_id()
        return Change(records, actor, tenant_id, self._clock.now(), correlation_id)


def token_digest(secret: str) -> bytes:
    """What is kept of an API token: 256 random bits need no salt and no slow hash."""
    return sha256(secret.encode()).digest()


# Checks ------------------------------------------------------------------------------------


def _name(text: str, path: FieldPath = ("name",)) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME or not is_storable(name):
        raise Rejected("NAME_INVALID", f"Use 1 to {MAX_NAME} ordinary characters.", path)
    return name


def _email(text: str) -> str:
    address = text.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise Rejected("EMAIL_INVALID", "Write an e-mail address, as ana@noc.example.", ("email",))
    return address


def _keep_an_admin(members: Any, leaving: Member) -> None:
    admins = [one for one in members if one.role is Role.ADMIN]
    if admins == [leaving]:
        message = "This is the tenant's last admin; make somebody else one first."
        raise Rejected("LAST_ADMIN", message, ("email",))


def _checked_list(given: PagerList) -> PagerList:
    """With numbers in E.164 form, also of those who agreed to be rung, and who get texts."""
    numbers = {
        one.phone: parse_phone(one.phone, ("contacts", index, "phone"))
        for index, one in enumerate(given.contacts)
    }
    people = tuple(
        one.model_copy(
            update={
                "phone": numbers[one.phone],
                "name": _name(one.name, ("contacts", index, "name")),
            }
        )
        for index, one in enumerate(given.contacts)
    )
    update = {
        "contacts": people,
        "name": _name(given.name),
        "consented": frozenset(numbers.get(phone, phone) for phone in given.consented),
        "texted": frozenset(numbers.get(phone, phone) for phone in given.texted),
    }
    return given.model_copy(update=update)


def _store_list(change: Change, before: PagerList | None, given: PagerList) -> PagerList:
    after = _checked_list(given)
    known = change.records.pager_lists(change.tenant_id)
    _check_among(after, [one for one in known if one.id != after.id])
    change.records.save_list(after)
    change.audit(Action.LISTS_EDIT, after.name, before, after)
    return after


def _check_among(checked: PagerList, others: list[PagerList]) -> None:
    if any(one.name == checked.name for one in others):
        raise Rejected("NAME_TAKEN", "Another list has this name.", ("name",))
    default = next((one.name for one in others if one.region is None), None)
    if checked.region is None and default is not None:
        message = f"{default!r} is the default list already; give this one a region."
        raise Rejected("DEFAULT_TAKEN", message, ("region",))


def _must_be_private(base_url: str) -> None:
    """Client and secret go there: in the open only within one machine, to a mock."""
    if not base_url.startswith("https://") and not _LOOPBACK.match(base_url):
        message = "Use https: what is sent there opens the contractor's system."
        raise Rejected("BASE_URL_INSECURE", message, ("baseUrl",))


def _needs_secret(secret: SecretStr | None, path: str, *, is_same: bool) -> None:
    if secret is None and not is_same:
        message = "A new account needs its secret: the stored one belongs to another."
        raise Rejected("SECRET_NEEDED", message, (path,))
    if secret is not None and not is_storable(secret.get_secret_value() or "\0"):
        raise Rejected("SECRET_INVALID", "Use ordinary characters.", (path,))


# Links -------------------------------------------------------------------------------------


def _link(change: Change, other_id: UUID) -> Link:
    """The link of the tenant acted for with another one. Raises `NotFound`."""
    ends = (change.tenant_id, other_id)
    noc_id, osp_id = ends if change.actor.side is Side.NOC else ends[::-1]
    link = change.records.link(noc_id, osp_id)
    if link is None:
        raise NotFound("link")
    return link


def _must_be(link: Link, status: LinkStatus, otherwise: str) -> None:
    if link.status is not status:
        raise InvalidTransition(f"{otherwise} This one is {link.status}.")


def _store_link(change: Change, action: Action, before: Link | None, after: Link) -> Link:
    change.records.save_link(after)
    change.audit(action, "link", before, after, _other_end(change, after))
    return after


def _drop_pending(change: Change, action: Action, before: Link) -> Link:
    _must_be(before, LinkStatus.PENDING, "Only a proposed link can be taken back or turned down.")
    change.records.drop_link(before.noc_id, before.osp_id)
    change.audit(action, "link", before, None, _other_end(change, before))
    return before


def _other_end(change: Change, link: Link) -> UUID:
    return link.osp_id if link.noc_id == change.tenant_id else link.noc_id


# Audits ------------------------------------------------------------------------------------


def _shown(thing: Any) -> dict[str, Any] | None:
    return None if thing is None else _shown_always(thing)


def _shown_always(thing: Any) -> dict[str, Any]:
    if isinstance(thing, BaseModel):
        shown = thing.model_dump(mode="json", exclude={"digest", "last_used_at"})
        # Sets come in any order, and another order is no change.
        sets = {name for name in shown if isinstance(getattr(thing, name), frozenset)}
        return {name: sorted(it) if name in sets else it for name, it in shown.items()}
    return dict(thing)
