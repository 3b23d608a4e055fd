"""What changed, as it changes: one LISTEN connection for all who wait in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from strike_adapters.ending import ended
from strike_adapters.postgres.views.view import CHANGES
from strike_domain.log import LOG_NAME

ACCESS = "strike_access"
"""Channel on which triggers say whose rights have changed: `{"user", "tenant"}`, null for all."""

FOLLOWED = ("eco_views", "eco_timeline", "pager_run_views", "eco_map")
"""The read models that answers are made from, and that `waitFor` waits for."""

LOOK_EVERY = 1.0
"""Seconds between two looks at how far the read models are: a NOTIFY can be lost."""

LOOK_SECONDS = 5.0
"""A look that takes longer means that the connection is dead, although nobody said so."""

RECONNECT = 0.5
"""Seconds before a lost connection is opened again."""

KEEPALIVE: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5}

POSITIONS = "\nUNION ALL\n".join(
    f"SELECT '{view}' AS view, notification_id AS position FROM {view}_tracking "  # noqa: S608
    "WHERE application_name = %(log)s"
    for view in FOLLOWED
)
"""How far each read model is; no row for one that has not begun."""

logger = structlog.get_logger()


@dataclass(eq=False)
class Watch:
    """One who waits. Many changes while it is busy are one wake-up: the latest state wins."""

    eco_id: UUID | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def concerns(self, told: Mapping[str, Any]) -> bool:
        """Whether an announcement is about what is waited for."""
        if told.get("all"):
            return True
        return self.eco_id is None or bool(told["eco_id"] == str(self.eco_id))

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Until something changed, or so many seconds are over; whether something changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        changed = self._woken.is_set()
        self._woken.clear()
        return changed


class Listener(Protocol):
    """Somebody who is told everything that this process hears, on its loop; must not block."""

    def told(self, told: Mapping[str, Any]) -> None:
        """A read model has announced something: see `views.view.announcement`."""

    def looked(self) -> None:
        """How far the read models are was looked up; announcements may have been lost before."""

    def access_told(self, told: Mapping[str, Any]) -> None:
        """Somebody's rights have changed."""

    def connected(self) -> None:
        """What was told before, nobody has heard."""


class Changes:
    """The change feed of the read models (`strike_changes`)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.listeners: list[Listener] = []
        self._watches: set[Watch] = set()
        self._positions: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.is_connected = False
        """Whether what is announced is heard; else everybody looks for themselves."""

    async def start(self) -> None:
        """Begin to listen. Goes on by itself when the database was away."""
        self._task = asyncio.create_task(self._listen_always())

    async def stop(self) -> None:
        if self._task:
            await ended(self._task)

    @contextmanager
    def watch(self, eco_id: UUID | None = None) -> Iterator[Watch]:
        """Be woken by changes of one ECO, or by every progress of a read model."""
        one = Watch(eco_id)
        self._watches.add(one)
        try:
            yield one
        finally:
            self._watches.discard(one)

    def reached(self) -> int:
        """The position that all read models are known to have taken in; they may be further."""
        return min(self._positions.get(view, 0) for view in FOLLOWED)

    def reached_by(self, view: str) -> int:
        """The position that one read model is known to have taken in."""
        return self._positions.get(view, 0)

    def take(self, payload: str) -> None:
        """Note what a read model has announced, and wake those whom it concerns."""
        told = json.loads(payload)
        view, position = told["view"], int(told["position"])
        if view in FOLLOWED:
            self._positions[view] = max(position, self._positions.get(view, 0))
        for one in tuple(self._watches):
            if one.concerns(told):
                one.wake()
        for listener in self.listeners:
            listener.told(told)

    def take_look(self, positions: dict[str, int]) -> None:
        """Note how far the read models really are; wake everybody if that was not told."""
        was_told = positions == self._positions
        self._positions = dict(positions)
        if not was_told:
            self._wake_all()
        for listener in self.listeners:
            listener.looked()

    def take_access(self, payload: str) -> None:
        """Pass on whose rights have changed."""
        told = json.loads(payload)
        for listener in self.listeners:
            listener.access_told(told)

    def _wake_all(self) -> None:
        for one in tuple(self._watches):
            one.wake()

    async def _listen_always(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, TimeoutError) as error:
                logger.warning("the change feed lost the database", reason=type(error).__name__)
            except Exception:
                # Without the feed everybody would wait in vain: nothing may end it.
                logger.exception("the change feed failed")
            await asyncio.sleep(RECONNECT)

    async def _listen(self) -> None:
        connection: AsyncConnection[DictRow] = await AsyncConnection.connect(
            self._url, autocommit=True, row_factory=dict_row, **KEEPALIVE
        )
        try:
            await connection.execute(f"LISTEN {CHANGES}")
            await connection.execute(f"LISTEN {ACCESS}")
            self.is_connected = True
            self._wake_all()  # What was told while nobody listened is gone.
            for listener in self.listeners:
                listener.connected()
            while True:
                async with asyncio.timeout(LOOK_SECONDS):
                    self.take_look(await read_positions(connection))
                async for notify in connection.notifies(timeout=LOOK_EVERY):
                    take = self.take_access if notify.channel == ACCESS else self.take
                    take(notify.payload)
        finally:
            self.is_connected = False
            # Not the context manager: on a dead connection it would wait for an answer.
            await connection.close()


async def read_positions(connection: AsyncConnection[DictRow]) -> dict[str, int]:
    """How far each read model of `FOLLOWED` is; one that has not begun is left out."""
    cursor = await connection.execute(POSITIONS.encode(), {"log": LOG_NAME})
    return {row["view"]: row["position"] for row in await cursor.fetchall()}
