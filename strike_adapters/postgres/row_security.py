"""The second wall: what each table shows to a connection that acts for one tenant.

Such a connection has the role `strike_tenant`, which owns nothing and reads no secret and no log,
and names its tenant for the length of one transaction (`strike.tenant`). Without a name it sees no
row at all, so that a connection which comes back to its pool has nothing to leak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.changes import FOLLOWED
from strike_domain.errors import StrikeError

TENANT_ROLE = "strike_tenant"

NAME_TENANT = "SELECT set_config('strike.tenant', %s, true)"
"""Of which tenant the rest of this transaction is."""

# A sub-select is worked out once for a statement, not for every row.
ME = "(SELECT nullif(current_setting('strike.tenant', true), '')::uuid)"

EITHER_SIDE = f"(noc_id = {ME} OR osp_id = {ME})"

# The read models are always asked with the tenant filter as well, so this lets through what the
# filter has found. Put plainly the planner would take it for a second filter, expect a fraction of
# the rows, and sort a tenant's whole history for one page instead of reading its newest by index.
# Of "is not null" it expects that nearly all rows pass. Unknown stays unseen: no name, no row.
EITHER_SIDE_AGAIN = f"nullif({EITHER_SIDE}, false) IS NOT NULL"


@dataclass(frozen=True)
class Wall:
    """What of a table is seen, what may be written (None: nothing), and by which privileges."""

    sees: str
    writes: str | None = None
    grants: str = "SELECT"


def _own(column: str, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> Wall:
    mine = f"{column} = {ME}"
    return Wall(mine, mine, grants)


_LINKED = f"""EXISTS (SELECT FROM links l WHERE (l.noc_id = {ME} AND l.osp_id = tenants.id)
    OR (l.osp_id = {ME} AND l.noc_id = tenants.id))"""

# Whoever has an ECO with somebody may know their name, whatever became of the link.
_SHARES_AN_ECO = f"""EXISTS (SELECT FROM eco_views e
    WHERE (e.noc_id = {ME} AND e.osp_id = tenants.id)
    OR (e.osp_id = {ME} AND e.noc_id = tenants.id))"""

_ACTIVELY_LINKED = f"""EXISTS (SELECT FROM links l WHERE l.noc_id = {ME}
    AND l.osp_id = pager_lists.osp_id AND l.status = 'ACTIVE')"""

WALLS: dict[str, Wall] = {
    "eco_views": Wall(EITHER_SIDE_AGAIN),
    "eco_history": Wall(EITHER_SIDE_AGAIN),
    "eco_timeline": Wall(EITHER_SIDE_AGAIN),
    "eco_map": Wall(EITHER_SIDE_AGAIN),
    "response_times": Wall(EITHER_SIDE_AGAIN),
    "pager_run_views": Wall(EITHER_SIDE_AGAIN),
    "pager_calls": Wall(
        "EXISTS (SELECT FROM pager_run_views r WHERE r.run_id = pager_calls.run_id)"
    ),
    "tenants": Wall(
        f"id = {ME} OR {_LINKED} OR {_SHARES_AN_ECO}", f"id = {ME}", "SELECT, UPDATE (name)"
    ),
    "users": Wall("EXISTS (SELECT FROM memberships m WHERE m.user_id = users.id)"),
    "memberships": _own("tenant_id"),
    "links": Wall(EITHER_SIDE, EITHER_SIDE, "SELECT, INSERT, UPDATE, DELETE"),
    "pager_lists": Wall(
        f"osp_id = {ME} OR {_ACTIVELY_LINKED}",
        f"osp_id = {ME}",
        "SELECT, INSERT, UPDATE, DELETE",
    ),
    "pager_contacts": Wall(
        "EXISTS (SELECT FROM pager_lists p WHERE p.id = list_id)",
        f"EXISTS (SELECT FROM pager_lists p WHERE p.id = list_id AND p.osp_id = {ME})",
        "SELECT, INSERT, UPDATE, DELETE",
    ),
    "job_sequences": _own("osp_id", "SELECT, INSERT, UPDATE"),
    # Of what is sealed, not even the sealed form can be read.
    "twilio_accounts": _own(
        "noc_id", "SELECT (noc_id, account_sid, from_number), INSERT, UPDATE, DELETE"
    ),
    "render_instances": _own(
        "osp_id",
        "SELECT (osp_id, base_url, client_id, project, polling_seconds, inactivity_hours,"
        " grace_hours), INSERT, UPDATE, DELETE",
    ),
    "api_tokens": _own("tenant_id", "SELECT, INSERT, UPDATE"),
    "eco_drafts": _own("noc_id", "SELECT, INSERT, DELETE"),
    # What was done stays said.
    "directory_audits": Wall(f"{ME} = ANY(seen_by)", f"{ME} = ANY(seen_by)", "SELECT, INSERT"),
}
"""Every table of which a tenant's connection sees its part."""

OPEN_TO_ALL = tuple(f"{view}_tracking" for view in FOLLOWED)
"""Tables that say nothing of anybody: how far the read models are. All others are out of reach."""

