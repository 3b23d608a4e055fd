"""Questions to the read models that a replica answers, as long as it is near enough.

Only within `may_be_behind`: what is not asked there, commands and rights among it, is never asked
here. Within one request answers only get newer: once the primary was asked, it is asked on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from strike_adapters.ending import ended
from strike_adapters.postgres.changes import FOLLOWED, POSITIONS, Changes
from strike_adapters.postgres.lag import Lag
from strike_adapters.postgres.tenancy import rows_of
from strike_adapters.telemetry.edges import timed
from strike_domain.log import LOG_NAME

T = TypeVar("T")

LOOK_EVERY = 0.1
"""Seconds between two looks at how far the replica is."""

LOOK_SECONDS = 1.0
"""A look that takes longer means that it is away, although nobody said so."""

RECONNECT = 0.5
"""Seconds before a lost connection for looks is opened again."""

PATIENCE = 2.0
"""Seconds until the primary is asked what the replica has not answered."""

LOOK = f"""
SELECT pg_is_in_recovery() AS is_standby,
    (SELECT CASE count(*) WHEN %(views)s THEN min(p.position) ELSE 0 END
     FROM ({POSITIONS}) AS p) AS reached
"""  # noqa: S608 - nothing of it comes from outside

logger = structlog.get_logger()


class Standing(StrEnum):
    """How the replica fares. Only one that is `USED` is asked."""

    UNKNOWN = "not known yet"
    USED = "used"
    BEHIND = "behind"
    AWAY = "away"
    NO_STANDBY = "no standby"
    OTHER_LOG = "of another log"


class ReplicaWatcher(Protocol):
    """Is told how the replica fares and who answered."""

    def replica_is(self, name: str, lag_seconds: float, *, is_used: bool) -> None:
        """`name`: its host. The lag is infinite as long as it is not known."""

    def read_by(self, who: str, why: str) -> None:
        """A question that the replica might answer: `who` is "replica" or "primary"."""


@dataclass
class _Asking:
    """One request: the position that its answers must have, and whether it is past the replica."""

    needs: int = 0
    is_settled: bool = False


_asking: ContextVar[_Asking | None] = ContextVar("asking", default=None)


@contextmanager
def may_be_behind() -> Iterator[None]:
    """Within it a replica may answer what is asked of read models."""
    token = _asking.set(_Asking())
    try:
        yield
    finally:
        _asking.reset(token)


def must_have(position: int) -> None:
    """From now on this request's answers must have that position."""
    if asking := _asking.get():
        asking.needs = max(asking.needs, position)


def must_be_now() -> None:
    """From now on this request asks the primary: it does something, or has asked it already."""
    if asking := _asking.get():
        asking.is_settled = True


