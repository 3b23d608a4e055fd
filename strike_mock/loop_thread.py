"""An event loop in a thread of its own, so that a test that blocks can talk to what runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs from its making until `close`."""

    def __init__(self) -> None:
        self._runs = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._live()), daemon=True)
        self._thread.start()
        self._runs.wait()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Await it over there; what it returns, or raises."""
        return asyncio.run_coroutine_threadsafe(_await(awaitable), self._loop).result()

    def close(self) -> None:
        """Stop the loop, and wait for the end of its thread."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._is_over = asyncio.get_running_loop(), asyncio.Event()
        self._runs.set()
        await self._is_over.wait()


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable
