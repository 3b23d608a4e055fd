"""Operations over a WebSocket, each of which is counted as a request would be."""

from __future__ import annotations

from typing import Protocol, cast

from graphql import GraphQLError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage

from strike_app.graphql.context import Context
from strike_app.limits import TooMany


class Counting(Protocol):
    """The view that a WebSocket belongs to."""

    def count(self, context: Context) -> None:
        """Count one operation. Raises `TooMany`."""


class CountingHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """The library's, which refuses an operation that is one too many and keeps the others."""

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        if self.connection_acknowledged and message["id"] not in self.operations:
            try:
                cast(Counting, self.view).count(self.context)
            except TooMany as error:
                return await self._refuse(message["id"], error)
        return await super().handle_subscribe(message)

    async def _refuse(self, operation: str, error: TooMany) -> None:
        told = {"code": error.code, "path": [], "retryAfter": error.retry_after}
        payload = [GraphQLError(error.message, extensions=told).formatted]
        await self.send_message({"id": operation, "type": "error", "payload": payload})
