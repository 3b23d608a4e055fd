"""A tenant's changes: each is read once, and handed to all of its readers in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from strike_app.following.buffers import Buffer
from strike_app.following.changes import Change, again_of, change_of
from strike_domain.errors import StrikeError

PAGE = 200
"""Most changes that are read at a time."""

KEPT = 32
"""How many of the newest changes are kept, to bridge the moment between a page and the feed."""


class Source(Protocol):
    """`ChangeLines`, as far as a feed needs it."""

    async def lines(
        self, tenant_id: UUID, after: int, until: int, limit: int
    ) -> Sequence[Mapping[str, Any]]: ...

    async def rows(
        self, tenant_id: UUID, eco_ids: Sequence[UUID]
    ) -> Sequence[Mapping[str, Any]]: ...


class Frontier(Protocol):
    """How far the read models are."""

    def told_until(self) -> int:
        """Changes up to there may be told."""

    def whole_until(self) -> int:
        """Nothing up to there is missing in any read model."""


class TenantFeed:
    """Reads on from where it stands, when it is woken. `last`: everything up to there was told."""

    def __init__(self, tenant_id: UUID, source: Source, frontier: Frontier) -> None:
        self.tenant_id = tenant_id
        self.last = frontier.told_until()
        self.woken = asyncio.Event()
        self._source = source
        self._frontier = frontier
        self._floor = self.last
        self._newest: deque[Change] = deque()
        self._followers: dict[UUID | None, set[Buffer]] = {}
        self._unsettled: set[UUID] = set()

    @property
    def is_unsettled(self) -> bool:
        """Whether something was told while a read model stayed behind."""
        return bool(self._unsettled)

    def attach(self, buffer: Buffer) -> bool:
        """Tell it what comes after its position from now on, unless that lies too far back."""
        if buffer.position < self._floor:
            return False
        for change in self._newest:
            self._offer(buffer, change)
        self._followers.setdefault(buffer.eco_id, set()).add(buffer)
        if buffer.eco_id is not None and self._frontier.whole_until() < self.last:
            # What it is shown first may lack what a read model has yet to say.
            self._unsettled.add(buffer.eco_id)
        return True

    def detach(self, buffer: Buffer) -> None:
        followers = self._followers.get(buffer.eco_id, set())
        followers.discard(buffer)
        if not followers:
            self._followers.pop(buffer.eco_id, None)

    def end(self, error: Callable[[], StrikeError]) -> None:
        """End every reader's stream, and begin anew where the read models are."""
        for buffer in [one for group in self._followers.values() for one in group]:
            buffer.end(error())
        self.last = self._floor = self._frontier.told_until()
        self._newest.clear()
        self._unsettled.clear()

    async def page(self, after: int, until: int) -> list[Change]:
        """At most `PAGE` changes of `after` < position <= `until`, oldest first."""
        whole_until = self._frontier.whole_until()
        found = await self._source.lines(self.tenant_id, after, until, PAGE)
        return [change_of(one, whole_until) for one in found]

    async def read(self) -> None:
        """Tell everything that may be told by now."""
        while (until := self._frontier.told_until()) > (last := self.last):
            page = await self.page(last, until)
            if self.last != last:
                return  # It began anew meanwhile.
            for change in page:
                self._tell(change)
            self.last = page[-1].position if len(page) == PAGE else until
        whole_until = self._frontier.whole_until()
        if self._unsettled and whole_until >= self.last:
            settled = list(self._unsettled)
            for row in await self._source.rows(self.tenant_id, settled):
                self._tell_followers(again_of(row, whole_until), row["eco_id"])
            self._unsettled.difference_update(settled)

    def _tell(self, change: Change) -> None:
        self._newest.append(change)
        if len(self._newest) > KEPT:
            self._floor = self._newest.popleft().position
        if change.position > change.whole_until:
            self._unsettled.add(change.eco_id)
        self._tell_followers(change, None)
        self._tell_followers(change, change.eco_id)

    def _tell_followers(self, change: Change, eco_id: UUID | None) -> None:
        for buffer in tuple(self._followers.get(eco_id, ())):
            buffer.offer(change)

    @staticmethod
    def _offer(buffer: Buffer, change: Change) -> None:
        if buffer.eco_id in (None, change.eco_id):
            buffer.offer(change)
