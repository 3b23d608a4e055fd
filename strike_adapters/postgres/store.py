"""The event store in PostgreSQL, opened by one URL.

A persistence module of the `eventsourcing` library: its environment names this module, and the
library builds recorders, pools and tables as it always does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    InterfaceError,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)
from eventsourcing.persistence import ProcessRecorder as AnyProcessRecorder
from eventsourcing.postgres import (
    PostgresDatastore,
    PostgresFactory,
    PostgresProcessRecorder,
    PostgresSubscription,
)
from eventsourcing.utils import Environment, EnvType, retry
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import args_row
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.group_commit import GroupRecorder
from strike_adapters.postgres.pools import CONNECT_SECONDS, check_together
from strike_adapters.postgres.together import MAX_TRIES, RETRY_SECONDS, Together

DATABASE_URL = "STRIKE_DATABASE_URL"

_NAMES = {
    "dbname": "POSTGRES_DBNAME",
    "host": "POSTGRES_HOST",
    "port": "POSTGRES_PORT",
    "user": "POSTGRES_USER",
    "password": "POSTGRES_PASSWORD",
}


LOOK_EVERY = 1.0
"""Seconds after which a follower looks at the log although nobody woke it."""


SELECT_STREAMS = """
SELECT notification_id AS id, originator_id, originator_version, topic, state FROM {}
WHERE originator_id = ANY(%s) AND notification_id <= %s ORDER BY notification_id
"""


class WatchfulSubscription(PostgresSubscription):
    """The library's, which waits for a NOTIFY for ever; this one also looks each second.

    A wake-up can be lost: by a connection that is half open, or a pooler in between.
    """

    def _loop_on_pull(self) -> None:
        try:
            self._pull()
            while not self._has_been_stopped:
                self._has_been_notified.wait(LOOK_EVERY)
                self._pull()
        except BaseException as error:
            self._thread_error = self._thread_error or error
            self.stop()


SELECT_STREAM = """
SELECT originator_id, originator_version, topic, state
FROM {}.{}
WHERE originator_id = %s AND originator_version > %s AND originator_version <= %s
ORDER BY originator_version
"""

WHICH_BEGAN = """
SELECT EXISTS (SELECT 1 FROM {}.{} WHERE originator_id = asked.id) AS is_begun
FROM unnest(%b::{}[]) WITH ORDINALITY AS asked (id, place) ORDER BY place
"""

NO_VERSION, ANY_VERSION = -1, 2**63 - 1
"""Below the first version of a stream, and above the last."""


class LogRecorder(GroupRecorder):
    """The library's, which commits saves in groups and whose subscriptions are watchful."""

    def __init__(self, datastore: PostgresDatastore, **names: str) -> None:
        super().__init__(datastore, **names)
        self._is_begun: Together[UUID | str, bool] = Together(self._which_began)

    def is_begun(self, originator_id: UUID | str) -> bool:
        """Whether an event of it is stored. Those who ask at the same time are answered at once."""
        return self._is_begun(originator_id)

    @retry((InterfaceError, OperationalError), max_attempts=MAX_TRIES, wait=RETRY_SECONDS)
    def _which_began(self, ids: Sequence[UUID | str]) -> list[bool]:
        with self.datastore.get_connection() as connection:
            values = (self._ids(ids),)
            rows = connection.execute(self._ask_which_began, values, prepare=True, binary=True)
            return [row["is_begun"] for row in rows]

    @cached_property
    def _ask_which_began(self) -> bytes:
        schema, table = self.datastore.schema, self.events_table_name
        kind = self.datastore.originator_id_type
        return SQL(WHICH_BEGAN).format(*map(Identifier, (schema, table, kind))).as_bytes()

    @cached_property
    def _select_stream(self) -> bytes:
        names = (Identifier(self.datastore.schema), Identifier(self.events_table_name))
        return SQL(SELECT_STREAM).format(*names).as_bytes()

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """As the library's, which composes the statement each time: a third of a short read."""
        if desc or limit is not None:
            found: Sequence[StoredEvent] = super().select_events(
                originator_id, gt=gt, lte=lte, desc=desc, limit=limit
            )
        else:
            above, up_to = NO_VERSION if gt is None else gt, ANY_VERSION if lte is None else lte
            found = self._stream(originator_id, above, up_to)
        return found

    @retry((InterfaceError, OperationalError), max_attempts=MAX_TRIES, wait=RETRY_SECONDS)
    def _stream(self, originator_id: UUID | str, above: int, up_to: int) -> Sequence[StoredEvent]:
        with self.datastore.get_connection() as connection:
            values = (originator_id, above, up_to)
            cursor = connection.cursor(row_factory=args_row(StoredEvent))
            cursor.execute(self._select_stream, values, prepare=True, binary=True)
            return cursor.fetchall()

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return WatchfulSubscription(recorder=self, gt=gt, topics=topics)

    def select_streams(self, ids: Sequence[Any], end: int) -> Sequence[Notification]:
        """Everything up to the position `end` of those aggregates, in the order of the log."""
        table = Identifier(self.datastore.schema, self.events_table_name)
        with self.datastore.get_connection() as connection, connection.cursor() as cursor:
            cursor.execute(SQL(SELECT_STREAMS).format(table), (list(ids), end), prepare=True)
            return [Notification(**{**row, "state": bytes(row["state"])}) for row in cursor]


class ProcessRecorder(LogRecorder, PostgresProcessRecorder):
    """Events and tracking in one transaction, with the same watchfulness."""


class Factory(PostgresFactory):
    """The library's factory, with whatever else the URL asks for (`sslmode`, keepalives …)."""

    application_recorder_class = LogRecorder
    process_recorder_class = ProcessRecorder

    # The library can insert through a stored function. That path takes no table lock, so
    # followers skip events, and it loses tracking records: never turn it on.
    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self.datastore.enable_db_functions = False
        check_together(self.datastore.pool)
        self.datastore.pool.kwargs.update(connect_timeout=CONNECT_SECONDS)  # type: ignore[union-attr]
        url = self.env.get(DATABASE_URL)
        if url:
            extra = {k: v for k, v in conninfo_to_dict(url).items() if k not in _NAMES}
            self.datastore.pool.kwargs.update(extra)  # type: ignore[union-attr]
        self._recorders: list[ApplicationRecorder] = []

    def application_recorder(self) -> ApplicationRecorder:
        self._recorders.append(recorder := super().application_recorder())
        return recorder

    def process_recorder(self) -> AnyProcessRecorder:
        self._recorders.append(recorder := super().process_recorder())
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
    url: str, *, pool_size: int = 2, max_overflow: int = 18, creates_tables: bool = False
) -> dict[str, str]:
    """The environment that opens the log in the database at `url`, which `prepare` has prepared.

    `pool_size` connections are kept, up to `max_overflow` more are opened under load. Tables are
    created by `prepare` alone: processes that start together would trip over each other.
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
    }
