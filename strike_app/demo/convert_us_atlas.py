"""Cut counties out of npm `us-atlas` (TopoJSON) into the demo's regions (GeoJSON).

python -m strike_app.demo.convert_us_atlas counties-10m.json --fips 08069,08013 > regions.geojson
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

LICENCE = (
    "Counties from us-atlas 3.0.1 by Michael Bostock (ISC), made from the US Census Bureau's "
    "cartographic boundary files (public domain)."
)
DECIMALS = 5

_Ring = list[tuple[float, float]]


def convert(topology: Mapping[str, Any], fips: Iterable[str]) -> dict[str, Any]:
    """Return a FeatureCollection of the counties `fips`, in that order.

    Raises KeyError for an unknown code.
    """
    counties = {one["id"]: one for one in topology["objects"]["counties"]["geometries"]}
    states = {
        one["id"]: one["properties"]["name"] for one in topology["objects"]["states"]["geometries"]
    }
    arcs = [_decode(arc, topology["transform"]) for arc in topology["arcs"]]
    return {
        "type": "FeatureCollection",
        "licence": LICENCE,
        "features": [_feature(counties[code], states[code[:2]], arcs) for code in fips],
    }


def _decode(arc: Sequence[Sequence[int]], transform: Mapping[str, Any]) -> _Ring:
    """Undo the delta coding and the grid (TopoJSON specification, 2.1.3 and 2.1.4)."""
    (scale_x, scale_y), (left, bottom) = transform["scale"], transform["translate"]
    columns, rows = accumulate(x for x, _ in arc), accumulate(y for _, y in arc)
    return [
        (round(x * scale_x + left, DECIMALS), round(y * scale_y + bottom, DECIMALS))
        for x, y in zip(columns, rows, strict=True)
    ]


def _feature(county: Mapping[str, Any], state: str, arcs: Sequence[_Ring]) -> dict[str, Any]:
    properties = {"fips": county["id"], "name": county["properties"]["name"], "state": state}
    return {"type": "Feature", "properties": properties, "geometry": _geometry(county, arcs)}


def _geometry(county: Mapping[str, Any], arcs: Sequence[_Ring]) -> dict[str, Any]:
    shapes = county["arcs"] if county["type"] == "MultiPolygon" else [county["arcs"]]
    polygons = [polygon for shape in shapes if (polygon := _polygon(shape, arcs))]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _polygon(shape: Sequence[Sequence[int]], arcs: Sequence[_Ring]) -> list[_Ring]:
    # The atlas's grid has collapsed some enclaves to a line: they have no inside left.
    outer, *holes = (_ring(indices, arcs) for indices in shape)
    return [outer, *(hole for hole in holes if _has_inside(hole))] if _has_inside(outer) else []


def _ring(indices: Sequence[int], arcs: Sequence[_Ring]) -> _Ring:
    """Join arcs end to start; ~index stands for the arc backwards."""
    points = (
        point
        for index in indices
        for point in (arcs[index] if index >= 0 else reversed(arcs[~index]))
    )
    return [point for point, _ in groupby(points)]


def _has_inside(ring: _Ring) -> bool:
    return len(set(ring)) > 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the regions to standard output, one county a line, so that differences can be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topology", type=Path, help="counties-10m.json of npm us-atlas")
    parser.add_argument("--fips", required=True, help="county codes, separated by commas")
    given = parser.parse_args(arguments)
    found = convert(json.loads(given.topology.read_text()), given.fips.split(","))
    features = ",\n".join(json.dumps(one, separators=(",", ":")) for one in found["features"])
    head = f'{{"type":"FeatureCollection","licence":{json.dumps(found["licence"])},"features":['
    sys.stdout.write(f"{head}\n{features}\n]}}\n")


if __name__ == "__main__":
    main()
