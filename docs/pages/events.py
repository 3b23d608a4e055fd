"""The catalogue of events: every fact that the log can hold, with its fields and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from strike_domain import events
from strike_domain.eventsourced import AggregateCreated, DomainEvent

BEGIN = """# Every event

What the log holds, under the names that are stored. An event is never changed once it was stored; a
new version of one comes with an upcaster, so that old logs are read for ever. How each is stored is
pinned by a file of its name in `tests/unit/golden`. A projection of yours finds the classes in
`strike_domain.events`; how they reach other machines is in
[The log as a stream](../stream.md).

Besides its own fields each carries these:"""

HEADS = {
    "strike.eco": "## Of an ECO",
    "strike.run": "## Of a pager run",
}


Values = dict[str, type[BaseModel | Enum]]
"""What the fields hold that is no plain value, by its name."""


def page() -> str:
    """The page, in Markdown."""
    known = [getattr(events, name) for name in events.__all__]
    values: Values = {}
    for event in known:
        _collect(event, values)
    parts = [BEGIN, _table(DomainEvent.model_fields, values)]
    for prefix, head in HEADS.items():
        parts.append(head)
        parts += [_section(one, values) for one in known if one.TOPIC.startswith(prefix)]
    parts.append("## What the fields hold")
    parts += [_value(name, one, values) for name, one in sorted(values.items())]
    return "\n\n".join(parts) + "\n"


def _section(event: type[DomainEvent], values: Values) -> str:
    own = {
        name: field
        for name, field in event.model_fields.items()
        if name not in DomainEvent.model_fields and name not in AggregateCreated.model_fields
    }
    version = f", version {event.class_version}" if event.class_version > 1 else ""
    parts = [f"### {event.__name__}", f"`{event.TOPIC}`{version}", _doc(event)]
    parts.append(_table(own, values) if own else "No fields of its own.")
    return "\n\n".join(part for part in parts if part)


def _doc(one: type[BaseModel | Enum]) -> str:
    """Its own words: a class without any would show those of Pydantic."""
    return " ".join((vars(one).get("__doc__") or "").split())


def _table(fields: dict[str, FieldInfo], values: Values) -> str:
    rows = [f"| `{name}` | {_type(field.annotation, values)} |" for name, field in fields.items()]
    return "\n".join(["| field | type |", "|---|---|", *rows])


def _type(annotation: Any, values: Values) -> str:
    """`UUID | None`, without the modules that names come from; a value leads to what it holds."""
    plain = re.sub(r"\b(?:[a-z_]+\.)+(?=\w)", "", str(annotation))
    plain = re.sub(r"<(?:class|enum) '([^']*)'>", r"\1", plain)
    shown = f"`{plain}`".replace("|", r"\|")
    named = [name for name in re.findall(r"\w+", plain) if name in values]
    return f"[{shown}](#{named[0].lower()})" if named else shown


# What fields hold -------------------------------------------------------------------------------


def _value(name: str, one: type[BaseModel | Enum], values: Values) -> str:
    holds = _members(one) if issubclass(one, Enum) else _table(one.model_fields, values)
    return "\n\n".join(filter(None, [f"### {name}", _doc(one), holds]))


def _members(one: type[Enum]) -> str:
    return "One of " + ", ".join(f"`{member.value}`" for member in one) + "."


def _collect(model: type[BaseModel], found: Values) -> None:
    for field in model.model_fields.values():
        for one in _classes(field.annotation):
            if not issubclass(one, BaseModel | Enum) or one.__name__ in found:
                continue
            found[one.__name__] = one
            if issubclass(one, BaseModel):
                _collect(one, found)


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)
