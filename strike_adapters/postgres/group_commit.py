"""Saves that come at the same time share one transaction: one lock, one NOTIFY, one fsync.

Who they are, and who of them commits, is the matter of `together`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresProcessRecorder,
)
from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.archive.tables import DDL, Names
from strike_adapters.postgres.arrays import BinaryArray, bigints, byteas, texts, uuids
from strike_adapters.postgres.together import Caller, Groups
from strike_adapters.telemetry.edges import timed

ROW_BYTES = 100
"""What an event takes besides its state, roughly."""

# The lock comes before any number is taken from the sequence and goes after the commit, so that
# the order of notification ids is the order of commits: a follower must never find a lower id
# behind a higher one.
APPEND = """
CREATE OR REPLACE FUNCTION {schema}.{append}(
    originator_ids {id_type}[], versions bigint[], topics text[], states bytea[]
) RETURNS SETOF bigint LANGUAGE plpgsql AS $append$
BEGIN
    SET LOCAL lock_timeout = {lock_timeout};
    LOCK TABLE {schema}.{table} IN EXCLUSIVE MODE;
    NOTIFY {channel};
    RETURN QUERY
        INSERT INTO {schema}.{table} AS stored (
            originator_id, originator_version, topic, state
        )
        SELECT * FROM unnest(originator_ids, versions, topics, states)
        RETURNING stored.notification_id;
END
$append$;
REVOKE ALL ON FUNCTION {schema}.{append}({id_type}[], bigint[], text[], bytea[]) FROM PUBLIC
"""

CALL_APPEND = "SELECT {schema}.{append}(%b, %b, %b, %b) AS id"

FIND_TAKEN = """
SELECT originator_id, originator_version
FROM {schema}.{table}
JOIN unnest(%(ids)s::{id_type}[], %(versions)s::bigint[]) AS wanted (id, version)
  ON originator_id = wanted.id AND originator_version = wanted.version
UNION ALL
SELECT wanted.id, wanted.version
FROM {schema}.{streams}
JOIN unnest(%(ids)s::{id_type}[], %(versions)s::bigint[]) AS wanted (id, version)
  ON originator_id = wanted.id AND wanted.version <= last_version
