"""Which operations can be compiled, and what has been: kept by document, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
)
from graphql.execution.collect_fields import FieldDetailsList, collect_subfields

from strike_app.graphql.compiled.asked import Run
from strike_app.graphql.compiled.fields import compile_field
from strike_app.graphql.compiled.values import Field, Part

KEPT_SHAPES = 500
"""How many operations are remembered, compiled or not."""

KEPT_PROGRAMS = 1_000
"""How many programs: one for each set of values that its @skip and @include have had."""

CONDITIONS = frozenset({"skip", "include"})

Flags = tuple[object, ...]


class Program:
    """The fields of one operation, for one set of values of its conditions.

    Selections are gathered when they are first met, by graphql-core's own rules; what it gathers
    depends on the conditions only, so it holds for each later request of this program.
    """

    def __init__(self) -> None:
        self._root: dict[str, Field | None] = {}

    def root_field(
        self, run: Run, parent: GraphQLObjectType, key: str, details: FieldDetailsList
    ) -> Field | None:
        """The field of the root that answers under `key`; None if the schema has no such field."""
        if key not in self._root:
            part = compile_field(run, parent, key, details, self.selection)
            self._root[key] = part.field if part else None
        return self._root[key]

    def selection(
        self, run: Run, parent: GraphQLObjectType, details: FieldDetailsList
    ) -> list[Part]:
        """What is asked of an object of this type below these nodes, compiled."""
        grouped = collect_subfields(
            run.schema,
            run.fragments,
            run.variable_values,
            run.operation,
            parent,
            details,
            run.hide_suggestions,
        ).grouped_field_set
        compiled = (
            compile_field(run, parent, key, one, self.selection) for key, one in grouped.items()
        )
        return [part for part in compiled if part is not None]


class Document:
    """An operation within its schema and with its fragments; known by identity, as a key.

    To compare or hash the nodes by value would take longer than to run them.
    """

    __slots__ = ("fragments", "operation", "schema")

    def __init__(self, run: Run) -> None:
        self.schema: GraphQLSchema = run.schema
        self.operation: OperationDefinitionNode = run.operation
        self.fragments: tuple[FragmentDefinitionNode, ...] = tuple(
            run.fragment_definitions.values()
        )

    def __hash__(self) -> int:
        return id(self.operation)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Document)
            and other.operation is self.operation
            and other.schema is self.schema
            and len(other.fragments) == len(self.fragments)
            and all(map(_is, other.fragments, self.fragments))
        )


class _Shape:
    """Of an operation that can be compiled: the variables that its conditions depend on."""

    __slots__ = ("conditions",)

    def __init__(self, conditions: tuple[str, ...]) -> None:
        self.conditions = conditions


def program_of(run: Run) -> Program | None:
    """What to run instead of graphql-core; None: leave all of it to graphql-core."""
    middleware = run.middleware_manager
    if run.abort_signal is not None or (middleware is not None and middleware.middlewares):
        return None
    shape = shape_of(Document(run))
    if shape is None:
        return None
    values = run.variable_values.coerced
    return _program(shape, tuple(values.get(name, Undefined) for name in shape.conditions))


@lru_cache(maxsize=KEPT_SHAPES)
def shape_of(document: Document) -> _Shape | None:
    """None for what is not compiled: introspection, fragments with variables, and every directive
    but @skip and @include, so @defer, @stream and a schema's own."""
    if document.operation.directives or any(
        one.directives or one.variable_definitions for one in document.fragments
    ):
        return None
    conditions: dict[str, None] = {}
    for node in selections(document):
        if isinstance(node, FieldNode) and node.name.value in ("__schema", "__type"):
            return None
        for directive in node.directives or ():
            if directive.name.value not in CONDITIONS:
                return None
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    conditions[argument.value.name.value] = None
    return _Shape(tuple(conditions))


@lru_cache(maxsize=KEPT_PROGRAMS)
def _program(_shape: _Shape, _flags: Flags) -> Program:
    return Program()


def selections(document: Document) -> Iterator[SelectionNode]:
    """Every selection of the operation and of all fragments, each once."""
    waiting: list[SelectionSetNode] = [
        document.operation.selection_set,
        *(one.selection_set for one in document.fragments),
    ]
    while waiting:
        for node in waiting.pop().selections:
            yield node
            inner = getattr(node, "selection_set", None)
            if inner is not None:
                waiting.append(inner)


def _is(one: object, other: object) -> bool:
    return one is other