class Replica:
    """A listener of `Changes`, of which it learns how far the primary is. Seconds by `now`."""

    def __init__(
        self,
        url: str,
        tenants: AsyncConnectionPool[AsyncConnection[DictRow]],
        changes: Changes,
        most_lag_seconds: float,
        watcher: ReplicaWatcher,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = str(conninfo_to_dict(url).get("host") or "localhost")
        self._url = url
        self._pool = tenants
        self._changes = changes
        self._most_lag = most_lag_seconds
        self._watcher = watcher
        self._now = now
        self._lag = Lag()
        self._is_up = False
        self._down = Standing.UNKNOWN
        self._is_standby = False
        self._look_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._left: set[asyncio.Future[Any]] = set()
        self._was = Standing.UNKNOWN

    # A listener of `Changes` -------------------------------------------------------------------

    def told(self, told: Mapping[str, Any]) -> None:
        self._lag.primary_is_at(self._changes.reached(), self._now())

    def looked(self) -> None:
        self._lag.primary_is_at(self._changes.reached(), self._now())

    def access_told(self, told: Mapping[str, Any]) -> None: ...

    def connected(self) -> None: ...

    # -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to look. Whether it is there or not holds up nobody."""
        self._changes.listeners.append(self)
        await self._pool.open(wait=False)
        self._task = asyncio.create_task(self._watch_always())

    async def close(self) -> None:
        self._changes.listeners.remove(self)
        if self._task:
            await ended(self._task)
        # A connection that hangs is not waited for.
        for task in self._left:
            task.cancel()
        with suppress(TimeoutError):
            await self._pool.close(timeout=LOOK_SECONDS)

    @property
    def standing(self) -> Standing:
        now = self._now()
        if not self._is_up:
            return self._down
        if not self._lag.is_known:
            return Standing.UNKNOWN
        if not self._is_standby:
            return Standing.NO_STANDBY
        if self._lag.is_ahead(now):
            return Standing.OTHER_LOG
        return Standing.BEHIND if self._lag.seconds(now) > self._most_lag else Standing.USED

    @property
    def lag_seconds(self) -> float:
        """How long it has lacked something that the primary has; infinite: not known."""
        return self._lag.seconds(self._now())

    async def rows(
        self, tenant_id: UUID, statement: str, values: Mapping[str, Any]
    ) -> list[DictRow] | None:
        """What a tenant sees of a question; None: ask the primary, and from now on only that."""
        asking = _asking.get()
        if asking is None or asking.is_settled:
            return None
        found, why = await self._try(tenant_id, asking.needs, statement, values)
        asking.is_settled = found is None
        self._watcher.read_by("replica" if found is not None else "primary", why)
        return found

    async def rows_until(
        self, position: int, tenant_id: UUID, statement: str, values: Mapping[str, Any]
    ) -> list[DictRow] | None:
        """As `rows`, outside of a request: if the replica has that position; else None."""
        found, why = await self._try(tenant_id, position, statement, values)
        self._watcher.read_by("replica" if found is not None else "primary", why)
        return found

    async def _try(
        self, tenant_id: UUID, needs: int, statement: str, values: Mapping[str, Any]
    ) -> tuple[list[DictRow] | None, str]:
        standing = self.standing
        if standing is not Standing.USED:
            return None, standing.value
        if self._lag.reached < needs:
            return None, "too new"
        began, result = time.monotonic(), "error"
        try:
            found = await self._within(PATIENCE, self._ask(tenant_id, statement, values))
            result = "ok"
        except psycopg.errors.SerializationFailure:
            return None, "in the way"  # Of what the primary has done to the same rows.
        except (psycopg.OperationalError, TimeoutError) as error:
            logger.warning("the replica did not answer", reason=type(error).__name__)
            self._doubt()
            return None, "failed"
        finally:
            timed("replica", "read", result, began)
        return found, "near enough"

    async def _ask(
        self, tenant_id: UUID, statement: str, values: Mapping[str, Any]
    ) -> list[DictRow]:
        async with self._pool.connection(timeout=PATIENCE) as connection:
            return await rows_of(connection, tenant_id, statement, values)

    async def _within(self, seconds: float, work: Awaitable[T]) -> T:
        """Raises `TimeoutError`; what hangs goes on alone: a dead connection cannot be stopped."""
        task = asyncio.ensure_future(work)
        self._left.add(task)
        task.add_done_callback(self._is_over)
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            if not task.done():
                task.cancel()
        if not task.done():
            raise TimeoutError
        return await task

    def _is_over(self, task: asyncio.Future[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # Seen, so that nobody complains that it was not.

    def _doubt(self) -> None:
        """Nobody else waits for it until a look has found it well."""
        self._lose()
        self._look_now.set()

    def _lose(self) -> None:
        self._is_up, self._down = False, Standing.AWAY

    # Looks -------------------------------------------------------------------------------------

    async def _watch_always(self) -> None:
        while True:
            try:
                await self._watch()
            except (psycopg.Error, TimeoutError, OSError) as error:
                self._lose()
                self._tell(reason=type(error).__name__)
            except Exception:
                self._lose()
                logger.exception("looking at the replica failed")
            await asyncio.sleep(RECONNECT)

    async def _watch(self) -> None:
        connection: AsyncConnection[DictRow] = await AsyncConnection.connect(
            self._url, autocommit=True, row_factory=dict_row, **REPLICA_CONNECTION
        )
        try:
            while True:
                self._look_now.clear()
                await self._within(LOOK_SECONDS, self._look(connection))
                self._tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._look_now.wait()
        finally:
            # Not the context manager: on a dead connection it would wait for an answer.
            await connection.close()

    async def _look(self, connection: AsyncConnection[DictRow]) -> None:
        cursor = await connection.execute(LOOK.encode(), {"views": len(FOLLOWED), "log": LOG_NAME})
        (row,) = await cursor.fetchall()
        self._is_standby = row["is_standby"]
        self._lag.replica_is_at(row["reached"], self._now())
        self._is_up = True

    def _tell(self, **why: str) -> None:
        standing = self.standing
        is_used = standing is Standing.USED
        self._watcher.replica_is(self.name, self.lag_seconds, is_used=is_used)
        if standing is not self._was:
            say = logger.info if is_used else logger.warning
            say("the replica", is_now=standing.value, lag_seconds=self.lag_seconds, **why)
            self._was = standing


REPLICA_CONNECTION: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
"""A connection on which nothing comes through any more ends by itself within seconds."""
