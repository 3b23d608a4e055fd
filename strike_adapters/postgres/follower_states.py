"""How each follower fares: kept in tables, so that any process can tell and act on it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from traceback import format_exception
from typing import Any
from uuid import UUID
from zlib import crc32

import psycopg
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL, Identifier

from strike_domain.errors import Conflict, NotFound, Rejected
from strike_domain.log import LOG_NAME, StrikeLog

PAGER = "pager"
"""The follower that is a process application: it answers events with events."""

LOCK_SPACE = 7_305_115
"""First key of the advisory locks; the second is made from the follower's name."""

LAST_TURN_SECONDS = 1.0
"""How long the server may take to find that the last active one's connection is gone."""

ACTIVE = """
INSERT INTO follower_states (name, process, active_since)
VALUES (%(name)s, %(process)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET process = excluded.process, active_since = excluded.active_since
"""

# The same event again is one failure that lasts.
FAILED = """
INSERT INTO follower_states AS known (name, process, active_since, error, traceback, position,
                                      event_id, topic, failed_at, retries, again_at)
VALUES (%(name)s, %(process)s, clock_timestamp(), %(error)s, %(traceback)s, %(position)s,
        %(event_id)s, %(topic)s, clock_timestamp(), 0,
        clock_timestamp() + make_interval(secs => %(again)s))
ON CONFLICT (name) DO UPDATE
SET process = excluded.process, error = excluded.error, traceback = excluded.traceback,
    position = excluded.position, event_id = excluded.event_id, topic = excluded.topic,
    again_at = excluded.again_at,
    failed_at = CASE WHEN known.error IS NOT NULL
                      AND known.position IS NOT DISTINCT FROM excluded.position
                     THEN known.failed_at ELSE excluded.failed_at END,
    retries = CASE WHEN known.error IS NOT NULL
                    AND known.position IS NOT DISTINCT FROM excluded.position
                   THEN known.retries + 1 ELSE 0 END
"""

WELL = """
UPDATE follower_states SET error = NULL, traceback = NULL, position = NULL, event_id = NULL,
    topic = NULL, failed_at = NULL, retries = 0, again_at = NULL
WHERE name = %(name)s AND error IS NOT NULL
"""

# Between two tries nobody has the lock, so that another process, maybe a newer one, can try.
STATES = """
SELECT s.*, l.pid IS NOT NULL
            OR coalesce(s.again_at > clock_timestamp() - interval '10 s', false) AS is_active
FROM unnest(%(names)s::text[], %(keys)s::int[]) AS wanted (name, key)
LEFT JOIN follower_states s ON s.name = wanted.name
LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(space)s AND l.objid = (wanted.key::bigint & 4294967295)::oid
ORDER BY array_position(%(names)s::text[], wanted.name)
"""

SKIP = """
INSERT INTO follower_skips (name, position, event_id, topic, error, reason, actor)
VALUES (%(name)s, %(position)s, %(event_id)s, %(topic)s, %(error)s, %(reason)s, %(actor)s)
"""

AHEAD = """
SELECT count(*) AS events, min(notification_id) AS next FROM strike_events_everything
WHERE notification_id > %s
"""


class EventFailed(Exception):
    """An event cannot be processed; what came before it is stored.

    `error` and `traceback` are those of the cause, as text: this crosses processes.
    """

    def __init__(
        self, position: int, topic: str, event_id: UUID | None, error: str, traceback: str
    ) -> None:
        super().__init__(position, topic, event_id, error, traceback)
        self.position = position
        self.topic = topic
        self.event_id = event_id
        self.error = error
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.topic} at position {self.position} cannot be processed: {self.error}"

    @classmethod
    def of(
        cls, position: int, topic: str, event_id: UUID | None, cause: BaseException
    ) -> EventFailed:
        """That `cause` was raised by this event."""
        told = "".join(format_exception(cause))
        return cls(position, topic, event_id, _in_words(cause), told)


