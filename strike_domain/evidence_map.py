"""The place of a callout as one SVG, drawn from its coordinates alone: no tiles, no network."""

from __future__ import annotations

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from strike_domain.geometry import Location

SIZE, MARGIN = 640.0, 64.0

METRES_PER_DEGREE = 111_195.0
"""Of latitude."""

SMALLEST = 500.0
"""Metres that the picture shows at least: a point has no size."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f24 }
.ground { fill: #f6f8fa; stroke: #57606a }
.cut { fill: none; stroke: #d55e00; stroke-width: 3; stroke-linejoin: round }
.end { fill: #d55e00; stroke: #ffffff; stroke-width: 2 }
.scale { stroke: #1b1f24; stroke-width: 2 }
"""


def draw_place(location: Location, title: str) -> str:
    """North is up; a bar tells the scale, and the corners' coordinates stand at the frame."""
    west, south, east, north = location.bounds
    longitude, latitude = (west + east) / 2, (south + north) / 2
    shrink = max(0.05, math.cos(math.radians(latitude)))
    wide = (east - west) * METRES_PER_DEGREE * shrink
    shown = max(wide, (north - south) * METRES_PER_DEGREE, SMALLEST)
    scale = (SIZE - 2 * MARGIN) / shown  # Picture units in a metre.

    def at(x: float, y: float) -> tuple[float, float]:
        right = SIZE / 2 + (x - longitude) * METRES_PER_DEGREE * shrink * scale
        down = SIZE / 2 - (y - latitude) * METRES_PER_DEGREE * scale
        return round(right, 1), round(down, 1)

    root = _page(title)
    points = [at(*position) for position in location.positions]
    if len(points) > 1:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        SubElement(root, "polyline", {"class": "cut", "points": path})
    for x, y in dict.fromkeys((points[0], points[-1])):
        SubElement(root, "circle", {"class": "end", "cx": f"{x:g}", "cy": f"{y:g}", "r": "6"})
    _words(root, location, title)
    _scale_bar(root, scale, shown)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _page(title: str) -> Element:
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    root.set("viewBox", f"0 0 {SIZE:g} {SIZE:g}")
    SubElement(root, "title").text = title
    SubElement(root, "style").text = STYLE
    inner = f"{SIZE - MARGIN:g}"
    frame = {"x": f"{MARGIN / 2:g}", "y": f"{MARGIN / 2:g}", "width": inner, "height": inner}
    SubElement(root, "rect", {"class": "ground", **frame})
    return root


def _words(root: Element, location: Location, title: str) -> None:
    start = location.positions[0]
    where = f"{title}: {location.describe()}; begins at {start[0]:.6f}, {start[1]:.6f}"
    if location.type == "Point":
        where = f"{title}: longitude {start[0]:.6f}, latitude {start[1]:.6f}"
    SubElement(root, "text", x=f"{MARGIN / 2:g}", y="20").text = where
    SubElement(root, "text", x=f"{SIZE - MARGIN:g}", y=f"{MARGIN:g}").text = "N ↑"


def _scale_bar(root: Element, scale: float, shown: float) -> None:
    metres = 10 ** math.floor(math.log10(shown / 2))
    y, left = SIZE - MARGIN / 2 - 16, MARGIN
    line = {"x1": f"{left:g}", "y1": f"{y:g}", "x2": f"{left + metres * scale:.1f}", "y2": f"{y:g}"}
    SubElement(root, "line", {"class": "scale", **line})
    words = f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
    SubElement(root, "text", x=f"{left:g}", y=f"{y - 6:g}").text = words
