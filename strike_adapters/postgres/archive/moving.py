"""Streams go into the archive and come back: all of one callout or none, each batch by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier, Literal

from strike_adapters.postgres.archive.tables import Names
from strike_adapters.postgres.follower_states import alone
from strike_adapters.postgres.prepare import PREPARING
from strike_adapters.postgres.store import LogRecorder
from strike_domain.errors import Conflict, NotFound

# To be attached takes a weaker lock than to be made as a partition: nobody who reads waits for it.
# A version that is being installed locks the tables in another order.
NOT_WHILE_PREPARING = "SELECT pg_advisory_xact_lock_shared(%s)"

MAKE_MONTH = "CREATE TABLE IF NOT EXISTS {month} (LIKE {{schema}}.{{archived}} INCLUDING ALL)"
ATTACH_MONTH = """
ALTER TABLE {{schema}}.{{archived}} ATTACH PARTITION {month} FOR VALUES FROM ({begin}) TO ({end})
"""
HAS_MONTH = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%s)) AS has"

COPY = """
INSERT INTO {schema}.{archived}
    (originator_id, originator_version, topic, state, notification_id, month)
SELECT live.originator_id, originator_version, topic, state, notification_id, moved.month
FROM unnest(%(ids)s::{id_type}[], %(months)s::date[]) AS moved (id, month)
JOIN {schema}.{table} live ON live.originator_id = moved.id
"""

REMEMBER = """
INSERT INTO {schema}.{streams} AS kept (originator_id, callout_id, month, last_version,
    first_position, last_position, archived_at)
SELECT *, %(at)s FROM unnest(%(ids)s::{id_type}[], %(callouts)s::{id_type}[], %(months)s::date[],
    %(versions)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[])
ON CONFLICT (originator_id) DO UPDATE SET last_version = excluded.last_version,
    last_position = excluded.last_position, archived_at = excluded.archived_at
"""

LOCK = "LOCK TABLE {schema}.{table} IN EXCLUSIVE MODE"

CHANGED = """
SELECT DISTINCT moved.callout AS id
FROM unnest(%(ids)s::{id_type}[], %(callouts)s::{id_type}[], %(versions)s::bigint[])
    AS moved (id, callout, version)
JOIN {schema}.{table} live
  ON live.originator_id = moved.id AND live.originator_version > moved.version
"""

DELETE = "DELETE FROM {schema}.{table} WHERE originator_id = ANY(%(ids)s::{id_type}[])"

FORGET = """
DELETE FROM {schema}.{streams} WHERE callout_id = %(callout)s RETURNING originator_id, month
"""

BRING_BACK = """
WITH back AS (
    DELETE FROM {schema}.{archived}
    USING unnest(%(ids)s::{id_type}[], %(months)s::date[]) AS wanted (id, its_month)
    WHERE originator_id = wanted.id AND month = wanted.its_month
    RETURNING originator_id, originator_version, topic, state, notification_id
)
INSERT INTO {schema}.{table} (originator_id, originator_version, topic, state, notification_id)
SELECT * FROM back
"""

MONTHS = """
SELECT month, count(DISTINCT callout_id) AS callouts, count(*) AS streams,
    sum(last_version)::bigint AS events
