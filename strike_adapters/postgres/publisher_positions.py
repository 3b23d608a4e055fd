"""How far the log has been published, and whose turn it is to publish it.

One connection holds the advisory lock, writes the position and hears of new events: whoever has
lost the lock cannot write the position either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.archive.tables import NEWEST_POSITION
from strike_adapters.postgres.changes import KEEPALIVE
from strike_adapters.postgres.follower_states import lock_keys

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS publisher_positions (
    publisher text PRIMARY KEY,
    position bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

HOW_FAR = f"""
SELECT coalesce((SELECT position FROM publisher_positions WHERE publisher = %s), 0),
    {NEWEST_POSITION}
"""  # noqa: S608

STORE = """
INSERT INTO publisher_positions (publisher, position) VALUES (%s, %s)
ON CONFLICT (publisher) DO UPDATE SET position = excluded.position, at = clock_timestamp()
"""


@dataclass(frozen=True)
class HowFar:
    """The position published last, and that of the log's newest event; 0: none."""

    published: int
    newest: int

    @property
    def lag(self) -> int:
        """Positions between the two. Not every position is an event: some were never used."""
        return max(0, self.newest - self.published)


def how_far(url: str, publisher: str) -> HowFar | None:
    """None if the database cannot say."""
    try:
        with psycopg.connect(url, **KEEPALIVE) as connection:
            row = connection.execute(HOW_FAR, (publisher,)).fetchone()
    except psycopg.Error:
        return None
    return HowFar(*row) if row else None


class Turn:
    """It is this process's turn, as long as this connection lives."""

    def __init__(self, connection: AsyncConnection, publisher: str) -> None:
        self._connection = connection
        self._publisher = publisher

    async def how_far(self) -> HowFar:
        cursor = await self._connection.execute(HOW_FAR, (self._publisher,))
        row = await cursor.fetchone()
        return HowFar(*row) if row else HowFar(0, 0)

    async def store(self, position: int) -> None:
        """Everything up to `position` is published. It may be less than was stored before."""
        await self._connection.execute(STORE, (self._publisher, position))

    async def listen(self, channel: str) -> None:
        """Let `news` hear of new events, of which that channel tells."""
        await self._connection.execute(SQL("LISTEN {}").format(Identifier(channel)))

    async def news(self, seconds: float) -> None:
        """Return when something was stored in the log, or after so many seconds."""
        async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass


@asynccontextmanager
async def turn_of(url: str, publisher: str) -> AsyncIterator[Turn | None]:
    """The turn to publish; None if somebody else has it."""
    keys = lock_keys(publisher)
    connection = await AsyncConnection.connect(url, autocommit=True, **KEEPALIVE)
    async with connection:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", keys)
        row = await cursor.fetchone()
        yield Turn(connection, publisher) if row and row[0] else None
