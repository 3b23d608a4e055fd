"""One field of one type: resolve, complete, and keep its errors to itself where it may be null."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.types.field import StrawberryField

from strike_app.graphql.compiled.arguments import arguments_of
from strike_app.graphql.compiled.asked import Asked, Run, shielded
from strike_app.graphql.compiled.leaves import leaf_of, quick_of
from strike_app.graphql.compiled.rows import Attribute
from strike_app.graphql.compiled.values import Field, Part, Select, complete_of

Get = Callable[[Any], Any]


def compile_field(
    run: Run, parent: GraphQLObjectType, key: str, details: FieldDetailsList, select: Select
) -> Part | None:
    """What `details` ask of `parent`, answered under `key`; None if it has no such field."""
    name = details[0].node.name.value
    definition = run.schema.get_field(parent, name)
    if definition is None:
        return None
    if name == "__typename":
        return Part(key, _typename(parent.name))
    asked = Asked(definition, parent, key, details)
    attribute, kind = attribute_of(definition), get_nullable_type(definition.type)
    get = attrgetter(attribute) if attribute else None
    if attribute and get and is_leaf_type(kind):
        leaf = Attribute(attribute, kind, is_non_null_type(definition.type))
        return Part(key, _plain_leaf(asked, leaf, get), leaf)
    return Part(key, _any_field(asked, get, select))


def attribute_of(definition: GraphQLField) -> str | None:
    """The attribute that a Strawberry field reads, if it does nothing else."""
    field = (definition.extensions or {}).get("strawberry-definition")
    if not isinstance(field, StrawberryField) or definition.args:
        return None
    is_plain = (
        field.is_basic_field
        and field.default_resolver is getattr
        and type(field).get_result is StrawberryField.get_result
        and getattr(definition.resolve, "__name__", "") == "_get_basic_result"
        and field.python_name.isidentifier()
    )
    return field.python_name if is_plain else None


def _typename(name: str) -> Field:
    return lambda _run, _source, _path: name


def _plain_leaf(asked: Asked, of: Attribute, get: Get) -> Field:
    """Of a scalar or enum that is an attribute: nearly all of what an answer consists of."""
    declared, leaf = asked.definition.type, leaf_of(of.kind)
    same, known, convert = quick_of(of.kind)

    def complete(_run: Run, value: Any, _path: Any, _info: Any) -> Any:
        done = leaf(value)
        if done is None and of.is_required:
            raise asked.null_refused()
        return done

    slow = shielded(asked, declared, complete)

    def field(run: Run, source: Any, path: Path | None) -> Any:
        try:
            value = get(source)
            found = type(value)
            if found is same:
                return value
            if found is known:
                return convert(value)
        except Exception as error:
            return asked.failed(run, error, declared, asked.below(path))
        return slow(run, value, asked.below(path), None)

    return field


def _any_field(asked: Asked, get: Get | None, select: Select) -> Field:
    """Of any type, with whatever resolver it has."""
    declared = asked.definition.type
    resolve = _resolver(asked, get)
    complete = shielded(asked, declared, complete_of(asked, select))

    def field(run: Run, source: Any, path: Path | None) -> Any:
        here = asked.below(path)
        try:
            value, info = resolve(run, source, here)
        except Exception as error:
            return asked.failed(run, error, declared, here)
        return complete(run, value, here, info)

    return field


def _resolver(asked: Asked, get: Get | None) -> Callable[[Run, Any, Path], tuple[Any, Any]]:
    """What gives the value and the `info` of its field; None for an `info` that nobody asks for."""
    if get is not None:
        return lambda run, source, here: (get(source), asked.info_if_needed(run, here))
    arguments = arguments_of(asked.definition, asked.details[0].node)
    own = asked.definition.resolve

    def resolve(run: Run, source: Any, here: Path) -> tuple[Any, Any]:
        info = asked.info(run, here)
        given = arguments(run) if arguments else {}
        return (own or run.field_resolver)(source, info, **given), info

    return resolve
