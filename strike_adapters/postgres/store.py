"""The event store in PostgreSQL, opened by one URL.

A persistence module of the `eventsourcing` library: its environment names this module, and the
library builds recorders, pools and tables as it always does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    InterfaceError,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
    Tracking,
)
from eventsourcing.persistence import ProcessRecorder as AnyProcessRecorder
from eventsourcing.postgres import (
    PostgresDatastore,
    PostgresFactory,
    PostgresProcessRecorder,
    PostgresSubscription,
    PostgresTrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, retry
from psycopg import Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, RowMaker
from psycopg.sql import Identifier

from strike_adapters.postgres.archive.tables import (
    NEWER_IN_LOG,
    NEWER_IN_STREAM,
    NEWEST,
    STREAMS_UP_TO,
    WHOLE_LOG,
    WHOLE_STREAM,
    narrowed,
)
from strike_adapters.postgres.giving_way import LIMITED
from strike_adapters.postgres.group_commit import GroupRecorder
from strike_adapters.postgres.pools import (
    CONNECT_SECONDS,
    Connected,
    OnOneServer,
    Starts,
    check_together,
)
from strike_adapters.postgres.together import MAX_TRIES, RETRY_SECONDS, Together

TRecorder = TypeVar("TRecorder")
TTracking = TypeVar("TTracking", bound=PostgresTrackingRecorder)

DATABASE_URL = "STRIKE_DATABASE_URL"

GIVES_WAY = "STRIKE_GIVES_WAY"
"""Set for whoever changes tables that others use: waits for no lock for long."""

_NAMES = {
    "dbname": "POSTGRES_DBNAME",
    "host": "POSTGRES_HOST",
    "port": "POSTGRES_PORT",
    "user": "POSTGRES_USER",
    "password": "POSTGRES_PASSWORD",
}


LOOK_EVERY = 1.0
"""Seconds after which a follower looks at the log although nobody woke it."""


class WatchfulSubscription(PostgresSubscription):
    """The library's, which waits for a NOTIFY for ever; this one also looks each second.

    A wake-up can be lost: by a connection that is half open, or a pooler in between. `apart`:
    seconds between two looks, at least, while events come all the time.
    """

    apart = 0.0
    _looked_at = -inf

    def _still_apart(self) -> float:
        """Seconds until the next look may be."""
        return max(0.0, self._looked_at + self.apart - time.monotonic())

    def _loop_on_pull(self) -> None:
        try:
            self._pull()
            while not self._has_been_stopped:
                self._has_been_notified.wait(LOOK_EVERY)
                time.sleep(self._still_apart())
                self._looked_at = time.monotonic()
                self._pull()
        except BaseException as error:
            self._thread_error = self._thread_error or error
            self.stop()


SELECT_STREAM = """
SELECT originator_version, topic, state
FROM {schema}.{table}
WHERE originator_id = %(id)s AND originator_version > %(gt)s AND originator_version <= %(lte)s
ORDER BY originator_version
"""

# The array is selected, so that the server does not count what is in it, and plan for that number:
# half of its work each time.
WHICH_BEGAN = """
SELECT EXISTS (SELECT 1 FROM {schema}.{table} WHERE originator_id = asked.id)
    OR EXISTS (SELECT 1 FROM {schema}.{streams} WHERE originator_id = asked.id) AS is_begun
