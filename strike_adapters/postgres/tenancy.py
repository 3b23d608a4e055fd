"""Connections that act for one tenant: behind the second wall, and only for one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.pools import Connections
from strike_adapters.postgres.row_security import NAME_TENANT, TENANT_ROLE

NAME_TENANT_OF_QUESTION = (
    "SELECT set_config('strike.tenant', %(tenant)s::uuid::text, true) AS tenant"
)

MINE = "(noc_id = %(tenant)s OR osp_id = %(tenant)s)"
"""The first wall: the tenant filter."""

BECOME = SQL("SET ROLE {}").format(Identifier(TENANT_ROLE))
BECOME_FOR_NOW = SQL("SET LOCAL ROLE {}").format(Identifier(TENANT_ROLE))


@contextmanager
def acting_for(pool: Connections, tenant_id: UUID | None) -> Iterator[Connection[DictRow]]:
    """One transaction of a tenant; None: of the system, which every row is open to."""
    with pool.connection() as connection, connection.transaction():
        if tenant_id is not None:
            connection.execute(BECOME_FOR_NOW)
            connection.execute(NAME_TENANT, (str(tenant_id),))
        yield connection


async def rows_of(
    connection: AsyncConnection[DictRow], tenant_id: UUID, statement: str, values: Mapping[str, Any]
) -> list[DictRow]:
    """What a tenant sees of a question, on a connection that has the tenants' role already.

    `values` are those of the statement without `tenant`. The question names the tenant itself, so
    that it costs no round trip; on a connection that commits by itself the name ends with it.
    """
    cursor = await connection.execute(named(statement), {"tenant": tenant_id, **values})
    return await cursor.fetchall()


@lru_cache(maxsize=1_000)
def named(statement: str) -> bytes:
    """The question as one that names its tenant, `%(tenant)s`, before it reads any row.

    That is sure in every plan: the question takes a value of the one row that names, so it can
    only run after it, and OFFSET 0 keeps it from being taken apart. Were it otherwise, nothing
    would be seen. One row is joined to an answer, so the answer keeps its order.
    """
    return f"""
        SELECT answer.* FROM ({NAME_TENANT_OF_QUESTION}) AS named
        CROSS JOIN LATERAL (
            SELECT * FROM ({statement}) AS asked WHERE named.tenant IS NOT NULL OFFSET 0
        ) AS answer""".encode()  # noqa: S608 - a statement of ours; values are parameters


class TenantPool:
    """As a pool, of which every connection acts for one tenant."""

    def __init__(self, pool: Connections, tenant_id: UUID) -> None:
        self._pool = pool
        self._tenant_id = tenant_id

    @contextmanager
    def connection(self) -> Iterator[Connection[DictRow]]:
        """A connection within a transaction of the tenant."""
        with acting_for(self._pool, self._tenant_id) as connection:
            yield connection
