"""Saves that come at the same time share one transaction: one lock, one NOTIFY, one fsync.

Whoever comes while nobody is committing commits at once, in their own thread. Those who come
meanwhile wait in a queue; the first of them commits next, for all of them, and so on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from threading import Event, Lock
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
from psycopg.sql import SQL, Composed, Identifier

MAX_SAVES, MAX_BYTES = 256, 2**20
"""What one group takes at most; a save that is larger than that makes a group of its own."""

ROW_BYTES = 100
"""What an event takes besides its state, roughly."""

MAX_TRIES, RETRY_SECONDS = 10, 0.2
"""As the library's recorders do it when the database does not answer."""

LOOK_EVERY = 5.0
"""Seconds after which one who waits looks whether a wake-up got lost by an interruption."""

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

CALL_APPEND = "SELECT {schema}.{append}(%b, %b::bigint[], %b, %b) AS id"

FIND_TAKEN = """
SELECT originator_id, originator_version
FROM {schema}.{table}
JOIN unnest(%b, %b::bigint[]) AS wanted (id, version)
  ON originator_id = wanted.id AND originator_version = wanted.version
"""


class Save:
    """What one caller wants to have stored, and what became of it."""

    __slots__ = ("answer", "events", "gone", "size", "tries", "woken")

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self.events = events
        self.size = sum(ROW_BYTES + len(one.state) for one in events)
        self.answer: list[int] | Exception | None = None
        """The notification ids, or why there are none."""
        self.tries = 0
        self.gone = False
        """Whether the caller was interrupted and waits no longer."""
        self.woken = Lock()
        self.woken.acquire()

    def names(self) -> list[tuple[Any, int]]:
        """Originator and version of each event: what no other stored event may have."""
        return [(one.originator_id, one.originator_version) for one in self.events]

    def put_off(self, error: Exception) -> None:
        """To be tried again, or not if that was the last of `MAX_TRIES`."""
        self.tries += 1
        if self.tries == MAX_TRIES:
            # The others of the group raise it in their own threads: each has one of its own.
            self.answer = type(error)(*error.args)
            self.answer.__cause__ = error

    def result(self) -> list[int]:
        if isinstance(self.answer, list):
            return self.answer
        raise self.answer or closed()


class Groups:
    """Forms groups of saves, in order of arrival, and lets one of the callers commit each.

    `commit` sets the answers of a group. Those that it leaves without one are tried again, in
    front of all who came later.
    """

    def __init__(self, commit: Callable[[Sequence[Save]], object]) -> None:
        self._commit = commit
        self._mutex = Lock()
        self._waiting: deque[Save] = deque()
        self._leader: Save | None = None
        """Who commits, or has been told to; always the first of those who wait."""
        self._group: list[Save] = []
        self._closed = Event()

    def store(self, events: Sequence[StoredEvent]) -> list[int]:
        """Return the notification ids of `events`, durable. Raises what `commit` found."""
        mine = Save(events)
        try:
            if not self._enter(mine):
                self._wait(mine)
            while mine.answer is None:
                self._lead(mine)
        except BaseException:
            self._leave(mine)
            raise
        return mine.result()

    def close(self) -> None:
        """Tell those who wait that it is too late. A group under way comes to its own end."""
        with self._mutex:
            self._closed.set()
            while self._waiting:
                self._refuse(self._waiting.popleft())

    def _refuse(self, one: Save) -> None:
        one.answer = closed()
        if one is not self._leader:
            one.woken.release()

    def _enter(self, mine: Save) -> bool:
        """Join the queue; whether it is for this caller to lead."""
        with self._mutex:
            if self._closed.is_set():
                raise closed()
            self._waiting.append(mine)
            if self._leader is not None:
                return False
            self._leader = mine
            return True

    def _wait(self, mine: Save) -> None:
        while not mine.woken.acquire(timeout=LOOK_EVERY):
            if mine.answer is not None or self._leader is mine:
                return

    def _lead(self, mine: Save) -> None:
        if mine.tries:
            self._closed.wait(RETRY_SECONDS)
        with self._mutex:
            self._group = group = self._next_group()
        if group:
            self._commit(group)
        with self._mutex:
            self._dismiss(mine)

    def _next_group(self) -> list[Save]:
        group: list[Save] = []
        room = MAX_BYTES
        while self._waiting and len(group) < MAX_SAVES:
            room -= self._waiting[0].size
            if room < 0 and group:
                break
            group.append(self._waiting.popleft())
        return group

    def _dismiss(self, mine: Save) -> None:
        """Hand over, and only then wake the others: the disk should not have to wait for them."""
        group, self._group = self._group, []
        again = [one for one in group if one.answer is None and not one.gone]
        if self._closed.is_set():
            for one in again:
                one.answer = closed()
        else:
            self._waiting.extendleft(reversed(again))
        if mine.answer is not None or mine.gone:
            self._appoint()
        for one in group:
            if one.answer is not None and one is not mine:
                one.woken.release()

    def _appoint(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader is not None:
            self._leader.woken.release()

    def _leave(self, mine: Save) -> None:
        """An interrupted caller is waited for by nobody, least of all as the one who leads."""
        with self._mutex:
            mine.gone = True
            if mine in self._waiting:
                self._waiting.remove(mine)
            if self._leader is mine:
                self._dismiss(mine)


def closed() -> OperationalError:
    return OperationalError("the event store has been closed")


class GroupRecorder(PostgresApplicationRecorder):
    """The library's recorder, whose concurrent saves of plain events are committed in groups.

    Each save is stored as a whole or not at all, and gets its own answer, as without groups.
    Saves with anything else (`tracking`, or what a subclass adds) go the library's way.
    """

    def __init__(self, datastore: PostgresDatastore, **names: str) -> None:
        super().__init__(datastore, **names)
        append = f"{self.events_table_name}_append"
        self.check_identifier_length(append)
        self._names = {
            "schema": Identifier(datastore.schema),
            "table": Identifier(self.events_table_name),
            "append": Identifier(append),
            "channel": Identifier(self.channel_name),
            "id_type": Identifier(datastore.originator_id_type),
            "lock_timeout": SQL("'{}s'").format(datastore.lock_timeout),
        }
        self.sql_create_statements.append(self._named(APPEND))
        self._call_append = self._named(CALL_APPEND)
        self._find_taken = self._named(FIND_TAKEN)
        self._groups = Groups(self._commit)
        self._adds_nothing = type(self)._insert_events in (
            PostgresApplicationRecorder._insert_events,
            PostgresProcessRecorder._insert_events,
        )

    def _named(self, statement: str) -> Composed:
        return SQL(statement).format(**self._names)

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
        return self._groups.store(stored_events)

    def _commit(self, saves: Sequence[Save]) -> None:
        self._try(self._all, saves, self._sift)

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
        columns = (
            [one.originator_id for one in events],
            [one.originator_version for one in events],
            [one.topic for one in events],
            [one.state for one in events],
        )
        cursor.execute(self._call_append, columns, prepare=True, binary=True)
        return [row["id"] for row in cursor.fetchall()]

    def _taken(self, cursor: Cursor[DictRow], saves: Sequence[Save]) -> set[tuple[Any, int]]:
        names = [name for one in saves for name in one.names()]
        cursor.execute(self._find_taken, ([one[0] for one in names], [one[1] for one in names]))
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
