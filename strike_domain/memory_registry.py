"""What admins keep, in dictionaries: a `Registry` for tests and embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from strike_domain.actors import Role, Side
from strike_domain.contacts import PagerList
from strike_domain.errors import NotFound
from strike_domain.memory import MemoryDirectory
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import Link, Tenant
from strike_domain.registry import ApiToken, Audit, Member, Records


@dataclass
class Kept:
    """What is kept beside the directory. `secrets` are by what they belong to."""

    people: dict[str, tuple[UUID, str]] = field(default_factory=dict)
    members: dict[tuple[UUID, UUID], Member] = field(default_factory=dict)
    twilio: dict[UUID, TwilioTerms] = field(default_factory=dict)
    render: dict[UUID, RenderTerms] = field(default_factory=dict)
    secrets: dict[UUID, SecretStr] = field(default_factory=dict)
    tokens: dict[UUID, ApiToken] = field(default_factory=dict)
    audits: list[Audit] = field(default_factory=list)


class MemoryRegistry:
    """Keeps it all in memory: what callouts need in `directory`, where they look it up."""

    def __init__(self, directory: MemoryDirectory | None = None) -> None:
        self.directory = directory or MemoryDirectory()
        self.kept = Kept()

    @contextmanager
    def acting_for(self, tenant_id: UUID | None) -> Iterator[Records]:
        before = [(one, copy(one)) for one in self._everything()]
        try:
            yield MemoryRecords(self.directory, self.kept, tenant_id)
        except BaseException:
            for now, then in before:
                now.clear()
                now.extend(then) if isinstance(now, list) else now.update(then)
            raise

    def _everything(self) -> list[Any]:
        return [*vars(self.kept).values(), *vars(self.directory).values()]


class MemoryRecords:
    """`Records` of one command. What is of another tenant is not there."""

    def __init__(self, directory: MemoryDirectory, kept: Kept, tenant_id: UUID | None) -> None:
        self._directory = directory
        self._kept = kept
        self._me = tenant_id

    def tenant(self, tenant_id: UUID) -> Tenant | None:
        is_known = self._is_mine(tenant_id) or any(
            {self._me, tenant_id} == set(ends) for ends in self._directory.links
        )
        return self._directory.tenants.get(tenant_id) if is_known else None

    def has_tenant(self, tenant_id: UUID, side: Side) -> bool:
        found = self._directory.tenants.get(tenant_id)
        return found is not None and found.side is side

    def save_tenant(self, tenant: Tenant) -> None:
        self._must_be_mine(tenant.id)
        self._directory.tenants[tenant.id] = tenant

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None:
        is_known = self._is_mine(noc_id) or self._is_mine(osp_id)
        return self._directory.links.get((noc_id, osp_id)) if is_known else None

    def save_link(self, link: Link) -> None:
        self._must_be_mine(link.noc_id, link.osp_id)
        self._directory.links[link.noc_id, link.osp_id] = link

    def drop_link(self, noc_id: UUID, osp_id: UUID) -> None:
        self._must_be_mine(noc_id, osp_id)
        self._directory.links.pop((noc_id, osp_id), None)

    def members(self, tenant_id: UUID) -> Sequence[Member]:
        found = [one for one in self._kept.members.values() if one.tenant_id == tenant_id]
        return sorted(found, key=lambda one: one.email) if self._is_mine(tenant_id) else []

    def save_member(self, tenant_id: UUID, email: str, name: str, role: Role) -> Member:
        self._must_be_mine(tenant_id)
        user_id, called = self._kept.people.setdefault(email, (uuid4(), name))
        member = Member(tenant_id=tenant_id, user_id=user_id, email=email, name=called, role=role)
        self._kept.members[tenant_id, user_id] = member
        return member

    def drop_member(self, tenant_id: UUID, user_id: UUID) -> None:
        self._must_be_mine(tenant_id)
        self._kept.members.pop((tenant_id, user_id), None)

    def pager_list(self, osp_id: UUID, list_id: UUID) -> PagerList | None:
        return next((one for one in self.pager_lists(osp_id) if one.id == list_id), None)

    def pager_lists(self, osp_id: UUID) -> Sequence[PagerList]:
        found = [one for one in self._directory.lists.values() if one.osp_id == osp_id]
        order = sorted(found, key=lambda one: (one.region is None, one.name, one.id))
        return order if self._is_mine(osp_id) else []

    def save_list(self, pager_list: PagerList) -> None:
        self._must_be_mine(pager_list.osp_id)
        self._directory.lists[pager_list.id] = pager_list

    def drop_list(self, osp_id: UUID, list_id: UUID) -> None:
        self._must_be_mine(osp_id)
        if self.pager_list(osp_id, list_id):
            del self._directory.lists[list_id]

    def last_job_number(self, osp_id: UUID, year: int) -> int:
        return self._directory.numbers.get((osp_id, year), 0) if self._is_mine(osp_id) else 0

    def set_last_job_number(self, osp_id: UUID, year: int, last: int) -> None:
        self._must_be_mine(osp_id)
        self._directory.numbers[osp_id, year] = last

    def twilio(self, noc_id: UUID) -> TwilioTerms | None:
        return self._kept.twilio.get(noc_id) if self._is_mine(noc_id) else None

    def save_twilio(self, noc_id: UUID, terms: TwilioTerms, token: SecretStr | None) -> None:
        self._must_be_mine(noc_id)
        self._kept.twilio[noc_id] = terms
        self._keep(noc_id, token)

    def render(self, osp_id: UUID) -> RenderTerms | None:
        return self._kept.render.get(osp_id) if self._is_mine(osp_id) else None

    def save_render(self, terms: RenderTerms, secret: SecretStr | None) -> None:
        self._must_be_mine(terms.osp_id)
        self._kept.render[terms.osp_id] = terms
        self._directory.render_osps.add(terms.osp_id)
        self._directory.terms[terms.osp_id] = terms.field_terms
        self._keep(terms.osp_id, secret)

    def tokens(self, tenant_id: UUID) -> Sequence[ApiToken]:
        found = [one for one in self._kept.tokens.values() if one.tenant_id == tenant_id]
        order = sorted(found, key=lambda one: (one.created_at, one.id))
        return order if self._is_mine(tenant_id) else []

    def save_token(self, token: ApiToken) -> None:
        self._must_be_mine(token.tenant_id)
        self._kept.tokens[token.id] = token

    def audit(self, audit: Audit) -> None:
        self._kept.audits.append(audit)

    def _keep(self, owner: UUID, secret: SecretStr | None) -> None:
        if secret is not None:
            self._kept.secrets[owner] = secret

    def _is_mine(self, tenant_id: UUID) -> bool:
        return self._me is None or self._me == tenant_id

    def _must_be_mine(self, *tenants: UUID) -> None:
        if not any(self._is_mine(one) for one in tenants):
            raise NotFound("object")
