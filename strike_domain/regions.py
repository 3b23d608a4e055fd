"""Which pager list answers for a place (specification, section 4, first paragraph).

A region that covers the point, its border included; for a line the region with the greatest
covered length; if several, the smallest, then the first by name; if none, the default list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any
from uuid import UUID

import shapely
from pydantic import BaseModel, ConfigDict
from shapely import LineString, Point, Polygon
from shapely.affinity import translate
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from strike_domain.errors import Rejected
from strike_domain.geometry import (
    EARTH_RADIUS_M,
    FieldPath,
    Location,
    Position,
    length_m,
    limit_vertices,
    read_array,
    read_geometry,
    read_positions,
)

MAX_REGION_VERTICES = 50_000

# Regions cut from one map share borders to the last digit, but not the arithmetic on them.
_SAME_LENGTH_M = 0.01
_SAME_AREA = 1e-9

_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_Ring = list[list[float]]


class RegionCandidate(BaseModel):
    """A pager list that may be chosen. `region` is as `parse_region` returns it; None: default.

    `area_m2` is its area, if it was measured before.
    """

    model_config = ConfigDict(frozen=True)

    list_id: UUID
    name: str
    region: dict[str, Any] | None = None
    area_m2: float | None = None

    @cached_property
    def area(self) -> BaseGeometry:
        """The region for shapely; not for the default list."""
        return region_shape(self.region or {})


class RegionChoice(BaseModel):
    """The chosen list and, for people, why: "covers 83 % of the span; smaller of two"."""

    model_config = ConfigDict(frozen=True)

    list_id: UUID
    name: str
    reason: str


@dataclass(frozen=True)
class ListName:
    """A list, and what it is called."""

    list_id: UUID
    name: str


@dataclass(frozen=True)
class RegionMatch:
    """A list whose region covers the place or a part of it: `covered_m` metres, a `share` of it."""

    list_id: UUID
    name: str
    covered_m: float
    share: float
    area_m2: float


@dataclass(frozen=True)
class Matches:
    """What an OSP's lists have to do with a place, in any order."""

    regions: Sequence[RegionMatch] = ()
    defaults: Sequence[ListName] = ()


def choose_region(location: Location, candidates: Iterable[RegionCandidate]) -> RegionChoice | None:
    """Return the list to ring for `location` with the reason; None if not even a default exists.

    The order of the candidates does not matter. Covered lengths within a centimetre are equal.
    """
    return choose_match(location, match_regions(location, candidates))


def choose_match(location: Location, matches: Matches) -> RegionChoice | None:
    """As `choose_region`, where it is known already what each region covers of the place."""
    return _best(location, matches.regions) if matches.regions else _default(matches.defaults)


def match_regions(location: Location, candidates: Iterable[RegionCandidate]) -> Matches:
    """Compare each region with the place, in shapely."""
    regions: list[RegionMatch] = []
    defaults: list[ListName] = []
    places = [*images(location)]
    length = place_length_m(places[0])
    for candidate in candidates:
        if candidate.region is None:
            defaults.append(ListName(candidate.list_id, candidate.name))
        else:
            regions += _match(places, length, candidate, candidate.area)
    return Matches(regions, defaults)


def _match(
    places: Sequence[BaseGeometry],
    length: float,
    candidate: RegionCandidate,
    area: BaseGeometry,
) -> Iterator[RegionMatch]:
    covers, covered = any(map(area.covers, places)), 0.0
    if not covers:
        parts = (area.intersection(place) for place in places if area.intersects(place))
        covered = max(map(lines_length_m, parts), default=0.0)
    if covers or covered > 0:
        area_m2 = candidate.area_m2
        if area_m2 is None:
            area_m2 = shape_area_m2(area)
        yield region_match(ListName(candidate.list_id, candidate.name), length, area_m2, covered)


def region_match(
    pager_list: ListName, length: float, area_m2: float, covered_m: float
) -> RegionMatch:
    """A match of a place of that length; `covered_m` is 0 if the region covers the whole of it."""
    share = covered_m / length if covered_m else 1.0
    return RegionMatch(pager_list.list_id, pager_list.name, covered_m or length, share, area_m2)


def place_length_m(place: BaseGeometry) -> float:
    """Metres of a place; the union counts a stretch that it passes twice once, as a part does."""
    return 0.0 if isinstance(place, Point) else lines_length_m(shapely.unary_union(place))


def images(location: Location) -> Iterator[BaseGeometry]:
    """The place, and the same place as those see it whose regions end on the other side of 180°.

    A region that crosses the antimeridian is cut there into parts at 180 and at -180 (RFC 7946,
    3.1.9), which is one and the same meridian.
    """
    place = location.shape()
    yield place
    west, _, east, _ = place.bounds
    if east == 180:
        yield translate(place, -360)
    if west == -180:
        yield translate(place, 360)


def region_shape(region: dict[str, Any]) -> BaseGeometry:
    """The region for shapely: valid, whatever it was stored as."""
    area = shape(region)
    if area.is_valid:
        return area
    # A region stored before today's checks must not keep a page from being sent.
    return shapely.make_valid(area, method="structure", keep_collapsed=False)


def lines_length_m(geometry: BaseGeometry) -> float:
    """Metres of all lines in a geometry; points and areas have none."""
    lines = [part for part in shapely.get_parts(geometry) if isinstance(part, LineString)]
    return sum((length_m([(x, y) for x, y, *_ in line.coords]) for line in lines), 0.0)


