"""How a task is ended for good."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

AGAIN_SECONDS = 5.0
"""After which a task that goes on is cancelled once more."""


def ended(task: asyncio.Task[Any]) -> Coroutine[Any, Any, None]:
    """Cancel a task, and what waits until it has ended. Raises what that was, if it did not obey.

    A cancellation can get lost: `asyncio.wait_for` before Python 3.12 drops one that comes in the
    moment in which it has its answer (https://github.com/python/cpython/issues/86296), and drivers
    and pools wait by it. To wait for such a task is to wait for ever.
    """
    task.cancel()
    return _wait(task)


async def _wait(task: asyncio.Task[Any]) -> None:
    while not (await asyncio.wait([task], timeout=AGAIN_SECONDS))[0]:
        task.cancel()
    with suppress(asyncio.CancelledError):
        task.result()
