"""Following: what a reader of any transport is told, from a position on, as long as it may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from strike_adapters.postgres.change_lines import ChangeLines
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.queries import User
from strike_app.following.buffers import Buffer
from strike_app.following.changes import Change
from strike_app.following.endings import StreamEnded, too_old, unknown
from strike_app.following.feeds import Feeds
from strike_app.following.seats import Most, Seats
from strike_app.following.standings import MEMBER_SECONDS, Standing, Standings
from strike_app.following.tenant_feed import PAGE, TenantFeed
from strike_app.limits import TooMany
from strike_domain.access import Action, require
from strike_domain.actors import Actor
from strike_domain.errors import Forbidden
from strike_domain.ports import Clock

MOST_BEHIND = 10_000
"""Most changes of a tenant that are read for somebody who resumes; beyond, the list is quicker."""

OPENING = 4
"""How many streams are opened at once. When a server comes back, all of its readers come back with
it: they wait for their turn here, and not for a connection to the database, which they would take
from everybody else until some of them had waited too long."""


class Watcher(Protocol):
    """Whoever counts."""

    def stream_opened(self, transport: str) -> None: ...

    def stream_closed(self, transport: str) -> None: ...

    def change_delivered(self) -> None: ...

    def stream_cut_off(self, code: str) -> None: ...


@dataclass(frozen=True)
class Reader:
    """Somebody who follows. `transport` is what is counted: websocket, sse or another word."""

    user: User
    actor: Actor
    tenant_id: UUID
    transport: str


class Following:
    """The changes of this process's tenants. Start it after `Changes`, stop it before."""

    def __init__(
        self,
        changes: Changes,
        lines: ChangeLines,
        clock: Clock,
        watcher: Watcher,
        most: Most | None = None,
    ) -> None:
        self._changes = changes
        self._lines = lines
        self._watcher = watcher
        self._seats = Seats(most or Most())
        self._feeds = Feeds(changes, lines)
        self.turn = asyncio.Semaphore(OPENING)
        """Taken by whoever asks the database for one reader alone."""
        self.standings = Standings(lines, clock)
        changes.listeners += [self._feeds, self.standings]

    async def start(self) -> None:
        await self.standings.start()

    async def stop(self) -> None:
        await self.standings.stop()
        await self._feeds.stop()

    async def changes(self, reader: Reader, after: int | None = None) -> AsyncGenerator[Change]:
        """Each change of the tenant's ECOs, once and in the order of the log.

        `after`: all that came after that position; None: from now on. Close the generator.
        Raises `StreamEnded`, `Forbidden` or `TooMany`: see `endings`.
        """
        async with self._from(reader, after) as (feed, buffer):
            while not feed.attach(buffer):
                async for change in self._missed(feed, buffer):
                    yield self._delivered(change)
            while True:
                yield self._delivered(await buffer.next())

    async def batches(
        self, reader: Reader, after: int | None = None
    ) -> AsyncGenerator[Sequence[Change]]:
        """As `changes`, all that wait at once together; an empty one as soon as it is open.

        For whoever only wants to know what has changed, and takes its time between two of them.
        """
        async with self._from(reader, after) as (feed, buffer):
            yield ()
            while not feed.attach(buffer):
                if page := [self._delivered(one) async for one in self._missed(feed, buffer)]:
                    yield page
            while True:
                first = await buffer.next()
                yield [self._delivered(one) for one in (first, *buffer.rest())]

    async def eco(self, reader: Reader, eco_id: UUID) -> AsyncGenerator[Change | None]:
        """None as soon as nothing can be missed any more; then the latest change of one ECO.

        Also when a read model that had stayed behind has caught up (`Change.again`). It is not
        asked here whether there is such an ECO: of a foreign one nothing is ever told.
        """
        async with self._open(reader) as (feed, standing):
            buffer = Buffer(feed.last, eco_id)
            with _attached(buffer, feed, standing):
                feed.attach(buffer)
                yield None
                while True:
                    yield self._delivered(await buffer.next())

    async def wakings(self, reader: Reader, eco_id: UUID) -> AsyncGenerator[None]:
        """Now, and whenever one ECO may have changed.

        For whoever then asks anew: changes while it is busy are one. Close the generator. Raises
        `Forbidden` or `TooMany`; it is not asked here whether there is such an ECO.
        """
        async with self._seated(reader) as standing:
            with self._changes.watch(eco_id) as watch:
                yield
                while True:
                    changed = await watch.wait(MEMBER_SECONDS)
                    standing.check()
                    if changed:
                        yield

    @asynccontextmanager
    async def _from(
        self, reader: Reader, after: int | None
    ) -> AsyncIterator[tuple[TenantFeed, Buffer]]:
        """A buffer of the tenant's changes after a position, not yet attached to the feed."""
        async with self._open(reader) as (feed, standing):
            position = feed.last if after is None else after
            await self._check(feed, position)
            buffer = Buffer(position)
            with _attached(buffer, feed, standing):
                yield feed, buffer

    @asynccontextmanager
    async def _open(self, reader: Reader) -> AsyncIterator[tuple[TenantFeed, Standing]]:
        async with self._seated(reader) as standing, self._feeds.of(reader.tenant_id) as feed:
            yield feed, standing

    @asynccontextmanager
    async def _seated(self, reader: Reader) -> AsyncIterator[Standing]:
        """While somebody follows: counted, and allowed to."""
        require(reader.actor, Action.ECO_SEE)
        user, tenant_id = reader.user, reader.tenant_id
        self._watcher.stream_opened(reader.transport)
        try:
            with self._seats.taken(user.id, tenant_id):
                async with AsyncExitStack() as stack:
                    rights = self.standings.of(user, reader.actor, tenant_id)
                    async with self.turn:
                        standing = await stack.enter_async_context(rights)
                    yield standing
        except (StreamEnded, TooMany, Forbidden) as error:
            self._watcher.stream_cut_off(error.code)
            raise
        finally:
            self._watcher.stream_closed(reader.transport)

    async def _check(self, feed: TenantFeed, position: int) -> None:
        """Raise `StreamEnded` for a position that nobody can go on from."""
        newest = feed.last
        if position == newest:
            return
        async with self.turn:
            if position > newest and position > await self._lines.newest_event():
                raise unknown(newest)
            if position < newest and await self._lines.is_far_behind(
                feed.tenant_id, position, MOST_BEHIND
            ):
                raise too_old(newest)

    async def _missed(self, feed: TenantFeed, buffer: Buffer) -> AsyncGenerator[Change]:
        """A page of what lies between the reader's position and the feed."""
        until = feed.last
        async with self.turn:
            page = await feed.page(buffer.position, until)
        for change in page:
            buffer.check()
            buffer.read_until(change.position)
            yield change
        buffer.check()
        if len(page) < PAGE:
            buffer.read_until(until)

    def _delivered(self, change: Change) -> Change:
        self._watcher.change_delivered()
        return change


@contextmanager
def _attached(buffer: Buffer, feed: TenantFeed, standing: Standing) -> Iterator[None]:
    """While the buffer may be filled, by the feed, and ended, by the loss of rights."""
    standing.streams.add(buffer)
    try:
        yield
    finally:
        standing.streams.discard(buffer)
        feed.detach(buffer)
