"""Arguments of a field: coerced once if they are the same for every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from graphql import FieldNode, GraphQLError, GraphQLField, Node, VariableNode
from graphql.execution.values import get_argument_values

from strike_app.graphql.compiled.asked import Run

Arguments = Callable[[Run], Mapping[str, Any]]

UNCHANGEABLE = (
    type(None), bool, int, float, str, bytes, Enum, UUID, date, datetime, time, Decimal
)  # fmt: skip
"""Values that a resolver cannot change for the next request."""


def arguments_of(definition: GraphQLField, node: FieldNode) -> Arguments | None:
    """What gives the arguments for one request; None if the field has none at all.

    Raises `GraphQLError` when called for arguments that cannot be coerced, as graphql-core does.
    """
    if not definition.args and not node.arguments:
        return None

    def coerced(run: Run) -> Mapping[str, Any]:
        return get_argument_values(
            definition, node, run.variable_values, None, run.hide_suggestions
        )

    if any(_has_variable(one.value) for one in node.arguments or ()):
        return coerced
    try:
        constant = get_argument_values(definition, node)
    except (GraphQLError, TypeError, ValueError):
        return coerced
    if all(isinstance(value, UNCHANGEABLE) for value in constant.values()):
        return lambda _run: constant
    return coerced


def _has_variable(value: Node) -> bool:
    if isinstance(value, VariableNode):
        return True
    inner = [*(getattr(value, "values", None) or ())]
    inner += [one.value for one in getattr(value, "fields", None) or ()]
    return any(map(_has_variable, inner))
