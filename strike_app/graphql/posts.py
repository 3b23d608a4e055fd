"""A GraphQL request by POST, answered without the detours of the library's view.

That view serves every transport; of an ordinary request it builds WebSocket responses and adapters
before it reads one byte. Whatever is not ordinary here is left to it, errors in the request
included: it says what is wrong.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from strawberry.exceptions import MissingQueryError
from strawberry.http import process_result
from strawberry.schema.base import BaseSchema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from strike_app.event_stream import EVENT_STREAM
from strike_app.graphql.context import Context
from strike_domain.errors import Rejected

ALLOWED = OperationType.from_http("POST")


async def ordinary_answer(
    schema: BaseSchema, request: web.Request, context: Context
) -> web.Response | None:
    """The answer to a query or mutation; None if the library is to answer. It may read it again.

    Raises `Rejected` (REQUEST_INVALID) for a subscription: it has no single answer.
    """
    if request.method != "POST":
        return None
    asked = _asked(await request.read())
    if asked is None:
        return None
    try:
        result = await schema.execute(
            asked["query"],
            variable_values=asked.get("variables"),
            context_value=context,
            operation_name=asked.get("operationName"),
            allowed_operation_types=ALLOWED,
            operation_extensions=asked.get("extensions"),
        )
    except InvalidOperationTypeError:
        message = f"To follow a subscription, send Accept: {EVENT_STREAM}, or open a WebSocket."
        raise Rejected("REQUEST_INVALID", message) from None
    except (CannotGetOperationTypeError, MissingQueryError):
        # Nothing has been run.
        return None
    body = orjson.dumps(process_result(result))
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def _asked(body: bytes) -> dict[str, Any] | None:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        return None
    objects = (asked.get("variables"), asked.get("extensions"))
    is_right = all(one is None or isinstance(one, dict) for one in objects)
    return asked if is_right and isinstance(asked.get("operationName"), str | None) else None
