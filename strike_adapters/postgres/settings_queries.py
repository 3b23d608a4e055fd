"""What a tenant has set: the questions of its admins' pages, each with the tenant filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from psycopg.rows import DictRow

from strike_adapters.postgres.directory import IN_ORDER, LISTS, to_pager_list
from strike_domain.contacts import PagerList
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import Link, Tenant
from strike_domain.registry import ApiToken, Audit, Member

MY_TENANT = "SELECT id, name, side FROM tenants WHERE id = %(tenant)s"

MY_LINKS = """
SELECT noc_id, osp_id, status, paging_policy, suspended_by FROM links
WHERE (noc_id = %(tenant)s OR osp_id = %(tenant)s) ORDER BY noc_id, osp_id
"""

MY_MEMBERS = """
SELECT m.tenant_id, m.user_id, u.email, u.name, m.role
FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.tenant_id = %(tenant)s ORDER BY u.email
"""

MY_LISTS = f"{LISTS} WHERE osp_id = %(tenant)s {IN_ORDER}"

MY_NUMBERS = "SELECT year, last FROM job_sequences WHERE osp_id = %(tenant)s ORDER BY year DESC"

MY_TWILIO = "SELECT account_sid, from_number FROM twilio_accounts WHERE noc_id = %(tenant)s"

MY_RENDER = """
SELECT osp_id, base_url, client_id, project, polling_seconds, inactivity_hours, grace_hours
FROM render_instances WHERE osp_id = %(tenant)s
"""

MY_TOKENS = """
SELECT * FROM api_tokens WHERE tenant_id = %(tenant)s ORDER BY created_at DESC, id
"""

MY_AUDITS = """
SELECT * FROM directory_audits
WHERE %(tenant)s = ANY(seen_by) AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""


class Mine(Protocol):
    """Asks behind the tenant's wall: `Queries._mine`."""

    async def __call__(
        self, statement: str, *, tenant: UUID, **values: object
    ) -> list[DictRow]: ...


class SettingsQueries:
    """Answers for one tenant at a time, straight from what admins keep."""

    def __init__(self, mine: Mine) -> None:
        self._mine = mine

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        rows = await self._mine(MY_TENANT, tenant=tenant_id)
        return Tenant(**rows[0]) if rows else None

    async def links(self, tenant_id: UUID) -> list[Link]:
        return [Link(**row) for row in await self._mine(MY_LINKS, tenant=tenant_id)]

    async def members(self, tenant_id: UUID) -> list[Member]:
        return [Member(**row) for row in await self._mine(MY_MEMBERS, tenant=tenant_id)]

    async def pager_lists(self, osp_id: UUID) -> list[PagerList]:
        """Every list by name, the default list last."""
        return [to_pager_list(row) for row in await self._mine(MY_LISTS, tenant=osp_id)]

    async def job_numbers(self, osp_id: UUID) -> list[tuple[int, int]]:
        """Each year and the last number taken in it, the newest year first."""
        rows = await self._mine(MY_NUMBERS, tenant=osp_id)
        return [(row["year"], row["last"]) for row in rows]

    async def twilio(self, noc_id: UUID) -> TwilioTerms | None:
        rows = await self._mine(MY_TWILIO, tenant=noc_id)
        return TwilioTerms(**rows[0]) if rows else None

    async def render(self, osp_id: UUID) -> RenderTerms | None:
        rows = await self._mine(MY_RENDER, tenant=osp_id)
        return RenderTerms(**rows[0]) if rows else None

    async def tokens(self, tenant_id: UUID) -> list[ApiToken]:
        """The newest first, those that are no longer good among them."""
        return [ApiToken(**row) for row in await self._mine(MY_TOKENS, tenant=tenant_id)]

    async def audits(
        self, tenant_id: UUID, *, first: int, before: int | None = None
    ) -> Sequence[tuple[int, Audit]]:
        """The newest changes, each with its number; `before`: only those of lower numbers."""
        rows = await self._mine(MY_AUDITS, tenant=tenant_id, before=before, limit=first)
        return [(row["id"], Audit(**row)) for row in rows]