"""


class Save(Caller[list[int]]):
    """What one caller wants to have stored; the answer is its notification ids."""

    __slots__ = ("events",)

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        super().__init__(sum([ROW_BYTES + len(one.state) for one in events]))
        self.events = events

    def names(self) -> list[tuple[Any, int]]:
        """Originator and version of each event: what no other stored event may have."""
        return [(one.originator_id, one.originator_version) for one in self.events]


class GroupRecorder(PostgresApplicationRecorder):
    """The library's recorder, whose concurrent saves of plain events are committed in groups.

    Each save is stored as a whole or not at all, and gets its own answer, as without groups.
    Saves with anything else (`tracking`, or what a subclass adds) are no part of a group.
    """

    def __init__(self, datastore: PostgresDatastore, **names: str) -> None:
        super().__init__(datastore, **names)
        append = f"{self.events_table_name}_append"
        self.check_identifier_length(append)
        self.tables = Names(self.events_table_name, datastore.schema, datastore.originator_id_type)
        for one in self.tables.all:
            self.check_identifier_length(one)
        parts = self.parts = {
            "append": Identifier(append),
            "channel": Identifier(self.channel_name),
            "lock_timeout": SQL("'{}s'").format(datastore.lock_timeout),
        }
        self.sql_create_statements.append(self.tables.fill(APPEND, **parts))
        self.sql_create_statements += map(self.tables.fill, DDL)
        self._call_append = self.tables.fill(CALL_APPEND, **parts)
        self._find_taken = self.tables.fill(FIND_TAKEN)
        self._ids: Callable[[Any], BinaryArray] = (
            uuids if datastore.originator_id_type == "uuid" else texts
        )
        self._groups: Groups[Save] = Groups(self._commit)
        self._adds_nothing = type(self)._insert_events in (
            PostgresApplicationRecorder._insert_events,
            PostgresProcessRecorder._insert_events,
        )

    def close(self) -> None:
        """End the saves that wait, and all later ones, with `OperationalError`."""
        self._groups.close()

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Store events and return their notification ids.

        Raises `IntegrityError` if one of them exists already: then none of them is stored, or
        all were stored before, by a try whose answer got lost.
        """
        plain = self._adds_nothing and all(one is None for one in kwargs.values())
        if not plain or not stored_events:
            ids: Sequence[int] | None = super().insert_events(stored_events, **kwargs)
            return ids
        mine = Save(stored_events)
        self._groups.join(mine)
        return mine.result()

    def _commit(self, saves: Sequence[Save]) -> None:
        began = time.monotonic()
        self._try(self._all, saves, self._sift)
        is_done = any(one.answer is not None for one in saves)
        timed("database", "commit", "ok" if is_done else "error", began)

    def _sift(self, saves: Sequence[Save]) -> None:
        """Somebody failed all of them. Most probably that was a conflict, which can be found."""
        self._try(self._all_but_conflicts, saves, self._singly)

    def _singly(self, saves: Sequence[Save]) -> None:
        for one in saves:
            self._try(self._all, [one], self._singly)

    def _try(
        self,
        way: Callable[[Sequence[Save]], object],
        saves: Sequence[Save],
        otherwise: Callable[[Sequence[Save]], object],
    ) -> None:
        try:
            way(saves)
        except (InterfaceError, OperationalError) as error:
            for one in saves:
                one.put_off(error)
        except Exception as error:
            if len(saves) > 1:
                otherwise(saves)
            else:
                saves[0].answer = error

    def _all(self, saves: Sequence[Save]) -> None:
        with self.datastore.get_connection() as connection:
            ids = self._append(connection.cursor(), saves)
        share_out(ids, saves)

    def _all_but_conflicts(self, saves: Sequence[Save]) -> None:
        # Under the lock nobody can store what was not found.
        with self.datastore.transaction(commit=True) as cursor:
            self._lock_table(cursor)
            free, guilty = sifted(saves, self._taken(cursor, saves))
            ids = self._append(cursor, free) if free else []
        share_out(ids, free)
        for one in guilty:
            one.answer = IntegrityError("an event with this originator and version exists already")

    def _append(self, cursor: Cursor[DictRow], saves: Sequence[Save]) -> list[int]:
        events = [event for one in saves for event in one.events]
        cursor.execute(self._call_append, self.columns(events), prepare=True, binary=True)
        return [row["id"] for row in cursor.fetchall()]

    def columns(self, events: Sequence[StoredEvent]) -> tuple[BinaryArray, ...]:
        """The events as the function that appends them takes them."""
        return (
            self._ids([one.originator_id for one in events]),
            bigints([one.originator_version for one in events]),
            texts([one.topic for one in events]),
            byteas([one.state for one in events]),
        )

    def _taken(self, cursor: Cursor[DictRow], saves: Sequence[Save]) -> set[tuple[Any, int]]:
        names = [name for one in saves for name in one.names()]
        wanted = {"ids": [one[0] for one in names], "versions": [one[1] for one in names]}
        cursor.execute(self._find_taken, wanted)
        return {(row["originator_id"], row["originator_version"]) for row in cursor.fetchall()}


def share_out(ids: Iterable[int], saves: Sequence[Save]) -> None:
    """Give each save the ids of its own events, which are in the order of all events."""
    rest = iter(ids)
    for one in saves:
        one.answer = list(islice(rest, len(one.events)))


def sifted(saves: Sequence[Save], taken: set[tuple[Any, int]]) -> tuple[list[Save], list[Save]]:
    """Those that can be stored one after the other, and those that cannot because of a conflict."""
    free: list[Save] = []
    guilty: list[Save] = []
    for one in saves:
        names = set(one.names())
        if len(names) < len(one.events) or names & taken:
            guilty.append(one)
        else:
            free.append(one)
            taken |= names
    return free, guilty