FROM {schema}.{streams} GROUP BY month ORDER BY month
"""

LIVE = """
SELECT count(*) AS events, pg_total_relation_size({literal}) AS bytes FROM {{schema}}.{{table}}
"""

COMPACT = "VACUUM (FULL, ANALYZE) {schema}.{table}"


@dataclass(frozen=True)
class Stream:
    """A stream as it is to be moved: what is stored of it by now, and where in the log."""

    id: UUID | str
    last_version: int
    first_position: int
    last_position: int


@dataclass(frozen=True)
class Closed:
    """Streams that go together. `month`: the first day of the one in which it was over."""

    id: UUID | str
    month: date
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class Moved:
    """What was moved. `seconds`: for how long nobody could save meanwhile."""

    callouts: int = 0
    streams: int = 0
    events: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Month:
    """What is archived of the callouts that were over in a month. `bytes`: with indexes."""

    month: date
    callouts: int
    streams: int
    events: int
    bytes: int


@dataclass(frozen=True)
class Live:
    """What lies in the live table. `bytes`: with indexes, and with what was left by those moved."""

    events: int
    bytes: int


class Archive:
    """Of one log. Nothing of it knows what an event means."""

    def __init__(self, recorder: LogRecorder) -> None:
        self._recorder = recorder
        self._tables: Names = recorder.tables

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process moves at a time. Raises `Conflict` if another does."""
        with self._recorder.datastore.get_connection() as connection:
            said = "Another process moves events into or out of the archive."
            with alone(connection, self._tables.archived, said):
                yield

    def move(self, callouts: Sequence[Closed], at: datetime) -> Moved:
        """Move them, in one transaction. One to which something happened meanwhile is left out."""
        self._make_months({one.month for one in callouts})
        while callouts:
            changed, moved = self._try(callouts, at)
            if not changed:
                return moved
            callouts = [one for one in callouts if one.id not in changed]
        return Moved()

    def restore(self, callout_id: UUID | str) -> int:
        """Bring the streams of a callout back; how many events. Raises `NotFound`."""
        with self._recorder.datastore.transaction(commit=True) as cursor:
            cursor.execute(NOT_WHILE_PREPARING, (PREPARING,))
            cursor.execute(self._tables.fill(LOCK))
            cursor.execute(self._tables.fill(FORGET), {"callout": callout_id})
            found = cursor.fetchall()
            if not found:
                raise NotFound("archived callout")
            streams = [one["originator_id"] for one in found]
            values = {"ids": streams, "months": [one["month"] for one in found]}
            return cursor.execute(self._tables.fill(BRING_BACK), values).rowcount

    def months(self) -> list[Month]:
        """What is archived, by month."""
        with self._recorder.datastore.get_connection() as connection:
            found = connection.execute(self._tables.fill(MONTHS)).fetchall()
            return [Month(**one, bytes=self._bytes(connection, one["month"])) for one in found]

    def live(self) -> Live:
        """What is not."""
        with self._recorder.datastore.get_connection() as connection:
            table = Literal(f"{self._recorder.datastore.schema}.{self._tables.table}")
            query = SQL(LIVE).format(literal=table).as_string()
            row = connection.execute(self._tables.fill(query)).fetchone()
            return Live(**row) if row else Live(0, 0)

    def settle(self, months: Iterable[date]) -> None:
        """Let the planner know of what was moved into those months."""
        with self._recorder.datastore.get_connection() as connection:
            for one in sorted(months):
                connection.execute(SQL("ANALYZE {}").format(self._name(one)))

    def compact(self, seconds: float) -> None:
        """Write the live table anew, without the room that was left by what has been moved.

        Nobody can save or read meanwhile. Raises `Conflict` if that took longer than so many
        seconds, or could not begin: then nothing has changed.
        """
        with self._recorder.datastore.get_connection() as connection:
            try:
                for name in ("lock_timeout", "statement_timeout"):
                    told = (name, f"{round(seconds * 1000)}ms")
                    connection.execute("SELECT set_config(%s, %s, false)", told)
                connection.execute(self._tables.fill(COMPACT))
            except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
                said = f"That would take longer than {seconds:g} s; nothing was changed."
                raise Conflict(said) from error
            finally:
                if not connection.closed:
                    connection.execute("RESET lock_timeout")
                    connection.execute("RESET statement_timeout")

    def _try(self, callouts: Sequence[Closed], at: datetime) -> tuple[set[Any], Moved]:
        """Those to which something has happened, or else what was moved."""
        flat = [(one, stream) for one in callouts for stream in one.streams]
        values = {
            "ids": [stream.id for _, stream in flat],
            "callouts": [one.id for one, _ in flat],
            "months": [one.month for one, _ in flat],
            "versions": [stream.last_version for _, stream in flat],
            "firsts": [stream.first_position for _, stream in flat],
            "lasts": [stream.last_position for _, stream in flat],
            "at": at,
        }
        with (
            self._recorder.datastore.get_connection() as connection,
            connection.transaction() as both,
        ):
            connection.execute(NOT_WHILE_PREPARING, (PREPARING,))
            # What takes long is done before anybody has to wait for it.
            connection.execute(self._tables.fill(COPY), values)
            connection.execute(self._tables.fill(REMEMBER), values)
            connection.execute(self._tables.fill(LOCK))
            began = time.monotonic()
            changed = {one["id"] for one in connection.execute(self._tables.fill(CHANGED), values)}
            if changed:
                raise psycopg.Rollback(both)
            events = connection.execute(self._tables.fill(DELETE), values).rowcount
        if changed:
            return changed, Moved()
        return set(), Moved(len(callouts), len(flat), events, time.monotonic() - began)

    # Months -------------------------------------------------------------------------------------

    def _make_months(self, months: Iterable[date]) -> None:
        with self._recorder.datastore.get_connection() as connection:
            for one in sorted(months):
                self._make_month(connection, one)

    def _make_month(self, connection: psycopg.Connection[DictRow], month: date) -> None:
        name = self._name(month)
        row = connection.execute(HAS_MONTH, (name.as_string(),)).fetchone()
        if row and row["has"]:
            return
        after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        parts = {"month": name, "begin": Literal(month), "end": Literal(after)}
        with connection.transaction():
            connection.execute(NOT_WHILE_PREPARING, (PREPARING,))
            for text in (MAKE_MONTH, ATTACH_MONTH):
                statement = SQL(text).format(**parts).as_string()
                connection.execute(self._tables.fill(statement))

    def _name(self, month: date) -> Identifier:
        schema = self._recorder.datastore.schema
        return Identifier(schema, f"{self._tables.archived}_{month:%Y_%m}")

    def _bytes(self, connection: psycopg.Connection[DictRow], month: date) -> int:
        query = "SELECT pg_total_relation_size(%s::regclass) AS bytes"
        row = connection.execute(query, (self._name(month).as_string(),)).fetchone()
        return int(row["bytes"]) if row else 0
