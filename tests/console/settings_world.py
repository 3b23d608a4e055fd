"""Companies and roles that the demo has not, put straight into its database."""

from __future__ import annotations

from uuid import UUID, uuid4

from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.people import save_membership, save_tenant, save_user
from strike_app.demo.seed import LOGINS
from strike_app.demo.world import World
from strike_domain.actors import Role, Side
from strike_domain.ports import Tenant


def add_company(world: World, name: str, side: Side, admin: str) -> UUID:
    """A company without anything, and somebody of the demo as its admin."""
    tenant = Tenant(id=uuid4(), name=name, side=side)
    with open_pool(world.database_url) as pool:
        save_tenant(pool, tenant)
    set_role(world, admin, tenant.id, Role.ADMIN)
    return tenant.id


def company_called(world: World, name: str) -> UUID:
    """The id of one of the demo's companies."""
    with open_pool(world.database_url) as pool, pool.connection() as connection:
        row = connection.execute("SELECT id FROM tenants WHERE name = %s", (name,)).fetchone()
    return UUID(str((row or {})["id"]))


def set_role(world: World, email: str, tenant_id: UUID, role: Role) -> None:
    """Give somebody of the demo a role at another company, too."""
    name = next(one.name for one in LOGINS if one.email == email)
    with open_pool(world.database_url) as pool:
        user_id = save_user(pool, uuid4(), email, name)
        save_membership(pool, user_id, tenant_id, role)
