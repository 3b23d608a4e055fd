"""Which list answers for a place, and how regions are taken in (specification, section 4)."""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_domain.errors import Rejected
from strike_domain.geometry import FieldPath, parse_location
from strike_domain.regions import RegionCandidate, RegionChoice, choose_region, parse_region

Ring = list[list[float]]
AT = ("region", "coordinates")


def box(west: float, south: float, east: float, north: float) -> Ring:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def multi(*polygons: Any) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": list(polygons)}


def candidate(name: str, region: dict[str, Any] | None, number: int = 0) -> RegionCandidate:
    return RegionCandidate(list_id=UUID(int=number), name=name, region=region)


def choose(place: list[Any], *candidates: RegionCandidate) -> RegionChoice | None:
    kind = "LineString" if isinstance(place[0], list) else "Point"
    return choose_region(parse_location({"type": kind, "coordinates": place}), candidates)


def chosen(place: list[Any], *candidates: RegionCandidate) -> tuple[str, str]:
    choice = choose(place, *candidates)
    assert choice is not None
    return choice.name, choice.reason


WEST = candidate("West", polygon(box(0, 0, 10, 10)), 1)
EAST = candidate("East", polygon(box(10, 0, 14, 10)), 2)
WIDE = candidate("Wide", polygon(box(-20, -20, 20, 20)), 3)
DEFAULT = candidate("Everywhere else", None, 4)
RING = candidate("Ring", polygon(box(0, 0, 9, 9), box(3, 3, 6, 6)), 5)


def test_the_region_that_covers_the_point_is_chosen() -> None:
    choice = choose([5, 5], WEST, EAST, DEFAULT)
    assert choice == RegionChoice(list_id=UUID(int=1), name="West", reason="covers the point")


def test_of_several_that_cover_the_point_the_smallest_is_chosen() -> None:
    assert chosen([5, 5], WIDE, WEST) == ("West", "covers the point; smaller of two")
    assert chosen([5, 5], WIDE, WEST, candidate("Mid", polygon(box(0, 0, 12, 12)))) == (
        "West",
        "covers the point; smallest of three",
    )


def test_a_point_on_a_shared_border_belongs_to_both_and_goes_to_the_smaller() -> None:
    assert chosen([10, 5], WEST, EAST) == ("East", "covers the point; smaller of two")
    assert chosen([0, 0], WEST, EAST) == ("West", "covers the point")


def test_regions_of_equal_size_are_told_apart_by_name() -> None:
    turned = polygon(box(0, 0, 10, 10)[::-1])
    assert chosen([5, 5], WEST, candidate("Alpha", turned)) == (
        "Alpha",
        "covers the point; first by name of two of equal size",
    )


def test_one_region_drawn_from_another_vertex_keeps_its_size() -> None:
    ring = [[5 + 4 * math.cos(turn / 2), 5 + 4 * math.sin(turn / 2)] for turn in range(12)]
    for start in range(12):
        turned = ring[start:] + ring[:start]
        one, other = polygon([*ring, ring[0]]), polygon([*turned, turned[0]])
        assert chosen([5, 5], candidate("A", one), candidate("B", other))[0] == "A"
        assert chosen([5, 5], candidate("B", one), candidate("A", other))[0] == "A"


def test_size_is_measured_on_the_ground_and_not_in_degrees() -> None:
    north = candidate("North", polygon(box(0, 60, 11, 70)))
    south = candidate("South", polygon(box(0, 50, 10, 60)))
    assert chosen([5, 60], north, south) == ("North", "covers the point; smaller of two")


def test_a_hole_is_outside_and_its_border_inside() -> None:
    assert chosen([4, 4], RING, DEFAULT)[0] == "Everywhere else"
    assert chosen([3, 4], RING, DEFAULT)[0] == "Ring"


def test_a_hole_does_not_count_as_size() -> None:
    full = candidate("Full", polygon(box(0, 0, 8.9, 8.9)))
    assert chosen([1, 1], RING, full)[0] == "Ring"


def test_every_part_of_a_multipolygon_counts() -> None:
    islands = candidate("Islands", multi([box(0, 0, 1, 1)], [box(5, 5, 6, 6)]))
    assert chosen([5.5, 5.5], islands, DEFAULT) == ("Islands", "covers the point")
    assert chosen([3, 3], islands, DEFAULT)[0] == "Everywhere else"
    line = [[0, 0.5], [2, 0.5]]
    assert chosen(line, islands) == ("Islands", "covers 50 % of the span")


