"""Callout places and regions from GeoJSON files, the Open Fibre Data Standard's form included.

A file that cannot be read at all raises `Rejected`; in one that can, each item carries its own
error, so that one bad span does not hide the forty good ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from strike_domain.errors import Rejected
from strike_domain.geometry import (
    FieldPath,
    Location,
    parse_location,
    read_array,
    read_geometry,
    read_object,
)
from strike_domain.regions import parse_region

MAX_BYTES = 20_000_000

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class NamedGeometry:
    """One place from a file: either `location` or `error` is set."""

    name: str
    location: Location | None
    error: Rejected | None
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class NamedRegion:
    """One region from a file: either `region` (as `parse_region` returns it) or `error` is set."""

    name: str
    region: dict[str, Any] | None
    error: Rejected | None
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """The network that a feature of an Open Fibre Data Standard's file belongs to."""

    id: str | None
    name: str | None


@dataclass(frozen=True)
class NamedShape:
    """Anything from a file: a `region`, a `location` that belongs to a network, or an `error`.

    `path` is where it stands in the file.
    """

    name: str
    path: FieldPath
    region: dict[str, Any] | None
    location: Location | None
    error: Rejected | None
    network: Network


def read_callout_geometry(
    path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES
) -> list[NamedGeometry]:
    """Return the points and lines of a GeoJSON file, or of OFDS nodes and spans, in their order.

    A file holds a geometry, a Feature or a FeatureCollection. The paths of the items' errors begin
    at the top of the file. Of an OFDS API answer only the given page is read; `links` are not
    followed.

    Raises `Rejected`: FILE_UNREADABLE, FILE_TOO_LARGE, INVALID_JSON, INVALID_GEOJSON,
    UNSUPPORTED_CRS.
    """
    return _places(_read(path, max_bytes))


def callout_geometry_in(content: str | bytes) -> list[NamedGeometry]:
    """As `read_callout_geometry`, of what a file holds, or of what was pasted.

    Limit its size before. Raises `Rejected`: INVALID_JSON, INVALID_GEOJSON, UNSUPPORTED_CRS.
    """
    return _places(read_object(content, ()))


def _places(document: Mapping[str, Any]) -> list[NamedGeometry]:
    places = []
    for item in _items(document):
        location, error = _attempt(parse_location, item)
        places.append(NamedGeometry(item.name, location, error, item.properties))
    return places


def read_regions(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> list[NamedRegion]:
    """Return the polygons of a GeoJSON file; otherwise as `read_callout_geometry`."""
    regions = []
    for item in _items(_read(path, max_bytes)):
        region, error = _attempt(parse_region, item)
        regions.append(NamedRegion(item.name, region, error, item.properties))
    return regions


def read_shapes(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> list[NamedShape]:
    """Return polygons, lines and points of a GeoJSON file; otherwise as `read_callout_geometry`."""
    return shapes_in(_read(path, max_bytes))


def shapes_in(document: Any) -> list[NamedShape]:
    """As `read_shapes`, of what was read already: GeoJSON as an object, or as JSON text."""
    return [_shape_of(item) for item in _items(read_object(document, ()))]


def _shape_of(item: _Item) -> NamedShape:
    region = location = error = None
    network = _network_of(item.properties)
    try:
        geometry, _ = read_geometry(item.value, item.path, _ANY)
        if geometry["type"] in _AREAS:
            region = parse_region(item.value, path=item.path)
        else:
            location = parse_location(item.value, path=item.path)
    except Rejected as wrong:
        error = wrong
    return NamedShape(item.name, item.path, region, location, error, network)


_AREAS = ("Polygon", "MultiPolygon")
_ANY = (*_AREAS, "LineString", "Point")


@dataclass(frozen=True)
class _Item:
    name: str
    value: Any
    path: FieldPath
    properties: Mapping[str, Any]


def _attempt(parse: Callable[..., _Parsed], item: _Item) -> tuple[_Parsed | None, Rejected | None]:
    try:
        return parse(item.value, path=item.path), None
    except Rejected as error:
        return None, error


def _read(path: str | os.PathLike[str], max_bytes: int) -> Mapping[str, Any]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is not a file's"
        raise Rejected("FILE_UNREADABLE", f"{path} cannot be read: {why}.") from error
    if len(content) > max_bytes:
        raise Rejected(
            "FILE_TOO_LARGE",
            f"{path} is larger than {max_bytes / 1e6:g} MB; split it or simplify its geometry.",
        )
    return read_object(content, ())


def _items(document: Mapping[str, Any]) -> list[_Item]:
    if "networks" in document and "type" not in document:
        raise Rejected(
            "INVALID_GEOJSON",
            "This looks like the Open Fibre Data Standard's JSON form; give its GeoJSON form "
            "(nodes.geojson or spans.geojson).",
            ("networks",),
        )
    if document.get("type") != "FeatureCollection":
        return [_item(document, (), 1, show_network=False)]
    features = read_array(document.get("features"), ("features",))
    several = len({_network(_properties(feature)) for feature in features}) > 1
    return [
        _item(feature, ("features", index), index + 1, show_network=several)
        for index, feature in enumerate(features)
    ]


def _item(feature: Any, path: FieldPath, number: int, *, show_network: bool) -> _Item:
    properties = _properties(feature)
    name = _text(properties.get("name")) or _by_id(feature, properties) or f"feature {number}"
    network = _network(properties)
    shown = f"{name} ({network})" if show_network and network else name
    return _Item(shown, feature, path, properties)


def _properties(feature: Any) -> Mapping[str, Any]:
    properties = feature.get("properties") if isinstance(feature, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def _by_id(feature: Any, properties: Mapping[str, Any]) -> str | None:
    known = properties.get("id") or (feature.get("id") if isinstance(feature, Mapping) else None)
    kind = _text(properties.get("featureType")) or "feature"
    return f"{kind} {_text(known)}" if _text(known) else None


def _network(properties: Mapping[str, Any]) -> str | None:
    """OFDS: ids and names are unique within a network only, and a file may hold several."""
    return _network_of(properties).name


def _network_of(properties: Mapping[str, Any]) -> Network:
    found = properties.get("network")
    known = found if isinstance(found, Mapping) else {}
    return Network(_text(known.get("id")), _text(known.get("name")))


def _text(value: Any) -> str | None:
    text = str(value).strip() if isinstance(value, str | float) else None
    if isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:d}"
    return text or None