# Two databases of one server may be prepared at once, and share the role.
CREATE_ROLE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{TENANT_ROLE}') THEN
        CREATE ROLE {TENANT_ROLE} NOLOGIN NOINHERIT NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

# From version 16 on, who creates a role belongs to it without being allowed to take it.
MAY_BECOME = """
SELECT pg_has_role(current_user, %s, CASE WHEN current_setting('server_version_num')::int < 160000
                                     THEN 'MEMBER' ELSE 'SET' END)
"""

GRANT_ROLE = f"GRANT {TENANT_ROLE} TO CURRENT_USER"

# An index of words is not used behind row-level security: to compare words might tell of rows. So
# it is asked here, of the tenant's own rows only; their rows are then read behind the wall again.
WORDS = f"""
CREATE OR REPLACE FUNCTION strike_ecos_told_with(question tsquery) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public
AS $$ SELECT eco_id FROM eco_map WHERE words @@ question AND {EITHER_SIDE} $$;

REVOKE ALL ON FUNCTION strike_ecos_told_with(tsquery) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION strike_ecos_told_with(tsquery) TO {TENANT_ROLE};
"""  # noqa: S608

# What a tenant has to know of others without seeing them: whether an id is a contractor's, and
# which user an e-mail address belongs to.
FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION strike_has_tenant(wanted uuid, wanted_side text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
AS $$ SELECT EXISTS (SELECT FROM tenants WHERE id = wanted AND side = wanted_side) $$;

CREATE OR REPLACE FUNCTION strike_user_named(new_id uuid, address text, called text) RETURNS uuid
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    INSERT INTO users AS known (id, email, name) VALUES (new_id, address, called)
    ON CONFLICT (email) DO UPDATE SET name = known.name RETURNING id
$$;

REVOKE ALL ON FUNCTION strike_has_tenant(uuid, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION strike_user_named(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION strike_has_tenant(uuid, text) TO {TENANT_ROLE};
GRANT EXECUTE ON FUNCTION strike_user_named(uuid, text, text) TO {TENANT_ROLE};
"""  # noqa: S608


def walls(connection: psycopg.Connection) -> Iterator[Callable[[], object]]:
    """The steps that create the role and put every table behind its wall, each safe to repeat.

    One table after the other: whoever reads two would be in a circle with a transaction that has
    one of them and wants the other, and be ended for it.

    The first raises `TenantRoleMissing` if there is no role, and this user may not create it.
    """
    yield partial(_ensure_role, connection)
    yield partial(_make_functions, connection)
    for name, wall in WALLS.items():
        yield partial(_raise_alone, connection, name, wall)
    for name in OPEN_TO_ALL:
        grant = SQL("GRANT SELECT ON {} TO {}")
        statement = grant.format(Identifier(name), Identifier(TENANT_ROLE))
        yield partial(connection.execute, statement)


def _make_functions(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute(FUNCTIONS)
        connection.execute(WORDS)


def _raise_alone(connection: psycopg.Connection, name: str, wall: Wall) -> None:
    with connection.transaction():
        raise_wall(connection, name, wall)


def raise_wall(connection: psycopg.Connection, name: str, wall: Wall) -> None:
    """Put one table behind its wall."""
    table, role = Identifier(name), Identifier(TENANT_ROLE)
    policies: list[tuple[str, str, str | None, str | None]] = [("see", "SELECT", wall.sees, None)]
    if wall.writes is not None:
        policies += [
            ("add", "INSERT", None, wall.writes),
            ("change", "UPDATE", wall.writes, wall.writes),
            ("drop", "DELETE", wall.writes, None),
        ]
    connection.execute(SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))
    connection.execute(SQL("REVOKE ALL ON {} FROM {}").format(table, role))
    grant = f"GRANT {wall.grants} ON {{}} TO {{}}"
    connection.execute(SQL(grant).format(table, role))
    for kind, command, using, check in policies:
        policy = Identifier(f"strike_{kind}")
        connection.execute(SQL("DROP POLICY IF EXISTS {} ON {}").format(policy, table))
        text = f"CREATE POLICY {{}} ON {{}} FOR {command} TO {{}}"
        text += f" USING ({using})" if using else ""
        text += f" WITH CHECK ({check})" if check else ""
        connection.execute(SQL(text).format(policy, table, role))


class TenantRoleMissing(StrikeError):
    """The database has no role for tenants, and this user may not create or take it."""

    def __init__(self, user: str) -> None:
        super().__init__(
            "TENANT_ROLE_MISSING",
            f"The database user {user} may not create the role that keeps tenants apart. Let an "
            f"administrator of the database run: CREATE ROLE {TENANT_ROLE} NOLOGIN NOINHERIT; "
            f'GRANT {TENANT_ROLE} TO "{user}";',
        )


def _ensure_role(connection: psycopg.Connection) -> None:
    try:
        connection.execute(CREATE_ROLE)
        row = connection.execute(MAY_BECOME, (TENANT_ROLE,)).fetchone()
        if row is None or not row[0]:
            connection.execute(GRANT_ROLE)
    except psycopg.errors.InsufficientPrivilege as error:
        raise TenantRoleMissing(connection.info.user) from error