@dataclass(frozen=True)
class Failure:
    """What a follower fails of. `position`: of the event; None: it was no event's fault.

    `again_at`: when it tries again; `retries` it has made since `failed_at`.
    """

    error: str
    traceback: str
    position: int | None
    event_id: UUID | None
    topic: str | None
    failed_at: datetime
    retries: int
    again_at: datetime


@dataclass(frozen=True)
class FollowerStatus:
    """How one follower fares. `process`: which one is active; None: no process runs it.

    `lag_events`: events that it has not taken in; `lag_seconds`: how old the first of them is.
    """

    name: str
    process: str | None
    position: int
    lag_events: int
    lag_seconds: float
    failure: Failure | None

    @property
    def is_well(self) -> bool:
        """It runs, gets on, and is not far behind. Busy followers are always a little behind."""
        return bool(self.process) and self.failure is None and self.lag_seconds < MOST_LAG


MOST_LAG = 5.0
"""Seconds; a follower that is further behind lags."""


def this_process() -> str:
    """Names this process among all machines'."""
    return f"{socket.gethostname()}:{os.getpid()}"


def lock_keys(name: str) -> tuple[int, int]:
    """Keys of the advisory lock that the active follower of that name holds."""
    return LOCK_SPACE, crc32(name.encode()) - 2**31


@contextmanager
def alone(connection: psycopg.Connection[Any], name: str, otherwise: str) -> Iterator[None]:
    """One process at a time has the lock of that name. Raises `Conflict` if another has it."""
    keys = lock_keys(name)
    cursor = connection.cursor(row_factory=tuple_row)
    row = cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", keys).fetchone()
    if not row or not row[0]:
        raise Conflict(otherwise)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", keys)


def tracking_table(name: str) -> str:
    """The table that holds how far a follower is."""
    return f"{LOG_NAME if name == PAGER else name}_tracking"


def position_of(connection: psycopg.Connection[Any], name: str) -> int:
    """How far a follower is; 0 at the beginning."""
    query = SQL("SELECT coalesce(max(notification_id), 0) FROM {} WHERE application_name = %s")
    cursor = connection.cursor(row_factory=tuple_row)
    row = cursor.execute(query.format(Identifier(tracking_table(name))), (LOG_NAME,)).fetchone()
    return int(row[0]) if row else 0


