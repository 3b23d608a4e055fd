"""The network between Strike's processes, its database and the outside: cut, stalled, slowed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK = 65_536

T = TypeVar("T")


class Link:
    """A TCP port of this machine that leads to somewhere else, unless something is the matter."""

    def __init__(self, name: str, connect: Callable[[], Awaitable[Streams]]) -> None:
        self.name = name
        self.port = 0
        self._connect = connect
        self._is_cut = False
        self._flows = asyncio.Event()
        self._delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server:
            self._server.close()
        self._abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What can be the matter --------------------------------------------------------------------

    async def cut(self, seconds: float) -> None:
        """Every connection breaks, and none is made for so long."""
        self._is_cut = True
        self._abort()
        await asyncio.sleep(seconds)
        self._is_cut = False

    async def stall(self, seconds: float) -> None:
        """Nothing comes through for so long; no connection breaks by that."""
        self._flows.clear()
        await asyncio.sleep(seconds)
        self._flows.set()

    def hold(self) -> None:
        """Nothing comes through until `release`; no connection breaks by that."""
        self._flows.clear()

    def release(self) -> None:
        self._flows.set()

    async def slow(self, seconds: float, delay: float = 0.15) -> None:
        """Whatever is sent comes so many seconds later, for so long."""
        self._delay = delay
        await asyncio.sleep(seconds)
        self._delay = 0.0

    async def lead(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        """From now on it leads there; every connection to where it led before breaks."""
        self._connect = connect
        self._abort()

    # -------------------------------------------------------------------------------------------

    def _abort(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        there = None
        try:
            if self._is_cut:
                return
            from_there, there = await self._connect()
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, there))
                group.create_task(self._pass_on(from_there, writer))
        except* OSError:
            pass
        finally:
            for one in filter(None, (writer, there)):
                self._writers.discard(one)
                one.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            await self._flows.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()


def _unix(path: str) -> Callable[[], Awaitable[Streams]]:
    return lambda: asyncio.open_unix_connection(path)


class Network:
    """Links, in a thread of their own."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._thread.start()

    def to_socket(self, name: str, path: str) -> int:
        """A link to a UNIX socket; its port."""
        return self._add(name, _unix(path))

    def lead_to_socket(self, name: str, path: str) -> None:
        """From now on that link leads there; every connection over it breaks."""
        self._do(self.links[name].lead(_unix(path))).result(10)

    def to_port(self, name: str, port: int) -> int:
        """A link to a TCP port of this machine; its own port."""
        return self._add(name, lambda: asyncio.open_connection("127.0.0.1", port))

    def _add(self, name: str, connect: Callable[[], Awaitable[Streams]]) -> int:
        async def opened() -> Link:
            link = Link(name, connect)
            await link.open()
            return link

        link = self.links[name] = self._do(opened()).result(10)
        return link.port

    def afflict(self, name: str, how: str, seconds: float) -> None:
        """`how`: cut, stall or slow. Returns when it is over."""
        self._do(getattr(self.links[name], how)(seconds)).result(seconds + 30)

    def hold(self, name: str) -> None:
        """Nothing comes through there until `release`."""
        self._loop.call_soon_threadsafe(self.links[name].hold)

    def release(self, name: str) -> None:
        self._loop.call_soon_threadsafe(self.links[name].release)

    def _do(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        for link in self.links.values():
            self._do(link.close()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
