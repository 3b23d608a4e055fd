"""The read side: each question of an edge is one statement, and carries the tenant filter.

A missing row and one of somebody else look the same: neither is found. Behind the filter stands
the second wall, `row_security`: these connections see nothing else even where a filter is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from strike_adapters.postgres.change_lines import ChangeLines
from strike_adapters.postgres.changes import FOLLOWED, POSITIONS, Changes, read_positions
from strike_adapters.postgres.eco_lists import MAX_PAGE, NAMES, STATEMENTS, EcoLists, company_name
from strike_adapters.postgres.pools import CONNECT_SECONDS, check_together_async
from strike_adapters.postgres.replica import Replica, must_be_now, must_have
from strike_adapters.postgres.settings_queries import SettingsQueries
from strike_adapters.postgres.tenancy import BECOME, MINE, rows_of
from strike_adapters.postgres.timelines import Timelines
from strike_adapters.postgres.times_queries import TimesQueries
from strike_adapters.postgres.views.eco_timeline import ALERTS
from strike_adapters.telemetry.edges import timed
from strike_domain.actors import Role, Scope, Side
from strike_domain.administration import token_digest
from strike_domain.errors import Unavailable, WaitTimedOut
from strike_domain.log import LOG_NAME
from strike_domain.ports import Tenant

AsyncPool = AsyncConnectionPool[AsyncConnection[DictRow]]

logger = structlog.get_logger()

READY_SECONDS = 2.0

POOL_SECONDS = 5.0
"""How long a question waits for a free connection."""

STATEMENT_SECONDS = 10
"""How long the database may think about one question."""

# To plan a page takes twice as long as to read it, and the plan is the same for all tenants.
PLAN_ONCE = "SET plan_cache_mode = force_generic_plan"

FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0
"""Seconds until `wait_for` looks by itself: doubling, up to the second. Mostly it is woken."""

# A stored subject pins the login: whoever can change an e-mail address there becomes nobody else.
USER_OF_LOGIN = """
WITH who AS (
    SELECT id, email, name FROM users
    WHERE subject = %(subject)s OR (subject IS NULL AND email = lower(%(email)s))
    ORDER BY subject NULLS LAST
    LIMIT 1
)
SELECT who.*, m.tenant_id, m.role, t.name AS tenant_name, t.side
FROM who
LEFT JOIN memberships m ON m.user_id = who.id
LEFT JOIN tenants t ON t.id = m.tenant_id
ORDER BY t.name
"""

IS_MEMBER = "SELECT 1 FROM memberships WHERE user_id = %(user)s AND tenant_id = %(tenant)s"

# When a token was used last is kept to the minute: not every request is to write.
MACHINE_OF_TOKEN = """
WITH good AS (
    SELECT a.id, a.name, a.tenant_id, a.role, a.scopes, t.name AS tenant_name, t.side
    FROM api_tokens a JOIN tenants t ON t.id = a.tenant_id
    WHERE a.digest = %(digest)s AND a.revoked_at IS NULL AND a.expires_at > %(at)s
), used AS (
    UPDATE api_tokens a SET last_used_at = %(at)s FROM good
    WHERE a.id = good.id AND (a.last_used_at IS NULL
                              OR a.last_used_at < %(at)s - interval '1 minute')
)
SELECT * FROM good
"""  # noqa: S105

IS_GOOD_TOKEN = """
SELECT 1 FROM api_tokens
WHERE id = %(user)s AND tenant_id = %(tenant)s AND revoked_at IS NULL AND expires_at > %(at)s
"""  # noqa: S105


@lru_cache(maxsize=STATEMENTS)
def eco_statement(columns: frozenset[str] | None = None) -> str:
    """One ECO with these columns; None: all of `eco_views`."""
    if columns is None:
        return f"SELECT * FROM eco_views WHERE eco_id = %(eco_id)s AND {MINE}"  # noqa: S608
    read = ", ".join(
        f"{company_name(NAMES[name])} AS {name}" if name in NAMES else name
        for name in sorted(columns | {"eco_id", "noc_id", "osp_id"})
    )
    return f"SELECT {read} FROM eco_views WHERE eco_id = %(eco_id)s AND {MINE}"  # noqa: S608


CALL = (
    "call_id",
    "number",
    "contact_name",
    "phone",
    "state",
    "outcome",
    "reason",
    "sid",
    "requested_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "deadline",
)
"""The columns of `pager_calls` that are shown."""

TIMELINES = f"""
SELECT * FROM eco_timeline WHERE eco_id = ANY(%(ids)s) AND {MINE} ORDER BY position
"""  # noqa: S608

ALERTS_AFTER = f"""
SELECT position, at, kind, line, eco_id FROM eco_timeline
WHERE kind IN ({", ".join(f"'{topic}'" for topic in ALERTS)})
  AND position > %(after)s AND {MINE}