FROM unnest((SELECT %b::{id_type}[])) WITH ORDINALITY AS asked (id, place) ORDER BY place
"""


def stream_row(originator_id: UUID | str) -> Callable[[Any], RowMaker[StoredEvent]]:
    """Makes the events of a stream from rows (version, topic, state).

    The library's frozen dataclass sets each field by a call of its own: twice the time, and for
    those of the log five times.
    """

    def made(values: Sequence[Any]) -> StoredEvent:
        one = object.__new__(StoredEvent)
        fields = one.__dict__
        fields["originator_id"] = originator_id
        fields["originator_version"], fields["topic"], fields["state"] = values
        return one

    return lambda _: made


def log_row(_: Any) -> RowMaker[Notification]:
    """Makes events of the log from rows (position, stream, version, topic, state)."""

    def made(values: Sequence[Any]) -> Notification:
        one = object.__new__(Notification)
        fields = one.__dict__
        fields["id"], fields["originator_id"], fields["originator_version"] = values[:3]
        fields["topic"], fields["state"] = values[3:]
        return one

    return made


FIRST_VERSION = 1

NO_VERSION, ANY_VERSION = -1, 2**63 - 1
"""Below the first version of a stream, and above the last; positions, too."""


class LogRecorder(Connected, GroupRecorder):
    """The library's, which commits saves in groups and whose subscriptions are watchful."""

    def __init__(self, datastore: PostgresDatastore, **names: str) -> None:
        super().__init__(datastore, **names)
        self._is_begun: Together[UUID | str, bool] = Together(self._which_began)
        self._statements: dict[str, bytes] = {}
        self.max_notification_id_statement = self.tables.fill(NEWEST)

    def when_another_server(self, tell: Callable[[], object]) -> None:
        """Have `tell` called when the database is another start of a server than it was."""
        if self.starts is not None:
            self.starts.tell.append(tell)

    def is_begun(self, originator_id: UUID | str) -> bool:
        """Whether an event of it is stored. Those who ask at the same time are answered at once."""
        return self._is_begun(originator_id)

    @retry((InterfaceError, OperationalError), max_attempts=MAX_TRIES, wait=RETRY_SECONDS)
    def _which_began(self, ids: Sequence[UUID | str]) -> list[bool]:
        with self.datastore.get_connection() as connection:
            values = (self._ids(ids),)
            rows = connection.execute(
                self._statement(WHICH_BEGAN), values, prepare=True, binary=True
            )
            return [row["is_begun"] for row in rows]

    def _statement(self, text: str) -> bytes:
        """Composing one takes a third of a short read."""
        if text not in self._statements:
            self._statements[text] = self.tables.fill(text).as_bytes()
        return self._statements[text]

    # A stream -----------------------------------------------------------------------------------

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """As the library's; what is archived of a stream is read with it.

        A stream that is found from its first version on costs one look at the live table.
        """
        above, up_to = NO_VERSION if gt is None else gt, ANY_VERSION if lte is None else lte
        which = {"id": originator_id, "gt": above, "lte": up_to}
        found: Sequence[StoredEvent]
        if gt is None:
            found = self._stream(SELECT_STREAM, which)
            if not found or found[0].originator_version > FIRST_VERSION:
                found = self._stream(WHOLE_STREAM, which)
        else:
            found = self._stream(NEWER_IN_STREAM, which)
            if any(one.topic is None for one in found):
                found = self._stream(WHOLE_STREAM, which)
        return (found[::-1] if desc else found)[:limit]

    @retry((InterfaceError, OperationalError), max_attempts=MAX_TRIES, wait=RETRY_SECONDS)
    def _stream(self, statement: str, which: Mapping[str, Any]) -> Sequence[StoredEvent]:
        with self.datastore.get_connection() as connection:
            cursor = connection.cursor(row_factory=stream_row(which["id"]))
            cursor.execute(self._statement(statement), which, prepare=True, binary=True)
            return cursor.fetchall()

    def select_streams(self, ids: Sequence[Any], end: int) -> Sequence[Notification]:
        """Everything up to the position `end` of those aggregates, in the order of the log."""
        found: Sequence[Notification] = self._log(STREAMS_UP_TO, {"ids": list(ids), "end": end})
        return found

    # The log ------------------------------------------------------------------------------------

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """As the library's; what is archived is read in its place.

        Behind the last event that is archived that costs one look at an index.
        """
        above = NO_VERSION if start is None else start - inclusive_of_start
        which = {"gt": above, "lte": stop, "topics": list(topics), "limit": limit}
        narrower = {"ends": stop is not None, "of_topics": bool(topics)}
        found: Sequence[Notification] = self._log(narrowed(NEWER_IN_LOG, **narrower), which)
        if any(one.topic is None for one in found):
            found = self._log(narrowed(WHOLE_LOG, **narrower), which)
        return found

    @retry((InterfaceError, OperationalError), max_attempts=MAX_TRIES, wait=RETRY_SECONDS)
    def _log(self, statement: str, which: Mapping[str, Any]) -> list[Notification]:
        with self.datastore.get_connection() as connection:
            cursor = connection.cursor(row_factory=log_row)
            cursor.execute(self._statement(statement), which, prepare=True, binary=True)
            return cursor.fetchall()

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return WatchfulSubscription(recorder=self, gt=gt, topics=topics)


# No row of the first, no call of the second. The lock on the log, which everybody who saves waits
# for, is taken and given back by the server alone: a client that has to be woken for its commit may
# be a busy interpreter's.
APPEND_TRACKED = """
WITH tracked AS (
    INSERT INTO {schema}.{tracking} AS reached (application_name, notification_id)
    VALUES (%s, %s::bigint)
    ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id
    WHERE reached.notification_id < excluded.notification_id
    RETURNING 1
)
SELECT {schema}.{append}(%b, %b, %b, %b) AS id FROM tracked
"""


