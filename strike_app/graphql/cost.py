"""What an operation may cost, counted before it is run: its fields, as often as lists repeat them.

A field costs 1. What is asked of a list counts as often as it has items: as `first` says, there or
above; else as declared for that field; else `DEFAULT_SIZE`. Both branches of a condition count.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLSchema,
    IntValueNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
)
from graphql.execution import Executor
from graphql.pyutils import Undefined

from strike_app.graphql.compiled.program import Document, selections
from strike_app.graphql.measures import INTROSPECTION
from strike_domain.errors import Rejected

MAX_COST = 25_000
"""Most that one operation may cost: 200 ECOs with all their fields, or 50 with their timelines."""

DEFAULT_SIZE = 10
"""Items of a list of which nothing is declared."""

SIZES: Mapping[str, int] = {"Eco.timeline": 30, "Query.ecoTimeline": 30, "Eco.pagerRuns": 2}
"""Items that a list mostly has at the most."""

INTROSPECTION_COST = 5_000
"""Of asking for the schema once, whatever of it."""

PAGE = "first"


class Costed(Executor[Any]):
    """To be mixed into an executor class: refuses what costs too much, before anything is run."""

    @classmethod
    def build(cls, *args: Any, **options: Any) -> list[GraphQLError] | Executor[Any]:
        made = super().build(*args, **options)
        if isinstance(made, list):
            return made
        cost = cost_of(made)
        return made if cost <= MAX_COST else [_refusal(cost, made)]


def cost_of(run: Executor[Any]) -> int:
    """The cost of an operation with its variables."""
    document = Document(run)
    values = run.variable_values.coerced
    return _cost(document, tuple((name, values.get(name)) for name in _page_variables(document)))


def _refusal(cost: int, run: Executor[Any]) -> GraphQLError:
    message = (
        f"This costs {cost:,}, and {MAX_COST:,} is the most: a field counts once for each item of "
        f"the lists that it stands in. Ask for fewer items with `{PAGE}`, or for fewer fields."
    )
    return GraphQLError(
        message, run.operation, original_error=Rejected("QUERY_TOO_COSTLY", message)
    )


@lru_cache(maxsize=500)
def _page_variables(document: Document) -> tuple[str, ...]:
    """The variables that say how many items are asked for."""
    return tuple(
        argument.value.name.value
        for node in selections(document)
        if isinstance(node, FieldNode)
        for argument in node.arguments or ()
        if argument.name.value == PAGE and isinstance(argument.value, VariableNode)
    )


@lru_cache(maxsize=1_000)
def _cost(document: Document, pages: tuple[tuple[str, Any], ...]) -> int:
    root = document.schema.get_root_type(document.operation.operation)
    return _Counter(document, dict(pages)).of(document.operation.selection_set, root, None)


class _Counter:
    """Counts one operation; each fragment once for each size of page that it is used under."""

    def __init__(self, document: Document, pages: Mapping[str, Any]) -> None:
        self._schema: GraphQLSchema = document.schema
        self._fragments: Mapping[str, FragmentDefinitionNode] = {
            one.name.value: one for one in document.fragments
        }
        self._pages = pages
        self._known: dict[tuple[str, int | None], int] = {}

    def of(self, asked: SelectionSetNode, parent: Any, page: int | None) -> int:
        """What is asked of one `parent`. `page`: items of the next list below, as `first` said."""
        total, seen = 0, set()
        for node in asked.selections:
            if isinstance(node, FieldNode):
                total += self._field(node, parent, page)
            elif not isinstance(node, FragmentSpreadNode):
                condition = getattr(node, "type_condition", None)
                kind = self._schema.get_type(condition.name.value) if condition else parent
                total += self.of(node.selection_set, kind, page)  # type: ignore[attr-defined]
            elif node.name.value not in seen:
                seen.add(node.name.value)
                total += self._fragment(node.name.value, page)
        return total

    def _fragment(self, name: str, page: int | None) -> int:
        key = (name, page)
        if key not in self._known:
            fragment = self._fragments[name]
            kind = self._schema.get_type(fragment.type_condition.name.value)
            self._known[key] = self.of(fragment.selection_set, kind, page)
        return self._known[key]

    def _field(self, node: FieldNode, parent: Any, page: int | None) -> int:
        name = node.name.value
        if name in INTROSPECTION:
            return INTROSPECTION_COST
        definition = self._schema.get_field(parent, name)
        if node.selection_set is None or definition is None:
            return 1
        page = self._page(node, definition) or page
        kind, times = get_nullable_type(definition.type), 1
        if isinstance(kind, GraphQLList):
            times, page = page or SIZES.get(f"{parent}.{name}", DEFAULT_SIZE), None
        return 1 + times * self.of(node.selection_set, get_named_type(kind), page)

    def _page(self, node: FieldNode, definition: GraphQLField) -> int | None:
        """How many items the field is told to give; None if it is not told, or not rightly."""
        if PAGE not in definition.args:
            return None
        value: Any = definition.args[PAGE].default_value
        for argument in node.arguments or ():
            if argument.name.value == PAGE and isinstance(argument.value, IntValueNode):
                value = int(argument.value.value)
            elif argument.name.value == PAGE and isinstance(argument.value, VariableNode):
                given = self._pages.get(argument.value.name.value)
                value = value if given is None else given
        return max(1, value) if isinstance(value, int) and value is not Undefined else None
