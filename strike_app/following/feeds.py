"""The feeds of this process: one for each tenant that somebody follows, woken by one LISTEN."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog

from strike_adapters.ending import ended
from strike_app.following.endings import unknown
from strike_app.following.tenant_feed import Source, TenantFeed
from strike_domain.errors import Unavailable

TIMELINE = "eco_timeline"
"""The read model that has a line for each change."""

HOLD_SECONDS = 5.0
"""How long a change waits for a read model that stays behind. One that was taken over by another
process does not take longer; one that has failed delays nothing for ever."""

BACK_LOOKS = 5
"""In so many looks, a second apart, the read models must be found behind what was told until it is
believed that the database was put back."""

AGAIN_SECONDS = 0.5

logger = structlog.get_logger()


class Positions(Protocol):
    """`Changes`, as far as feeds need it."""

    def reached(self) -> int: ...

    def reached_by(self, view: str) -> int: ...


@dataclass
class _Running:
    feed: TenantFeed
    task: asyncio.Task[None]
    readers: int = 0


class Feeds:
    """A listener of `Changes`, and the frontier of its feeds."""

    def __init__(
        self, positions: Positions, source: Source, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._positions = positions
        self._source = source
        self._now = now
        self._running: dict[UUID, _Running] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._due: deque[tuple[int, TenantFeed]] = deque()
        self._looks: deque[tuple[float, int]] = deque()
        self._held = 0
        self._times_back = 0
        self._has_looked = asyncio.Event()

    # A frontier --------------------------------------------------------------------------------

    def told_until(self) -> int:
        """What all read models have; or what the timeline has had for `HOLD_SECONDS`."""
        return max(self.whole_until(), self._held)

    def whole_until(self) -> int:
        return self._positions.reached()

    # A listener of `Changes` -------------------------------------------------------------------

    def told(self, told: Mapping[str, Any]) -> None:
        if told.get("all"):
            self._all_are_due()
        elif told["view"] == TIMELINE:
            for side in ("noc_id", "osp_id"):
                running = self._running.get(UUID(told[side])) if told[side] else None
                if running:
                    self._due.append((int(told["position"]), running.feed))
        self._wake()

    def looked(self) -> None:
        now, newest = self._now(), self._positions.reached_by(TIMELINE)
        self._looks.append((now, newest))
        while self._looks and self._looks[0][0] <= now - HOLD_SECONDS:
            self._held = self._looks.popleft()[1]
        self._held = min(self._held, newest)
        self._has_looked.set()
        self._look_back()
        self._wake()
        until = self.told_until()
        for one in self._running.values():
            if one.feed.last < until or one.feed.is_unsettled:
                one.feed.woken.set()

    def access_told(self, told: Mapping[str, Any]) -> None: ...

    def connected(self) -> None: ...

    def _all_are_due(self) -> None:
        newest = self._positions.reached_by(TIMELINE)
        self._due.extend((newest, one.feed) for one in self._running.values())

    def _wake(self) -> None:
        until = self.told_until()
        while self._due and self._due[0][0] <= until:
            self._due.popleft()[1].woken.set()

    def _look_back(self) -> None:
        """Positions that were told are no longer there: a backup was restored under us."""
        furthest = max((one.feed.last for one in self._running.values()), default=0)
        is_back = furthest > self.told_until()
        self._times_back = self._times_back + 1 if is_back else 0
        if self._times_back < BACK_LOOKS:
            return
        logger.warning("the read models went back", told=furthest, now=self.told_until())
        self._due.clear()
        for one in self._running.values():
            one.feed.end(lambda: unknown(self.told_until()))

    # Readers -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def of(self, tenant_id: UUID) -> AsyncIterator[TenantFeed]:
        """The tenant's feed, which runs while somebody has it."""
        await self._has_looked.wait()
        running = self._running.get(tenant_id) or self._begin(tenant_id)
        running.readers += 1
        try:
            yield running.feed
        finally:
            running.readers -= 1
            if not running.readers:
                del self._running[tenant_id]
                ending = asyncio.create_task(ended(running.task))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    def _begin(self, tenant_id: UUID) -> _Running:
        feed = TenantFeed(tenant_id, self._source, self)
        # What the timeline has told of already, and other read models have not.
        self._due.append((self._positions.reached_by(TIMELINE), feed))
        running = _Running(feed, asyncio.create_task(_run(feed)))
        self._running[tenant_id] = running
        return running

    async def stop(self) -> None:
        for one in tuple(self._running.values()):
            await ended(one.task)
        await asyncio.gather(*self._ending)


async def _run(feed: TenantFeed) -> None:
    """Read whenever it is woken, and again if that failed."""
    while True:
        await feed.woken.wait()
        feed.woken.clear()
        try:
            await feed.read()
        except Unavailable:
            feed.woken.set()
            await asyncio.sleep(AGAIN_SECONDS)
        except Exception:
            # Without it everybody would wait in vain: nothing may end it.
            logger.exception("a tenant's feed failed", tenant=str(feed.tenant_id))
            feed.woken.set()
            await asyncio.sleep(AGAIN_SECONDS)
