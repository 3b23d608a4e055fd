"""The schema: questions, commands and subscriptions under one set of limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.extensions import ParserCache, QueryDepthLimiter, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from strike_app.graphql.context import Context
from strike_app.graphql.mutation import Mutation
from strike_app.graphql.query import Query
from strike_app.graphql.scalars import SCALARS
from strike_app.graphql.subscription import Subscription
from strike_domain.errors import StrikeError

MAX_DEPTH = 12

logger = structlog.get_logger()


class Errors(SchemaExtension):
    """Refusals keep their code and path; anything unforeseen tells a stranger nothing."""

    def on_operation(self) -> Iterator[None]:
        yield
        result = self.execution_context.result
        context = self.execution_context.context
        errors: list[GraphQLError] | None = getattr(result, "errors", None)
        if result is not None and errors:
            result.errors = [presentable(error, context) for error in errors]


def presentable(error: GraphQLError, context: Context | None) -> GraphQLError:
    """The error as a client may see it."""
    cause = error.original_error
    if cause is None:
        return error
    if isinstance(cause, StrikeError):
        extensions: dict[str, Any] = {"code": cause.code, "path": [str(p) for p in cause.path]}
        message = cause.message
    else:
        correlation_id = str(context.correlation_id) if context else ""
        logger.error("resolver failed", correlation_id=correlation_id, exc_info=cause)
        extensions = {"code": "INTERNAL", "correlationId": correlation_id}
        message = "Something went wrong here; the correlation id finds it in the log."
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions=extensions)


class StrikeSchema(strawberry.Schema):
    """Logs nothing by itself: `Errors` does, with the correlation id."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        pass


schema = StrikeSchema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[
        Errors,
        lambda: ParserCache(maxsize=500),
        lambda: ValidationCache(maxsize=500),
        lambda: QueryDepthLimiter(max_depth=MAX_DEPTH),
    ],
)
