"""What a pool does when the database has gone away and come back."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from eventsourcing.persistence import OperationalError
from psycopg.rows import DictRow, scalar_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout
from psycopg_pool.base import AttemptWithBackoff

T = TypeVar("T")

Pool = ConnectionPool[psycopg.Connection[DictRow]]
"""Rows are dictionaries, statements commit by themselves: `directory.open_pool` makes them."""


class Connections(Protocol):
    """Where a connection is to be had: a pool, or the part of one that a tenant may see."""

    def connection(self) -> AbstractContextManager[psycopg.Connection[DictRow]]: ...


CONNECT_SECONDS = 3
"""How long one try to connect may take: one that hangs must not outlast the database's absence."""

FRESH_SECONDS = 0.25
"""How long a connection that was checked needs no check: under load they would be a third of the
work, and a database that goes away meanwhile fails what is under way in any case."""

RETRY_SECONDS = 0.25
"""How long a pool rests between two tries to connect."""


def check_together(pool: ConnectionPool[Any]) -> None:
    """Check connections before use, and at the first broken one all the others as well.

    One by one, the pool would wait 1, 2, 4 … seconds between them: after a restart of the
    database the next commands would fail, and a person who has just pressed 1 hear nothing.
    """

    checked = _Checked()

    def check(connection: psycopg.Connection[Any]) -> None:
        if checked.is_fresh(connection):
            return
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            pool.check()
            raise
        checked.note(connection)

    pool._check = check  # It needs the pool, which its maker cannot be given yet.
    reconnect_steadily(pool)


WHICH_START = "SELECT pg_postmaster_start_time()"


def start_of(connection: psycopg.Connection[Any]) -> object:
    """When the server began that a connection leads to: no two have that in common."""
    return connection.cursor(row_factory=scalar_row).execute(WHICH_START).fetchone()


class Starts:
    """Tells when a new connection of a pool leads to another server, or to one started anew.

    It may have less than the one before it. Made before the pool opens; those in `tell` are called
    before anything is asked over the connection.
    """

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self.tell: list[Callable[[], object]] = []
        self.known: object = None
        """The start of the server that the newest connection leads to."""
        self.greetings: list[str] = []
        """What else is said over each new connection first."""
        self._configure: Any = pool._configure
        pool._configure = self._greet

    def _greet(self, connection: psycopg.Connection[Any]) -> None:
        self._configure(connection)
        for said in self.greetings:
            connection.execute(said.encode())
        found = start_of(connection)
        before, self.known = self.known, found
        if before not in (None, found):
            for one in self.tell:
                one()


class Connected:
    """A recorder that knows of the servers behind its connections."""

    starts: Starts | None = None
    """The factory sets it."""


class OnOneServer(Connected):
    """A recorder that stores a position only on the server that it was opened on.

    Another one may have a shorter log: what was read up to that position would never be followed.
    """

    is_elsewhere = False

    def move(self) -> None:
        """From now on no position is stored."""
        self.is_elsewhere = True

    def check_server(self) -> None:
        """Raises `OperationalError` if the database is another server, or was started anew."""
        if self.is_elsewhere:
            raise OperationalError("The database is another server: follow it from its position.")


def server_of(recorder: object) -> object:
    """Which server a recorder's newest connection leads to; None if that is not kept."""
    starts = getattr(recorder, "starts", None)
    return starts and starts.known


def has_word(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server has sent what nobody asked for, as it does when it ends a connection.

    Asks only the operating system.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def is_ended(error: psycopg.OperationalError) -> bool:
    """Whether the server has ended the connection, as it does when it is shut down."""
    return not isinstance(error, PoolTimeout) and (error.sqlstate or "57P0").startswith("57P0")


def again_if_ended(command: Callable[[], T]) -> T:
    """What `command` gives; asked once more if the server ended its connection meanwhile.

    Only for what may be done twice: whether the first time counted, nobody knows. The connection
    was in order a moment ago, and the pool looks at the next one first.
    """
    try:
        return command()
    except psycopg.OperationalError as error:
        if not is_ended(error):
            raise
        return command()


def check_together_async(pool: AsyncConnectionPool[Any]) -> None:
    """The same for a pool of asynchronous connections."""

    checked = _Checked()

    async def check(connection: psycopg.AsyncConnection[Any]) -> None:
        if checked.is_fresh(connection):
            return
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            await pool.check()
            raise
        checked.note(connection)

    pool._check = check
    reconnect_steadily(pool)


def reconnect_steadily(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> None:
    """Try to connect every `RETRY_SECONDS`; the pool's own way waits 1, 2, 4, 8 … seconds.

    After an absence of 20 s that leaves commands without a connection for another 12 although
    the database is back. No database minds four attempts a second.
    """
    add: Any = pool._add_connection

    def add_connection(attempt: AttemptWithBackoff | None, growing: bool = False) -> Any:
        return add(attempt or _Steadily(timeout=pool.reconnect_timeout), growing)

    pool._add_connection = add_connection  # type: ignore[method-assign]


class _Checked:
    """When each connection of a pool was found in order."""

    def __init__(self) -> None:
        self._at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def note(self, connection: Any) -> None:
        self._at[connection] = time.monotonic()

    def is_fresh(self, connection: Any) -> bool:
        """Whether that was a moment ago, and the server has not ended it since."""
        is_recent = time.monotonic() < self._at.get(connection, 0) + FRESH_SECONDS
        return is_recent and not has_word(connection)


class _Steadily(AttemptWithBackoff):
    INITIAL_DELAY = RETRY_SECONDS
    DELAY_BACKOFF = 1.0