class ProcessRecorder(OnOneServer, LogRecorder, PostgresProcessRecorder):
    """Events and tracking in one transaction, with the same watchfulness."""

    def __init__(self, datastore: PostgresDatastore, **names: str) -> None:
        super().__init__(datastore, **names)
        tracking = {"tracking": Identifier(self.tracking_table_name)}
        self._append_tracked = self.tables.fill(APPEND_TRACKED, **self.parts, **tracking).as_bytes()

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """As the library's: events with the position of what they answer are one statement."""
        tracking = kwargs.get("tracking")
        is_alone = all(one is None for name, one in kwargs.items() if name != "tracking")
        if tracking is None or not stored_events or not is_alone:
            ids: Sequence[int] | None = super().insert_events(stored_events, **kwargs)
        else:
            ids = self._insert_tracked(stored_events, tracking)
        return ids

    @retry((InterfaceError, OperationalError), max_attempts=MAX_TRIES, wait=RETRY_SECONDS)
    def _insert_tracked(
        self, stored_events: Sequence[StoredEvent], tracking: Tracking
    ) -> Sequence[int]:
        values = (tracking.application_name, tracking.notification_id, *self.columns(stored_events))
        with self.datastore.get_connection() as connection:
            self.check_server()
            cursor = connection.execute(self._append_tracked, values, prepare=True, binary=True)
            rows: list[DictRow] = cursor.fetchall()
        if not rows:
            raise IntegrityError(f"{tracking} is not further than what is stored.")
        return [row["id"] for row in rows]

    def _insert_events(
        self, curs: Cursor[DictRow], stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> None:
        if kwargs.get("tracking") is not None:
            self.check_server()
        super()._insert_events(curs, stored_events, **kwargs)


class Factory(PostgresFactory):
    """The library's factory, with whatever else the URL asks for (`sslmode`, keepalives …)."""

    application_recorder_class = LogRecorder
    process_recorder_class = ProcessRecorder

    # The library can insert through a stored function. That path takes no table lock, so
    # followers skip events, and it loses tracking records: never turn it on.
    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self.datastore.enable_db_functions = False
        self._starts = Starts(self.datastore.pool)
        if self.env.get(GIVES_WAY):
            self._starts.greetings.append(LIMITED)
        check_together(self.datastore.pool)
        self.datastore.pool.kwargs.update(connect_timeout=CONNECT_SECONDS)  # type: ignore[union-attr]
        url = self.env.get(DATABASE_URL)
        if url:
            extra = {k: v for k, v in conninfo_to_dict(url).items() if k not in _NAMES}
            self.datastore.pool.kwargs.update(extra)  # type: ignore[union-attr]
        self._recorders: list[object] = []

    def application_recorder(self) -> ApplicationRecorder:
        return self._known(super().application_recorder())

    def process_recorder(self) -> AnyProcessRecorder:
        return self._known(super().process_recorder())

    def tracking_recorder(
        self, tracking_recorder_class: type[TTracking] | None = None
    ) -> TTracking:
        return self._known(super().tracking_recorder(tracking_recorder_class))

    def _known(self, recorder: TRecorder) -> TRecorder:
        self._recorders.append(recorder)
        if isinstance(recorder, Connected):
            recorder.starts = self._starts
        if isinstance(recorder, OnOneServer):
            self._starts.tell.append(recorder.move)
        return recorder

    def close(self) -> None:
        """Close recorders and pool. Whoever waits to save gets an `OperationalError`."""
        self._close_recorders()
        super().close()

    def __exit__(self, *error: Any) -> None:
        self._close_recorders()
        super().__exit__(*error)

    def _close_recorders(self) -> None:
        for recorder in self._recorders:
            if isinstance(recorder, GroupRecorder):
                recorder.close()


def store_env(
    url: str,
    *,
    pool_size: int = 2,
    max_overflow: int = 18,
    creates_tables: bool = False,
    gives_way: bool = False,
) -> dict[str, str]:
    """The environment that opens the log in the database at `url`, which `prepare` has prepared.

    `pool_size` connections are kept, up to `max_overflow` more are opened under load. Tables are
    created by `prepare` alone: processes that start together would trip over each other. It also
    `gives_way`: no connection waits for a lock for long.
    """
    parts: Mapping[str, object] = {"host": "localhost", **conninfo_to_dict(url)}
    env = {_NAMES[key]: str(value) for key, value in parts.items() if key in _NAMES}
    return {
        "POSTGRES_PASSWORD": "",
        "POSTGRES_USER": os.environ.get("PGUSER", "postgres"),
        **env,
        DATABASE_URL: url,
        "PERSISTENCE_MODULE": f"{__name__}:Factory",
        "POSTGRES_POOL_SIZE": str(pool_size),
        "POSTGRES_MAX_OVERFLOW": str(max_overflow),
        "POSTGRES_CONNECT_TIMEOUT": "10",
        "POSTGRES_PRE_PING": "y",
        "CREATE_TABLE": "y" if creates_tables else "n",
        GIVES_WAY: "y" if gives_way else "",
    }
