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


class SteppedClock:
    """A scaled clock that can be paused, stepped, sped up, and told to skip some time.

    As long as nobody has touched it, it says what a ScaledClock of the same speed and epoch says.
    Another process's clock does not follow what is done to this one.
    """

    # Whatever a waking sets off over the network gets this long, in real seconds, when time is
    # skipped: a request takes real time, however fast the simulated time goes by.
    _BREATH = 0.02

    def __init__(
        self, speed: float = 1.0, epoch: datetime | None = None, *, paused: bool = False
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.epoch = epoch or datetime.now(UTC)
        self._shown, self._since = self.epoch, self.epoch
        self._paused = False
        self._held = False
        self._one_at_a_time = asyncio.Lock()
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._changed: asyncio.Event | None = None
        self._driver: asyncio.Task[None] | None = None
        if paused:
            self._set(paused=True)

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        if self._stands_still:
            return self._shown
        return self._shown + (datetime.now(UTC) - self._since) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of simulated time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self.now() + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (due, next(self._order), future))
        self._drive()
        await future

    def pause(self) -> None:
        """Stand still."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._set(paused=False)

    def set_speed(self, speed: float) -> None:
        """From now on `speed` simulated seconds pass in a real one. Raises ValueError up to 0."""
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed:g}")
        self._set(speed=speed)

    async def skip(self, seconds: float) -> None:
        """Let `seconds` pass at once, waking each sleeper at its own time.

        Meanwhile time does not pass by itself; afterwards it does again, unless it is paused.
        """
        async with self._one_at_a_time:
            end = self.now() + timedelta(seconds=seconds)
            self._set(held=True)
            try:
                while (due := self._next_due()) is not None and due <= end:
                    await self._go_to(due)
                self._shown = max(self._shown, end)
            finally:
                self._set(held=False)

    async def step(self) -> datetime:
        """Go on to the next moment at which something is due, if anything is, and return it.

        It stands still afterwards.
        """
        async with self._one_at_a_time:
            self.pause()
            self._set(held=True)
            try:
                if (due := self._next_due()) is not None:
                    await self._go_to(due)
                return self._shown
            finally:
                self._set(held=False)

    async def close(self) -> None:
        """Wake nobody any more."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)

    @property
    def _stands_still(self) -> bool:
        return self._paused or self._held

    def _set(
        self, *, paused: bool | None = None, held: bool | None = None, speed: float | None = None
    ) -> None:
        self._shown, self._since = self.now(), datetime.now(UTC)
        self._paused = self._paused if paused is None else paused
        self._held = self._held if held is None else held
        self.speed = self.speed if speed is None else speed
        if self._changed is not None:
            self._changed.set()

    async def _go_to(self, due: datetime) -> None:
        self._shown = max(self._shown, due)
        self._wake()
        await asyncio.sleep(self._BREATH)

    def _next_due(self) -> datetime | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self) -> None:
        now = self.now()
        while (due := self._next_due()) is not None and due <= now:
            heapq.heappop(self._sleepers)[2].set_result(None)

    def _drive(self) -> None:
        if self._driver is None or self._driver.done():
            self._changed = asyncio.Event()
            self._driver = asyncio.get_running_loop().create_task(self._drive_on())
        elif self._changed is not None:
            self._changed.set()

    async def _drive_on(self) -> None:
        """Wake whoever's time has come, as long as anybody sleeps."""
        changed = self._changed or asyncio.Event()
        while (due := self._next_due()) is not None:
            changed.clear()
            pause = None if self._stands_still else (due - self.now()).total_seconds() / self.speed
            try:
                async with asyncio.timeout(None if pause is None else max(0.0, pause)):
                    await changed.wait()
            except TimeoutError:
                pass
            if not self._stands_still:
                self._wake()
