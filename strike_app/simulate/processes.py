"""Processes that can be killed at any moment, and are started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from datetime import datetime
from typing import Any

OWNER: ContextVar[Process | None] = ContextVar("OWNER", default=None)
"""The process to which whatever is started now belongs; None: the outside."""


def belonging(loop: asyncio.AbstractEventLoop, work: Any, **kwargs: Any) -> asyncio.Task[Any]:
    """A task factory: what a process starts, however indirectly, dies with it."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **kwargs)
    context = kwargs.get("context")
    owner = context.get(OWNER) if context is not None else OWNER.get()
    if owner is not None:
        owner.adopt(task)
    return task


class Killed(BaseException):
    """A process of Strike dies here. No code of it may survive that."""


class Process:
    """Runs `main` until it is killed; then, after `restart` seconds, again."""

    def __init__(
        self,
        name: str,
        main: Callable[[], Coroutine[Any, Any, None]],
        restart: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.died_at: list[datetime] = []
        self.is_up = False
        self.crashes: list[BaseException] = []
        self._main = main
        self._restart = restart
        self._now = now
        self._tasks: dict[asyncio.Task[Any], None] = {}  # In order: a set would have none.
        self._supervisor: asyncio.Task[None] | None = None
        self._dead = asyncio.Event()

    def start(self) -> None:
        """Start it, and see to it that it runs."""
        self._supervisor = asyncio.create_task(self._supervise())

    def kill(self) -> None:
        """End everything it does, wherever that is."""
        self.died_at.append(self._now())
        self.is_up = False
        self._dead.set()
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something that dies with the process."""
        context = copy_context()
        context.run(OWNER.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Let `task` die with the process."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def serve(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do something for a client, who sees the connection break if the process dies."""
        if not self.is_up:
            raise ConnectionError(f"{self.name} is down")

        async def answer() -> Any:
            return await work()

        task = self.spawn(answer())
        task.add_done_callback(_ignore)  # Whoever asked may be gone by then.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ConnectionError(f"{self.name} died") from None
            raise
        except Killed:
            self.kill()
            raise ConnectionError(f"{self.name} died") from None

    async def stop(self) -> None:
        """End it for good."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _supervise(self) -> None:
        while True:
            self._dead = asyncio.Event()
            self.is_up = True
            main = self.spawn(self._main())
            dead = asyncio.create_task(self._dead.wait())
            await asyncio.wait([main, dead], return_when=asyncio.FIRST_COMPLETED)
            dead.cancel()
            self._look_why(main)
            await asyncio.sleep(self._restart())

    def _look_why(self, main: asyncio.Task[Any]) -> None:
        if not main.done() or main.cancelled():
            return
        error = main.exception()
        if self.is_up:
            if error is not None and not isinstance(error, Killed):
                self.crashes = [*self.crashes, error][:3]
            self.kill()


def _ignore(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
