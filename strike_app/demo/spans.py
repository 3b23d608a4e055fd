"""The fibre that is cut in the demo."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from strike_domain.geometry import Location, parse_location

_CARRIER_NAME = "Cheyenne to Boulder (Sprint backbone, its two ends from the Internet Topology Zoo)"
_ROUTE_NAME = "Cheyenne to Boulder (hand-drawn along I-25, US 287 and CO 119, not a carrier's span)"
_ROUTE = [
    [-104.855, 41.114],
    [-104.878, 40.998],
    [-105.000, 40.704],
    [-105.077, 40.585],
    [-105.075, 40.398],
    [-105.081, 40.308],
    [-105.102, 40.167],
    [-105.171, 40.104],
    [-105.271, 40.015],
]


def demo_span() -> tuple[str, Location]:
    """The name and the place of the demo's span, always the same one on the same installation.

    With the extra `demo` it is a span of Sprint's backbone, between the positions that the
    Internet Topology Zoo has for its two ends; without it, a route that we drew ourselves. The
    carrier's data is read where it is installed, never kept here: its licence is not stated.
    """
    return _carrier_span() or (_ROUTE_NAME, _line(_ROUTE))


def _carrier_span() -> tuple[str, Location] | None:
    places = {node.get("name"): node.get("pos") for node in _read_nodes("Sprint")}
    start, end = places.get("Cheyenne"), places.get("Boulder")
    if not (start and end):
        return None
    return _CARRIER_NAME, _line([start, end])


def _read_nodes(network: str) -> list[dict[str, Any]]:
    try:
        found = files("topohub") / "data" / "topozoo" / f"{network}.json"
        nodes: list[dict[str, Any]] = json.loads(found.read_bytes())["nodes"]
    except (ModuleNotFoundError, FileNotFoundError):
        return []
    return nodes


def _line(positions: list[list[float]]) -> Location:
    return parse_location({"type": "LineString", "coordinates": positions})
