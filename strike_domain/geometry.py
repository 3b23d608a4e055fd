"""Where a callout is: a point or a line in WGS 84, longitude first.

`parse_location` is the one way in for geometry from outside; everything behind it may trust a
`Location`. The other public functions are the steps that it shares with `regions.parse_region`.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict
from shapely import LineString, Point

from strike_domain.errors import Rejected

FieldPath = tuple[str | int, ...]
Position = tuple[float, float]

EARTH_RADIUS_M = 6_371_008.8
MAX_VERTICES = 10_000

_WGS84_NAMES = frozenset(
    {
        "epsg:4326",
        "ogc:crs84",
        "urn:ogc:def:crs:epsg::4326",
        "urn:ogc:def:crs:ogc::crs84",
        "urn:ogc:def:crs:ogc:1.3:crs84",
        "http://www.opengis.net/def/crs/ogc/1.3/crs84",
    }
)


class Location(BaseModel):
    """A callout's place. Coordinates are degrees, longitude first, without height.

    Made by `parse_location`. The model itself only holds the values: an old event must replay
    even when the checks have become stricter since.
    """

    model_config = ConfigDict(frozen=True)

    type: Literal["Point", "LineString"]
    coordinates: Position | tuple[Position, ...]

    @property
    def positions(self) -> tuple[Position, ...]:
        """The vertices: one for a point."""
        if self.type == "Point":
            return (cast(Position, self.coordinates),)
        return cast(tuple[Position, ...], self.coordinates)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        longitudes, latitudes = zip(*self.positions, strict=True)
        return min(longitudes), min(latitudes), max(longitudes), max(latitudes)

    def geojson(self) -> dict[str, Any]:
        """The GeoJSON geometry, in lists as `json.loads` would give it."""
        positions = [list(position) for position in self.positions]
        return {
            "type": self.type,
            "coordinates": positions[0] if self.type == "Point" else positions,
        }

    def shape(self) -> Point | LineString:
        """The geometry for `shapely`, in degrees."""
        return Point(self.positions[0]) if self.type == "Point" else LineString(self.positions)

    def describe(self) -> str:
        """In a few words: "point 39.7392 N, 104.9903 W" or "line of 12 points, 18.4 km"."""
        if self.type == "Point":
            return f"point {in_words(self.positions[0])}"
        return f"line of {len(self.positions)} points, {_distance(length_m(self.positions))}"


def parse_location(
    value: Mapping[str, Any] | str | bytes,
    *,
    path: FieldPath = ("location",),
    max_vertices: int = MAX_VERTICES,
) -> Location:
    """Return the checked `Location` that a GeoJSON geometry (object or JSON text) describes.

    A Feature is unwrapped if its geometry is a Point or a LineString. Heights are dropped; `bbox`
    and foreign members are ignored, because nothing is decided by them. Limit the size of text
    before you pass it: reading JSON is linear in it.

    Raises `Rejected`, whose `path` begins with `path`: INVALID_JSON, INVALID_GEOJSON,
    GEOMETRY_TYPE_NOT_ALLOWED, UNSUPPORTED_CRS, COORDINATE_NOT_FINITE, LONGITUDE_OUT_OF_RANGE,
    LATITUDE_OUT_OF_RANGE, COORDINATES_SWAPPED, LINE_TOO_SHORT, TOO_MANY_VERTICES,
    CROSSES_ANTIMERIDIAN.
    """
    if (plain := _plain_point(value)) is not None:
        return Location(type="Point", coordinates=plain)
    geometry, path = read_geometry(value, path, ("Point", "LineString"))
    coordinates, path = geometry["coordinates"], (*path, "coordinates")
    if geometry["type"] == "Point":
        return Location(type="Point", coordinates=_read_point(coordinates, path))
    limit_vertices(len(coordinates), max_vertices, path)
    return Location(type="LineString", coordinates=_read_line(coordinates, path))


def _plain_point(value: Any) -> Position | None:
    """The position of nearly every point that comes, in a quarter of the time; None: look closer.

    Nobody gets a position here that the checks below would refuse.
    """
    if type(value) is not dict or value.get("type") != "Point" or "crs" in value:
        return None
    match value.get("coordinates"):
        case [float(longitude), float(latitude)] if (
            -180 <= longitude <= 180 and -90 <= latitude <= 90
        ):
            return longitude, latitude
    return None


def read_geometry(
    value: Any, path: FieldPath, allowed: tuple[str, ...]
) -> tuple[Mapping[str, Any], FieldPath]:
    """Return the geometry object in `value`, out of its Feature if it is in one, and its path.

    Its `type` is one of `allowed` and its `coordinates` are an array, of what is not yet known.
    """
    found = read_object(value, path)
    if found.get("type") == "Feature":
        path = (*path, "geometry")
        if found.get("geometry") is None:
            raise Rejected(
                "INVALID_GEOJSON",
                f"This Feature has no geometry; give it a {_either(allowed)}.",
                path,
            )
        found = read_object(found["geometry"], path)
    _check_type(found, path, allowed)
    read_array(found.get("coordinates"), (*path, "coordinates"))
    return found, path


def read_object(value: Any, path: FieldPath) -> Mapping[str, Any]:
    """Return a GeoJSON object, from JSON text if it is text; its coordinates must be WGS 84."""
    if isinstance(value, str | bytes):
        value = _read_json(value, path)
    if not isinstance(value, Mapping):
        raise Rejected(
            "INVALID_GEOJSON", f"A GeoJSON object is needed here, not {_kind(value)}.", path
        )
    _check_crs(value.get("crs"), (*path, "crs"))
    return value


def read_array(value: Any, path: FieldPath) -> Sequence[Any]:
    """Return `value` if it is an array."""
    if isinstance(value, list | tuple):
        return value
    raise Rejected("INVALID_GEOJSON", f"An array is needed here, not {_kind(value)}.", path)


def read_positions(value: Any, path: FieldPath) -> tuple[Position, ...]:
    """Return the checked vertices of a line or of a ring on one side of 180° longitude."""
    found = read_array(value, path)
    positions = tuple(_read_position(one, (*path, index)) for index, one in enumerate(found))
    swapped = _fit_swapped(positions)
    for index, position in enumerate(positions):
        _check_range(position, (*path, index), swapped=swapped)
    _check_antimeridian(positions, path)
    return positions


def limit_vertices(count: int, limit: int, path: FieldPath) -> None:
    """Refuse more than `limit` vertices: to be called before any of them is looked at."""
    if count > limit:
        raise Rejected(
            "TOO_MANY_VERTICES",
            f"There are {count:,} vertices; at most {limit:,} are allowed. Simplify the geometry.",
            path,
        )


def length_m(positions: Iterable[Position]) -> float:
    """Metres along a line whose edges are straight in longitude and latitude (RFC 7946, 3.1.1).

    The parts of a line therefore add up to the whole, which great circles between the points
    where it was cut would not.
    """
    return EARTH_RADIUS_M * sum(_edge_length(start, end) for start, end in pairwise(positions))


def _edge_length(start: Position, end: Position) -> float:
    """Simpson's rule: east-west distance shrinks with the cosine of the latitude on the way."""
    across, up = math.radians(end[0] - start[0]), math.radians(end[1] - start[1])
    south, north = math.radians(start[1]), math.radians(end[1])
    first, middle, last = (
        math.hypot(across * math.cos(latitude), up)
        for latitude in (south, (south + north) / 2, north)
    )
    return (first + 4 * middle + last) / 6