class FollowerStates:
    """What one follower keeps of itself. Each call is a connection of its own: they are rare."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name

    def active(self) -> bool:
        """Note that this process is the active one; whether the last one was failing."""
        with self._connection() as connection:
            connection.execute(ACTIVE, {"name": self._name, "process": this_process()})
            query = "SELECT error IS NOT NULL AS is_failing FROM follower_states WHERE name = %s"
            row = connection.execute(query, (self._name,)).fetchone()
        return bool(row and row["is_failing"])

    def failed(self, error: Exception, again: float) -> None:
        """Note a failure, and that the next try is in `again` seconds.

        Unless another process is active by now: it had better luck, or tells of its own. After the
        database was away many have failed, and the last to say so would stand there for good.
        """
        if not isinstance(error, EventFailed):
            told = "".join(format_exception(error))
            values: dict[str, Any] = {"error": _in_words(error), "traceback": told}
            values |= dict.fromkeys(("position", "event_id", "topic"))
        else:
            values = vars(error)
        values = {
            **values,
            "name": self._name,
            "process": this_process(),
            "again": again,
            "error": _cleaned(values["error"]),
            "traceback": _cleaned(values["traceback"]),
        }
        with self._connection() as connection:
            if self._is_nobodys_turn(connection):
                connection.execute(FAILED, values)

    def _is_nobodys_turn(self, connection: psycopg.Connection[DictRow]) -> bool:
        """Whether no process is active; then none becomes so before the transaction has ended."""
        connection.execute(f"SET LOCAL lock_timeout = '{LAST_TURN_SECONDS:g}s'")
        try:
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", lock_keys(self._name))
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def is_past_failure(self) -> bool:
        """Whether it has got beyond the event on which it failed; that is noted then."""
        with self._connection() as connection:
            query = "SELECT position FROM follower_states WHERE name = %s FOR UPDATE"
            row = connection.execute(query, (self._name,)).fetchone()
            failed_at = row["position"] if row else None
            if failed_at is not None and position_of(connection, self._name) < failed_at:
                return False
            connection.execute(WELL, {"name": self._name})
        return True

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        with psycopg.connect(self._url, row_factory=dict_row) as connection:
            yield connection


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _cleaned(text: str) -> str:
    """A column holds no NUL."""
    return text.replace("\0", "\\0")


def statuses(
    connection: psycopg.Connection[DictRow], log: StrikeLog, names: Sequence[str], now: datetime
) -> list[FollowerStatus]:
    """How each follower fares, in the order of `names`. `now`: by the clock of the events."""
    keys = [lock_keys(name)[1] for name in names]
    values = {"names": list(names), "keys": keys, "space": LOCK_SPACE}
    states = connection.execute(STATES, values).fetchall()
    found = []
    for name, state in zip(names, states, strict=True):
        position = position_of(connection, name)
        ahead = connection.execute(AHEAD, (position,)).fetchone() or {"events": 0, "next": None}
        found.append(
            FollowerStatus(
                name=name,
                process=(state["process"] or "unknown") if state["is_active"] else None,
                position=position,
                lag_events=ahead["events"],
                lag_seconds=_age(log, ahead["next"], now),
                failure=_failure(state),
            )
        )
    return found


def _failure(state: DictRow) -> Failure | None:
    if state["error"] is None:
        return None
    return Failure(**{name: state[name] for name in Failure.__dataclass_fields__})


def _age(log: StrikeLog, position: int | None, now: datetime) -> float:
    if position is None:
        return 0.0
    for one in log.recorder.select_notifications(position, 10):
        # The very event on which it fails may be unreadable; those behind it tell as much.
        with suppress(ValueError, KeyError, TypeError):
            state = log.mapper.transcoder.decode(one.state)
            at = datetime.fromisoformat(state["timestamp"])
            return max(0.0, (now - at).total_seconds())
    return 0.0


def skip(
    connection: psycopg.Connection[DictRow], name: str, position: int, reason: str, actor: str
) -> None:
    """Have a follower leave out the event on which it fails, and note who wanted that, and why.

    Raises `NotFound` if it fails on no event, `Rejected` if that is another one.
    """
    with connection.transaction():
        query = "SELECT * FROM follower_states WHERE name = %s FOR UPDATE"
        state = connection.execute(query, (name,)).fetchone()
        if state is None or state["error"] is None or state["position"] is None:
            raise NotFound("event on which this follower fails")
        if state["position"] != position:
            said = f"It fails at position {state['position']}, not at {position}."
            raise Rejected("NOT_THE_FAILING_EVENT", said, ("position",))
        if not _move_behind(connection, name, position):
            raise Rejected("FAILS_NO_MORE", "It has got on meanwhile.", ("position",))
        connection.execute(SKIP, {**state, "reason": reason, "actor": actor})
        connection.execute(WELL, {"name": name})


def _move_behind(connection: psycopg.Connection[DictRow], name: str, position: int) -> bool:
    """Whether the follower stood right before that event, and stands behind it now."""
    statement = SQL(
        "INSERT INTO {0} AS at (application_name, notification_id) VALUES (%(log)s, %(position)s) "
        "ON CONFLICT (application_name) DO UPDATE SET notification_id = %(position)s "
        "WHERE at.notification_id < %(position)s AND NOT EXISTS ("
        "    SELECT FROM strike_events_everything e WHERE e.notification_id > at.notification_id"
        "    AND e.notification_id < %(position)s)"
    ).format(Identifier(tracking_table(name)))
    values = {"log": LOG_NAME, "position": position}
    return connection.execute(statement, values).rowcount == 1


def skips(connection: psycopg.Connection[Any], name: str) -> frozenset[int]:
    """Positions of the events that a follower was told to leave out."""
    cursor = connection.cursor(row_factory=tuple_row)
    cursor.execute("SELECT position FROM follower_skips WHERE name = %s", (name,))
    return frozenset(int(row[0]) for row in cursor.fetchall())
