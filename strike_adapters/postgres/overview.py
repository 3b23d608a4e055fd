"""What whoever runs Strike sees of all companies at once: tenants, links, job numbers, audits."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from strike_adapters.postgres.pools import Pool
from strike_domain.actors import Side
from strike_domain.ports import Link, Tenant
from strike_domain.registry import Audit

TENANTS = """
SELECT id, name, side FROM tenants
WHERE %(side)s::text IS NULL OR side = %(side)s ORDER BY name, side, id
"""

LINKS = """
SELECT l.noc_id, l.osp_id, l.status, l.paging_policy, l.suspended_by,
       n.name AS noc, o.name AS osp
FROM links l JOIN tenants n ON n.id = l.noc_id JOIN tenants o ON o.id = l.osp_id
WHERE %(tenant)s::uuid IS NULL OR %(tenant)s IN (l.noc_id, l.osp_id) ORDER BY n.name, o.name
"""

JOB_NUMBERS = "SELECT year, last FROM job_sequences WHERE osp_id = %s ORDER BY year"

AUDITS = """
SELECT * FROM directory_audits
WHERE %(tenant)s::uuid IS NULL OR seen_by @> ARRAY[%(tenant)s::uuid]
ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True)
class NamedLink:
    """A link, and what its two ends are called."""

    link: Link
    noc: str
    osp: str


def all_tenants(pool: Pool, side: Side | None = None) -> list[Tenant]:
    """By name."""
    with pool.connection() as connection:
        rows = connection.execute(TENANTS, {"side": side}).fetchall()
    return [Tenant(**row) for row in rows]


def all_links(pool: Pool, tenant_id: UUID | None = None) -> list[NamedLink]:
    """By the names of NOC and OSP; of one tenant, or of all."""
    with pool.connection() as connection:
        rows = connection.execute(LINKS, {"tenant": tenant_id}).fetchall()
    return [NamedLink(Link(**row), row["noc"], row["osp"]) for row in rows]


def job_numbers(pool: Pool, osp_id: UUID) -> dict[int, int]:
    """The last number taken of each year."""
    with pool.connection() as connection:
        rows = connection.execute(JOB_NUMBERS, (osp_id,)).fetchall()
    return {row["year"]: row["last"] for row in rows}


def latest_audits(pool: Pool, tenant_id: UUID | None, limit: int) -> list[Audit]:
    """Newest first; of what concerns one tenant, or of all."""
    values = {"tenant": tenant_id, "limit": limit}
    with pool.connection() as connection:
        rows = connection.execute(AUDITS, values).fetchall()
    return [Audit(**row) for row in rows]