def _best(location: Location, matches: Sequence[RegionMatch]) -> RegionChoice:
    longest = max(match.covered_m for match in matches)
    equal = [match for match in matches if match.covered_m >= longest - _SAME_LENGTH_M]
    limit = min(match.area_m2 for match in equal) * (1 + _SAME_AREA)
    smallest = [match for match in equal if match.area_m2 <= limit]
    best = min(smallest, key=_by_name)
    why_this = _why_this(len(matches), len(equal), len(smallest))
    return _choice(best, _what_it_covers(location, best.share) + why_this)


def _default(defaults: Sequence[ListName]) -> RegionChoice | None:
    if not defaults:
        return None
    ambiguous = f"; first by name of {_number(len(defaults))}" if len(defaults) > 1 else ""
    reason = f"default list: no region covers the location{ambiguous}"
    return _choice(min(defaults, key=_by_name), reason)


def _choice(chosen: ListName | RegionMatch, reason: str) -> RegionChoice:
    return RegionChoice(list_id=chosen.list_id, name=chosen.name, reason=reason)


def _by_name(one: ListName | RegionMatch) -> tuple[str, UUID]:
    return one.name, one.list_id


def _what_it_covers(location: Location, share: float) -> str:
    if location.type == "Point":
        return "covers the point"
    if share == 1:
        return "covers the whole span"
    if share < 0.01:
        return "covers less than 1 % of the span"
    return f"covers {min(99, round(100 * share))} % of the span"


def _why_this(matches: int, equal: int, smallest: int) -> str:
    if smallest > 1:
        return f"; first by name of {_number(smallest)} of equal size"
    if equal > 1:
        return f"; {'smaller' if equal == 2 else 'smallest'} of {_number(equal)}"
    return f"; most of {_number(matches)}" if matches > 1 else ""


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def region_area_m2(region: dict[str, Any]) -> float:
    """Square metres of a region, its holes left out."""
    return shape_area_m2(region_shape(region))


def shape_area_m2(area: BaseGeometry) -> float:
    """Square metres of all polygons in a geometry, in degrees on a sphere."""
    polygons = [part for part in shapely.get_parts(area) if isinstance(part, Polygon)]
    return sum(
        _ring_area(polygon.exterior.coords)
        - sum(_ring_area(hole.coords) for hole in polygon.interiors)
        for polygon in polygons
    )


def _ring_area(ring: Iterable[tuple[float, ...]]) -> float:
    """Shoelace in the cylindrical equal-area projection: degrees would favour the far north."""
    points = [(math.radians(x), math.sin(math.radians(y))) for x, y in ring]
    twice = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(points))
    return abs(twice) / 2 * EARTH_RADIUS_M**2


# Taking a region in ------------------------------------------------------------------------


def parse_region(
    value: Any, *, path: FieldPath = ("region",), max_vertices: int = MAX_REGION_VERTICES
) -> dict[str, Any]:
    """Return the checked GeoJSON Polygon or MultiPolygon in `value` (object or JSON text).

    A Feature is unwrapped, heights are dropped, rings may turn either way.

    Raises `Rejected` with the codes of `geometry.parse_location` and: REGION_EMPTY,
    RING_NOT_CLOSED, RING_TOO_SHORT (fewer than three different positions), REGION_INVALID (rings
    that cross themselves or each other, holes outside, overlapping parts).
    """
    geometry, path = read_geometry(value, path, ("Polygon", "MultiPolygon"))
    path = (*path, "coordinates")
    many = geometry["type"] == "MultiPolygon"
    found = geometry["coordinates"]
    polygons = _indexed(found, path) if many else [(found, path)]
    _check_size(polygons, max_vertices, path)
    read = [_read_polygon(polygon, where) for polygon, where in polygons]
    coordinates: Any = read if many else read[0]
    region = {"type": geometry["type"], "coordinates": coordinates}
    _check_valid(region, path)
    return region


def _indexed(value: Any, path: FieldPath) -> list[tuple[Any, FieldPath]]:
    found = read_array(value, path)
    if not found:
        raise Rejected("REGION_EMPTY", "The region is empty; give it a polygon.", path)
    return [(one, (*path, index)) for index, one in enumerate(found)]


def _check_size(polygons: list[tuple[Any, FieldPath]], limit: int, path: FieldPath) -> None:
    rings = [ring for polygon, where in polygons for ring in read_array(polygon, where)]
    vertices = sum(len(ring) for ring in rings if isinstance(ring, list | tuple))
    limit_vertices(max(vertices, len(rings)), limit, path)


def _read_polygon(value: Any, path: FieldPath) -> list[_Ring]:
    rings = [_read_ring(ring, where) for ring, where in _indexed(value, path)]
    _check_valid({"type": "Polygon", "coordinates": rings}, path)
    return rings


def _read_ring(value: Any, path: FieldPath) -> _Ring:
    positions = read_positions(value, path)
    if len(set(positions)) < 3:
        raise Rejected(
            "RING_TOO_SHORT",
            "A ring needs three different positions at least, and the first again at its end.",
            path,
        )
    _check_closed(positions, path)
    return [list(position) for position in positions]


def _check_closed(positions: Sequence[Position], path: FieldPath) -> None:
    if positions[0] != positions[-1]:
        raise Rejected(
            "RING_NOT_CLOSED",
            "The ring is open; repeat its first position at its end.",
            (*path, len(positions) - 1),
        )


def _check_valid(region: dict[str, Any], path: FieldPath) -> None:
    polygon = shape(region)
    if polygon.is_valid:
        return
    reason = shapely.is_valid_reason(polygon).replace("[", " at longitude and latitude ", 1)
    raise Rejected(
        "REGION_INVALID",
        f"Not a valid region: {reason.rstrip(']')}. "
        "Its rings must not cross or overlap, and holes must lie inside.",
        path,
    )
