"""What admins keep: who belongs where, who may call out whom, and the port that stores it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, SecretStr

from strike_domain.access import Action
from strike_domain.actors import Role, Scope, Side
from strike_domain.contacts import PagerList
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import Link, Tenant


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Member(_Frozen):
    """A user in one tenant. `email` is in lower case."""

    tenant_id: UUID
    user_id: UUID
    email: str
    name: str
    role: Role


class ApiToken(_Frozen):
    """A machine's proof, without the proof itself: only its SHA-256 is kept.

    It acts for one tenant, with a role and scopes, until it expires or is revoked.
    """

    id: UUID
    tenant_id: UUID
    name: str
    role: Role
    scopes: frozenset[Scope]
    digest: bytes
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_good(self, at: datetime) -> bool:
        """Whether it proves anything at that moment."""
        return self.revoked_at is None and at < self.expires_at


class Audit(_Frozen):
    """One change. `seen_by` are the tenants that it concerns; secrets are never in it."""

    at: datetime
    actor: str
    tenant_id: UUID | None
    seen_by: tuple[UUID, ...]
    action: Action
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: UUID


class Records(Protocol):
    """What is kept, within one transaction. What is found stays as it is until its end."""

    def tenant(self, tenant_id: UUID) -> Tenant | None: ...

    def has_tenant(self, tenant_id: UUID, side: Side) -> bool:
        """Whether there is such a company, also one that the tenant acted for knows nothing of."""

    def save_tenant(self, tenant: Tenant) -> None: ...

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None: ...

    def save_link(self, link: Link) -> None: ...

    def drop_link(self, noc_id: UUID, osp_id: UUID) -> None: ...

    def members(self, tenant_id: UUID) -> Sequence[Member]: ...

    def save_member(self, tenant_id: UUID, email: str, name: str, role: Role) -> Member:
        """Give somebody a role; whoever is known already keeps the name they have."""

    def drop_member(self, tenant_id: UUID, user_id: UUID) -> None: ...

    def pager_list(self, osp_id: UUID, list_id: UUID) -> PagerList | None: ...

    def pager_lists(self, osp_id: UUID) -> Sequence[PagerList]: ...

    def save_list(self, pager_list: PagerList) -> None: ...

    def drop_list(self, osp_id: UUID, list_id: UUID) -> None: ...

    def last_job_number(self, osp_id: UUID, year: int) -> int:
        """The last number taken in that year; 0 if none was."""

    def set_last_job_number(self, osp_id: UUID, year: int, last: int) -> None: ...

    def twilio(self, noc_id: UUID) -> TwilioTerms | None: ...

    def save_twilio(self, noc_id: UUID, terms: TwilioTerms, token: SecretStr | None) -> None:
        """Without a token the stored one stays."""

    def render(self, osp_id: UUID) -> RenderTerms | None: ...

    def save_render(self, terms: RenderTerms, secret: SecretStr | None) -> None:
        """Without a secret the stored one stays."""

    def tokens(self, tenant_id: UUID) -> Sequence[ApiToken]: ...

    def save_token(self, token: ApiToken) -> None: ...

    def audit(self, audit: Audit) -> None: ...


class Registry(Protocol):
    """Keeps the records."""

    def acting_for(self, tenant_id: UUID | None) -> AbstractContextManager[Records]:
        """One transaction on what that tenant may see; None: on everything."""
