"""Server-sent events: one answer that goes on, to a reader who is given up when it stops reading.

For GraphQL over SSE, and for any page that wants to follow. Event ids are positions: a browser
sends the last one again by itself (`Last-Event-ID`).
"""

from __future__ import annotations

import asyncio
from typing import Self
from weakref import WeakSet

from aiohttp import web

from strike_domain.errors import Rejected

EVENT_STREAM = "text/event-stream"

BEAT_SECONDS = 15.0
"""Silence after which a comment is sent: proxies close what is silent, some after a minute."""

WATCH_SECONDS = 1.0
"""How often it is looked whether somebody is still there."""

WRITE_SECONDS = 10.0
"""How long a reader may take no byte while more wait for it."""

WAITING_BYTES = 32_768
"""Bytes that wait for a reader, beside what the kernel holds."""

HEADERS = {
    "Content-Type": f"{EVENT_STREAM}; charset=utf-8",
    "X-Accel-Buffering": "no",  # To nginx and its like.
    "Connection": "keep-alive",
}


class OpenStreams(WeakSet["EventStream"]):
    """What an application keeps under `OPEN`."""

    is_closing = False

    def hang_up(self) -> None:
        """End all, and whatever would still begin: a stop would wait for it."""
        self.is_closing = True
        for stream in tuple(self):
            stream.hang_up()


OPEN: web.AppKey[OpenStreams] = web.AppKey("open_streams", OpenStreams)


class ReaderGone(Exception):
    """Nobody reads any more, or too slowly. Nothing more can be told to them."""


class EventStream:
    """Use it as a context: `async with EventStream(request) as stream: await stream.send(...)`."""

    def __init__(self, request: web.Request, *, retry_ms: int | None = None) -> None:
        """`retry_ms`: after how long a browser is to come back; None: as it likes."""
        self._request = request
        self._begin = b":\n\n" if retry_ms is None else b"retry: %d\n\n" % retry_ms
        self.response = web.StreamResponse(headers=HEADERS)
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._spoke_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._is_gone = False

    async def __aenter__(self) -> Self:
        if self._request.app[OPEN].is_closing:
            raise web.HTTPServiceUnavailable
        await self.response.prepare(self._request)
        if (transport := self._request.transport) is not None:
            transport.set_write_buffer_limits(WAITING_BYTES)
        self._request.app[OPEN].add(self)
        await self._write(self._begin)  # So that the headers are on their way.
        self._watch()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if self._timer:
            self._timer.cancel()
        self._request.app[OPEN].discard(self)
        if self._is_gone and isinstance(error, asyncio.CancelledError):
            # Ours, from `hang_up`: the handler is to come to its end, nothing else.
            if self._task:
                self._task.uncancel()
            return True
        return isinstance(error, ReaderGone)

    async def send(self, event: str, data: bytes = b"", position: int | None = None) -> None:
        """One event; `data` without line breaks. Raises `ReaderGone`."""
        mark = b"" if position is None else b"id: %d\n" % position
        await self._write(b"%sevent: %s\ndata: %s\n\n" % (mark, event.encode(), data))

    def hang_up(self) -> None:
        """End it without a word: the reader comes back, to whoever serves then."""
        if self._is_gone:
            return
        self._is_gone = True
        if self._request.transport is not None:
            self._request.transport.abort()
        if self._task:
            self._task.cancel()

    async def _write(self, text: bytes) -> None:
        self._spoke_at = self._loop.time()
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self.response.write(text)
                await self._drained()
        except (TimeoutError, ConnectionError) as error:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ReaderGone from error

    async def _drained(self) -> None:
        # The library waits only for every 64 KB.
        await self._request.protocol._drain_helper()

    def _watch(self) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self.hang_up()
            return
        if self._loop.time() - self._spoke_at >= BEAT_SECONDS:
            self._beating = self._loop.create_task(self._beat())
        self._timer = self._loop.call_later(WATCH_SECONDS, self._watch)

    async def _beat(self) -> None:
        try:
            await self._write(b":\n\n")
        except ReaderGone:
            self.hang_up()


def accepts_events(request: web.Request) -> bool:
    """Whether the client asks for an event stream."""
    accepted = ",".join(request.headers.getall("Accept", []))
    return any(one.partition(";")[0].strip().lower() == EVENT_STREAM for one in accepted.split(","))


def resumed_after(request: web.Request) -> int | None:
    """The position in `Last-Event-ID`; None without one. Raises `Rejected`."""
    text = request.headers.get("Last-Event-ID", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        message = "Send the id of the last event exactly as it was given, or none."
        raise Rejected("LAST_EVENT_ID_INVALID", message, ("Last-Event-ID",))
    return int(text)
