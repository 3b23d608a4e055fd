"""One call after another: how an account's calls wait for the rate at which it may start them.

https://www.twilio.com/docs/voice/api/call-resource (calls per second)
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from strike_mock.clock import Clock


class Turns:
    """The queue of one account: first come, first served; who is cancelled leaves it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counter = asyncio.Lock()
        self._free_at: datetime | None = None

    async def take(self, calls_per_second: float) -> None:
        """Wait until the next call may start."""
        async with self._counter:
            if (wait := self.seconds_left()) > 0:
                await self._clock.sleep(wait)
            self._free_at = self._clock.now() + timedelta(seconds=1 / calls_per_second)

    def seconds_left(self) -> float:
        """How long whoever is first must still wait, in seconds."""
        if self._free_at is None:
            return 0.0
        return max(0.0, (self._free_at - self._clock.now()).total_seconds())
