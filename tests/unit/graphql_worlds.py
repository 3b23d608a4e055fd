"""Schemas that a random number gives, and objects of their types that are often not as declared."""

from __future__ import annotations

import asyncio
import operator
import random
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError, Undefined
from strawberry.schema.config import StrawberryConfig

Odd = NewType("Odd", object)
"""A scalar that some values have no answer for."""


class Colour(Enum):
    RED = "red"
    BLUE = 2
    GREEN = ("green", 3)


class Word(StrEnum):
    YES = "yes"
    NO = "no"


def _odd(value: Any) -> Any:
    if value == "raise":
        raise ValueError("an odd value cannot be told")
    return None if value == "nothing" else value


SCALARS: dict[Any, Any] = {
    Odd: strawberry.scalar(name="Odd", serialize=_odd, parse_value=lambda value: value)
}

for _enum in (Colour, Word):
    strawberry.enum(_enum)


class Later:
    """An awaitable that can be awaited again; `turns`: after so many turns of the loop."""

    def __init__(self, value: Any, turns: int) -> None:
        self.value, self.turns = value, turns

    def __await__(self) -> Generator[Any, Any, Any]:
        for _ in range(self.turns):
            yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Raised):
            raise self.value.error
        return self.value


class Items:
    """A collection that is no list."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


class LaterItems(Items):
    """One that comes item by item."""

    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> AsyncIterator[Any]:
        for one in self.values:
            await asyncio.sleep(0)
            if isinstance(one, Raised):
                raise one.error
            yield one


@dataclass(frozen=True)
class Raised:
    """What a resolver raises instead of returning it."""

    error: Exception


class Stranger:
    """Of no type of the schema."""

    def __repr__(self) -> str:
        return "a stranger"


@dataclass
class Kind:
    """A type as a field is declared with it: for Strawberry, and what values it should have."""

    annotation: Any
    good: Callable[[World], Any]
    is_list: bool = False


LEAVES: tuple[tuple[Any, tuple[Any, ...]], ...] = (
    (str, ("", "word", "é", Word.YES)),
    (int, (0, -3, 2**31 - 1, 2**31, True, 1.0, "12")),
    (float, (0.5, 3, float("nan"), "1.5")),
    (bool, (True, False, 1)),
    (strawberry.ID, ("id", 7)),
    (UUID, (UUID(int=5), "no id")),
    (datetime, (datetime(2026, 1, 15, 3, tzinfo=UTC), "today")),
    (Decimal, (Decimal("1.50"),)),
    (Colour, (Colour.RED, Colour.BLUE, Colour.GREEN, "red", "RED")),
    (Word, (Word.YES, Word.NO, "yes", Colour.RED)),
    (Odd, ("odd", "raise", "nothing", {"a": [1]}, 5)),
)

WRONG: tuple[Any, ...] = (
    None,
    Undefined,
    Stranger(),
    7,
    "text",
    [None],
    {"a": 1},
    ValueError("a value that is an error"),
    GraphQLError("an error of GraphQL", extensions={"code": "ODD"}),
)


@dataclass
class World:
    """One schema; `value` makes objects of it."""

    rng: random.Random
    trouble: float
    kinds: list[Kind] = field(default_factory=list)
    classes: dict[type, list[tuple[str, Kind, bool]]] = field(default_factory=dict)
    schema: Any = None
    root: Any = None

    def value(self, kind: Kind, depth: int = 0) -> Any:
        """One for a field of this kind; with `trouble`, another one than was declared."""
        rng = self.rng
        if rng.random() < self.trouble:
            return rng.choice(WRONG)
        if rng.random() < self.trouble:
            inner = Raised(ValueError("late")) if rng.random() < 0.3 else self.value(kind, depth)
            return Later(inner, rng.randrange(3))
        return kind.good(self)

    def object_of(self, cls: type) -> Any:
        """One whose fields have values; some attribute may be missing."""
        made: Any = object.__new__(cls)
        for name, kind, is_resolved in self.classes[cls]:
            value = self.value(kind)
            if is_resolved:
                is_error = self.rng.random() < self.trouble
                made.__dict__[f"_{name}"] = Raised(_an_error(self.rng)) if is_error else value
            elif self.rng.random() > self.trouble / 4:
                made.__dict__[name] = value
        return made


def _an_error(rng: random.Random) -> Exception:
    return rng.choice(
        [
            ValueError("raised"),
            GraphQLError("raised for GraphQL", extensions={"code": "RAISED"}),
            GraphQLError("raised elsewhere", path=["else", "where"]),
        ]
    )


def world(seed: int) -> World:
    """The schema and the root value of this number."""
    rng = random.Random(seed)
    made = World(rng, rng.choice((0.0, 0.02, 0.1, 0.25)))
    for annotation, values in LEAVES:
        made.kinds.append(_leaf(annotation, values, made.trouble))
    interfaces = [_interface(made, number) for number in range(rng.randrange(3))]
    objects: list[type] = []
    for number in range(rng.randrange(2, 6)):
        bases = tuple(rng.sample(interfaces, rng.randrange(len(interfaces) + 1))[:1])
        objects.append(_object(made, f"T{number}", bases))
        _abstract_kinds(made, objects, interfaces, number)
    query = _object(made, "Query", (), fields=rng.randrange(2, 6))
    made.schema = strawberry.Schema(
        query, types=objects, config=StrawberryConfig(scalar_map=SCALARS)
    )
    made.root = made.object_of(query)
    return made


def _leaf(annotation: Any, values: tuple[Any, ...], trouble: float) -> Kind:
    usual = values[:1] if trouble == 0.0 else values
    return Kind(annotation, lambda world: world.rng.choice(usual))


def _interface(made: World, number: int) -> type:
    fields = [(f"i{number}_{n}", *_declared(made)) for n in range(made.rng.randrange(1, 3))]
    return _class(made, f"I{number}", (), fields, strawberry.interface)


def _object(made: World, name: str, bases: tuple[type, ...], fields: int | None = None) -> type:
    count = made.rng.randrange(1, 6) if fields is None else fields
    own = [(f"{name.lower()}_{n}", *_declared(made)) for n in range(count)]
    cls = _class(made, name, bases, own, strawberry.type)
    made.kinds += [Kind(cls, lambda world: _one_of(world, [cls]))] * 2
    return cls


def _abstract_kinds(made: World, objects: list[type], interfaces: list[type], number: int) -> None:
    rng = made.rng
    for interface in interfaces:
        members = [one for one in objects if issubclass(one, interface)]
        if members:
            made.kinds.append(Kind(interface, _maker_of(members)))
    if len(objects) > 1:
        members = rng.sample(objects, 2)
        either: Any = operator.or_(*members)
        union = Annotated[either, strawberry.union(name=f"U{number}")]
        made.kinds.append(Kind(union, _maker_of(members)))


def _maker_of(members: list[type]) -> Callable[[World], Any]:
    return lambda world: _one_of(world, members)


def _one_of(world: World, members: list[type]) -> Any:
    if world.rng.random() < world.trouble / 2:
        return world.object_of(world.rng.choice(list(world.classes)[:1]))
    return world.object_of(world.rng.choice(members))


def _declared(made: World) -> tuple[Kind, bool]:
    """The kind of a field, and whether it has a resolver."""
    rng = made.rng
    kind = rng.choice(made.kinds)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        kind = _list_of(_maybe_null(rng, kind))
    return _maybe_null(rng, kind), rng.random() < 0.35


def _maybe_null(rng: random.Random, kind: Kind) -> Kind:
    if rng.random() < 0.5:
        return kind
    inner = kind.good
    return Kind(
        kind.annotation | None,
        lambda world: None if world.rng.random() < 0.2 else inner(world),
    )


def _list_of(kind: Kind) -> Kind:
    def good(world: World) -> Any:
        values = [world.value(kind) for _ in range(world.rng.randrange(4))]
        shape = world.rng.random()
        if shape > world.trouble:
            return values if shape > 0.1 else tuple(values)
        return world.rng.choice((Items, LaterItems))(values)

    return Kind(_list_annotation(kind.annotation), good)


def _list_annotation(item: Any) -> Any:
    return list.__class_getitem__(item)


def _class(
    made: World,
    name: str,
    bases: tuple[type, ...],
    fields: list[tuple[str, Kind, bool]],
    decorate: Callable[[type], type],
) -> type:
    namespace: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for field_name, kind, is_resolved in fields:
        if is_resolved:
            resolver = _resolver(made.rng, field_name, kind.annotation)
            namespace[field_name] = strawberry.field(resolver=resolver)
        else:
            namespace["__annotations__"][field_name] = kind.annotation
    cls = decorate(type(name, bases, namespace))
    made.classes[cls] = [one for base in bases for one in made.classes[base]] + fields
    return cls


def _resolver(rng: random.Random, name: str, annotation: Any) -> Callable[..., Any]:
    def give(root: Any) -> Any:
        value = root.__dict__[f"_{name}"]
        if isinstance(value, Raised):
            raise value.error
        return value

    def plain(root: Any) -> Any:
        return give(root)

    def asked(root: Any, info: Any, n: Any = 3, words: Any = None) -> Any:
        if n == 13:
            raise ValueError(f"{n} is unlucky at {info.path.as_list()} for {words}")
        return give(root)

    async def slow(root: Any, n: Any = None) -> Any:
        for _ in range(n or 0):
            await asyncio.sleep(0)
        value = give(root)
        return await value if isinstance(value, Later) else value

    chosen = rng.choice((plain, asked, slow))
    chosen.__annotations__ = {
        plain: {"return": annotation},
        asked: {
            "info": strawberry.Info,
            "n": int,
            "words": list[Word] | None,
            "return": annotation,
        },
        slow: {"n": int | None, "return": annotation},
    }[chosen]
    return chosen
