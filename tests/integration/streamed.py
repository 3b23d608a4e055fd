"""A client of GraphQL's subscriptions, over either transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from tests.integration.served import Served

Transport = Literal["websocket", "sse"]
TRANSPORTS: tuple[Transport, ...] = ("websocket", "sse")

CHANGES = """
subscription ($after: Position) {
  ecosChanged(afterPosition: $after) { position at kind line eco { id position status } }
}
"""


class Ended(Exception):
    """The server ended the stream, or the connection is lost."""


@dataclass
class Stream:
    """One subscription. `last_id` is what a browser would send as `Last-Event-ID`."""

    answer: aiohttp.ClientWebSocketResponse | aiohttp.ClientResponse
    last_id: str | None = None
    comments: int = 0

    async def next(self, seconds: float = 10) -> dict[str, Any]:
        """The next response. Raises `Ended`, or TimeoutError."""
        async with asyncio.timeout(seconds):
            try:
                if isinstance(self.answer, aiohttp.ClientWebSocketResponse):
                    return await self._of_socket(self.answer)
                return await self._of_events(self.answer)
            except (aiohttp.ClientError, ConnectionError) as error:
                raise Ended from error

    async def change(self, seconds: float = 10) -> dict[str, Any]:
        """What the next response tells of; the test fails on an error."""
        body = await self.next(seconds)
        assert "errors" not in body, body
        (told,) = body["data"].values()
        found: dict[str, Any] = told
        return found

    async def refusal(self, seconds: float = 10) -> dict[str, Any]:
        """The extensions of the error that ends it; changes before that are passed over."""
        while "errors" not in (body := await self.next(seconds)):
            pass
        found: dict[str, Any] = body["errors"][0]["extensions"]
        return found

    async def _of_socket(self, socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise Ended
            told = json.loads(message.data)
            if told["type"] == "error":
                return {"errors": told["payload"]}
            if told["type"] == "complete":
                raise Ended
            if told["type"] == "next":
                body: dict[str, Any] = told["payload"]
                return body

    async def _of_events(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        event: dict[str, str] = {}
        while raw := await response.content.readline():
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif event:
                if event["event"] == "complete":
                    raise Ended
                self.last_id = event.get("id", self.last_id)
                body: dict[str, Any] = json.loads(event["data"])
                return body
        raise Ended


@asynccontextmanager
async def streaming(
    served: Served,
    transport: Transport,
    query: str = CHANGES,
    variables: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Stream]:
    """A subscription on a connection of its own."""
    headers = served.headers() if headers is None else headers
    payload = {"query": query, "variables": variables or {}}
    if transport == "sse":
        async with served.session.post(
            f"{served.url}/graphql",
            json=payload,
            headers={**headers, "Accept": "text/event-stream"},
            timeout=aiohttp.ClientTimeout(total=None),
        ) as response:
            assert response.status == 200, await response.text()
            yield Stream(response)
        return
    async with served.session.ws_connect(
        f"{served.url}/graphql", protocols=("graphql-transport-ws",), headers=headers
    ) as socket:
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"
        await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        yield Stream(socket)
