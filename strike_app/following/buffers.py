"""What waits for one reader: bounded, and each change once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from uuid import UUID

from strike_app.following.changes import Change
from strike_app.following.endings import fell_behind
from strike_domain.errors import StrikeError

MOST_CHANGES = 500
"""Most changes that wait for one reader."""

MOST_BYTES = 4_000_000
"""Most bytes that they hold, about; they are shared with the tenant's other readers."""


class Buffer:
    """Changes after a position for one reader, who is cut off when too many wait.

    `eco_id`: of that ECO only; then the latest is enough, and nobody is ever cut off.
    """

    def __init__(self, after: int, eco_id: UUID | None = None) -> None:
        self.position = after
        """Of the change handed out last: where the reader can begin again."""
        self.eco_id = eco_id
        self._newest = after
        self._waiting: deque[Change] = deque()
        self._bytes = 0
        self._end: StrikeError | None = None
        self._filled = asyncio.Event()

    def offer(self, change: Change) -> None:
        """Let it wait, unless it was told already."""
        if self._end is not None or (change.position <= self._newest and not change.again):
            return
        self._newest = max(change.position, self._newest)
        if self.eco_id is not None:
            self._waiting.clear()
            self._bytes = 0
        self._waiting.append(change)
        self._bytes += change.size
        self._filled.set()
        if len(self._waiting) > MOST_CHANGES or self._bytes > MOST_BYTES:
            self.end(fell_behind(self.position))

    def read_until(self, position: int) -> None:
        """Everything up to there was handed out from elsewhere, or does not concern the reader."""
        self.position = self._newest = max(position, self.position)

    def end(self, error: StrikeError) -> None:
        """Hand out nothing more; what waits is let go."""
        if self._end is None:
            self._end = error
        self._waiting.clear()
        self._filled.set()

    def check(self) -> None:
        """Raise what ended it."""
        if self._end is not None:
            raise self._end

    async def next(self) -> Change:
        """The next change, as soon as there is one. Raises what ended it."""
        while True:
            self.check()
            if self._waiting:
                return self._next()
            self._filled.clear()
            await self._filled.wait()

    def rest(self) -> Iterator[Change]:
        """All others that wait by now."""
        while self._waiting:
            yield self._next()

    def _next(self) -> Change:
        change = self._waiting.popleft()
        self._bytes -= change.size
        self.position = max(change.position, self.position)
        return change
