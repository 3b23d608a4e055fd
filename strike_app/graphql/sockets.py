"""Operations over a WebSocket, each of which is counted and allowed as a request would be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any, Protocol, cast

import orjson
from aiohttp import ClientConnectionResetError, WSMsgType, web
from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage

from strike_app.event_stream import WAITING_BYTES, WRITE_SECONDS
from strike_app.following.standings import Standing
from strike_app.graphql.answers import Asked, Subscribed, answers, subscribed
from strike_app.graphql.context import Context
from strike_app.graphql.schema import StrikeSchema
from strike_app.limits import TooMany
from strike_domain.errors import Forbidden, StrikeError, Unavailable

IDLE_SECONDS = 300.0
"""How long a socket on which nothing is asked for may stay open."""

IDLE_CODE = 4408
"""What such a socket is closed with."""


class Counting(Protocol):
    """The view that a WebSocket belongs to."""

    def count(self, context: Context) -> None:
        """Count one operation. Raises `TooMany`."""


class CountingHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """The library's, which refuses an operation that is one too many and keeps the others.

    Whoever loses the rights that the socket was opened with can ask for nothing more on it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rights = AsyncExitStack()
        self._standing: Standing | None = None
        self._busy_at = time.monotonic()
        self._idling: asyncio.Task[None] | None = None

    @property
    def _request(self) -> web.Request:
        return cast(web.Request, cast(Any, self.websocket).request)

    def on_request_accepted(self) -> None:
        super().on_request_accepted()
        if (transport := self._request.transport) is not None:
            transport.set_write_buffer_limits(WAITING_BYTES)
        self._idling = asyncio.create_task(self._close_when_idle())

    async def shutdown(self) -> None:
        if self._idling:
            self._idling.cancel()
        await super().shutdown()
        await self._rights.aclose()

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        self._busy_at = time.monotonic()
        if self.connection_acknowledged and message["id"] not in self.operations:
            try:
                cast(Counting, self.view).count(self.context)
                await self._check_rights()
            except (TooMany, Forbidden, Unavailable) as error:
                return await self._refuse(message["id"], error)
        return await super().handle_subscribe(message)

    async def _check_rights(self) -> None:
        actor = self.context.actor
        if actor is None or actor.tenant_id is None:
            return
        if self._standing is None:
            standings = self.context.services.following.standings
            self._standing = await self._rights.enter_async_context(
                standings.of(self.context.user, actor, actor.tenant_id)
            )
        self._standing.check()
        now = self._standing.actor
        rights = {"role": now.role, "side": now.side, "scopes": now.scopes}
        self.context.actor = actor.model_copy(update=rights)

    async def _refuse(self, operation: str, error: StrikeError) -> None:
        told: dict[str, Any] = {"code": error.code, "path": []}
        if isinstance(error, TooMany):
            told["retryAfter"] = error.retry_after
        payload = [GraphQLError(error.message, extensions=told).formatted]
        await self.send_message({"id": operation, "type": "error", "payload": payload})

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """A subscription by our own way, in which readers share answers; all else by theirs."""
        try:
            asked = Asked(operation.query, operation.variables, operation.operation_name)
            schema = cast(StrikeSchema, self.schema)
            subscription = await subscribed(schema, asked, self.context)
            if subscription is None:
                return await super().run_operation(operation)
            await self._tell(operation, subscription)
        except WebSocketDisconnected:
            self.operations.pop(operation.id, None)

    async def _tell(self, operation: Operation[Context, None], subscription: Subscribed) -> None:
        head = b'{"id":%s,"type":"next","payload":' % orjson.dumps(operation.id)
        async with aclosing(answers(subscription, self.context)) as found:
            async for answer in found:
                await self._send(head + answer.body + b"}")
        self._busy_at = time.monotonic()
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def send_message(self, message: Message) -> None:
        await self._send(orjson.dumps(cast(Mapping[str, object], message)))

    async def _send(self, message: bytes) -> None:
        """Raises `WebSocketDisconnected` for a reader who is gone, or does not read."""
        request = self._request
        socket = cast(web.WebSocketResponse, cast(Any, self.websocket).ws)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await socket.send_frame(message, WSMsgType.TEXT)
                # The library waits only for every 64 KB.
                await request.protocol._drain_helper()
        except (RuntimeError, ConnectionError, ClientConnectionResetError) as error:
            raise WebSocketDisconnected from error
        except TimeoutError as error:
            if request.transport is not None:
                request.transport.abort()
            raise WebSocketDisconnected from error

    async def _close_when_idle(self) -> None:
        while True:
            left = self._busy_at + IDLE_SECONDS - time.monotonic()
            if self.operations:
                left = IDLE_SECONDS
            elif left <= 0:
                break
            await asyncio.sleep(left)
        with suppress(Exception):
            await self.websocket.close(code=IDLE_CODE, reason="Nothing was asked for")
