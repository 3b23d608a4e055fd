"""The publisher: follows the log and publishes it, one process at a time, whatever fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

import structlog

from strike_adapters.jetstream.acks import Refused, Stored
from strike_adapters.jetstream.messages import Message
from strike_adapters.jetstream.reader import LogReader
from strike_adapters.jetstream.stream import Stream, Target, open_stream
from strike_adapters.postgres.followers import FIRST_BACKOFF, STAND_BY, next_wait
from strike_adapters.postgres.publisher_positions import HowFar, Turn, how_far, turn_of
from strike_adapters.postgres.store import store_env
from strike_adapters.telemetry.following import told_of
from strike_domain.errors import Rejected
from strike_domain.log import StrikeLog

BATCH = 500
"""Events that are published before their acknowledgements are waited for."""

LOOK_EVERY = 1.0
"""Seconds after which the log is looked at although nobody told of anything new."""

LAST = 1
"""Place of an event's last message."""

T = TypeVar("T")


class Watcher(Protocol):
    """Is told how the publishing goes on."""

    def published(self, events: int) -> None:
        """So many more events are acknowledged."""

    def published_until(self, position: int, lag: int) -> None:
        """How far it is, and how many positions behind the log."""


class Unwatched:
    """Nobody looks."""

    def published(self, events: int) -> None:
        pass

    def published_until(self, position: int, lag: int) -> None:
        pass


class Publisher:
    """Publishes the log of the database at `url`; `run` returns only when `stop` is set."""

    name = "publisher"

    def __init__(self, url: str, target: Target, watcher: Watcher | None = None) -> None:
        self._url = url
        self._target = target
        self._watcher = watcher or Unwatched()
        self._publisher = f"jetstream {target.stream}"
        self._logger = structlog.get_logger().bind(stream=target.stream)
        self._events = 0

    def check(self) -> None:
        """Make the stream if it is not there. Raises what `open_stream` raises."""

        async def look() -> None:
            async with open_stream(self._target):
                pass

        asyncio.run(look())

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop; after a failure again, later and later."""
        backoff, failed_at = FIRST_BACKOFF, self._events
        while not stop.is_set():
            try:
                asyncio.run(self._take_turn(stop))
            except Exception as error:
                if self._events != failed_at:
                    backoff, failed_at = FIRST_BACKOFF, self._events
                self._logger.exception("publisher failed", again_in_seconds=backoff)
                self._report(how_far(self._url, self._publisher))
                stop.wait(backoff)
                backoff = next_wait(backoff, error)

    def _report(self, so_far: HowFar | None) -> None:
        if so_far is not None:
            self._watcher.published_until(so_far.published, so_far.lag)

    def _acknowledged(self, events: int) -> None:
        self._events += events
        self._watcher.published(events)

    async def _take_turn(self, stop: threading.Event) -> None:
        """Publish as the active one, or stand by for a second if another process is."""
        async with turn_of(self._url, self._publisher) as turn:
            if turn is not None:
                with StrikeLog(store_env(self._url, pool_size=1)) as log:
                    await turn.listen(log.recorder.channel_name)  # type: ignore[attr-defined]
                    async with open_stream(self._target) as stream:
                        await self._publish(_Session(LogReader(log), turn, stream), stop)
        if turn is None:
            await asyncio.to_thread(stop.wait, STAND_BY)

    async def _publish(self, session: _Session, stop: threading.Event) -> None:
        await session.begin()
        self._logger.info("publishing", after=session.place[0])
        looked_at = 0.0
        while not stop.is_set() and not session.is_lost:
            self._acknowledged(await session.go_on())
            if time.monotonic() > looked_at + LOOK_EVERY:
                looked_at = time.monotonic()
                self._report(await session.how_far())


class _Session:
    """One turn on one connection to each side, until either is lost."""

    def __init__(self, reader: LogReader, turn: Turn, stream: Stream) -> None:
        self._reader = reader
        self._turn = turn
        self._stream = stream
        self._sequence = 0
        self._step = 1
        self._ahead: Sequence[Message] = ()
        self.place = (0, LAST)
        """Of the message published last."""

    @property
    def is_lost(self) -> bool:
        return self._stream.is_lost

    async def how_far(self) -> HowFar:
        return await self._turn.how_far()

    async def begin(self) -> None:
        """Find where to go on.

        The stream's last message knows best: acknowledged messages can be lost in a power failure,
        and what was acknowledged to a process that died is not in the database. Where it tells
        nothing (too old, purged), the stored position counts. A new stream gets the whole log.
        """
        self._sequence = await self._stream.last_sequence()
        if self._sequence == 0:
            return
        last = await self._stream.message_at(self._sequence)
        published = (await self._turn.how_far()).published
        if last is None:
            self.place = (published, LAST)
            return
        if await asyncio.to_thread(self._reader.event_id_at, last.position) != last.event_id:
            raise Rejected(
                "STREAM_OF_ANOTHER_LOG",
                f"At position {last.position} the stream holds another event than the log: it was "
                "published from another database, or this one was restored. See docs/stream.md.",
            )
        self.place = last.place
        if last.place[1] == LAST and last.position != published:
            # Whoever published it could not say so: nothing may be left that would tell it again.
            await self._turn.store(last.position)

    async def go_on(self) -> int:
        """Publish the next batch, or wait for one; how many events it had."""
        batch, self._ahead = self._ahead or await self._read(), ()
        if not batch:
            await self._turn.news(LOOK_EVERY)
            return 0
        is_full = len(batch) >= BATCH
        _, ahead = await _both(self._send(batch), self._read(batch[-1].position, when=is_full))
        self._ahead = ahead
        return len({one.position for one in batch})

    async def _read(self, after: int | None = None, *, when: bool = True) -> Sequence[Message]:
        """What comes after that position; after what is published if none is given."""
        if not when:
            return ()
        # Of an event whose second copy is missing both are read.
        position, copy = self.place
        start = after if after is not None else position - (copy != LAST)
        most_bytes = self._stream.most_bytes
        messages = await asyncio.to_thread(self._reader.read, start, BATCH, most_bytes)
        return [one for one in messages if one.place > self.place]

    async def _send(self, messages: Sequence[Message]) -> None:
        """Until every one is acknowledged; then the position is stored."""
        last = messages[-1]
        with told_of([one.origin for one in messages if one.place[1] == LAST], "publish log"):
            while messages:
                taken = await self._send_some(messages)
                messages = messages[taken:]
        self.place = last.place
        await self._turn.store(last.position)

    async def _send_some(self, messages: Sequence[Message]) -> int:
        """How many are there now, from the first on; raises if none is."""
        answers = await self._stream.send(messages, self._sequence, self._step)
        for taken, answer in enumerate(answers):
            if isinstance(answer, Stored):
                self._step = 0 if answer.is_duplicate else 1
                self._sequence = max(self._sequence, answer.sequence)
            elif taken and isinstance(answer, Refused) and answer.is_out_of_order:
                # The one before was there already and took no new number, or it was the first of
                # many that did.
                return taken
            else:
                raise answer
        return len(answers)


async def _both(first: Awaitable[None], second: Awaitable[T]) -> tuple[None, T]:
    """Wait for both even if one fails: a thread that reads must not outlive its log."""
    done = await asyncio.gather(first, second, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return done[0], done[1]  # type: ignore[return-value]