def test_the_region_with_the_greatest_covered_length_is_chosen() -> None:
    assert chosen([[2, 5], [12, 5]], EAST, WEST) == ("West", "covers 80 % of the span; most of two")


def test_a_line_that_two_regions_cover_alike_goes_to_the_smaller() -> None:
    assert chosen([[2, 5], [8, 5]], WIDE, WEST) == ("West", "covers the whole span; smaller of two")
    inner = candidate("Inner", polygon(box(0, 4, 10, 6)))
    assert chosen([[4, 5], [12, 7]], inner, WEST)[0] == "West"
    assert chosen([[4, 5], [14, 5]], inner, WEST) == (
        "Inner",
        "covers 60 % of the span; smaller of two",
    )


def test_a_border_in_common_cuts_a_line_alike_whatever_its_arithmetic() -> None:
    inner = polygon([[0, 0], [4.6, 0], [6, 6], [0, 6], [0, 0]])
    outer = polygon([[-5, -6], [3.2, -6], [7.4, 12], [-5, 12], [-5, -6]])
    line = [[2, 4.8], [15, 0.2]]
    choice = chosen(line, candidate("Outer", outer), candidate("Inner", inner))
    assert choice == ("Inner", "covers 26 % of the span; smaller of two")


def test_a_line_along_a_shared_border_is_covered_by_both() -> None:
    line = [[10, 2], [10, 8]]
    assert chosen(line, WEST, EAST) == ("East", "covers the whole span; smaller of two")


def test_a_line_that_only_touches_a_region_is_not_covered_by_it() -> None:
    assert chosen([[20, 5], [14, 5]], EAST, DEFAULT)[0] == "Everywhere else"


def test_length_is_measured_on_the_ground_and_not_in_degrees() -> None:
    south = candidate("South", polygon(box(-10, 0, 10, 60)))
    north = candidate("North", polygon(box(-10, 60, 30, 80)))
    line = [[0, 51], [0, 60], [13, 60.001]]
    assert chosen(line, south, north)[0] == "South"


def test_a_stretch_passed_twice_counts_once() -> None:
    line = [[12, 5], [8, 5], [12, 5]]
    assert chosen(line, WEST) == ("West", "covers 50 % of the span")


def test_shares_are_never_rounded_to_all_or_nothing() -> None:
    assert chosen([[0.01, 5], [10.01, 5]], WEST)[1] == "covers 99 % of the span"
    assert chosen([[9.99, 5], [18, 5]], WEST)[1] == "covers less than 1 % of the span"


def test_without_a_covering_region_the_default_list_is_chosen() -> None:
    assert chosen([50, 50], WEST, DEFAULT) == (
        "Everywhere else",
        "default list: no region covers the location",
    )


def test_of_two_default_lists_the_first_by_name_is_chosen() -> None:
    name, reason = chosen([50, 50], DEFAULT, candidate("Another", None))
    assert name == "Another"
    assert reason.endswith("first by name of two")


def test_without_region_and_default_there_is_no_choice() -> None:
    assert choose([50, 50], WEST) is None
    assert choose([50, 50]) is None


def test_a_stored_region_that_is_invalid_still_answers() -> None:
    bow_tie = polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]])
    assert chosen([9, 5], candidate("Bow tie", bow_tie), DEFAULT)[0] == "Bow tie"
    assert chosen([[-1, 4], [12, 5]], candidate("Bow tie", bow_tie), DEFAULT)[0] == "Bow tie"


COORDINATE = st.integers(0, 6)
BOXES = st.builds(
    lambda x, y, width, height: polygon(box(x, y, x + width, y + height)),
    COORDINATE,
    COORDINATE,
    st.integers(1, 4),
    st.integers(1, 4),
)
POSITION = st.tuples(COORDINATE, COORDINATE).map(list)
PLACES = POSITION | st.lists(POSITION, min_size=2, max_size=4, unique_by=tuple)


