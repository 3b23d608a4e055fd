"""Filling tables beside: read a stretch of the log, fold it, write the rows and the position."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg.rows import tuple_row

from strike_adapters.postgres.fold import Fold, seldom_collecting
from strike_adapters.postgres.follower_states import EventFailed, skips
from strike_adapters.postgres.rebuild.beside import NEW
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.rows import insert_new, write
from strike_adapters.postgres.views.view import Batch, Gathering, View, ViewRecorder
from strike_domain.errors import Conflict
from strike_domain.log import StrikeLog

STRETCH = 10_000
"""Positions of the log that one transaction takes in."""

# By the last byte of an id, which is evenly spread in every kind of it.
READ = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM strike_events_everything
WHERE notification_id > %(after)s AND notification_id <= %(until)s
  AND get_byte(uuid_send(originator_id), 15) %% %(parts)s = %(part)s
ORDER BY notification_id
"""

READ_ALL = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM strike_events_everything
WHERE notification_id > %(after)s AND notification_id <= %(until)s ORDER BY notification_id
"""

WHERE = "SELECT min(position), max(position) FROM view_rebuilds WHERE view = ANY(%s) AND part = %s"

MOVE = """
UPDATE view_rebuilds SET position = %(until)s, events = events + %(events)s
WHERE view = ANY(%(views)s) AND part = %(part)s AND parts = %(parts)s AND position = %(after)s
"""

Stored = tuple[int, StoredEvent]


class Filler:
    """Fills the tables beside some views that are equally far, from one part of the log."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        log: StrikeLog,
        views: Sequence[type[View]],
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._connection = connection
        self._log = log
        self._fold = Fold(log)
        self._names = [one.name for one in views]
        # Nothing is recorded through them: they only say what a row is.
        self._views = [one(cast(ViewRecorder, None), self._fold) for one in views]
        self._skipped = [skips(connection, name) for name in self._names]
        self._part, self._parts = part, parts

    def position(self) -> int:
        """How far the tables are. Raises `Conflict` if they are not equally far."""
        cursor = self._connection.cursor(row_factory=tuple_row)
        first, last = cursor.execute(WHERE, (self._names, self._part)).fetchone() or (None, None)
        if first is None or first != last:
            raise Conflict("Somebody else has begun, or ended, a rebuild of this view.")
        return int(first)

    def step(self, until: int, stretch: int = STRETCH) -> bool:
        """Take in the next stretch, in one transaction; whether there was one.

        Raises `EventFailed` for an event of which no row can be made.
        """
        with self._connection.transaction():
            after = self.position()
            if after >= until:
                return False
            upto = min(until, after + stretch)
            stored = self._read(after, upto)
            for view, batch in zip(self._views, self._batches(stored), strict=True):
                self._write(view, batch)
            self._move(after, upto, len(stored))
        return True

    def fill(self, until: int) -> None:
        """All stretches up to a position."""
        while self.step(until):
            pass

    def _read(self, after: int, until: int) -> list[Stored]:
        values = {"after": after, "until": until, "part": self._part, "parts": self._parts}
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(READ if self._parts > 1 else READ_ALL, values, binary=True)
            return [(row[0], StoredEvent(*row[1:])) for row in cursor.fetchall()]

    def _batches(self, stored: Sequence[Stored]) -> list[Batch]:
        sinks = [Gathering(view) for view in self._views]
        wanted = list(zip(sinks, self._skipped, strict=True))
        decode, after = self._log.mapper.to_domain_event, self._fold.after
        left_out = frozenset.intersection(*self._skipped)
        for position, one in stored:
            if position in left_out:
                continue
            try:
                event = decode(one)
                aggregate = after(event)
                for sink, skipped in wanted:
                    if position not in skipped:
                        sink.take(event, aggregate, position)
            except Exception as error:
                raise EventFailed.of(position, one.topic, None, error) from error
        return [sink.batch() for sink in sinks]

    def _write(self, view: View, batch: Batch) -> None:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            for table, rows in batch.rows.items():
                if table in view.recorder_class.appended:
                    insert_new(cursor, rows.values(), table + NEW)
                else:
                    write(cursor, rows.values(), table + NEW)
            view.recorder_class.settle(cursor, batch, NEW)

    def _move(self, after: int, until: int, events: int) -> None:
        values = {"views": self._names, "part": self._part, "parts": self._parts}
        values |= {"after": after, "until": until, "events": events}
        if self._connection.execute(MOVE, values).rowcount != len(self._names):
            raise Conflict("Somebody else is rebuilding this view.")


_wanted: list[Callable[[], bool]] = []
"""In a process of a rebuild: whether whoever began it wants more."""


def begin_process(is_ended: Callable[[], bool]) -> None:
    """Prepare a process for filling parts, until `is_ended` says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whoever began this decides.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _wanted.append(lambda: not is_ended())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # What was not committed is not there.


def fill_part(url: str, views: Sequence[type[View]], part: int, parts: int, until: int) -> None:
    """Fill one part, in a process of its own, until it is full or nobody wants it."""
    with (
        seldom_collecting(),
        StrikeLog(store_env(url, pool_size=1)) as log,
        connect(url) as connection,
    ):
        filler = Filler(connection, log, views, part, parts)
        while all(wanted() for wanted in _wanted) and filler.step(until):
            pass


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection for filling. What a crash takes from it, rows and position, is made again."""
    return psycopg.connect(url, autocommit=True, options="-c synchronous_commit=off")
