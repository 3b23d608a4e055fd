"""How a task is ended for good."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

AGAIN_SECONDS = 5.0
"""After which a task that goes on is cancelled once more."""


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait until it has ended. Raises what it ended with, if it did not obey.

    A cancellation can get lost: `asyncio.wait_for` before Python 3.12 drops one that comes in the
    moment in which it has its answer (https://github.com/python/cpython/issues/86296), and drivers
    and pools wait by it. To wait for such a task is to wait for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_SECONDS)
    with suppress(asyncio.CancelledError):
        task.result()
