"""The read side: each question of an edge is one statement, and carries the tenant filter.

A missing row and one of somebody else look the same: neither is found.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from strike_adapters.postgres.changes import Changes
from strike_domain.actors import Role, Side
from strike_domain.errors import Rejected, WaitTimedOut
from strike_domain.log import LOG_NAME
from strike_domain.ports import Tenant

AsyncPool = AsyncConnectionPool[AsyncConnection[DictRow]]

MAX_PAGE = 200
"""Most rows that one page of a list can have."""

READY_SECONDS = 2.0

USER_BY_EMAIL = """
SELECT u.id, u.email, u.name,
       m.tenant_id, m.role, t.name AS tenant_name, t.side
FROM users u
LEFT JOIN memberships m ON m.user_id = u.id
LEFT JOIN tenants t ON t.id = m.tenant_id
WHERE u.email = lower(%(email)s)
ORDER BY t.name
"""

ECO = """
SELECT * FROM eco_views
WHERE eco_id = %(eco_id)s AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)
"""

# Newest first; the id makes the order total, so that no insert moves a page's edge.
ECOS = """
SELECT * FROM eco_views
WHERE (noc_id = %(tenant)s OR osp_id = %(tenant)s)
  AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s))
  AND (%(before)s::timestamptz IS NULL OR (created_at, eco_id) < (%(before)s, %(before_id)s))
ORDER BY created_at DESC, eco_id DESC
LIMIT %(limit)s
"""

TIMELINES = """
SELECT * FROM eco_timeline
WHERE eco_id = ANY(%(ids)s) AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)
ORDER BY position
"""

POSITIONS = """
SELECT
    (SELECT coalesce(max(position), 0) FROM eco_views
     WHERE eco_id = %(eco_id)s AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)) AS eco,
    (SELECT coalesce(max(position), 0) FROM eco_timeline
     WHERE eco_id = %(eco_id)s AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)) AS timeline,
    (SELECT coalesce(max(position), 0) FROM pager_run_views
     WHERE eco_id = %(eco_id)s AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)) AS runs
