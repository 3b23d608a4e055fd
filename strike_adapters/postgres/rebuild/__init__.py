"""Rebuild read models from the log: new tables beside the old, and a swap when they are ready.

Nothing else is written, nobody is rung, and no task is made: rows follow from events alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import Any

import psycopg

from strike_adapters.postgres.fold import seldom_collecting
from strike_adapters.postgres.follower_states import alone
from strike_adapters.postgres.rebuild import beside, progress
from strike_adapters.postgres.rebuild.beside import OLD, tables_of
from strike_adapters.postgres.rebuild.fill import (
    Filler,
    begin_process,
    connect,
    fill_part,
)
from strike_adapters.postgres.rebuild.swapping import swap
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.view import View
from strike_domain.log import StrikeLog

MANY = 20_000
"""Events from which on several processes are worth their start."""

LOOK_EVERY = 0.25
"""Seconds between two looks at how far the processes are."""

BUSY = "Another process is rebuilding; wait until it has ended."

CLOSE = 200
"""Positions that may be left for the swap itself."""

DONE = """
SELECT coalesce(sum(events), 0), count(DISTINCT view), count(*), coalesce(sum(position), 0)
FROM view_rebuilds WHERE view = ANY(%s)
"""


@dataclass(frozen=True)
class Told:
    """How far a rebuild is. `events`: of the log, taken in; `share`: of the whole, 0 to 1.

    `stage`: "reading", "indexes", "catching up" or "done".
    """

    views: tuple[str, ...]
    stage: str
    events: int
    share: float
    resumed: bool = False


Report = Callable[[Told], None]


def default_processes() -> int:
    """One for each core, four at the most: more would wait for the database."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def rebuild(
    url: str, views: Sequence[type[View]], report: Report, *, processes: int | None = None
) -> None:
    """Rebuild these views, those that are equally far in one reading of the log.

    An interrupted one is gone on with. Raises `EventFailed` for an event of which no row can be
    made, `Conflict` if another process rebuilds, `TablesInUse` if readers never let go of the old
    tables: begun again, it goes on right there.
    """
    parts = processes or default_processes()
    with (
        seldom_collecting(),
        connect(url) as connection,
        alone(connection, "rebuild", BUSY),
        _opened(url) as log,
    ):
        groups: dict[tuple[Any, ...], list[type[View]]] = {}
        resumed = set()
        for view in views:
            if progress.state_of(connection, view):
                resumed.add(view.name)
            found = progress.begin(connection, view, parts)
            at = tuple(replace(one, events=0) for one in found)
            groups.setdefault(at, []).append(view)
        for at, group in groups.items():
            is_resumed = group[0].name in resumed
            _Group(url, connection, log, group, len(at), report, is_resumed).run()


def drop_old(url: str, views: Sequence[type[View]]) -> list[str]:
    """Drop the tables that rebuilds have replaced; their names."""
    with psycopg.connect(url) as connection:
        return beside.drop_old(connection, views)


@contextmanager
def _opened(url: str) -> Iterator[StrikeLog]:
    with StrikeLog(store_env(url, pool_size=1)) as log:
        yield log


@contextmanager
def _setting(stop: Event) -> Iterator[None]:
    """Whatever ends this, the processes end with it, after the stretch that they are at."""
    try:
        yield
    finally:
        stop.set()


class _Group:
    """Views that are rebuilt in one reading of the log."""

    def __init__(
        self,
        url: str,
        connection: psycopg.Connection[Any],
        log: StrikeLog,
        views: Sequence[type[View]],
        parts: int,
        report: Report,
        is_resumed: bool,
    ) -> None:
        self._url, self._connection, self._log = url, connection, log
        self._views, self._parts = views, parts
        self._report, self._is_resumed = report, is_resumed
        self._names = tuple(one.name for one in views)
        self._until = 0

    def run(self) -> None:
        self._until = self._log.position()
        self._tell("reading")
        self._fill()
        self._tell("indexes")
        for view in self._views:
            beside.drop(self._connection, [table + OLD for table in tables_of(view)])
            beside.create_indexes(self._connection, view)
        self._tell("catching up")
        swap(self._connection, self._caught_up(), self._views)
        self._report(Told(self._names, "done", 0, 1.0, self._is_resumed))

    def _fill(self) -> None:
        missing = self._until - min(self._position_of(part) for part in range(self._parts))
        if missing >= MANY and self._parts > 1:
            self._fill_in_processes()
            return
        for part in range(self._parts):
            filler = Filler(self._connection, self._log, self._views, part, self._parts)
            while filler.step(self._until):
                self._tell("reading")

    def _fill_in_processes(self) -> None:
        # A fork would share this process's connections with its children.
        context = get_context("spawn")
        stop = context.Event()
        with (
            ProcessPoolExecutor(
                self._parts, context, initializer=begin_process, initargs=(stop.is_set,)
            ) as pool,
            _setting(stop),
        ):
            waiting: set[Future[None]] = {
                pool.submit(fill_part, self._url, self._views, part, self._parts, self._until)
                for part in range(self._parts)
            }
            while waiting:
                done, waiting = wait(waiting, timeout=LOOK_EVERY)
                self._tell("reading")
                for one in done:
                    one.result()

    def _caught_up(self) -> Filler:
        """One filler for all parts, close behind the log."""
        for view in self._views:
            progress.begin(self._connection, view, parts=1)
        filler = Filler(self._connection, self._log, self._views)
        while (head := self._log.position()) - filler.position() > CLOSE:
            filler.fill(head)
        filler.fill(head)
        return filler

    def _position_of(self, part: int) -> int:
        return Filler(self._connection, self._log, self._views, part, self._parts).position()

    def _tell(self, stage: str) -> None:
        row = self._connection.execute(DONE, (list(self._names),)).fetchone() or (0, 1, 1, 0)
        events, views, parts, positions = (int(one) for one in row)
        share = positions / max(1, parts * self._until)
        told = Told(self._names, stage, events // max(1, views), min(1.0, share), self._is_resumed)
        self._report(told)