def _read_json(text: str | bytes, path: FieldPath) -> Any:
    try:
        if isinstance(text, str):
            text = text.removeprefix("\ufeff")
        return json.loads(text, parse_int=_read_whole)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Rejected("INVALID_JSON", f"This is not JSON: {error.msg} ({where}).", path) from error
    except UnicodeDecodeError as error:
        raise Rejected("INVALID_JSON", "This is not JSON: it is not UTF-8 text.", path) from error
    except RecursionError as error:
        raise Rejected("INVALID_JSON", "This JSON is nested too deep.", path) from error


def _read_whole(digits: str) -> int | float:
    # Python refuses to turn thousands of digits into an int; as a float they are infinite.
    return int(digits) if len(digits) < 400 else float(digits)


def _check_crs(crs: Any, path: FieldPath) -> None:
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    if isinstance(name, str) and name.lower() in _WGS84_NAMES:
        return
    shown = reprlib.repr(name) if isinstance(name, str) else "unnamed"
    raise Rejected(
        "UNSUPPORTED_CRS",
        f"The coordinate reference system is {shown}; convert the coordinates to WGS 84 "
        "(EPSG:4326, longitude first) and leave out `crs`.",
        path,
    )


def _check_type(geometry: Mapping[str, Any], path: FieldPath, allowed: tuple[str, ...]) -> None:
    kind = geometry.get("type")
    if not isinstance(kind, str):
        raise Rejected(
            "INVALID_GEOJSON",
            f"The geometry's type is missing or no text; it must be {_either(allowed)}.",
            (*path, "type"),
        )
    if kind not in allowed:
        raise Rejected(
            "GEOMETRY_TYPE_NOT_ALLOWED",
            f"{reprlib.repr(kind)} is not allowed here; give a {_either(allowed)}.",
            (*path, "type"),
        )


