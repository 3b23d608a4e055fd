"""Simulated time: everything in the mock that waits, waits on one of these clocks."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Tells simulated time and waits for it."""

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of simulated time."""
        ...


class ScaledClock:
    """Simulated now = epoch + (wall - epoch) * speed; speed 1 is real time.

    Two processes with the same speed and epoch agree about the simulated time.
    """

    def __init__(self, speed: float = 1.0, epoch: datetime | None = None) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.epoch = epoch or datetime.now(UTC)

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        return self.epoch + (datetime.now(UTC) - self.epoch) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of simulated time, which is seconds / speed on the wall."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)


class VirtualClock:
    """Stands still until `advance` is called: hours pass in milliseconds, in a fixed order."""

    # One waking may set off a chain of tasks; this many turns of the loop let it come to rest.
    _TURNS = 40

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (due, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking each sleeper at its own time, and what it sets off."""
        end = self._now + timedelta(seconds=seconds)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._now = due
            future.set_result(None)
            await self.settle()
        self._now = end

    async def settle(self) -> None:
        """Let everything that can run without time passing run."""
        for _ in range(self._TURNS):
            await asyncio.sleep(0)


async def first_of(*coroutines: Coroutine[Any, Any, T]) -> T:
    """Return what ends first (on a tie, the one given first), and cancel the rest."""
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
