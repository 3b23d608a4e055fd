"""Companies and people, written. Reading them is `directory` and `queries`."""

from __future__ import annotations

from uuid import UUID

from strike_adapters.postgres.pools import Connections
from strike_domain.actors import Role
from strike_domain.ports import Link, Tenant

SAVE_TENANT = """
INSERT INTO tenants (id, name, side) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = excluded.name
"""

# E-mail addresses are compared in lower case everywhere.
SAVE_USER = """
INSERT INTO users (id, email, name) VALUES (%s, lower(%s), %s)
ON CONFLICT (email) DO UPDATE SET name = excluded.name
RETURNING id
"""

SAVE_MEMBERSHIP = """
INSERT INTO memberships (user_id, tenant_id, role) VALUES (%s, %s, %s)
ON CONFLICT (user_id, tenant_id) DO UPDATE SET role = excluded.role
"""

SAVE_LINK = """
INSERT INTO links (noc_id, osp_id, status, paging_policy) VALUES (%s, %s, %s, %s)
ON CONFLICT (noc_id, osp_id) DO UPDATE SET
    status = excluded.status, paging_policy = excluded.paging_policy
"""


def save_tenant(pool: Connections, tenant: Tenant) -> None:
    """Add a company, or rename it; its side never changes."""
    _execute(pool, SAVE_TENANT, tenant.id, tenant.name, tenant.side)


def save_user(pool: Connections, user_id: UUID, email: str, name: str) -> UUID:
    """Add a person or rename them; returns the id under which the address is known."""
    with pool.connection() as connection:
        row = connection.execute(SAVE_USER, (user_id, email, name)).fetchone() or {}
    return UUID(str(row["id"]))


def save_membership(pool: Connections, user_id: UUID, tenant_id: UUID, role: Role) -> None:
    """Give a person a role in a company, in place of the one they had."""
    _execute(pool, SAVE_MEMBERSHIP, user_id, tenant_id, role)


def save_link(pool: Connections, link: Link) -> None:
    """Set the relationship between a NOC and an OSP."""
    _execute(pool, SAVE_LINK, link.noc_id, link.osp_id, link.status, link.paging_policy)


def _execute(pool: Connections, statement: str, *values: object) -> None:
    with pool.connection() as connection:
        connection.execute(statement, values)
