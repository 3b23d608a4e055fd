"""Callout geometry: what is taken in, and what each refusal says (specification, section 3)."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_domain import geometry
from strike_domain.errors import Rejected
from strike_domain.geometry import FieldPath, Location, length_m, parse_location

DENVER = [-104.9903, 39.7392]
BOULDER = [-105.2705, 40.015]
AT = ("location", "coordinates")


def point(*numbers: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(numbers)}


def line(*positions: Any) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": list(positions)}


def refused(value: Any, **options: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse_location(value, **options)
    assert caught.value.message.endswith((".", "?"))
    return caught.value


def test_a_point_is_held_longitude_first() -> None:
    location = parse_location(point(*DENVER))
    assert location.coordinates == (-104.9903, 39.7392)
    assert location.geojson() == point(*DENVER)
    assert location.bounds == (-104.9903, 39.7392, -104.9903, 39.7392)
    assert location.shape().coords[0] == (-104.9903, 39.7392)


def test_a_line_keeps_its_order() -> None:
    location = parse_location(line(DENVER, BOULDER))
    assert location.geojson() == line(DENVER, BOULDER)
    assert location.bounds == (-105.2705, 39.7392, -104.9903, 40.015)
    assert location.shape().geom_type == "LineString"


@pytest.mark.parametrize("encode", [str, str.encode, lambda text: "\ufeff" + text])
def test_json_text_and_bytes_are_read_as_objects_are(encode: Any) -> None:
    assert parse_location(encode(json.dumps(point(*DENVER)))) == parse_location(point(*DENVER))


def test_a_feature_with_a_point_or_a_line_is_unwrapped() -> None:
    feature = {"type": "Feature", "properties": {"name": "cut"}, "geometry": line(DENVER, BOULDER)}
    assert parse_location(feature) == parse_location(line(DENVER, BOULDER))


def test_a_fault_inside_a_feature_is_found_inside_the_feature() -> None:
    error = refused({"type": "Feature", "geometry": line(DENVER, [-105.0, "40"])})
    assert error.path == ("location", "geometry", "coordinates", 1, 1)


def test_heights_are_dropped() -> None:
    assert parse_location(point(*DENVER, 1609)) == parse_location(point(*DENVER))


def test_the_borders_of_the_globe_are_in_range() -> None:
    assert parse_location(line([-180, -90], [0, 0], [180, 90])).bounds == (-180, -90, 180, 90)


def test_what_is_stored_replays_without_being_judged_again() -> None:
    stored = '{"type":"LineString","coordinates":[[400,95],[400,95]]}'
    location = Location.model_validate_json(stored)
    assert location.positions == ((400, 95), (400, 95))


@given(st.lists(st.tuples(st.floats(-89, 89), st.floats(-90, 90)), min_size=2, unique=True))
@settings(max_examples=30, deadline=None)
def test_what_was_parsed_survives_storing_and_parsing_again(
    positions: list[tuple[float, float]],
) -> None:
    location = parse_location(line(*positions))
    assert Location.model_validate_json(location.model_dump_json()) == location
    assert parse_location(location.geojson()) == location


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        ("{", "INVALID_JSON", ("location",)),
        ("", "INVALID_JSON", ("location",)),
        (b"\xff\xfe\xfa", "INVALID_JSON", ("location",)),
        (b"\xc3\x28", "INVALID_JSON", ("location",)),
        (NESTED, "INVALID_JSON", ("location",)),
        (None, "INVALID_GEOJSON", ("location",)),
        ("[1, 2]", "INVALID_GEOJSON", ("location",)),
        ({}, "INVALID_GEOJSON", ("location", "type")),
        ({"type": 5}, "INVALID_GEOJSON", ("location", "type")),
        ({"type": "Point"}, "INVALID_GEOJSON", AT),
        ({"type": "Point", "coordinates": "12"}, "INVALID_GEOJSON", AT),
        ({"type": "Feature", "geometry": None}, "INVALID_GEOJSON", ("location", "geometry")),
        ({"type": "Feature"}, "INVALID_GEOJSON", ("location", "geometry")),
        (point(), "INVALID_GEOJSON", AT),
        (point(1), "INVALID_GEOJSON", AT),
        (point(1, 2, 3, 4), "INVALID_GEOJSON", AT),
        (point(DENVER), "INVALID_GEOJSON", AT),
        (point(True, 2), "INVALID_GEOJSON", (*AT, 0)),
        (point(1, None), "INVALID_GEOJSON", (*AT, 1)),
        (point(1, 2, "high"), "INVALID_GEOJSON", (*AT, 2)),
        (line(DENVER, 5), "INVALID_GEOJSON", (*AT, 1)),
        (line(DENVER, [BOULDER, DENVER]), "INVALID_GEOJSON", (*AT, 1, 0)),
        (point(math.nan, 2), "COORDINATE_NOT_FINITE", (*AT, 0)),
        (point(1, 2, math.inf), "COORDINATE_NOT_FINITE", (*AT, 2)),
        (point(1, 10**400), "COORDINATE_NOT_FINITE", (*AT, 1)),
        (point(10**30, 2), "LONGITUDE_OUT_OF_RANGE", (*AT, 0)),
        (point(400, 95), "LONGITUDE_OUT_OF_RANGE", (*AT, 0)),
        (line(DENVER, [-180.1, 40]), "LONGITUDE_OUT_OF_RANGE", (*AT, 1, 0)),
        (point(-104.99, 90.5), "LATITUDE_OUT_OF_RANGE", (*AT, 1)),
        (point(39.7, -104.99), "COORDINATES_SWAPPED", (*AT, 1)),
        (line([48.1, 11.5], [39.7, -104.9]), "COORDINATES_SWAPPED", (*AT, 1, 1)),
        (line(), "LINE_TOO_SHORT", AT),
        (line(DENVER), "LINE_TOO_SHORT", AT),
        (line(DENVER, DENVER, DENVER), "LINE_TOO_SHORT", AT),
        (line([*DENVER, 0], [*DENVER, 50]), "LINE_TOO_SHORT", AT),
        (line([179, 1], [180, 1], [-179.9, 1]), "CROSSES_ANTIMERIDIAN", (*AT, 2, 0)),
    ],
    ids=lambda part: repr(part)[:60],
)
def test_each_refusal_has_its_code_and_points_at_the_place(
    value: Any, code: str, path: FieldPath
) -> None:
    error = refused(value)
    assert (error.code, error.path) == (code, path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000])
def test_numbers_that_json_text_should_not_hold_are_not_finite(number: str) -> None:
    error = refused(f'{{"type": "Point", "coordinates": [{number}, 1]}}')
    assert (error.code, error.path) == ("COORDINATE_NOT_FINITE", (*AT, 0))


@pytest.mark.parametrize(
    "kind",
    ["Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"]
    + ["FeatureCollection", "Circle", "point"],
)
def test_another_type_is_named_in_the_refusal(kind: str) -> None:
    error = refused({"type": kind, "coordinates": []})
    assert (error.code, error.path) == ("GEOMETRY_TYPE_NOT_ALLOWED", ("location", "type"))
    assert kind in error.message
    assert "Point or a LineString" in error.message


def test_a_feature_in_a_feature_is_not_unwrapped_twice() -> None:
    feature = {"type": "Feature", "geometry": point(*DENVER)}
    error = refused({"type": "Feature", "geometry": feature})
    assert error.code == "GEOMETRY_TYPE_NOT_ALLOWED"
    assert error.path == ("location", "geometry", "type")


def test_a_swapped_position_is_shown_the_right_way_round() -> None:
    assert "[-104.99, 39.7]" in refused(point(39.7, -104.99)).message


def test_swapping_is_not_suggested_when_the_rest_of_the_line_would_not_fit() -> None:
    assert refused(line(DENVER, [-89, 95])).code == "LATITUDE_OUT_OF_RANGE"


@pytest.mark.parametrize("name", ["EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84"])
def test_a_crs_that_says_wgs_84_changes_nothing(name: str) -> None:
    crs = {"type": "name", "properties": {"name": name}}
    assert parse_location(point(*DENVER) | {"crs": crs}) == parse_location(point(*DENVER))


@pytest.mark.parametrize("crs", ["EPSG:25832", 5, {"properties": {"name": "EPSG:25832"}}, {}])
def test_another_crs_is_refused(crs: Any) -> None:
    error = refused(point(500_000, 5_700_000) | {"crs": crs})
    assert (error.code, error.path) == ("UNSUPPORTED_CRS", ("location", "crs"))


def test_ten_thousand_vertices_are_taken_and_one_more_is_not() -> None:
    positions = [[index / 1000, 0] for index in range(10_001)]
    assert len(parse_location(line(*positions[:-1])).positions) == 10_000
    error = refused(line(*positions))
    assert (error.code, error.path) == ("TOO_MANY_VERTICES", AT)


def test_too_many_vertices_are_refused_without_looking_at_one() -> None:
    class Untouchable(list[Any]):
        def __iter__(self) -> Any:
            raise AssertionError

        def __getitem__(self, index: Any) -> Any:
            raise AssertionError

    value = {"type": "LineString", "coordinates": Untouchable([0] * 11)}
    assert refused(value, max_vertices=10).code == "TOO_MANY_VERTICES"


def test_the_path_begins_where_the_caller_says() -> None:
    assert refused(point(1, "2"), path=("input", 3)).path == ("input", 3, "coordinates", 1)


def test_places_are_described_for_people() -> None:
    assert parse_location(point(*DENVER)).describe() == "point 39.7392 N, 104.9903 W"
    assert parse_location(point(151.2, -33.8)).describe() == "point 33.8000 S, 151.2000 E"
    assert parse_location(line(DENVER, BOULDER)).describe() == "line of 2 points, 38.9 km"
    assert parse_location(line([0, 0], [0.001, 0])).describe() == "line of 2 points, 111 m"


@given(
    st.tuples(st.floats(-180, 180), st.floats(-80, 80)),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
@settings(max_examples=50, deadline=None)
def test_lengths_of_spans_agree_with_the_great_circle(
    start: tuple[float, float], step: tuple[float, float]
) -> None:
    end = start[0] + step[0], start[1] + step[1]
    assert length_m([start, end]) == pytest.approx(haversine(start, end), rel=1e-3, abs=0.01)


def test_the_parts_of_a_line_add_up_to_the_whole() -> None:
    start, middle, end = (-5.0, 40.0), (-2.5, 45.0), (0.0, 50.0)
    parts = length_m([start, middle]) + length_m([middle, end])
    assert length_m([start, end]) == pytest.approx(parts, rel=1e-6)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
TYPES = st.sampled_from(["Point", "LineString", "Polygon", "Feature", "FeatureCollection"])
NEARLY_GEOJSON = st.fixed_dictionaries(
    {"type": TYPES | JSON, "coordinates": st.lists(JSON | st.lists(st.floats())) | JSON},
    optional={"crs": JSON, "geometry": JSON},
)


@given(
    JSON
    | NEARLY_GEOJSON
    | st.builds(lambda inner: {"type": "Feature", "geometry": inner}, NEARLY_GEOJSON)
)
@settings(max_examples=60, deadline=None)
def test_whatever_comes_is_taken_or_refused_and_never_crashes(value: Any) -> None:
    for given_value in (value, json.dumps(value)):
        found = attempt(given_value)
        assert (
            found.path[0] == "location" if isinstance(found, Rejected) else found.shape().is_valid
        )


def attempt(value: Any) -> Location | Rejected:
    try:
        return parse_location(value)
    except Rejected as error:
        return error


@given(st.text(max_size=20) | st.binary(max_size=20))
@settings(max_examples=50, deadline=None)
def test_text_that_is_no_geometry_is_refused(value: str | bytes) -> None:
    assert refused(value).code in {"INVALID_JSON", "INVALID_GEOJSON"}


def haversine(start: tuple[float, float], end: tuple[float, float]) -> float:
    (x1, y1), (x2, y2) = (tuple(map(math.radians, one)) for one in (start, end))
    half = math.sin((y2 - y1) / 2) ** 2
    half += math.cos(y1) * math.cos(y2) * math.sin((x2 - x1) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(half))


@given(
    st.sampled_from(["Point", "point"]),
    st.lists(st.floats(-200, 200) | st.floats() | st.integers(-90, 90) | st.booleans(), max_size=3),
    st.sampled_from([{}, {"crs": None}, {"crs": {}}, {"bbox": []}]),
)
def test_the_short_way_of_a_point_takes_only_what_the_long_way_takes(
    kind: str, coordinates: list[Any], more: dict[str, Any]
) -> None:
    value = {"type": kind, "coordinates": coordinates, **more}
    short = geometry._plain_point(value)
    if short is not None:
        long = parse_location(MappingProxyType(value))
        assert long == Location(type="Point", coordinates=short)