ORDER BY position LIMIT %(limit)s
"""  # noqa: S608 - nothing of it comes from outside

NEWEST_LINE = "SELECT coalesce(max(position), 0) AS position FROM eco_timeline"

# One statement, so one moment: the row, the newest event of this ECO that each read model has,
# and how far all of them are.
ECO_NOW = f"""
SELECT v.*,
    v.position AS eco_mark,
    (SELECT coalesce(max(t.position), 0) FROM eco_timeline t
     WHERE t.eco_id = v.eco_id) AS timeline_mark,
    (SELECT coalesce(max(r.position), 0) FROM pager_run_views r
     WHERE r.eco_id = v.eco_id) AS runs_mark,
    (SELECT CASE count(*) WHEN %(views)s THEN min(p.position) ELSE 0 END
     FROM ({POSITIONS}) AS p) AS reached
FROM eco_views v
WHERE v.eco_id = %(eco_id)s AND {MINE}
"""  # noqa: S608 - nothing of it comes from outside

RUNS = f"""
SELECT * FROM pager_run_views WHERE eco_id = ANY(%(ids)s) AND {MINE} ORDER BY started_at, run_id
"""  # noqa: S608

# A run without a call yet has one row, whose call is null.
RUNS_WITH_CALLS = f"""
SELECT r.*, {", ".join(f"c.{name} AS call_{name}" for name in CALL)}
FROM pager_run_views r LEFT JOIN pager_calls c USING (run_id)
WHERE r.eco_id = ANY(%(ids)s) AND {MINE}
ORDER BY r.started_at, r.run_id, c.number
"""  # noqa: S608

CALLS = f"""
SELECT c.* FROM pager_calls c JOIN pager_run_views r USING (run_id)
WHERE c.run_id = ANY(%(ids)s) AND {MINE}
ORDER BY c.run_id, c.number
"""  # noqa: S608

TENANTS = "SELECT id, name, side FROM tenants WHERE id = ANY(%(ids)s)"


@dataclass(frozen=True)
class Membership:
    tenant_id: UUID
    name: str
    side: Side
    role: Role


@dataclass(frozen=True)
class User:
    """A person; or, where `scopes` are set, a machine by its API token, whose id `id` is then."""

    id: UUID
    email: str
    name: str
    memberships: tuple[Membership, ...]
    scopes: frozenset[Scope] | None = None

    @property
    def is_machine(self) -> bool:
        return self.scopes is not None


@dataclass(frozen=True)
class EcoNow:
    """An ECO at one moment. `row` has the columns of `eco_views`.

    `marks` are the newest events of this ECO in its row, its timeline and its runs; `reached` is
    what every read model has taken in.
    """

    row: DictRow
    marks: tuple[int, int, int]
    reached: int

    @property
    def newest(self) -> int:
        """The newest event of this ECO that any read model has."""
        return max(self.marks)

    @property
    def is_whole(self) -> bool:
        """Whether all read models have what one of them has; they go at their own pace."""
        return self.reached >= self.newest

    @property
    def position(self) -> int:
        """Up to here nothing is missing: who goes on from it misses nothing either."""
        return self.newest if self.is_whole else self.reached


def open_async_pool(url: str, *, size: int, for_tenants: bool = False) -> AsyncPool:
    """A pool of at most `size` connections; the server opens it when its loop runs.

    `for_tenants`: they have the tenants' role, and see nothing until they act for one.
    """
    pool = AsyncConnectionPool(
        url,
        connection_class=AsyncConnection[DictRow],
        kwargs={
            "row_factory": dict_row,
            "autocommit": True,
            "connect_timeout": CONNECT_SECONDS,
        },
        min_size=1,
        max_size=size,
        open=False,
        timeout=POOL_SECONDS,
        configure=_limit_and_become if for_tenants else _limit,
    )
    check_together_async(pool)
    return pool


async def _limit(connection: AsyncConnection[DictRow]) -> None:
    await connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    set_json_loads(orjson.loads, connection)
    await connection.execute(PLAN_ONCE)


async def _limit_and_become(connection: AsyncConnection[DictRow]) -> None:
    await _limit(connection)
    await connection.execute(BECOME)


class Queries:
    """Answers for one tenant at a time, from the read models.

    `tenants` are connections behind the second wall; by `pool` is asked what is of no tenant: who
    logs in, and how far the read models are. A `replica` is asked of read models alone, where
    `may_be_behind` says so.
    """

    def __init__(
        self,
        pool: AsyncPool,
        tenants: AsyncPool,
        changes: Changes,
        wait_seconds: float,
        replica: Replica | None = None,
    ) -> None:
        self._pool = pool
        self._tenants = tenants
        self.replica = replica
        self.settings = SettingsQueries(self._mine)
        self.lists = EcoLists(self._read)
        self.times = TimesQueries(self._read)
        self.timeline_pages = Timelines(self._read)
        self.lines = ChangeLines(self._mine, self._all, self._read_until)
        self._changes = changes
        self._wait_seconds = wait_seconds

    async def open(self) -> None:
        await self._pool.open()
        await self._tenants.open()
        if self.replica:
            await self.replica.open()

    async def close(self) -> None:
        if self.replica:
            await self.replica.close()
        await self._tenants.close()
        await self._pool.close()

    async def user_of_login(self, subject: str, email: str | None) -> User | None:
        """The user of that subject; by e-mail address for one whose subject is not known yet."""
        rows = await self._all(USER_OF_LOGIN, subject=subject, email=email)
        if not rows:
            return None
        memberships = tuple(
            Membership(row["tenant_id"], row["tenant_name"], Side(row["side"]), Role(row["role"]))
            for row in rows
            if row["tenant_id"]
        )
        return User(rows[0]["id"], rows[0]["email"], rows[0]["name"], memberships)

    async def machine_of_token(self, secret: str, at: datetime) -> User | None:
        """The machine that this API token belongs to; None for one that proves nothing."""
        rows = await self._all(MACHINE_OF_TOKEN, digest=token_digest(secret), at=at)
        if not rows:
            return None
        (row,) = rows
        role, side = Role(row["role"]), Side(row["side"])
        member = Membership(row["tenant_id"], row["tenant_name"], side, role)
        return User(row["id"], "", row["name"], (member,), frozenset(map(Scope, row["scopes"])))

    async def belongs(self, user: User, tenant_id: UUID, at: datetime) -> bool:
        """Whether a person is still a member there, or a machine's token still good."""
        question = IS_GOOD_TOKEN if user.is_machine else IS_MEMBER
        return bool(await self._all(question, user=user.id, tenant=tenant_id, at=at))

    async def eco(
        self, tenant_id: UUID, eco_id: UUID, columns: frozenset[str] | None = None
    ) -> DictRow | None:
        """The ECO's row with the columns that are wanted; None: all of `eco_views`."""
        rows = await self._read(eco_statement(columns), tenant=tenant_id, eco_id=eco_id)
        return rows[0] if rows else None

    async def timelines(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> list[DictRow]:
        """Every event of those ECOs, in the order of the log."""
        return await self._read(TIMELINES, tenant=tenant_id, ids=list(eco_ids))

    async def alerts(self, tenant_id: UUID, after: int) -> list[DictRow]:
        """Lines newer than `after` for which somebody must be told at once, oldest first."""
        return await self._mine(ALERTS_AFTER, tenant=tenant_id, after=after, limit=MAX_PAGE)

    async def newest_line(self) -> int:
        """The position of the newest line of any timeline."""
        (row,) = await self._all(NEWEST_LINE)
        return int(row["position"])

    async def eco_now(self, tenant_id: UUID, eco_id: UUID) -> EcoNow | None:
        """The ECO with how far the read models are, of one and the same moment."""
        rows = await self._mine(
            ECO_NOW, tenant=tenant_id, eco_id=eco_id, views=len(FOLLOWED), log=LOG_NAME
        )
        if not rows:
            return None
        row = rows[0]
        marks = (row["eco_mark"], row["timeline_mark"], row["runs_mark"])
        return EcoNow(row, marks, row["reached"])

    async def runs(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> list[DictRow]:
        """Every pager run of those ECOs, oldest first."""
        return await self._read(RUNS, tenant=tenant_id, ids=list(eco_ids))

    async def runs_with_calls(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> list[DictRow]:
        """As `runs`, each with its `calls` in the order in which people were rung."""
        found: dict[UUID, DictRow] = {}
        for row in await self._read(RUNS_WITH_CALLS, tenant=tenant_id, ids=list(eco_ids)):
            call = {name: row.pop(f"call_{name}") for name in CALL}
            run = found.setdefault(row["run_id"], row)
            calls = run.setdefault("calls", [])
            if call["call_id"] is not None:
                calls.append(call)
        return list(found.values())

    async def calls(self, tenant_id: UUID, run_ids: Sequence[UUID]) -> list[DictRow]:
        """Every call of those runs, in the order in which people were rung."""
        return await self._read(CALLS, tenant=tenant_id, ids=list(run_ids))

    async def tenants(self, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Tenant]:
        """Names of the tenant itself and of those that it has a link with."""
        rows = await self._read(TENANTS, tenant=tenant_id, ids=list(ids))
        if len(rows) < len(set(ids)):
            must_be_now()  # One of them is newer than the replica.
            rows = await self._read(TENANTS, tenant=tenant_id, ids=list(ids))
        return {row["id"]: Tenant(**row) for row in rows}

    async def wait_for(self, position: int, seconds: float | None = None) -> None:
        """Return when the read models have taken in `position`. Raises `WaitTimedOut`.

        `seconds`: how long at the most, unless that is left to the settings.
        """
        must_have(position)
        limit = self._wait_seconds if seconds is None else seconds
        deadline = time.monotonic() + limit
        with self._changes.watch() as watch:
            if self._changes.reached() >= position or await self._is_reached(position):
                return
            pause = FIRST_PAUSE
            while self._changes.reached() < position:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimedOut(position, limit)
                if await watch.wait(min(left, pause)):
                    continue
                if await self._is_reached(position):
                    return
                pause = min(2 * pause, MAX_PAUSE)

    async def _is_reached(self, position: int) -> bool:
        async with _connection(self._pool) as connection:
            reached = await read_positions(connection)
        return len(reached) == len(FOLLOWED) and min(reached.values()) >= position

    async def not_ready(self) -> list[str]:
        """Why requests cannot be served; empty if they can."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._all("SELECT 1 FROM eco_views LIMIT 1")
        except (TimeoutError, Unavailable, psycopg.Error):
            return ["the database cannot be reached, or is not prepared"]
        return []

    async def _all(self, statement: str, **values: Any) -> list[DictRow]:
        async with _connection(self._pool) as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall()

    async def _read(self, statement: str, *, tenant: UUID, **values: Any) -> list[DictRow]:
        """Of read models: from the replica if it is near enough for this request."""
        found = await self.replica.rows(tenant, statement, values) if self.replica else None
        return await self._mine(statement, tenant=tenant, **values) if found is None else found

    async def _read_until(
        self, position: int, statement: str, *, tenant: UUID, **values: Any
    ) -> list[DictRow]:
        """Of read models: from the replica if it has that position."""
        found = None
        if self.replica:
            found = await self.replica.rows_until(position, tenant, statement, values)
        return await self._mine(statement, tenant=tenant, **values) if found is None else found

    async def _mine(self, statement: str, *, tenant: UUID, **values: Any) -> list[DictRow]:
        async with _connection(self._tenants) as connection:
            return await rows_of(connection, tenant, statement, values)


@asynccontextmanager
async def _connection(pool: AsyncPool) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A free connection. Raises `Unavailable` if there is none, or it is lost meanwhile."""
    began, result = time.monotonic(), "error"
    try:
        async with pool.connection() as connection:
            yield connection
        result = "ok"
    except psycopg.OperationalError as error:
        logger.warning("the database did not answer", reason=type(error).__name__)
        message = "The database does not answer at the moment. Try again."
        raise Unavailable(message, "DATABASE_UNAVAILABLE") from error
    finally:
        timed("database", "read", result, began)
