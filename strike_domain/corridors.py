"""The ground along a network's fibre, as a region: so many metres to both sides of its spans."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import shapely
from shapely import LineString, Point
from shapely.affinity import scale, translate
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from strike_domain.errors import Rejected
from strike_domain.geometry import EARTH_RADIUS_M, FieldPath, Location, Position
from strike_domain.regions import parse_region

HALF_WIDTH_M = 2_000.0
"""How far a corridor reaches to each side where nothing else is said, in metres."""

MAX_CORRIDOR_VERTICES = 2_000

MIN_HALF_WIDTH_M, MAX_HALF_WIDTH_M = 10.0, 50_000.0

MAX_LATITUDE = 84.0
"""Farther north and south, a degree of longitude changes too fast with the latitude."""

_METRES_PER_DEGREE = math.radians(EARTH_RADIUS_M)

# A piece is buffered with the scale of its middle: at 60° the scale is then right within 0.4 %.
_PIECE_DEGREES = 0.25

# The share of the half width that a piece may be off while its edges are made fewer.
_STRAIGHT = 0.001

# Shares of the half width that a simplified border may be off; a coarse one only outwards.
_FINE, _COARSE = 0.005, 1.5
_GRID = 1e-6


def corridor(
    places: Iterable[Location], half_width_m: float = HALF_WIDTH_M, *, path: FieldPath = ()
) -> dict[str, Any]:
    """The region of all ground within `half_width_m` metres of the lines and points.

    It covers every one of them, is right within 2 % up to 60° of latitude, has at most
    `MAX_CORRIDOR_VERTICES` vertices, and is as `parse_region` returns it. A large network's is made
    coarser, never narrower and at most some 2.5 times as wide, until it has no more vertices.

    Raises `Rejected`: CORRIDOR_WIDTH_INVALID, CORRIDOR_EMPTY, CORRIDOR_NEAR_POLE,
    CORRIDOR_TOO_DETAILED.
    """
    if not MIN_HALF_WIDTH_M <= half_width_m <= MAX_HALF_WIDTH_M:
        message = f"Use {MIN_HALF_WIDTH_M:g} to {MAX_HALF_WIDTH_M:,g} metres to each side."
        raise Rejected("CORRIDOR_WIDTH_INVALID", message, path)
    pieces = [piece for place in places for piece in _pieces(place, path)]
    if not pieces:
        raise Rejected("CORRIDOR_EMPTY", "There is no line or point to go along.", path)
    area = _on_the_globe(shapely.union_all([_around(one, half_width_m) for one in pieces]))
    return parse_region(mapping(_simplified(area, half_width_m, path)), path=path)


def _pieces(place: Location, path: FieldPath) -> Iterator[BaseGeometry]:
    """The place in parts that are so short from north to south that one scale does for each."""
    _, south, _, north = place.bounds
    if max(abs(south), abs(north)) > MAX_LATITUDE:
        message = f"A corridor ends at {MAX_LATITUDE:g} degrees north and south."
        raise Rejected("CORRIDOR_NEAR_POLE", message, path)
    if place.type == "Point":
        yield place.shape()
        return
    for part in _cut(_dense(place.positions)):
        yield LineString(part)


def _dense(positions: Sequence[Position]) -> list[Position]:
    """The same line, with vertices on it wherever an edge goes on for too many latitudes."""
    dense = [positions[0]]
    for start, end in zip(positions, positions[1:], strict=False):
        steps = max(1, math.ceil(abs(end[1] - start[1]) / _PIECE_DEGREES))
        across, up = (end[0] - start[0]) / steps, (end[1] - start[1]) / steps
        dense += [(start[0] + step * across, start[1] + step * up) for step in range(1, steps)]
        dense.append(end)
    return dense


def _cut(positions: list[Position]) -> Iterator[list[Position]]:
    """Each part begins where the one before it ends."""
    part, south, north = positions[:1], positions[0][1], positions[0][1]
    for position in positions[1:]:
        south, north = min(south, position[1]), max(north, position[1])
        if len(part) > 1 and north - south > _PIECE_DEGREES:
            yield part
            part = part[-1:]
            south, north = sorted((part[0][1], position[1]))
        part.append(position)
    yield part


def _around(piece: BaseGeometry, half_width_m: float) -> BaseGeometry:
    """Buffered in a plane of metres, whose longitudes are shorter by the cosine of the latitude."""
    _, south, _, north = piece.bounds
    up = _METRES_PER_DEGREE
    across = up * math.cos(math.radians((south + north) / 2))
    origin = Point(0, 0)
    flat = scale(piece, across, up, origin=origin).simplify(_STRAIGHT * half_width_m)
    # Edge by edge: the buffer of a line with short edges beside a sharp turn can have false holes.
    area = shapely.union_all(shapely.buffer(_edges(flat), half_width_m, quad_segs=16))
    return scale(area, 1 / across, 1 / up, origin=origin)


def _edges(flat: BaseGeometry) -> Sequence[BaseGeometry]:
    if isinstance(flat, Point):
        return [flat]
    return [LineString(edge) for edge in pairwise(flat.coords)]


def _on_the_globe(area: BaseGeometry) -> BaseGeometry:
    """What reaches over 180° of longitude goes on at -180° (RFC 7946, 3.1.9)."""
    west, _, east, _ = area.bounds
    if west >= -180 and east <= 180:
        return area
    shifted = [
        translate(area, turn).intersection(box(-180, -90, 180, 90)) for turn in (-360, 0, 360)
    ]
    return shapely.union_all(shifted)


def _simplified(area: BaseGeometry, half_width_m: float, path: FieldPath) -> BaseGeometry:
    share = _FINE
    while share <= _COARSE:
        simpler = _simplify(area, share * half_width_m / _METRES_PER_DEGREE, grow=share > _FINE)
        if shapely.get_num_coordinates(simpler) <= MAX_CORRIDOR_VERTICES:
            return simpler
        share *= 2
    raise Rejected(
        "CORRIDOR_TOO_DETAILED",
        f"The network needs more than {MAX_CORRIDOR_VERTICES:,} vertices; go farther to its sides, "
        "or split it into several networks.",
        path,
    )


def _simplify(area: BaseGeometry, tolerance: float, *, grow: bool) -> BaseGeometry:
    """By `tolerance` degrees: a degree of longitude is never longer than one of latitude."""
    # Grown by what it may lose, so that even a coarse corridor covers all of the fibre.
    area = area.buffer(tolerance, quad_segs=4) if grow else area
    simpler = shapely.set_precision(area.simplify(tolerance), _GRID)
    west, _, east, _ = simpler.bounds
    return simpler if west >= -180 and east <= 180 else _on_the_globe(simpler)
