"""What changed, as it changes: one LISTEN connection for all who wait in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog

from strike_adapters.postgres.views.view import CHANGES

LOOK_EVERY = 1.0
"""Seconds after which everyone looks although nobody was told: a NOTIFY can be lost."""

RECONNECT = 0.5
"""Seconds before a lost connection is opened again."""

logger = structlog.get_logger()


@dataclass(eq=False)
class Watch:
    """One who waits. Many changes while it is busy are one wake-up: the latest state wins."""

    eco_id: UUID | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float = LOOK_EVERY) -> bool:
        """Until something changed, or so many seconds are over; whether something changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        changed = self._woken.is_set()
        self._woken.clear()
        return changed


class Changes:
    """The change feed of the read models (`strike_changes`)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._watches: set[Watch] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen. Goes on by itself when the database was away."""
        self._task = asyncio.create_task(self._listen_always())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def watch(self, eco_id: UUID | None = None) -> Iterator[Watch]:
        """Be woken by changes of one ECO, or by every progress of a read model."""
        one = Watch(eco_id)
        self._watches.add(one)
        try:
            yield one
        finally:
            self._watches.discard(one)

    async def _listen_always(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error:
                logger.exception("the change feed lost the database")
            await asyncio.sleep(RECONNECT)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {CHANGES}")
            self._wake_all()  # What was told while nobody listened is gone.
            async for payload in _payloads(connection):
                self._tell(payload)

    def _tell(self, payload: str) -> None:
        eco_id = json.loads(payload).get("eco_id")
        for one in tuple(self._watches):
            if one.eco_id is None or str(one.eco_id) == eco_id:
                one.wake()

    def _wake_all(self) -> None:
        for one in tuple(self._watches):
            one.wake()


async def _payloads(connection: psycopg.AsyncConnection[object]) -> AsyncIterator[str]:
    async for notify in connection.notifies():
        yield notify.payload
