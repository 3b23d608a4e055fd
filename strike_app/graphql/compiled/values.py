"""Values below a field: lists, objects and abstract types, as `complete_value` has them.

A completer is a closure for one place of the query. Whatever it was not made for (an iterator, an
asynchronous one, something that is no list) it hands to graphql-core's executor, which it runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from graphql import (
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.executor import collect_iterator_awaitables, invalid_return_type_error
from graphql.pyutils import Path
from graphql.pyutils.gather_with_cancel import gather_with_cancel

from strike_app.graphql.compiled.asked import Asked, Complete, Run, shielded
from strike_app.graphql.compiled.leaves import PLAIN, leaf_of
from strike_app.graphql.compiled.rows import Attribute, row_of

Field = Callable[[Run, Any, Path | None], Any]
"""Gives what is answered for a source below this path, or an awaitable of it. Raises a located
`GraphQLError` only if the field must not be null."""


class Part(NamedTuple):
    """One field of a selection; `attribute` if it is a leaf that is read from its source."""

    key: str
    field: Field
    attribute: Attribute | None = None


Select = Callable[[Run, GraphQLObjectType, FieldDetailsList], Sequence[Part]]
"""Gives the compiled fields that are asked of an object type, in the order of the answer."""


def complete_of(asked: Asked, select: Select) -> Complete:
    """The completer of a field's whole value."""
    return _complete(asked.definition.type, asked, select)


def _complete(kind: GraphQLOutputType, asked: Asked, select: Select) -> Complete:
    if is_non_null_type(kind):
        return _required(_complete(kind.of_type, asked, select), asked)
    if is_leaf_type(kind):
        leaf = leaf_of(kind)
        return lambda _run, value, _path, _info: leaf(value)
    if is_list_type(kind):
        return _or_null(_list(kind, asked, select))
    if is_object_type(kind):
        return _or_null(_object(kind, asked, select))
    return _or_null(_abstract(kind, asked, select))


def _required(inner: Complete, asked: Asked) -> Complete:
    def complete(run: Run, value: Any, path: Path, info: Any) -> Any:
        done = inner(run, value, path, info)
        if done is None:
            raise asked.null_refused()
        return done

    return complete


def _or_null(inner: Complete) -> Complete:
    def complete(run: Run, value: Any, path: Path, info: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            return None
        return inner(run, value, path, info)

    return complete


def _list(kind: GraphQLList[Any], asked: Asked, select: Select) -> Complete:
    item = shielded(asked, kind.of_type, _complete(kind.of_type, asked, select))

    def complete(run: Run, value: Any, path: Path, info: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            info = info or asked.info(run, path)
            return run.complete_list_value(kind, asked.details, info, path, value, None)
        done: list[Any] = []
        waiting: list[int] = []
        items = iter(value)
        try:
            for index, one in enumerate(items):
                made = item(run, one, Path(path, index, None), info)
                if type(made) not in PLAIN and run.is_awaitable(made):
                    waiting.append(index)
                done.append(made)
        except Exception:
            _settle(run, done, waiting, items)
            raise
        return _awaited(done, waiting) if waiting else done

    return complete


def _object(kind: GraphQLObjectType, asked: Asked, select: Select) -> Complete:
    is_type_of = kind.is_type_of
    fields = _fields_of(kind, asked, select)
    if is_type_of is None:
        return lambda run, value, path, _info: fields(run, value, path)

    def complete(run: Run, value: Any, path: Path, info: Any) -> Any:
        is_one = is_type_of(value, info)
        if type(is_one) not in PLAIN and run.is_awaitable(is_one):
            return later(run, value, path, is_one)
        if not is_one:
            raise invalid_return_type_error(kind, value, asked.details)
        return fields(run, value, path)

    async def later(run: Run, value: Any, path: Path, is_one: Any) -> Any:
        if not await is_one:
            raise invalid_return_type_error(kind, value, asked.details)
        done = fields(run, value, path)
        return await done if run.is_awaitable(done) else done

    return complete


def _abstract(kind: Any, asked: Asked, select: Select) -> Complete:
    """Of an interface or union: the completer of the type that each value turns out to have."""
    known: dict[str, Complete] = {}

    def of_type(run: Run, name: Any, value: Any, info: Any) -> Complete:
        found = known.get(name) if type(name) is str else None
        if found is None:
            runtime = run.ensure_valid_runtime_type(name, kind, asked.details, info, value)
            found = known[runtime.name] = _object(runtime, asked, select)
        return found

    def complete(run: Run, value: Any, path: Path, info: Any) -> Any:
        name = (kind.resolve_type or run.type_resolver)(value, info, kind)
        if type(name) not in PLAIN and run.is_awaitable(name):
            return later(run, name, value, path, info)
        return of_type(run, name, value, info)(run, value, path, info)

    async def later(run: Run, name: Any, value: Any, path: Path, info: Any) -> Any:
        done = of_type(run, await name, value, info)(run, value, path, info)
        return await done if run.is_awaitable(done) else done

    return complete


def _fields_of(kind: GraphQLObjectType, asked: Asked, select: Select) -> Field:
    """What is asked of an object; compiled when the first one is there."""
    compiled: Field | None = None

    def complete(run: Run, value: Any, path: Path | None) -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = _selection(select(run, kind, asked.details))
        return compiled(run, value, path)

    return complete


def _selection(parts: Sequence[Part]) -> Field:
    """The parts of an object, side by side: all are begun before one is awaited."""
    leaves = [(part.key, part.attribute) for part in parts if part.attribute]
    row = row_of([attribute for _, attribute in leaves])
    keys = [key for key, _ in leaves]
    others = [part for part in parts if part.attribute is None]
    empty = dict.fromkeys(part.key for part in parts)

    def complete(run: Run, value: Any, path: Path | None) -> Any:
        done: dict[str, Any] = {}
        left: Sequence[Part] = parts
        if row is not None and (values := row(value)) is not None:
            done = empty.copy()
            done.update(zip(keys, values, strict=True))
            left = others
        return rest(run, value, path, done, left) if left else done

    def rest(
        run: Run, value: Any, path: Path | None, done: dict[str, Any], left: Sequence[Part]
    ) -> Any:
        waiting: list[str] = []
        try:
            for key, field, _ in left:
                one = done[key] = field(run, value, path)
                if type(one) not in PLAIN and run.is_awaitable(one):
                    waiting.append(key)
        except Exception:
            _settle(run, done, waiting, iter(()))
            raise
        return _awaited(done, waiting) if waiting else done

    return complete


def _settle(run: Run, done: Any, waiting: list[Any], left: Iterator[Any]) -> None:
    """What was begun, or lies there to be awaited, ends in the background."""
    begun = [done[place] for place in waiting]
    begun += collect_iterator_awaitables(left, run.is_awaitable)
    if begun:
        run.settle_in_background(begun)


async def _awaited(done: Any, waiting: list[Any]) -> Any:
    """The dictionary or list with what was still to come at these places."""
    if len(waiting) == 1:
        (place,) = waiting
        done[place] = await done[place]
        return done
    found = await gather_with_cancel(*(done[place] for place in waiting))
    for place, one in zip(waiting, found, strict=True):
        done[place] = one
    return done