"""

RUNS = """
SELECT * FROM pager_run_views
WHERE eco_id = ANY(%(ids)s) AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)
ORDER BY started_at, run_id
"""

CALLS = """
SELECT c.* FROM pager_calls c JOIN pager_run_views r USING (run_id)
WHERE c.run_id = ANY(%(ids)s) AND (r.noc_id = %(tenant)s OR r.osp_id = %(tenant)s)
ORDER BY c.run_id, c.number
"""

TENANTS = "SELECT id, name, side FROM tenants WHERE id = ANY(%(ids)s)"

POSITION = "SELECT notification_id FROM {view}_tracking WHERE application_name = %(log)s"

FOLLOWED = ("eco_views", "eco_timeline", "pager_run_views")
"""The read models that answers are made from, and that `waitFor` waits for."""


@dataclass(frozen=True)
class Membership:
    tenant_id: UUID
    name: str
    side: Side
    role: Role


@dataclass(frozen=True)
class User:
    id: UUID
    email: str
    name: str
    memberships: tuple[Membership, ...]


@dataclass(frozen=True)
class Page:
    """A part of a list. `rows` have the columns of `eco_views`."""

    rows: Sequence[DictRow]
    has_next: bool


def open_async_pool(url: str, *, size: int) -> AsyncPool:
    """A pool of at most `size` connections; the server opens it when its loop runs."""
    return AsyncConnectionPool(
        url,
        connection_class=AsyncConnection[DictRow],
        kwargs={"row_factory": dict_row, "autocommit": True},
        min_size=1,
        max_size=size,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )


class Queries:
    """Answers for one tenant at a time, from the read models."""

    def __init__(self, pool: AsyncPool, changes: Changes, wait_seconds: float) -> None:
        self._pool = pool
        self._changes = changes
        self._wait_seconds = wait_seconds

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def user_by_email(self, email: str) -> User | None:
        rows = await self._all(USER_BY_EMAIL, email=email)
        if not rows:
            return None
        memberships = tuple(
            Membership(row["tenant_id"], row["tenant_name"], Side(row["side"]), Role(row["role"]))
            for row in rows
            if row["tenant_id"]
        )
        return User(rows[0]["id"], rows[0]["email"], rows[0]["name"], memberships)

    async def eco(self, tenant_id: UUID, eco_id: UUID) -> DictRow | None:
        rows = await self._all(ECO, tenant=tenant_id, eco_id=eco_id)
        return rows[0] if rows else None

    async def ecos(
        self,
        tenant_id: UUID,
        *,
        first: int,
        after: str | None = None,
        statuses: Sequence[str] | None = None,
    ) -> Page:
        """A page of the tenant's ECOs, newest first. Raises `Rejected` for a page or cursor."""
        if not 1 <= first <= MAX_PAGE:
            message = f"Ask for 1 to {MAX_PAGE} at a time."
            raise Rejected("PAGE_SIZE_INVALID", message, ("first",))
        before, before_id = read_cursor(after) if after else (None, None)
        rows = await self._all(
            ECOS,
            tenant=tenant_id,
            statuses=list(statuses) if statuses else None,
            before=before,
            before_id=before_id,
            limit=first + 1,
        )
        return Page(rows[:first], len(rows) > first)

    async def timelines(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> list[DictRow]:
        """Every event of those ECOs, in the order of the log."""
        return await self._all(TIMELINES, tenant=tenant_id, ids=list(eco_ids))

    async def positions(self, tenant_id: UUID, eco_id: UUID) -> tuple[int, ...]:
        """The newest event of this ECO that each read model has; 0 where it has none yet."""
        rows = await self._all(POSITIONS, tenant=tenant_id, eco_id=eco_id)
        return tuple(rows[0].values())

    async def runs(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> list[DictRow]:
        """Every pager run of those ECOs, oldest first."""
        return await self._all(RUNS, tenant=tenant_id, ids=list(eco_ids))

    async def calls(self, tenant_id: UUID, run_ids: Sequence[UUID]) -> list[DictRow]:
        """Every call of those runs, in the order in which people were rung."""
        return await self._all(CALLS, tenant=tenant_id, ids=list(run_ids))

    async def tenants(self, ids: Sequence[UUID]) -> dict[UUID, Tenant]:
        """Names of tenants. Which ones may be asked for is decided by what the caller sees."""
        rows = await self._all(TENANTS, ids=list(ids))
        return {row["id"]: Tenant(**row) for row in rows}

    async def wait_for(self, position: int, views: Sequence[str] = FOLLOWED) -> None:
        """Return when the read models have taken in `position`. Raises `WaitTimedOut`."""
        deadline = time.monotonic() + self._wait_seconds
        with self._changes.watch() as watch:
            while not await self._is_reached(position, views):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimedOut(position, self._wait_seconds)
                await watch.wait(min(left, 0.25))

    async def _is_reached(self, position: int, views: Sequence[str]) -> bool:
        lowest = " UNION ALL ".join(f"({POSITION.format(view=view)})" for view in views)
        rows = await self._all(lowest, log=LOG_NAME)
        reached = [row["notification_id"] for row in rows]
        return len(reached) == len(views) and min(reached) >= position

    async def not_ready(self) -> list[str]:
        """Why requests cannot be served; empty if they can."""
        try:
            async with self._pool.connection(timeout=READY_SECONDS) as connection:
                await connection.execute("SELECT 1 FROM eco_views LIMIT 1")
        except (psycopg.Error, PoolTimeout):
            return ["the database cannot be reached, or is not prepared"]
        return []

    async def _all(self, statement: str, **values: Any) -> list[DictRow]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall()


def cursor_of(row: DictRow) -> str:
    """Where a row stands in the list, opaque to clients and stable under inserts."""
    text = f"{row['created_at'].isoformat()}|{row['eco_id']}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """What `cursor_of` wrote. Raises `Rejected` (CURSOR_INVALID)."""
    try:
        moment, _, eco_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return datetime.fromisoformat(moment), UUID(eco_id)
    except (ValueError, binascii.Error):
        message = "Use a cursor exactly as an earlier page gave it."
        raise Rejected("CURSOR_INVALID", message, ("after",)) from None
