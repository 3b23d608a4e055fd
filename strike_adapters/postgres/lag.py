"""How far a replica is behind, told by the positions of the read models alone.

No clock of another machine is asked, and nothing ages while nothing happens: a replica that has all
that the primary has is not behind, however long ago that was. The server's own
`pg_last_xact_replay_timestamp` grows on an idle primary as on a dead connection.
"""

from __future__ import annotations

from collections import deque
from math import inf

EVERY = 0.05
"""Seconds within which the primary's progress is noted once, as if all of it had been at once."""

MOST_MARKS = 2_000
"""So many are kept. Of a replica that is further behind it is only known that it is."""

AHEAD_SECONDS = 5.0
"""A replica may hear of a position before we do, for a moment: longer, and it has another log."""


class Lag:
    """Seconds are of one clock that only grows. Unknown, so infinite, until it was once level."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()
        self._newest = -1
        self._ahead_since: float | None = -inf
        self.reached = 0
        """The position that the replica is known to have."""

    def primary_is_at(self, position: int, now: float) -> None:
        """Note how far the primary's read models are."""
        if position == self._newest:
            return
        if position < self._newest:  # A backup was put back.
            self._marks.clear()
        # What it had when we first looked, it may have had for hours.
        since = -inf if self._newest < 0 or position < self._newest else now
        self._newest = position
        if position <= self.reached:
            return
        if self._marks and since - self._marks[-1][0] < EVERY:
            since = self._marks.pop()[0]
        if len(self._marks) >= MOST_MARKS:
            since = self._marks[0][0]
            self._marks.clear()
        self._marks.append((since, position))

    def replica_is_at(self, position: int, now: float) -> None:
        """Note how far the replica's read models are."""
        self.reached = position
        while self._marks and self._marks[0][1] <= position:
            self._marks.popleft()
        if position <= self._newest:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = now

    @property
    def is_known(self) -> bool:
        """Whether anybody has said how far the primary is."""
        return self._newest >= 0

    def seconds(self, now: float) -> float:
        """Since when the primary has had something that the replica has not; 0: it has all."""
        return now - self._marks[0][0] if self._marks else 0.0

    def is_ahead(self, now: float) -> bool:
        """Whether it has what the primary does not have: it is a replica of something else."""
        return self._ahead_since is not None and now - self._ahead_since > AHEAD_SECONDS