@given(PLACES, st.lists(BOXES | st.none(), max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_candidates_does_not_matter(
    place: list[Any], regions: list[Any], random: Any
) -> None:
    names = "abacb"
    candidates = [candidate(names[at], one, at) for at, one in enumerate(regions)]
    shuffled = random.sample(candidates, len(candidates))
    assert choose(place, *candidates) == choose(place, *shuffled)


# Taking a region in ------------------------------------------------------------------------

SQUARE = box(0, 0, 10, 10)


def refused(value: Any, **options: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse_region(value, **options)
    assert caught.value.message.endswith((".", "?"))
    return caught.value


@pytest.mark.parametrize(
    "value",
    [
        polygon(SQUARE),
        polygon(SQUARE[::-1]),
        polygon(SQUARE, box(2, 2, 4, 4)),
        multi([SQUARE], [box(20, 20, 30, 30), box(22, 22, 23, 23)]),
    ],
)
def test_a_valid_region_is_returned_as_it_came(value: dict[str, Any]) -> None:
    assert parse_region(value) == value
    assert parse_region({"type": "Feature", "geometry": value, "properties": {}}) == value


def test_a_region_comes_back_without_heights_and_foreign_members() -> None:
    high = [[*position, 100] for position in SQUARE]
    assert parse_region(polygon(high) | {"bbox": [0, 0, 10, 10]}) == polygon(SQUARE)


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        ("{", "INVALID_JSON", ("region",)),
        ([], "INVALID_GEOJSON", ("region",)),
        ({"type": "Point", "coordinates": [1, 2]}, "GEOMETRY_TYPE_NOT_ALLOWED", ("region", "type")),
        ({"type": "Polygon"}, "INVALID_GEOJSON", AT),
        (polygon(), "REGION_EMPTY", AT),
        (multi(), "REGION_EMPTY", AT),
        (multi([]), "REGION_EMPTY", (*AT, 0)),
        (polygon(5), "INVALID_GEOJSON", (*AT, 0)),
        (multi(5), "INVALID_GEOJSON", (*AT, 0)),
        (polygon([]), "RING_TOO_SHORT", (*AT, 0)),
        (polygon([[0, 0], [1, 1], [0, 0]]), "RING_TOO_SHORT", (*AT, 0)),
        (polygon(SQUARE, SQUARE[:-1]), "RING_NOT_CLOSED", (*AT, 1, 3)),
        (multi([SQUARE], [SQUARE[:-1]]), "RING_NOT_CLOSED", (*AT, 1, 0, 3)),
        (polygon([[0, 0], [200, 0], [1, 1], [0, 0]]), "LONGITUDE_OUT_OF_RANGE", (*AT, 0, 1, 0)),
        (polygon([[0, 0], [5, 100], [1, 1], [0, 0]]), "COORDINATES_SWAPPED", (*AT, 0, 1, 1)),
        (polygon([[0, 0], [1, float("nan")], [1, 1]]), "COORDINATE_NOT_FINITE", (*AT, 0, 1, 1)),
        (polygon(box(170, 0, -170, 10)), "CROSSES_ANTIMERIDIAN", (*AT, 0, 1, 0)),
        (polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]), "REGION_INVALID", AT),
        (polygon([[0, 0], [1, 1], [2, 2], [0, 0]]), "REGION_INVALID", AT),
        (polygon(SQUARE, box(20, 20, 30, 30)), "REGION_INVALID", AT),
        (multi([SQUARE], [SQUARE, box(5, 5, 15, 6)]), "REGION_INVALID", (*AT, 1)),
        (multi([SQUARE], [box(5, 5, 15, 15)]), "REGION_INVALID", AT),
    ],
    ids=lambda part: repr(part)[:60],
)
def test_each_bad_region_has_its_code_and_path(value: Any, code: str, path: FieldPath) -> None:
    error = refused(value)
    assert (error.code, error.path) == (code, path)


def test_the_place_where_a_region_crosses_itself_is_told() -> None:
    error = refused(polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]))
    assert "at longitude and latitude 1 1" in error.message


def test_vertices_are_counted_over_all_rings_before_one_is_read() -> None:
    error = refused(multi([SQUARE], [["bad"] * 6]), max_vertices=10)
    assert (error.code, error.path) == ("TOO_MANY_VERTICES", AT)
    assert refused(multi([SQUARE], [["bad"] * 5]), max_vertices=10).code == "INVALID_GEOJSON"
    assert refused(polygon(*[[]] * 11), max_vertices=10).code == "TOO_MANY_VERTICES"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
RINGS = st.lists(
    st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=6).map(
        lambda ring: [*ring, ring[0]]
    ),
    max_size=3,
)


@given(
    st.builds(polygon, JSON)
    | RINGS.map(lambda rings: polygon(*rings))
    | RINGS.map(lambda rings: multi(*([ring] for ring in rings)))
    | JSON
)
@settings(max_examples=60, deadline=None)
def test_whatever_comes_as_a_region_is_taken_or_refused(value: Any) -> None:
    found = attempt(value)
    if isinstance(found, Rejected):
        assert found.path[0] == "region"
    else:
        assert parse_region(found) == found


def attempt(value: Any) -> dict[str, Any] | Rejected:
    try:
        return parse_region(value)
    except Rejected as error:
        return error
