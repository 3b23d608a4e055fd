"""A load balancer as small as can be: connections in turn to those nodes that say they are ready.

For tests, and for the benchmark where HAProxy is not installed. It reads nothing of what it passes
on, so a connection that is kept alive stays with its node.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

CHECK_EVERY = 0.1
"""Seconds between two questions whether a node is ready."""

CHUNK = 65_536


class Balancer:
    """Ports of this machine."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self._ready = dict.fromkeys(nodes, False)
        self._turns = itertools.count()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def is_ready(self, node: int) -> bool:
        return self._ready[node]

    async def open(self, port: int = 0) -> None:
        """Returns when some node is ready."""
        self._begin(self._check_always())
        while not any(self._ready.values()):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(CHECK_EVERY)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=1_024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check_always(self) -> None:
        while True:
            for node in self._ready:
                self._ready[node] = await _says_ready(node)
            await asyncio.sleep(CHECK_EVERY)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = [node for node, is_ready in self._ready.items() if is_ready]
        turn = next(self._turns)
        for number in range(len(ready)):
            node = ready[(turn + number) % len(ready)]
            with suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", node)
                break
        else:
            return
        try:
            with suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pass_on(reader, there[1]))
                    group.create_task(_pass_on(there[0], writer))
        except* OSError:
            pass
        finally:
            there[1].transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


async def _says_ready(node: int) -> bool:
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", node)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.transport.abort()
    return False


@contextmanager
def balanced(nodes: Sequence[int]) -> Iterator[Balancer]:
    """In a thread of its own, before those nodes."""
    loop, balancer = asyncio.new_event_loop(), Balancer(nodes)
    thread = threading.Thread(target=loop.run_forever, name="balancer")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(balancer.open(), loop).result(60)
        yield balancer
    finally:
        asyncio.run_coroutine_threadsafe(balancer.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve_until_killed(port: int, nodes: Sequence[int]) -> None:
    balancer = Balancer(nodes)
    await balancer.open(port)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("port", type=int)
    parser.add_argument("nodes", type=int, nargs="+")
    options = parser.parse_args()
    asyncio.run(_serve_until_killed(options.port, options.nodes))


if __name__ == "__main__":
    main()
