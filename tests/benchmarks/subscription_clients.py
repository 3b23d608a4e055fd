"""Many followers in one light process: `python -m … PORT FILE`, for `subscriptions`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.machine import cpu

LOST = [0]
"""How often a stream ended, or could not be opened."""

POSITION = re.compile(rb'"position":(\d+)')


def raise_limits() -> None:
    """Each client is an open file on both ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def say(what: Any) -> None:
    """Tell the process that started this one."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def read_all(port: int, wanted: Sequence[dict[str, Any]]) -> None:
    """Open every stream, say so, read until a line comes in, and print what came when."""
    seen: list[tuple[int, float]] = []
    opened = asyncio.Semaphore(10)
    ready = [asyncio.Event() for _ in wanted]
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        tasks = [
            asyncio.create_task(_keep_reading(session, port, one, opened, event, seen))
            for one, event in zip(wanted, ready, strict=True)
        ]
        for event in ready:
            await event.wait()
        say({"open": len(wanted)})
        await asyncio.to_thread(sys.stdin.readline)
        seen.clear()
        used = cpu()
        await asyncio.to_thread(sys.stdin.readline)
        say({"seen": seen, "cpu": cpu() - used, "lost": LOST[0]})
        for one in tasks:
            one.cancel()
        os._exit(0)


async def _keep_reading(
    session: aiohttp.ClientSession,
    port: int,
    one: dict[str, Any],
    opened: asyncio.Semaphore,
    ready: asyncio.Event,
    seen: list[tuple[int, float]],
) -> None:
    """As any client does: it comes back when the stream was refused or has ended."""
    while True:
        with suppress(aiohttp.ClientError):
            await _read(session, port, one, opened, ready, seen)
        LOST[0] += 1
        await asyncio.sleep(1)


async def _read(
    session: aiohttp.ClientSession,
    port: int,
    one: dict[str, Any],
    opened: asyncio.Semaphore,
    ready: asyncio.Event,
    seen: list[tuple[int, float]],
) -> None:
    url, payload = f"http://127.0.0.1:{port}/graphql", one["payload"]
    headers = {"Authorization": f"Bearer {one['token']}"}
    if one["kind"] == "sse":
        headers["Accept"] = "text/event-stream"
        async with opened:
            response = await session.post(url, json=payload, headers=headers)
            response.raise_for_status()
        ready.set()
        async for line in response.content:
            _note(line, seen)
    else:
        async with opened:
            socket = await session.ws_connect(
                url, headers=headers, protocols=("graphql-transport-ws",), max_msg_size=0
            )
            if one["kind"] == "websocket":
                await socket.send_json({"type": "connection_init"})
                await socket.receive()
                await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        ready.set()
        async for message in socket:
            if '"type":"complete"' in message.data:
                await socket.close()
                return
            _note(message.data.encode(), seen)


def _note(text: bytes, seen: list[tuple[int, float]]) -> None:
    if found := POSITION.search(text):
        seen.append((int(found[1]), time.time()))


if __name__ == "__main__":
    raise_limits()
    asyncio.run(read_all(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))
