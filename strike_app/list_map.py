"""A map of an OSP's regions with its gaps and overlaps, as one SVG that any browser shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from strike_domain.contacts import PagerList
from strike_domain.readiness import Readiness
from strike_domain.regions import region_shape

WIDTH, HEIGHT, MARGIN, LEGEND = 960.0, 640.0, 24.0, 72.0

# Told apart by people who see no red or green, too (Okabe and Ito).
FILLS = ("#56b4e9", "#009e73", "#f0e442", "#0072b2", "#cc79a7", "#999999")
GAP, OVERLAP = "#d55e00", "#e69f00"

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f24; text-anchor: middle;
       paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round }
.region { stroke: #1b1f24; stroke-width: 1; fill-opacity: .35; stroke-linejoin: round }
.gap { fill: url(#gap); stroke: #d55e00; stroke-width: 2.5 }
.overlap { fill: #e69f00; fill-opacity: .85; stroke: #1b1f24; stroke-width: 1.5 }
.key { text-anchor: start }
.heading { font-weight: bold }
"""


@dataclass(frozen=True)
class _Frame:
    """Where a longitude and latitude lie on the picture."""

    west: float
    north: float
    stretch: float
    scale: float
    left: float

    @classmethod
    def around(cls, ground: BaseGeometry) -> _Frame:
        west, south, east, north = ground.bounds
        stretch = max(0.05, math.cos(math.radians((south + north) / 2)))
        wide = max(1e-6, (east - west) * stretch)
        high = max(1e-6, north - south)
        room = (WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN - LEGEND)
        scale = min(room[0] / wide, room[1] / high)
        return cls(west, north, stretch, scale, MARGIN + (room[0] - wide * scale) / 2)

    def at(self, longitude: float, latitude: float) -> tuple[float, float]:
        x = self.left + (longitude - self.west) * self.stretch * self.scale
        return round(x, 1), round(MARGIN + (self.north - latitude) * self.scale, 1)


def draw(lists: Sequence[PagerList], readiness: Readiness, title: str) -> str:
    """The picture; hovering over a part tells what it is."""
    root = Element("svg", xmlns="http://www.w3.org/2000/svg")
    root.set("viewBox", f"0 0 {WIDTH:g} {HEIGHT:g}")
    root.set("role", "img")
    SubElement(root, "title").text = title
    SubElement(root, "style").text = STYLE
    _hatching(root)
    SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
    shapes = [(one.name, region_shape(one.region)) for one in lists if one.region is not None]
    gaps = [region_shape(one.geometry) for one in readiness.gaps]
    if shapes:
        frame = _Frame.around(shapely.union_all([shape for _, shape in shapes] + gaps))
        _regions(root, frame, shapes)
        for overlap in readiness.overlaps:
            told = f"{overlap.first} and {overlap.second} overlap"
            _area(root, frame, region_shape(overlap.geometry), "overlap", told)
        for gap in gaps:
            _area(root, frame, gap, "gap", "in no region")
            _ring(root, frame, gap)
        for name, shape in shapes:
            _label(root, frame, name, shape)
    _legend(root, lists, readiness, title)
    return ElementTree.tostring(root, encoding="unicode")


def _hatching(root: Element) -> None:
    pattern = SubElement(
        SubElement(root, "defs"),
        "pattern",
        {"id": "gap", "width": "6", "height": "6", "patternUnits": "userSpaceOnUse"},
    )
    SubElement(pattern, "rect", width="6", height="6", fill="#ffffff")
    SubElement(pattern, "path", {"d": "M0 6L6 0", "stroke": GAP, "stroke-width": "2"})


def _regions(root: Element, frame: _Frame, shapes: Sequence[tuple[str, BaseGeometry]]) -> None:
    for number, (name, shape) in enumerate(shapes):
        path = _area(root, frame, shape, "region", name)
        path.set("fill", FILLS[number % len(FILLS)])


def _area(root: Element, frame: _Frame, shape: BaseGeometry, kind: str, told: str) -> Element:
    rings = (
        ring
        for part in shapely.get_parts(shape)
        if isinstance(part, Polygon)
        for ring in (part.exterior, *part.interiors)
    )
    data = "".join(_path(frame.at(x, y) for x, y, *_ in ring.coords) for ring in rings)
    path = SubElement(root, "path", {"class": kind, "fill-rule": "evenodd", "d": data})
    SubElement(path, "title").text = told
    return path


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z"


def _ring(root: Element, frame: _Frame, gap: BaseGeometry) -> None:
    """A gap may be too small to be seen."""
    point = gap.representative_point()
    x, y = frame.at(point.x, point.y)
    place: dict[str, Any] = {"cx": f"{x:g}", "cy": f"{y:g}", "r": "14"}
    look = {"fill": "none", "stroke": GAP, "stroke-width": "2.5"}
    SubElement(root, "circle", {**place, **look})


def _label(root: Element, frame: _Frame, name: str, shape: BaseGeometry) -> None:
    point = shape.representative_point()
    x, y = frame.at(point.x, point.y)
    SubElement(root, "text", x=f"{x:g}", y=f"{y:g}").text = name


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _legend(root: Element, lists: Sequence[PagerList], readiness: Readiness, title: str) -> None:
    top = HEIGHT - LEGEND + 18
    place = {"class": "key heading", "x": f"{MARGIN:g}", "y": f"{top:g}"}
    SubElement(root, "text", place).text = title
    default = next((one.name for one in lists if one.region is None), None)
    elsewhere = f"elsewhere: {default}" if default else "elsewhere nobody is rung"
    entries = (
        ("url(#gap)", GAP, _many(len(readiness.gaps), "gap")),
        (OVERLAP, "#1b1f24", _many(len(readiness.overlaps), "overlap")),
        ("#ffffff", "#1b1f24", elsewhere),
    )
    x = MARGIN
    for fill, stroke, words in entries:
        box = {"x": f"{x:g}", "y": f"{top + 12:g}", "width": "18", "height": "18"}
        SubElement(root, "rect", {**box, "fill": fill, "stroke": stroke, "stroke-width": "1.5"})
        place = {"class": "key", "x": f"{x + 26:g}", "y": f"{top + 26:g}"}
        SubElement(root, "text", place).text = words
        x += 44 + 8 * len(words)
