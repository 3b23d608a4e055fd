"""Refusals as members of a mutation's union: the domain's own codes, messages and paths."""

from __future__ import annotations

from typing import Annotated

import strawberry

from strike_domain import errors


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

AnyProblem = Annotated[
    Rejected | InvalidTransition | NotFound | Forbidden | Conflict, strawberry.union("AnyProblem")
]


def problem_of(
    error: errors.StrikeError, prefix: tuple[str, ...] = ()
) -> Rejected | InvalidTransition | NotFound | Forbidden | Conflict:
    """The union member for a refusal; re-raises what is no refusal (an outside system failing)."""
    for raised, member in _MEMBERS:
        if isinstance(error, raised):
            path = [*prefix, *map(str, error.path)] if error.path else []
            return member(  # type: ignore[return-value]
                code=error.code, message=error.message, path=path
            )
    raise error