def _read_point(value: Any, path: FieldPath) -> Position:
    position = _read_position(value, path)
    _check_range(position, path, swapped=_fit_swapped([position]))
    return position


def _read_line(value: Any, path: FieldPath) -> tuple[Position, ...]:
    positions = read_positions(value, path)
    if len(set(positions)) < 2:
        raise Rejected(
            "LINE_TOO_SHORT",
            "A LineString needs two different positions at least; for one place give a Point.",
            path,
        )
    return positions


def _read_position(value: Any, path: FieldPath) -> Position:
    numbers = read_array(value, path)
    if len(numbers) not in (2, 3):
        raise Rejected(
            "INVALID_GEOJSON",
            "A position is [longitude, latitude], a height may follow; "
            f"this array has {len(numbers)} members.",
            path,
        )
    longitude, latitude, *_ = (
        _read_number(one, (*path, index)) for index, one in enumerate(numbers)
    )
    return longitude, latitude


def _read_number(value: Any, path: FieldPath) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Rejected("INVALID_GEOJSON", f"A number is needed here, not {_kind(value)}.", path)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Rejected("COORDINATE_NOT_FINITE", "A coordinate is a finite number of degrees.", path)
    return number


def _fit_swapped(positions: Sequence[Position]) -> bool:
    """Whether all would be on the globe the other way round: a file has one order throughout."""
    return all(abs(first) <= 90 and abs(second) <= 180 for first, second in positions)


def _check_range(position: Position, path: FieldPath, *, swapped: bool) -> None:
    longitude, latitude = position
    if abs(longitude) > 180:
        raise Rejected(
            "LONGITUDE_OUT_OF_RANGE",
            f"Longitude {longitude:.10g} is not between -180 and 180 degrees.",
            (*path, 0),
        )
    if abs(latitude) <= 90:
        return
    if swapped:
        raise Rejected(
            "COORDINATES_SWAPPED",
            f"Latitude {latitude:.10g} is not between -90 and 90 degrees, but all fits with the "
            "numbers swapped; longitude comes first: "
            f"[{latitude:.10g}, {longitude:.10g}]?",
            (*path, 1),
        )
    raise Rejected(
        "LATITUDE_OUT_OF_RANGE",
        f"Latitude {latitude:.10g} is not between -90 and 90 degrees.",
        (*path, 1),
    )


def _check_antimeridian(positions: Sequence[Position], path: FieldPath) -> None:
    for index, (start, end) in enumerate(pairwise(positions), start=1):
        if abs(end[0] - start[0]) > 180:
            raise Rejected(
                "CROSSES_ANTIMERIDIAN",
                "The step to this position is wider than 180 degrees, so it seems to cross the "
                "antimeridian; split the geometry there, at longitudes 180 and -180.",
                (*path, index, 0),
            )


def _kind(value: Any) -> str:
    names = {type(None): "null or nothing", bool: "true or false", str: "text"}
    names |= {int: "a number", float: "a number", list: "an array", tuple: "an array"}
    return names.get(type(value), "an object" if isinstance(value, Mapping) else "something else")


def _either(names: tuple[str, ...]) -> str:
    return " or a ".join(names)


def in_words(position: Position, *, decimals: int = 4) -> str:
    """A position as people write it: "39.7392 N, 104.9903 W"."""
    longitude, latitude = position
    north, east = "S" if latitude < 0 else "N", "W" if longitude < 0 else "E"
    return f"{abs(latitude):.{decimals}f} {north}, {abs(longitude):.{decimals}f} {east}"


def _distance(metres: float) -> str:
    return f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.1f} km"
