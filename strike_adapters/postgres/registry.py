"""What admins keep, in PostgreSQL: every command one transaction, behind the tenants' wall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from strike_adapters.postgres import accounts
from strike_adapters.postgres.directory import (
    FIND_LINK,
    FIND_TENANT,
    GET_LIST,
    LISTS_OF,
    store_list,
    to_pager_list,
)
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.settings_queries import MY_MEMBERS, MY_RENDER, MY_TWILIO
from strike_adapters.postgres.tenancy import acting_for
from strike_adapters.secrets import SecretBox
from strike_domain.actors import Role, Side
from strike_domain.contacts import PagerList
from strike_domain.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import Link, Tenant
from strike_domain.registry import ApiToken, Audit, Member, Records

ADD_TENANT = "INSERT INTO tenants (id, name, side) VALUES (%(id)s, %(name)s, %(side)s)"

RENAME_TENANT = "UPDATE tenants SET name = %(name)s WHERE id = %(id)s"

HAS_TENANT = "SELECT strike_has_tenant(%s, %s) AS has"

SAVE_LINK = """
INSERT INTO links (noc_id, osp_id, status, paging_policy, suspended_by)
VALUES (%(noc_id)s, %(osp_id)s, %(status)s, %(paging_policy)s, %(suspended_by)s)
ON CONFLICT (noc_id, osp_id) DO UPDATE SET status = excluded.status,
    paging_policy = excluded.paging_policy, suspended_by = excluded.suspended_by
"""

DROP_LINK = "DELETE FROM links WHERE noc_id = %s AND osp_id = %s"

# Two admins may take each other's role away at the same moment: one of them waits.
MEMBERS = f"{MY_MEMBERS} FOR UPDATE OF m"

USER_NAMED = "SELECT strike_user_named(%s, %s, %s) AS id"

SAVE_MEMBER = """
INSERT INTO memberships (user_id, tenant_id, role) VALUES (%s, %s, %s)
ON CONFLICT (user_id, tenant_id) DO UPDATE SET role = excluded.role
"""

DROP_MEMBER = "DELETE FROM memberships WHERE tenant_id = %s AND user_id = %s"

DROP_LIST = "DELETE FROM pager_lists WHERE osp_id = %s AND id = %s"

LAST_NUMBER = "SELECT last FROM job_sequences WHERE osp_id = %s AND year = %s FOR UPDATE"

SET_NUMBER = """
INSERT INTO job_sequences AS taken (osp_id, year, last) VALUES (%s, %s, %s)
ON CONFLICT (osp_id, year) DO UPDATE SET last = greatest(taken.last, excluded.last)
"""

TOKENS = "SELECT * FROM api_tokens WHERE tenant_id = %s ORDER BY created_at, id"

KEEP_TOKEN = """
INSERT INTO api_tokens (id, tenant_id, name, role, scopes, digest, created_by, created_at,
                        expires_at, revoked_at)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(role)s, %(scopes)s, %(digest)s, %(created_by)s,
        %(created_at)s, %(expires_at)s, %(revoked_at)s)
ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at
"""  # noqa: S105

ADD_AUDIT = """
INSERT INTO directory_audits (at, actor, tenant_id, seen_by, action, subject, before, after,
                              correlation_id)
VALUES (%(at)s, %(actor)s, %(tenant_id)s, %(seen_by)s, %(action)s, %(subject)s, %(before)s,
        %(after)s, %(correlation_id)s)
"""


class PostgresRegistry:
    """`Registry` on a pool of the system's own connections."""

    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool = pool
        self._box = box

    @contextmanager
    def acting_for(self, tenant_id: UUID | None) -> Iterator[Records]:
        """Raises `NotFound` for what the wall keeps apart, `Conflict` if others were faster.

        Without the database `Unavailable`, and nothing was stored; `OutcomeUnknown` if it went away
        while it stored.
        """
        is_decided = False
        try:
            with acting_for(self._pool, tenant_id) as connection:
                yield PostgresRecords(connection, self._box)
                is_decided = True
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotFound("object") from error
        except (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation) as error:
            message = "Somebody else changed it at the same moment; look, and try again."
            raise Conflict(message) from error
        except psycopg.OperationalError as error:
            if is_decided:
                message = "The database went away while it stored. Look whether it was done."
                raise OutcomeUnknown(message) from error
            message = "The database does not answer; nothing was stored. Try again."
            raise Unavailable(message, "DATABASE_UNAVAILABLE") from error


