"""The ground along a network's fibre: covers it, is as wide as asked, keeps what it encloses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from strike_domain.corridors import MAX_CORRIDOR_VERTICES, corridor
from strike_domain.errors import Rejected
from strike_domain.geometry import EARTH_RADIUS_M, Location, Position
from strike_domain.regions import parse_region

SPANS = Path(__file__).parents[2].parent / "shared" / "data" / "ofds" / "spans.geojson"
METRES_PER_DEGREE = math.radians(EARTH_RADIUS_M)


def line(*positions: Position) -> Location:
    return Location(type="LineString", coordinates=positions)


def point(longitude: float, latitude: float) -> Location:
    return Location(type="Point", coordinates=(longitude, latitude))


def moved(start: Position, metres: float, bearing: float) -> Position:
    """So many metres from `start`; the bearing is in degrees, clockwise from north."""
    up = metres * math.cos(math.radians(bearing)) / METRES_PER_DEGREE
    across = metres * math.sin(math.radians(bearing)) / METRES_PER_DEGREE
    return start[0] + across / math.cos(math.radians(start[1])), start[1] + up


def covers(region: dict[str, Any], position: Position) -> bool:
    return bool(shape(region).covers(shapely.Point(position)))


def vertices(region: dict[str, Any]) -> int:
    return int(shapely.get_num_coordinates(shape(region)))


@pytest.mark.parametrize("latitude", [0.0, 40.0, -40.0, 60.0])
@pytest.mark.parametrize("bearing", [0.0, 30.0, 90.0, 135.0])
@pytest.mark.parametrize("half_width", [100.0, 2_000.0, 20_000.0])
def test_a_corridor_is_as_wide_as_was_asked(
    latitude: float, bearing: float, half_width: float
) -> None:
    middle = (-105.0, latitude)
    span = line(moved(middle, -60_000, bearing), middle, moved(middle, 60_000, bearing))
    region = corridor([span], half_width)
    for side in (bearing - 90, bearing + 90):
        assert covers(region, moved(middle, 0.98 * half_width, side))
        assert not covers(region, moved(middle, 1.02 * half_width, side))


@pytest.mark.parametrize("latitude", [0.0, 40.0, 60.0])
def test_a_long_span_has_the_same_width_at_both_its_ends(latitude: float) -> None:
    south, north = (10.0, latitude), (10.0, latitude + 12)
    region = corridor([line(south, north)], 5_000)
    for end in (moved(south, 9_000, 0), moved(north, -9_000, 0)):
        assert covers(region, moved(end, 4_900, 90))
        assert not covers(region, moved(end, 5_100, 90))


POSITIONS = st.tuples(st.floats(-170, 170), st.floats(-80, 80))


@st.composite
def spans(draw: st.DrawFn) -> Location:
    """A span that wanders about for some tens of kilometres a step."""
    here = draw(POSITIONS)
    found = [here]
    for _ in range(draw(st.integers(1, 8))):
        step = draw(st.floats(10, 60_000)), draw(st.floats(0, 360))
        longitude, latitude = moved(found[-1], *step)
        found.append((min(180.0, max(-180.0, longitude)), min(83.0, max(-83.0, latitude))))
    return line(*found)


SHORT_EDGES_BEFORE_A_TURN = line(
    (0.0, 0.0),
    (0.0, 9e-05),
    (0.0, 0.00018),
    (0.0, 0.00027),
    (0.0, 0.08132554),
    (-0.05587374, 0.01705022),
    (-0.05587374, 0.01714015),
    (-0.05644833, 0.01757313),
    (-0.05644833, -0.16867612),
)
"""Its buffer, made in one step, has a false hole some 600 m from the span (GEOS 3.14)."""


@settings(max_examples=60, deadline=None)
@example([SHORT_EDGES_BEFORE_A_TURN], 9_342.0)
@given(st.lists(spans(), min_size=1, max_size=4), st.floats(50, 20_000))
def test_every_vertex_lies_inside_well_away_from_the_border(
    network: list[Location], half_width: float
) -> None:
    region = corridor(network, half_width)
    assert parse_region(region) == region and vertices(region) <= MAX_CORRIDOR_VERTICES
    area = shape(region)
    for span in network:
        for position in span.positions:
            assert covers(region, position)
            away = area.boundary.distance(shapely.Point(position)) * METRES_PER_DEGREE
            on_the_edge = abs(position[0]) > 179
            assert on_the_edge or away >= 0.97 * half_width * math.cos(math.radians(position[1]))


def test_what_a_ring_of_fibre_encloses_stays_a_hole() -> None:
    ring = line((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))
    region = corridor([ring])
    assert region["type"] == "Polygon" and len(region["coordinates"]) == 2
    assert not covers(region, (0.5, 0.5))
    assert covers(region, (0.5, 0.017)) and not covers(region, (0.5, 0.019))


def test_spans_far_apart_are_parts_of_one_region_and_near_ones_are_joined() -> None:
    here, near, far = point(0, 0), point(0.01, 0), point(5, 0)
    assert corridor([here, near])["type"] == "Polygon"
    region = corridor([here, far])
    assert region["type"] == "MultiPolygon" and len(region["coordinates"]) == 2


def test_a_corridor_at_the_antimeridian_goes_on_at_the_other_side() -> None:
    region = corridor([line((179.9, 10), (179.999, 10))])
    assert region["type"] == "MultiPolygon"
    assert covers(region, (179.95, 10)) and covers(region, (-179.99, 10))


def zigzag(count: int) -> Location:
    """A span whose every vertex is needed: each is farther off the line than the corridor is."""
    return line(*((0.1 * step, 0.1 * (step % 2)) for step in range(count)))


def test_a_large_network_becomes_coarser_and_still_covers_all_of_its_fibre() -> None:
    network = [zigzag(600), line((0, 1), (60, 1))]
    region = corridor(network, 500)
    assert vertices(region) <= MAX_CORRIDOR_VERTICES
    assert all(shape(region).covers(span.shape()) for span in network)


def test_what_cannot_be_made_coarse_enough_is_refused_with_the_cure() -> None:
    scattered = [point(x / 2, y / 2) for x in range(30) for y in range(30)]
    error = refused(scattered, 50)
    assert error.code == "CORRIDOR_TOO_DETAILED" and "go farther" in error.message


def refused(places: list[Location], half_width: float = 2_000) -> Rejected:
    with pytest.raises(Rejected) as caught:
        corridor(places, half_width, path=("features", 3))
    assert caught.value.path == ("features", 3)
    return caught.value


@pytest.mark.parametrize("half_width", [0, -1, 9, 50_001, math.inf, math.nan])
def test_a_width_that_makes_no_corridor_is_refused(half_width: float) -> None:
    assert refused([point(0, 0)], half_width).code == "CORRIDOR_WIDTH_INVALID"


def test_no_corridor_is_made_of_nothing_or_at_the_pole() -> None:
    assert refused([]).code == "CORRIDOR_EMPTY"
    assert refused([point(0, 89)]).code == "CORRIDOR_NEAR_POLE"


@pytest.mark.skipif(not SPANS.is_file(), reason=f"the OFDS examples are not at {SPANS}")
def test_a_real_span_is_covered_along_its_whole_length() -> None:
    features = json.loads(SPANS.read_text("utf-8"))["features"]
    span = line(*map(tuple, features[0]["geometry"]["coordinates"]))
    region = corridor([span])
    assert shape(region).covers(span.shape()) and vertices(region) < 200
    assert region == corridor([span])
