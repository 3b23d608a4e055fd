"""Queries that a random number gives, valid for whatever schema: all that a selection can be."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

FLAGS = ("up", "down", "left", "right")

Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType


@dataclass
class Asker:
    """Writes one document; the same field is always given the same arguments, so all merges."""

    schema: GraphQLSchema
    rng: random.Random
    fragments: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    left: int = 60

    def document(self) -> str:
        root = self.schema.query_type
        assert root is not None
        return self.wrapped(self.selection(root, 0))

    def wrapped(self, asked: str) -> str:
        """The document that asks so of the root, with the fragments and variables it needs."""
        fragments = "\n".join(self.fragments.values())
        flags = " ".join(f"${name}: Boolean! = true" for name in FLAGS[:2])
        flags += " ".join(f" ${name}: Boolean = false" for name in FLAGS[2:])
        # Each of them is used, so that the document is valid whatever else it asks for.
        used = " ".join(f"{name}: __typename @skip(if: ${name})" for name in FLAGS)
        used += " a: __typename @include(if: true) @skip(if: false)"
        for name, kind in (("$n", "Int"), ("$many", "[Word!]")):
            flags += f" {name}: {kind}" if name in asked + fragments else ""
        return f"query ({flags}) {{ {used} {asked} }}\n{fragments}"

    def selection(self, kind: Composite, depth: int) -> str:
        """One of the type, without its brackets; never empty."""
        parts = [self._part(kind, depth) for _ in range(self.rng.randrange(1, 5))]
        return " ".join([*filter(None, parts)] or ["__typename"])

    def _part(self, kind: Composite, depth: int) -> str:
        choice = self.rng.random()
        self.left -= 1
        if choice < 0.1:
            return f"{self.rng.choice(('', 'kind: '))}__typename {self._condition()}"
        if (choice < 0.35 or isinstance(kind, GraphQLUnionType)) and self.left > 0:
            return self._fragment(kind, depth)
        if isinstance(kind, GraphQLUnionType):
            return "__typename"
        return self._field(kind, depth)

    def _field(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        name = self.rng.choice(list(kind.fields))
        definition = kind.fields[name]
        named = get_named_type(definition.type)
        inner = ""
        if not is_leaf_type(named):
            if depth > 4 or self.left < 0:
                return ""
            inner = f"{{ {self.selection(named, depth + 1)} }}"
        alias = f"alias_{name}: " if self.rng.random() < 0.15 else ""
        return f"{alias}{name}{self._arguments(name, definition)} {self._condition()} {inner}"

    def _fragment(self, kind: Composite, depth: int) -> str:
        on = self._other_type(kind)
        if self.rng.random() < 0.5:
            if on is kind and self.rng.random() < 0.5:
                return f"... {self._condition()} {{ {self.selection(kind, depth)} }}"
            inner = self.selection(on, depth)
            return f"... on {on.name} {self._condition()} {{ {inner} }}"
        name = f"F{len(self.fragments)}_{self.left}"
        inner = self.selection(on, depth)
        self.fragments[name] = f"fragment {name} on {on.name} {{ {inner} }}"
        again = f"...{name} {self._condition()}" if self.rng.random() < 0.3 else ""
        return f"...{name} {self._condition()} {again}"

    def _other_type(self, kind: Composite) -> Composite:
        """A type of which some object of `kind` can be."""
        objects = list(self.schema.get_possible_types(kind)) if is_abstract_type(kind) else [kind]
        chosen: Any = self.rng.choice(objects)
        wider = [kind, chosen, *getattr(chosen, "interfaces", ())]
        other: Composite = self.rng.choice(wider)
        return other

    def _condition(self) -> str:
        written = ""
        for name in ("include", "skip"):
            if self.rng.random() < 0.12:
                given = self.rng.choice(("true", "false", *(f"${one}" for one in FLAGS)))
                written += f"@{name}(if: {given}) "
        return written

    def _arguments(self, name: str, definition: GraphQLField) -> str:
        if name not in self.given:
            self.given[name] = self._drawn(definition)
        return self.given[name]

    def _drawn(self, definition: GraphQLField) -> str:
        drawn = []
        if "n" in definition.args and self.rng.random() < 0.7:
            drawn.append(f"n: {self.rng.choice(('1', '13', '2', '$n'))}")
        if "words" in definition.args and self.rng.random() < 0.5:
            drawn.append(f"words: {self.rng.choice(('[YES]', 'null', 'NO', '$many'))}")
        return f"({', '.join(drawn)})" if drawn else ""


def variables(rng: random.Random) -> dict[str, Any]:
    """Values for what a document declares: given, left out, null, and now and then wrong."""
    drawn: dict[str, Any] = {}
    for name in FLAGS:
        if rng.random() < 0.6:
            drawn[name] = rng.random() < 0.5
    if rng.random() < 0.05:
        drawn[rng.choice(FLAGS)] = rng.choice((None, "true"))
    if rng.random() < 0.6:
        drawn["n"] = rng.choice((0, 1, 13, None))
    if rng.random() < 0.6:
        drawn["many"] = rng.choice((["YES"], None, "NO", []))
    return drawn
