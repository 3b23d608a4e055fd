"""Refusals: the domain's own codes, messages and paths, as clients see them.

A mutation answers with one as a member of its union; a question, and what nobody foresaw, with an
entry in `errors` that has the code in its `extensions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError

from strike_adapters.telemetry import ids_now
from strike_app.following import StreamEnded
from strike_app.graphql.context import Context
from strike_app.observed import commanded
from strike_domain import errors
from strike_domain.actors import Actor

T = TypeVar("T")

logger = structlog.get_logger()


@strawberry.interface(description="Why a command was refused. Nothing was stored.")
class Problem:
    code: str = strawberry.field(description="Stable and machine-readable.")
    message: str = strawberry.field(description="For people: what is wrong, what would be right.")
    path: list[str] = strawberry.field(
        description="The wrong field, step by step through the arguments; empty if no single one."
    )


@strawberry.type(description="The input is wrong.")
class Rejected(Problem):
    pass


@strawberry.type(description="The state of the ECO, or of its pager run, does not allow it.")
class InvalidTransition(Problem):
    pass


@strawberry.type(description="No such object, or not yours: the two look the same.")
class NotFound(Problem):
    pass


@strawberry.type(description="Your role, or your tenant's side, does not allow it.")
class Forbidden(Problem):
    pass


@strawberry.type(description="Others kept changing it at the same time. Try again.")
class Conflict(Problem):
    pass


# The most special class first: the tree of strike_domain.errors decides.
_MEMBERS: tuple[tuple[type[errors.StrikeError], type[Problem]], ...] = (
    (errors.InvalidTransition, InvalidTransition),
    (errors.Rejected, Rejected),
    (errors.NotFound, NotFound),
    (errors.Forbidden, Forbidden),
    (errors.Conflict, Conflict),
)


Problems = Rejected | InvalidTransition | NotFound | Forbidden | Conflict
"""What a command that is refused answers with; a member of each command's union."""


async def answered(
    info: strawberry.Info[Context, None], command: Callable[[Actor], T], *prefix: str
) -> T | Problems:
    """What a command gives, run as whoever asks, or why it was refused.

    `prefix`: the argument that the paths of wrong fields begin in.
    """
    context = info.context
    try:
        with commanded(info.field_name):
            actor = _in_its_trace(context.acting()[0])
            return await context.services.run(lambda: command(actor))
    except errors.StrikeError as error:
        return problem_of(error, prefix)


def _in_its_trace(actor: Actor) -> Actor:
    """Over a WebSocket each command is a trace of its own, by whose id its events are known."""
    here = ids_now()
    if actor.request_id is not None or here is None:
        return actor
    return actor.model_copy(update={"request_id": UUID(here[0])})


def problem_of(error: errors.StrikeError, prefix: tuple[str, ...] = ()) -> Problems:
    """The union member for a refusal; re-raises what is no refusal (an outside system failing)."""
    for raised, member in _MEMBERS:
        if isinstance(error, raised):
            path = [*prefix, *map(str, error.path)] if error.path else []
            return member(  # type: ignore[return-value]
                code=error.code, message=error.message, path=path
            )
    raise error


def presentable(error: GraphQLError, context: Context | None) -> GraphQLError:
    """The entry of `errors` as a client may see it; what it may not see goes into the log."""
    cause = _root(error)
    if isinstance(cause, errors.StrikeError):
        path = [str(step) for step in cause.path]
        told: dict[str, Any] = {"code": cause.code, "path": path}
        if isinstance(cause, StreamEnded):
            told["position"] = cause.position
        return _entry(error, cause.message, told)
    if isinstance(cause, CannotGetOperationTypeError):
        return _entry(error, cause.as_http_error_reason(), {"code": "QUERY_INVALID"})
    if isinstance(cause, MissingQueryError):
        return _entry(error, "Send an operation.", {"code": "QUERY_INVALID"})
    if _is_the_callers(error):
        return _entry(error, error.message, {"code": "QUERY_INVALID"})
    correlation_id = str(context.correlation_id) if context else ""
    logger.error("resolver failed", correlation_id=correlation_id, exc_info=cause)
    message = "Something went wrong here; the correlation id finds it in the log."
    return _entry(error, message, {"code": "INTERNAL", "correlationId": correlation_id})


def _root(error: GraphQLError) -> BaseException:
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_the_callers(error: GraphQLError) -> bool:
    """Whether query or variables are wrong: then no field was reached, and no code of ours ran."""
    return error.path is None and (
        error.original_error is None or isinstance(error.original_error, GraphQLError)
    )


def _entry(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
