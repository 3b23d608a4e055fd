"""Work that falls due: claimed from a table, so that several workers share it and none is lost.

A claim is a lease by the database's clock. Whoever dies with a claim loses it when the lease runs
out; whoever is slow is noticed by the event store, which takes no event twice.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, Protocol

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composed, Identifier

from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.views.view import DUE
from strike_domain.ports import Clock

CLAIM = """
UPDATE {table} SET claimed_by = %(worker)s,
                   claimed_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE {key} IN (
    SELECT {key} FROM {table}
    WHERE deadline <= %(now)s AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
          {fence} {shared}
    ORDER BY deadline LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED)
RETURNING *
"""

# Only this very claim: when its lease ran out, somebody may have the row since, even we ourselves.
RELEASE = """
UPDATE {table} SET claimed_by = NULL, claimed_until = NULL
WHERE {key} = %(id)s AND claimed_by = %(claimed_by)s AND claimed_until = %(claimed_until)s
"""

# The same claim, for one more lease.
RENEW = """
UPDATE {table} SET claimed_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE {key} = %(id)s AND claimed_by = %(claimed_by)s AND claimed_until = %(claimed_until)s
RETURNING claimed_until
"""

# Also when the next lease is over: whoever has it may be dead, and its work is due.
NEXT = """
SELECT (SELECT min(deadline) FROM {table}
        WHERE deadline IS NOT NULL AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
              {fence} {shared}) AS deadline,
       (SELECT extract(epoch FROM min(claimed_until) - clock_timestamp())::float8 FROM {table}
        WHERE deadline <= %(now)s AND claimed_until >= clock_timestamp() {fence}) AS lease
"""

FRESH = 0.1
"""Of a lease: while no more of it has gone, the rest is enough for one request to a provider."""

SHARES = 4
"""Of a table that is shared, one company gets at most a fourth of a worker's threads."""

LOOK_EVERY = 1.0
"""Seconds after which a worker looks although nothing woke it."""


class WaitingClock(Clock, Protocol):
    """A clock that also knows how long something really is away."""

    def seconds_until(self, moment: datetime) -> float:
        """Seconds of real time from now to `moment`; negative if it has passed."""


Done = tuple[bytes | Composed, Mapping[str, Any]]
"""A statement with its values."""


