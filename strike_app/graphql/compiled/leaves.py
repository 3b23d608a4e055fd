"""Scalars and enums: most values need no more than a look at their class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
    Undefined,
)
from graphql.execution import Executor
from graphql.type.scalars import (
    serialize_boolean,
    serialize_id,
    serialize_int,
    serialize_string,
)

Leaf = Callable[[Any], Any]

PLAIN = frozenset(
    {type(None), bool, int, float, str, bytes, list, tuple, dict}
    | {UUID, datetime, date, time, timedelta, Decimal}
)
"""Classes whose values are never awaited; not those of a subclass, which may be anything."""


class Quick(NamedTuple):
    """What a leaf answers without further checks: `same` as it is, `known` converted."""

    same: type | None = None
    known: type | None = None
    convert: Leaf = str


_UNCHANGED = (
    (GraphQLString, serialize_string, Quick(same=str)),
    (GraphQLID, serialize_id, Quick(same=str)),
    (GraphQLBoolean, serialize_boolean, Quick(same=bool)),
    (GraphQLInt, serialize_int, Quick(known=int, convert=serialize_int)),
)
"""GraphQL's own scalars, with the serializer that `Quick` holds for."""


def quick_of(kind: GraphQLLeafType) -> Quick:
    """The classes of values that are quick to complete; none where nothing is known of the leaf."""
    for scalar, serialize, quick in _UNCHANGED:
        if kind is scalar and kind.coerce_output_value is serialize:
            return quick
    return _quick_enum(kind) if isinstance(kind, GraphQLEnumType) else Quick()


def _quick_enum(kind: GraphQLEnumType) -> Quick:
    """The names of an enum that is a class in Python, looked up once."""
    wrapped = getattr(kind, "wrapped_cls", None)
    if not (isinstance(wrapped, type) and issubclass(wrapped, Enum)):
        return Quick()
    try:
        names = {member: kind.coerce_output_value(member) for member in wrapped}
    except Exception:
        # Some member has no name here: each value is asked about as it comes.
        return Quick()
    return Quick(known=wrapped, convert=names.__getitem__)


def leaf_of(kind: GraphQLLeafType) -> Leaf:
    """Complete any value of a scalar or enum that may be null, and is not to be awaited."""
    as_core_does = Executor.complete_leaf_value

    def complete(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            return None
        return as_core_does(kind, value)

    return complete
