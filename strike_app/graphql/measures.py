"""How deep a query goes and how often it renames: each fragment is measured once only.

The library's rules measure a fragment again for each use, so that a short query of sixty fragments,
each using the next one twice, keeps the server busy for ever; and depth of introspection is no
concern of theirs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

INTROSPECTION = ("__schema", "__type")


class Measure(NamedTuple):
    """Of a selection: fields that its deepest leaf stands in, without introspection and with it
    alone; and its aliases, counted wherever a fragment is used."""

    depth: int = 0
    of_introspection: int = 0
    aliases: int = 0


def measures_rule(depth: int, of_introspection: int, aliases: int) -> type[ValidationRule]:
    """Refuses each operation that has more of one of these."""

    class Measures(ValidationRule):
        def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
            found = _Measurer(self.context).of(node.selection_set)
            limits = (
                (found.depth, depth, "levels of depth"),
                (found.of_introspection, of_introspection, "levels of depth of the schema"),
                (found.aliases, aliases, "aliases"),
            )
            for count, most, what in limits:
                if count > most:
                    message = f"{count:,} {what} are too many; {most} is the most."
                    self.report_error(GraphQLError(message, node))

    return Measures


class _Measurer:
    def __init__(self, context: ValidationContext) -> None:
        self._context = context
        self._known: dict[str, Measure] = {}

    def of(self, selections: SelectionSetNode) -> Measure:
        found = [self._node(one) for one in selections.selections]
        return Measure(
            max((one.depth for one in found), default=0),
            max((one.of_introspection for one in found), default=0),
            sum(one.aliases for one in found),
        )

    def _node(self, node: Any) -> Measure:
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        if isinstance(node, FieldNode):
            return self._field(node)
        return self.of(node.selection_set)

    def _field(self, node: FieldNode) -> Measure:
        alias = int(node.alias is not None)
        if node.selection_set is None:
            return Measure(aliases=alias)
        depth, schema, aliases = self.of(node.selection_set)
        if node.name.value in INTROSPECTION:
            return Measure(0, max(depth, schema) + 1, aliases + alias)
        return Measure(depth + 1, schema, aliases + alias)

    def _fragment(self, name: str) -> Measure:
        if name not in self._known:
            # While it is measured: another rule refuses fragments in a circle.
            self._known[name] = Measure()
            fragment = self._context.get_fragment(name)
            if fragment is not None:
                self._known[name] = self.of(fragment.selection_set)
        return self._known[name]