class Claim(dict[str, Any]):
    """A claimed row. `began`: when the claim was asked for, by `monotonic`, in seconds.

    Whoever is slow may have lost it without knowing: the database was away, or the machine stood
    still. What cannot be undone is done only while the claim is held.
    """

    def __init__(
        self,
        row: Mapping[str, Any],
        began: float,
        lease: float,
        renew: Callable[[Mapping[str, Any]], datetime | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(row)
        self._began = began
        self._lease = lease
        self._renew = renew
        self._monotonic = monotonic

    def is_held(self) -> bool:
        """Whether nobody else can get the row for nearly a whole lease from now.

        If too much of the lease has gone, it is renewed: False if somebody else has the row by now.
        A database that takes its time to renew it is no reason not to ring anybody.
        """
        began = self._monotonic()
        if began - self._began < FRESH * self._lease:
            return True
        until = self._renew(self)
        if until is not None:
            self["claimed_until"], self._began = until, began
        return until is not None


@dataclass(frozen=True)
class DueTable:
    """A table with `deadline` and claim columns, and what is done for a row that is due.

    `handle` gets the claimed row and returns the statement, with its values, that stores what came
    of it; that statement must not overwrite what somebody newer has written.

    `newest_format`: rows whose `format` is higher were written by a newer version of Strike, which
    knows what to do for them. This one leaves them alone, so that both can run during an upgrade.

    `share_by`: a column; of the rows with the same value a worker handles only a part of its places
    at once, so that one slow company cannot take them all.

    `is_notebook`: what is kept here is soon found out again. The statement of `handle` ends the
    claim as well (its values get `claimed_by` and `claimed_until`), and no commit waits for the
    disk.
    """

    name: str
    key: str
    handle: Callable[[Claim], Done]
    newest_format: int | None = None
    share_by: str | None = None
    is_notebook: bool = False

    def sql(self, text: LiteralString) -> bytes:
        fence: LiteralString = "" if self.newest_format is None else "AND format <= {}"
        fenced = SQL(fence).format(self.newest_format)
        names = {"table": Identifier(self.name), "key": Identifier(self.key)}
        share: LiteralString = "" if self.share_by is None else "AND {} <> ALL(%(full)s)"
        shared = SQL(share).format(Identifier(self.share_by or ""))
        return SQL(text).format(**names, fence=fenced, shared=shared).as_bytes(None)


class Watcher(Protocol):
    """Is told how punctual a worker is."""

    def handled(self, table: str, late_seconds: float, took_seconds: float) -> None:
        """A due row was handled: begun so late after its deadline, and done after so long."""

    def failed(self, table: str) -> None:
        """A due row could not be handled, and will be tried again."""


class NobodyWatches:
    def handled(self, table: str, late_seconds: float, took_seconds: float) -> None: ...

    def failed(self, table: str) -> None: ...


class _Shares:
    """How many rows of each company (or whatever `column` says) are being handled."""

    def __init__(self, column: str | None, most: int) -> None:
        self._column = column
        self._most = most
        self._lock = threading.Lock()
        self._taken: Counter[Any] = Counter()

    def take(self, row: Mapping[str, Any]) -> bool:
        """Whether there is a place for it, which is then taken."""
        if self._column is None:
            return True
        with self._lock:
            has_place = self._taken[row[self._column]] < self._most
            self._taken[row[self._column]] += has_place
            return has_place

    def give_back(self, row: Mapping[str, Any]) -> None:
        if self._column is None:
            return
        with self._lock:
            self._taken[row[self._column]] -= 1
            if not self._taken[row[self._column]]:
                del self._taken[row[self._column]]

    def full(self) -> list[Any]:
        """Those of which no more is begun."""
        with self._lock:
            return [one for one, count in self._taken.items() if count >= self._most]


class Worker:
    """Claims due rows of one table and handles them in `threads` threads."""

    def __init__(
        self,
        table: DueTable,
        url: str,
        clock: WaitingClock,
        *,
        threads: int = 8,
        lease_seconds: float = 9.0,
        watcher: Watcher | None = None,
    ) -> None:
        self._table = table
        self._clock = clock
        self._threads = threads
        self._lease_seconds = lease_seconds
        self._watcher = watcher or NobodyWatches()
        if table.is_notebook:
            url = make_conninfo(url, options="-c synchronous_commit=off")
        self._pool = open_pool(url, size=threads, opened=False)
        self._url = url
        self._claim_sql, self._next_sql = table.sql(CLAIM), table.sql(NEXT)
        self._release_sql, self._renew_sql = table.sql(RELEASE), table.sql(RENEW)
        self._free = threading.Semaphore(threads)
        self._shares = _Shares(table.share_by, max(1, threads // SHARES))
        self.name = f"{socket.gethostname()}:{os.getpid()}:{table.name}"
        self._logger = structlog.get_logger().bind(worker=self.name)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. Outlives the database going away."""
        with (
            self._pool,
            ThreadPoolExecutor(self._threads, thread_name_prefix=self._table.name) as executor,
        ):
            while not stop.is_set():
                try:
                    with self._connection() as connection:
                        self._work(connection, executor, stop)
                except psycopg.Error:
                    self._logger.exception("worker lost the database")
                    stop.wait(LOOK_EVERY)

    def _work(
        self,
        connection: psycopg.Connection[DictRow],
        executor: ThreadPoolExecutor,
        stop: threading.Event,
    ) -> None:
        connection.execute(f"LISTEN {DUE}")
        while not stop.is_set():
            if not self._is_a_thread_free() or stop.is_set():
                continue
            began = time.monotonic()
            claimed = self._claim(connection)
            is_begun = False
            for row in claimed:
                if self._shares.take(row):
                    claim = Claim(row, began, self._lease_seconds, self._renew)
                    executor.submit(self._handle, claim)
                    is_begun = True
                else:
                    self._hand_back(connection, row)
            if not is_begun:
                self._wait(connection)

    def _is_a_thread_free(self) -> bool:
        """Waits until one is, but not for ever."""
        is_free = self._free.acquire(timeout=LOOK_EVERY)
        if is_free:
            self._free.release()
        return is_free

    def _claim(self, connection: psycopg.Connection[DictRow]) -> list[DictRow]:
        places = 0
        while places < self._threads and self._free.acquire(blocking=False):
            places += 1
        rows: list[DictRow] = []
        try:
            if places:
                values = {
                    "worker": self.name,
                    "lease": self._lease_seconds,
                    "now": self._clock.now(),
                    "limit": places,
                    "full": self._shares.full(),
                }
                rows = connection.execute(self._claim_sql, values).fetchall()
        finally:
            for _ in range(places - len(rows)):
                self._free.release()
        return rows

    def _hand_back(self, connection: psycopg.Connection[DictRow], row: DictRow) -> None:
        connection.execute(self._release_sql, {"id": row[self._table.key], **row})
        self._free.release()

    def _wait(self, connection: psycopg.Connection[DictRow]) -> None:
        """Until something may be due: the next deadline, a NOTIFY, or a second at the most."""
        values = {"now": self._clock.now(), "full": self._shares.full()}
        row = connection.execute(self._next_sql, values).fetchone() or {}
        waits = [LOOK_EVERY]
        if row["deadline"] is not None:
            waits.append(self._clock.seconds_until(row["deadline"]))
        if row["lease"] is not None:
            waits.append(row["lease"] + 0.001)
        pause = max(0.01, min(waits))
        for _ in connection.notifies(timeout=pause, stop_after=1):
            pass
        # One look answers all that came meanwhile.
        for _ in connection.notifies(timeout=0):
            pass

    def _renew(self, row: Mapping[str, Any]) -> datetime | None:
        values = {"id": row[self._table.key], "lease": self._lease_seconds, **row}
        with self._pool.connection() as connection:
            renewed = connection.execute(self._renew_sql, values).fetchone()
        return renewed["claimed_until"] if renewed else None

    def _handle(self, row: Claim) -> None:
        late = -self._clock.seconds_until(row["deadline"])
        began = time.monotonic()
        try:
            self._keep(row, *self._table.handle(row))
            self._watcher.handled(self._table.name, late, time.monotonic() - began)
        except Exception:
            self._watcher.failed(self._table.name)
            # The lease keeps others off it for some seconds; then it is tried again.
            self._logger.exception("could not handle what was due", id=str(row[self._table.key]))
        finally:
            self._shares.give_back(row)
            self._free.release()

    def _keep(self, row: Claim, statement: Any, values: Mapping[str, Any]) -> None:
        claim = {"id": row[self._table.key], **row}
        with self._pool.connection() as connection:
            if self._table.is_notebook:
                mine = {name: row[name] for name in ("claimed_by", "claimed_until")}
                if not connection.execute(statement, {**values, **mine}).rowcount:
                    connection.execute(self._release_sql, claim)
                self._wake(connection, values)
                return
            with connection.transaction():
                connection.execute(statement, values)
                connection.execute(self._release_sql, claim)
                self._wake(connection, values)

    def _wake(self, connection: psycopg.Connection[DictRow], values: Mapping[str, Any]) -> None:
        if self._is_due_soon(values.get("deadline")):
            connection.execute(f"NOTIFY {DUE}")

    def _is_due_soon(self, deadline: datetime | None) -> bool:
        """So soon that a worker that sleeps until its next look may be late for it.

        A NOTIFY for each row would wake every worker, and hold up every other commit.
        """
        return deadline is not None and self._clock.seconds_until(deadline) < 2 * LOOK_EVERY

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        with psycopg.connect(self._url, autocommit=True, row_factory=dict_row) as connection:
            yield connection
