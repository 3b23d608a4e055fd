"""What a change changed, in words: only what differs, and nothing longer than a line can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 60
"""Most characters that are shown of one value."""

NOTHING = "–"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    key: str
    before: str
    after: str


def differences(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[Difference]:
    """The keys whose values differ, in their order; of what came or went, all that have any."""
    was, now = before or {}, after or {}
    return [
        Difference(key, *_pair(was.get(key), now.get(key)))
        for key in dict.fromkeys((*was, *now))
        if _settled(was.get(key)) != _settled(now.get(key))
    ]


def _settled(value: Any) -> Any:
    """Sets are kept as arrays, whose order means nothing; nothing and empty look the same."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return sorted(value) or None
    return value or None if isinstance(value, list | dict | str) else value


def _pair(was: Any, now: Any) -> tuple[str, str]:
    """Of people, only those who are not at the same place of both."""
    if _is_people(was) and _is_people(now):
        was, now = _without(was, now), _without(now, was)
    return in_words(was), in_words(now)


def _is_people(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _without(people: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    differing = [one for one in people if one not in others]
    return differing or [*people]  # Nobody came or went: then it is their order.


def in_words(value: Any) -> str:
    """A value as people read it: "Ana +13035550101, Ben +13035550102", "Polygon, 12 vertices"."""
    if value in (None, "", [], {}):
        return NOTHING
    match value:
        case {"type": str(kind), "coordinates": list(coordinates)}:
            return f"{kind}, {_count(coordinates):,} vertices"
        case {"name": str(name), "phone": str(phone)}:
            return f"{name} {phone}"
        case {"key": str(key), "reason": str(reason)}:
            return f"{key} {reason}"
        case list():
            return _short(", ".join(map(in_words, _ordered(value))))
        case bool() | dict():
            return _short(json.dumps(value, ensure_ascii=False))
        case _:
            return _short(str(value))


def _ordered(values: list[Any]) -> list[Any]:
    return sorted(values) if all(isinstance(one, str) for one in values) else values


def _count(coordinates: Any) -> int:
    if coordinates and isinstance(coordinates[0], int | float):
        return 1
    return sum(map(_count, coordinates))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
