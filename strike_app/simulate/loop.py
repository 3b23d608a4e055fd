"""An event loop in which waiting takes no time: its clock jumps to what is due next.

Blocking code runs in fibres (greenlets). Wherever it would wait for the outside, it hands an
awaitable to the loop, and others go on meanwhile: that is where the interleavings of many threads
and machines come from, in an order that depends on the seed alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from strike_app.simulate.processes import belonging

T = TypeVar("T")

EPOCH = datetime(2026, 1, 15, 3, 0, tzinfo=UTC)
"""When every story begins."""

_RESOLUTION = 1e-6


MOST_TURNS = 60_000
"""A story has a tenth of these; one that has more goes round in circles."""


class Stuck(RuntimeError):
    """Nothing is due any more, or too much, and yet the story has not ended."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Time passes only when nothing can run; everything runs in this one thread."""

    def __init__(self) -> None:
        super().__init__(_Jump(self))
        self.seconds = 0.0
        self.turns = 0
        self._clock_resolution = _RESOLUTION
        self.set_task_factory(belonging)

    def time(self) -> float:
        """Simulated seconds since `EPOCH`."""
        return self.seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Blocking code runs in a fibre instead of a thread."""
        return self.create_task(blocking(lambda: func(*args)))


class _Jump(selectors.SelectSelector):
    """Has nothing to listen to: where a real selector would wait, the clock goes on."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.turns += 1
        if self._loop.turns > MOST_TURNS:
            raise Stuck("something goes round and round")
        if timeout is None:
            raise Stuck("nothing is due any more")
        if timeout > 0:
            self._loop.seconds += timeout
        return []


class LoopClock:
    """The simulated time of the running loop, for Strike and for the mock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Now, aware, in UTC, in whole microseconds."""
        return EPOCH + timedelta(microseconds=round(self._loop.time() * 1e6))

    async def sleep(self, seconds: float) -> None:
        """Let simulated time pass."""
        await asyncio.sleep(max(0.0, seconds))


class _Fibre(greenlet):
    pass


def is_fibre() -> bool:
    """Whether this code may wait."""
    return isinstance(getcurrent(), _Fibre)


def wait(awaitable: Awaitable[T]) -> T:
    """Wait in blocking code; the loop goes on. Only inside `blocking`."""
    here = getcurrent()
    if not isinstance(here, _Fibre) or here.parent is None:
        raise RuntimeError("blocking code must run inside `blocking`")
    result: T = here.parent.switch(awaitable)
    return result


async def blocking(function: Callable[[], T]) -> T:
    """Run blocking code in a fibre; cancelling this throws CancelledError where it waits."""
    fibre = _Fibre(function)
    fibre.gr_context = contextvars.copy_context()
    answer: Any = fibre.switch()
    while not fibre.dead:
        try:
            value = await answer
        except BaseException as error:
            answer = fibre.throw(error)
        else:
            answer = fibre.switch(value)
    result: T = answer
    return result
