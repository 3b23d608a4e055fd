"""Connections that act for one tenant: behind the second wall, and only for one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.pools import Connections
from strike_adapters.postgres.row_security import NAME_TENANT, TENANT_ROLE

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

    Both statements go out together, and what is sent between two synchronisations is one
    transaction: naming the tenant costs no round trip, and the name ends with the answer.
    """
    async with connection.pipeline():
        await connection.execute(NAME_TENANT, (str(tenant_id),))
        cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall()


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
