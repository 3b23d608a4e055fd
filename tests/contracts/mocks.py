"""The mock in a thread of its own, so that synchronous adapters can be tried on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import Any, TypeVar

from strike_mock import Account, Mock, MockSettings, RenderClient, VirtualClock
from strike_mock.courier import Courier
from strike_mock.edges import Fault
from strike_mock.tasks import Project, Subsector, Task
from strike_mock.testing import ScriptedStrike

CLIENT = RenderClient(id="osp-1", secret="the-client-secret")
ACCOUNTS = (
    Account(sid="AC" + "1" * 32, token="token of the first"),
    Account(sid="AC" + "2" * 32, token="token of the second"),
)
START = datetime(2026, 3, 1, 2, tzinfo=UTC)

Result = TypeVar("Result")


@dataclass
class ThreadedMock:
    """A running mock, whose clock stands still, and the loop that alone may touch it."""

    mock: Mock
    clock: VirtualClock
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.mock.url

    def wait_for(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=20)

    def do(self, action: Callable[[], Result]) -> Result:
        """Run `action` in the mock's thread."""

        async def act() -> Result:
            return action()

        return self.wait_for(act())

    def advance(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.wait_for(self.clock.advance(seconds))

    def project(self, name: str) -> Project:
        return self.mock.render.projects[name]

    def subsector(self, project: str, subsector_id: str) -> Subsector:
        found = self.project(project).subsector(subsector_id)
        assert found is not None
        return found

    def tasks(self, project: str, subsector_id: str) -> list[Task]:
        return self.do(lambda: list(self.subsector(project, subsector_id).tasks))


@contextmanager
def running_mock(
    faults: Sequence[Fault] = (),
    courier: Courier | None = None,
) -> Iterator[ThreadedMock]:
    """A mock that knows `CLIENT` and `ACCOUNTS`, of the happy path, with both ports open."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="mock")
    thread.start()
    clock = VirtualClock(START)
    mock = Mock(
        MockSettings(render_clients=(CLIENT,), accounts=ACCOUNTS),
        clock=clock,
        courier=courier or ScriptedStrike(),
        faults=faults,
    )
    try:
        asyncio.run_coroutine_threadsafe(mock.start(), loop).result(timeout=20)
        yield ThreadedMock(mock, clock, loop)
    finally:
        asyncio.run_coroutine_threadsafe(mock.stop(), loop).result(timeout=20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=20)
        loop.close()