def add_audit(connection: Connection[Any], audit: Audit) -> None:
    """Within a transaction: who changed what."""
    values: dict[str, Any] = audit.model_dump() | {"seen_by": [*audit.seen_by]}
    for name in ("before", "after"):
        values[name] = None if values[name] is None else Jsonb(values[name])
    connection.execute(ADD_AUDIT, values)


class PostgresRecords:
    """`Records` of one transaction."""

    def __init__(self, connection: Connection[DictRow], box: SecretBox) -> None:
        self._connection = connection
        self._box = box

    def tenant(self, tenant_id: UUID) -> Tenant | None:
        row = self._one(FIND_TENANT, tenant_id)
        return Tenant(**row) if row else None

    def has_tenant(self, tenant_id: UUID, side: Side) -> bool:
        row = self._one(HAS_TENANT, tenant_id, side)
        return bool(row and row["has"])

    def save_tenant(self, tenant: Tenant) -> None:
        values = tenant.model_dump()
        if not self._connection.execute(RENAME_TENANT, values).rowcount:
            self._connection.execute(ADD_TENANT, values)

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None:
        row = self._one(f"{FIND_LINK} FOR UPDATE", noc_id, osp_id)
        return Link(**row) if row else None

    def save_link(self, link: Link) -> None:
        self._connection.execute(SAVE_LINK, link.model_dump())

    def drop_link(self, noc_id: UUID, osp_id: UUID) -> None:
        self._connection.execute(DROP_LINK, (noc_id, osp_id))

    def members(self, tenant_id: UUID) -> Sequence[Member]:
        return [Member(**row) for row in self._of(MEMBERS, tenant_id)]

    def save_member(self, tenant_id: UUID, email: str, name: str, role: Role) -> Member:
        user_id = (self._one(USER_NAMED, uuid4(), email, name) or {})["id"]
        self._connection.execute(SAVE_MEMBER, (user_id, tenant_id, role))
        return next(one for one in self.members(tenant_id) if one.user_id == user_id)

    def drop_member(self, tenant_id: UUID, user_id: UUID) -> None:
        self._connection.execute(DROP_MEMBER, (tenant_id, user_id))

    def pager_list(self, osp_id: UUID, list_id: UUID) -> PagerList | None:
        row = self._one(GET_LIST, osp_id, list_id)
        return to_pager_list(row) if row else None

    def pager_lists(self, osp_id: UUID) -> Sequence[PagerList]:
        return [to_pager_list(row) for row in self._all(LISTS_OF, osp_id)]

    def save_list(self, pager_list: PagerList) -> None:
        store_list(self._connection, pager_list)

    def drop_list(self, osp_id: UUID, list_id: UUID) -> None:
        self._connection.execute(DROP_LIST, (osp_id, list_id))

    def last_job_number(self, osp_id: UUID, year: int) -> int:
        row = self._one(LAST_NUMBER, osp_id, year)
        return row["last"] if row else 0

    def set_last_job_number(self, osp_id: UUID, year: int, last: int) -> None:
        self._connection.execute(SET_NUMBER, (osp_id, year, last))

    def twilio(self, noc_id: UUID) -> TwilioTerms | None:
        rows = self._of(MY_TWILIO, noc_id)
        return TwilioTerms(**rows[0]) if rows else None

    def save_twilio(self, noc_id: UUID, terms: TwilioTerms, token: SecretStr | None) -> None:
        accounts.store_twilio(self._connection, self._box, noc_id, terms, token)

    def render(self, osp_id: UUID) -> RenderTerms | None:
        rows = self._of(MY_RENDER, osp_id)
        return RenderTerms(**rows[0]) if rows else None

    def save_render(self, terms: RenderTerms, secret: SecretStr | None) -> None:
        accounts.store_render(self._connection, self._box, terms, secret)

    def tokens(self, tenant_id: UUID) -> Sequence[ApiToken]:
        return [ApiToken(**row) for row in self._all(TOKENS, tenant_id)]

    def save_token(self, token: ApiToken) -> None:
        values = token.model_dump() | {"scopes": sorted(token.scopes)}
        self._connection.execute(KEEP_TOKEN, values)

    def audit(self, audit: Audit) -> None:
        add_audit(self._connection, audit)

    def _one(self, statement: str, *values: object) -> DictRow | None:
        return self._connection.execute(statement.encode(), values).fetchone()

    def _all(self, statement: str, *values: object) -> list[DictRow]:
        return self._connection.execute(statement.encode(), values).fetchall()

    def _of(self, statement: str, tenant_id: UUID) -> list[DictRow]:
        """What one of `settings_queries` finds of a tenant."""
        return self._connection.execute(statement.encode(), {"tenant": tenant_id}).fetchall()
