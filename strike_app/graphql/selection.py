"""Which fields of an object a query asks for, so that only their columns are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cachetools import LRUCache
from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, SelectionSetNode

KEPT = 1_000
"""So many fields of queries are remembered; queries themselves are kept parsed as well."""

Fragments = dict[str, FragmentDefinitionNode]

_known: LRUCache[tuple[int, tuple[str, ...]], tuple[Any, frozenset[str]]] = LRUCache(KEPT)


def selected(info: Any, *path: str) -> frozenset[str] | None:
    """Names of the fields asked for below this field, at `path`; None if that cannot be told.

    Those of fragments are among them, and those that `@skip` or `@include` may leave out.
    """
    raw = getattr(info, "_raw_info", None)
    nodes = getattr(raw, "field_nodes", None)
    if raw is None or not nodes:
        return None
    if len(nodes) > 1:
        return _names(_at(nodes, path, raw.fragments), raw.fragments)
    # A node is kept with what is known of it: its number is nobody else's meanwhile.
    key = (id(nodes[0]), path)
    if (known := _known.get(key)) is None:
        known = _known[key] = nodes[0], _names(_at(nodes, path, raw.fragments), raw.fragments)
    return known[1]


def _at(
    nodes: Iterable[FieldNode], path: tuple[str, ...], fragments: Fragments
) -> Iterator[FieldNode]:
    if not path:
        yield from nodes
        return
    for node in nodes:
        below = [one for one in _fields(node.selection_set, fragments) if one.name.value == path[0]]
        yield from _at(below, path[1:], fragments)


def _names(nodes: Iterable[FieldNode], fragments: Fragments) -> frozenset[str]:
    return frozenset(
        one.name.value for node in nodes for one in _fields(node.selection_set, fragments)
    )


def _fields(chosen: SelectionSetNode | None, fragments: Fragments) -> Iterator[FieldNode]:
    for one in chosen.selections if chosen else ():
        if isinstance(one, FieldNode):
            yield one
        elif isinstance(one, FragmentSpreadNode):
            yield from _fields(fragments[one.name.value].selection_set, fragments)
        else:
            yield from _fields(one.selection_set, fragments)  # type: ignore[attr-defined]
