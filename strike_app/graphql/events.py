"""GraphQL over server-sent events: one operation a connection, `next` for each answer, `complete`.

As in the protocol's "distinct connections mode"; and each event of a subscription has its position
as its id, so that `Last-Event-ID` goes on after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from aiohttp import web

from strike_app.event_stream import EventStream
from strike_app.graphql.answers import Answer, Asked, answers, subscribed
from strike_app.graphql.context import Context
from strike_app.graphql.schema import StrikeSchema
from strike_domain.errors import Rejected


def asked_in(body: bytes) -> Asked:
    """The operation of a request's body. Raises `Rejected` (REQUEST_INVALID)."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _unreadable("The body is no JSON.") from None
    if not isinstance(sent, dict) or not isinstance(sent.get("query"), str) or not sent["query"]:
        raise _unreadable('Send one operation, as {"query": "...", "variables": {}}.')
    variables, name = sent.get("variables"), sent.get("operationName")
    if not isinstance(variables, dict | None) or not isinstance(name, str | None):
        raise _unreadable("Variables are an object, and the operation's name is a text.")
    return Asked(sent["query"], variables, name)


def _unreadable(message: str) -> Rejected:
    return Rejected("REQUEST_INVALID", message)


async def stream_answers(
    request: web.Request, schema: StrikeSchema, context: Context, asked: Asked, seconds: float
) -> web.StreamResponse:
    """Answer until the operation ends or nobody reads; no subscription takes longer than that."""
    async with EventStream(request) as stream:
        async with aclosing(_found(schema, context, asked, seconds)) as found:
            async for answer in found:
                await stream.send("next", answer.body, answer.position)
        await stream.send("complete")
    return stream.response


async def _found(
    schema: StrikeSchema, context: Context, asked: Asked, seconds: float
) -> AsyncGenerator[Answer]:
    subscription = await subscribed(schema, asked, context)
    if subscription is None:
        async with asyncio.timeout(seconds):
            yield await _single(schema, context, asked)
        return
    async with aclosing(answers(subscription, context)) as found:
        async for answer in found:
            yield answer


async def _single(schema: StrikeSchema, context: Context, asked: Asked) -> Answer:
    """Of a question, a command, or a mistake."""
    found = await schema.stream(
        asked.query,
        variable_values=asked.variables,
        context_value=context,
        operation_name=asked.operation_name,
    )
    async with aclosing(found):
        result: Any = await anext(found)
    body = {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    return Answer(orjson.dumps(body))
