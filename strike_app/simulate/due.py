"""The table of what is due, in memory: claims with a lease, and the higher version wins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from strike_app.simulate.loop import LoopClock

LEASE = timedelta(seconds=9)
"""How long a worker that died keeps what it had claimed, as `STRIKE_LEASE_SECONDS`."""


@dataclass
class Row:
    """When to look at something next. `kept` is what the last look wants to know next time."""

    id: UUID
    version: int
    deadline: datetime | None
    kept: Any = None
    claimed_by: str | None = None
    claimed_until: datetime | None = None

    def free_at(self) -> datetime | None:
        """When somebody may claim it; None if there is nothing to do."""
        if self.deadline is None or self.claimed_until is None:
            return self.deadline
        return max(self.deadline, self.claimed_until)


class DueRows:
    """What `pager_process_state` and `render_poll_state` are in PostgreSQL."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._rows: dict[UUID, Row] = {}
        self._changed = asyncio.Event()

    def put(self, row_id: UUID, version: int, deadline: datetime | None, kept: Any = None) -> None:
        """Write a row, unless a newer one is there. The claim on it stays."""
        row = self._rows.setdefault(row_id, Row(row_id, 0, None))
        if version >= row.version:
            row.version, row.deadline, row.kept = version, deadline, kept
            self.notify()

    def keep(self, seen: Row, version: int, deadline: datetime | None, kept: Any) -> None:
        """Write what came of a look, unless somebody has written since it was claimed."""
        row = self._rows[seen.id]
        if row.version == version:
            row.deadline, row.kept = deadline, kept
            self.notify()

    def claim(self, worker: str) -> Row | None:
        """The row that is due longest and that nobody has."""
        now = self._clock.now()
        due = [row for row in self._rows.values() if (at := row.free_at()) and at <= now]
        row = min(due, key=lambda one: (one.deadline, one.id), default=None)
        if row is not None:
            row.claimed_by, row.claimed_until = worker, now + LEASE
        return row

    def release(self, row: Row, worker: str, until: datetime | None) -> None:
        """Give a claim back: only this very one."""
        if self.is_held(row, worker, until):
            row.claimed_by = row.claimed_until = None
            self.notify()

    def is_held(self, row: Row, worker: str, until: datetime | None) -> bool:
        """Whether that very claim still stands."""
        return row.claimed_by == worker and row.claimed_until == until

    def notify(self) -> None:
        """Wake whoever waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Until something may be due."""
        times: Iterable[datetime | None] = (row.free_at() for row in self._rows.values())
        next_at = min((at for at in times if at is not None), default=None)
        changed = self._changed
        if next_at is None:
            await changed.wait()
            return
        pause = max(0.001, (next_at - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(pause):
                await changed.wait()
        except TimeoutError:
            return
