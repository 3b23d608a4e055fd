"""Where fibres are cut: along real backbones, or else between real towns.

The backbones are those of `topohub` (extra `demo`), read where they are installed and never kept
here: their licence is not stated. Without them, spans lie between the largest towns of the names
of places that come with Strike, each joined to the nearest larger one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from math import cos, hypot, radians
from random import Random
from typing import Any

from pydantic_core import to_json

from strike_adapters.places.gazetteer import FILE, SCALE
from strike_domain.errors import Rejected
from strike_domain.geometry import Location, Position, length_m, parse_location

Span = tuple[Position, Position]

TOWNS = 800
"""So many of the largest are joined where no backbones are installed."""

LONGEST = 0.15
"""Degrees of a cut, which is a stretch of a span."""


@dataclass(frozen=True)
class Site:
    """A place as an event and a briefing write it, in JSON."""

    location: str
    place: str
    position: str
    length: str


def sites(count: int, random: Random) -> list[Site]:
    """So many places of cuts, the same ones for the same state of `random`."""
    spans = sorted(backbones()) or sorted(between_towns())
    found: list[Site] = []
    while len(found) < count:
        try:
            found.append(_site(parse_location(_cut(random.choice(spans), random))))
        except Rejected:  # A backbone can cross the line where longitudes end.
            continue
    return found


def backbones() -> Iterator[Span]:
    """Both ends of every link of the carriers' networks; none where they are not installed."""
    try:
        folder = files("topohub") / "data" / "topozoo"
        networks = [one for one in folder.iterdir() if one.name.endswith(".json")]
    except (ModuleNotFoundError, FileNotFoundError):
        return
    for one in networks:
        network = json.loads(one.read_bytes())
        places = {node["id"]: node.get("pos") for node in network["nodes"]}
        for edge in network["edges"]:
            start, end = places.get(edge["source"]), places.get(edge["target"])
            if start and end and start != end:
                yield (start[0], start[1]), (end[0], end[1])


def between_towns() -> Iterator[Span]:
    """Each of the largest towns and the nearest larger one; none where the names are missing."""
    if not FILE.is_file():
        return
    book: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    columns = zip(book["longitudes"], book["latitudes"], strict=True)
    places = [(longitude / SCALE, latitude / SCALE) for longitude, latitude in columns]
    towns = [place for _, place in zip(range(book["towns"]), places, strict=False)]
    order = sorted(range(len(towns)), key=lambda n: -book["populations"][n])
    largest = list(dict.fromkeys(towns[n] for n in order))[:TOWNS]
    for n, town in enumerate(largest[1:], 1):
        yield min(largest[:n], key=lambda other: _degrees(town, other)), town


def _degrees(one: Position, other: Position) -> float:
    return hypot((one[0] - other[0]) * cos(radians(one[1])), one[1] - other[1])


def _cut(span: Span, random: Random) -> dict[str, Any]:
    """A point on the span, or a stretch of it as the line of four points that a map would have."""
    (west, south), (east, north) = span
    begin = random.random()
    if random.random() < 0.4:
        return {"type": "Point", "coordinates": _at(span, begin)}
    whole = max(abs(east - west), abs(north - south))
    step = random.uniform(0.02, 1) * LONGEST / max(whole, LONGEST) / 3
    # Fibre follows roads, not lines.
    off = [random.uniform(-0.002, 0.002) for _ in range(4)]
    line = [_at(span, begin + step * n, bend) for n, bend in enumerate(off)]
    return {"type": "LineString", "coordinates": line}


def _at(span: Span, share: float, off: float = 0.0) -> list[float]:
    (west, south), (east, north) = span
    longitude, latitude = west + (east - west) * share, south + (north - south) * share
    return [round(longitude + off, 6), round(latitude - off, 6)]


def _site(location: Location) -> Site:
    length = length_m(location.positions)
    values = (location, location.describe(), location.positions[0], length)
    return Site(*(to_json(value).decode() for value in values))
