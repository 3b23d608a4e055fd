"""The attributes of a row that are leaves, all at once: most rows of a list are of one kind.

Which classes the values have decides how each is converted; that is looked up by the classes of the
whole row. A row that has something else in it (an error, an awaitable, a null that must not be) is
completed field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from graphql import GraphQLLeafType

from strike_app.graphql.compiled.leaves import PLAIN, Leaf, quick_of

MOST_PLANS = 64
"""How many combinations of classes are remembered for one place of a query."""

ANSWERS = PLAIN - {type(None)}
"""Classes of what a leaf is answered with, if no more has to be looked at."""

Row = Callable[[Any], list[Any] | None]
"""Gives the completed values of a source; None: complete it field by field."""

_Plan = tuple[tuple[int, Leaf], ...]


class Attribute(NamedTuple):
    """A leaf that is an attribute of its source."""

    name: str
    kind: GraphQLLeafType
    is_required: bool


def row_of(attributes: Sequence[Attribute]) -> Row | None:
    """What reads and completes these attributes; None if they are too few to gain by it."""
    if len(attributes) < 2:
        return None
    read = attrgetter(*(one.name for one in attributes))
    plans: dict[tuple[type, ...], _Plan | None] = {}

    def complete(source: Any) -> list[Any] | None:
        try:
            values = list(read(source))
            classes = tuple(map(type, values))
            if classes not in plans and len(plans) < MOST_PLANS:
                plans[classes] = _plan(attributes, classes)
            plan = plans.get(classes)
            if plan is None:
                return None
            for index, convert in plan:
                one = values[index] = convert(values[index])
                if type(one) not in ANSWERS:
                    return None
        except Exception:
            # What it was is seen again, and told of, where fields are completed one by one.
            return None
        return values

    return complete


def _plan(attributes: Sequence[Attribute], classes: tuple[type, ...]) -> _Plan | None:
    plan: list[tuple[int, Leaf]] = []
    for index, (one, found) in enumerate(zip(attributes, classes, strict=True)):
        same, known, convert = quick_of(one.kind)
        if found is same or (found is type(None) and not one.is_required):
            continue
        if found not in ANSWERS and found is not known:
            return None
        plan.append((index, convert if found is known else one.kind.coerce_output_value))
    return tuple(plan)
