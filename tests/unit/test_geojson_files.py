"""Files of callout places and regions, tried on real ones (specification, section 9, Import)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strike_adapters.geojson_files import read_callout_geometry, read_regions
from strike_domain.errors import Rejected
from strike_domain.geometry import parse_location

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
PROBLEMS = SHARED / "geojson-problems"
OFDS = SHARED / "ofds"

needs_problems = pytest.mark.skipif(
    not PROBLEMS.is_dir(), reason=f"the problem files are not at {PROBLEMS}"
)
needs_ofds = pytest.mark.skipif(not OFDS.is_dir(), reason=f"the OFDS examples are not at {OFDS}")

OK = "taken"
TYPE = "GEOMETRY_TYPE_NOT_ALLOWED"
GEOJSON = "INVALID_GEOJSON"

# What each file is as a callout's place and as a region. Written by hand from the files, not from
# the program: a polygon is no place whatever its faults, a point no region.
EXPECTED = {
    # Rings may turn either way.
    "invalid_exterior_not_ccw": (TYPE, OK),
    "invalid_interior_not_cw": (TYPE, OK),
    # Nothing is decided by a bbox, so a wrong one is ignored.
    "invalid_geometry_bbox_not4or6": (OK, TYPE),
    "invalid_geometry_bbox_not_list": (OK, TYPE),
    "invalid_geometry_bbox_not_numbers": (OK, TYPE),
    "problematic_wrong_bbox_coordinate_order": (TYPE, OK),
    "invalid_geometry_coordinates_1d": (TYPE, GEOJSON),
    "invalid_geometry_coordinates_empty_position": (TYPE, GEOJSON),
    "invalid_geometry_coordinates_missing": (TYPE, GEOJSON),
    "invalid_geometry_coordinates_string": (GEOJSON, TYPE),
    "invalid_geometry_depth_deep_point": (GEOJSON, TYPE),
    "invalid_geometry_depth_deep_polygon": (TYPE, GEOJSON),
    "invalid_geometry_depth_shallow_linestring": (GEOJSON, TYPE),
    "invalid_geometry_depth_shallow_multipolygon": (TYPE, GEOJSON),
    "invalid_geometry_depth_shallow_polygon": (TYPE, GEOJSON),
    "invalid_geometry_geometrycollection_null_geometry": (TYPE, TYPE),
    "invalid_geometry_mislabeled_point": (TYPE, GEOJSON),
    "invalid_geometry_missing_type": (GEOJSON, GEOJSON),
    "invalid_geometry_wrong_geometry_type": (TYPE, TYPE),
    # A LineString whose coordinates are nested as a Polygon's.
    "invalid_incorrect_geometry_data_type": (GEOJSON, TYPE),
    "invalid_less_three_unique_nodes": (TYPE, "RING_TOO_SHORT"),
    "invalid_unclosed": (TYPE, "RING_NOT_CLOSED"),
    "problematic_3d_coordinates": (TYPE, OK),
    "problematic_4d_coordinates": (TYPE, GEOJSON),
    "problematic_crosses_antimeridian": (TYPE, "CROSSES_ANTIMERIDIAN"),
    "problematic_duplicate_nodes": (TYPE, OK),
    "problematic_excessive_coordinate_precision": (TYPE, OK),
    "problematic_feature_null_geometry": (GEOJSON, GEOJSON),
    "problematic_holes": (TYPE, OK),
    "problematic_inner_and_exterior_ring_intersect": (TYPE, "REGION_INVALID"),
    "problematic_multitype_geometry_with_just_one_geometry": (TYPE, OK),
    "problematic_outside_lat_lon_boundaries": (TYPE, "LONGITUDE_OUT_OF_RANGE"),
    "problematic_self_intersection_large": (TYPE, "REGION_INVALID"),
    "problematic_self_intersection_small": (TYPE, "REGION_INVALID"),
    "problematic_zero_length_linestring": ("LINE_TOO_SHORT", TYPE),
    "valid_geometry": (OK, TYPE),
    "valid_geometry_3d_coordinates": (OK, TYPE),
    "valid_geometry_bbox": (TYPE, OK),
    "valid_geometry_geometrycollection": (TYPE, TYPE),
    "valid_geometry_geometrycollection_empty_geometries": (TYPE, TYPE),
    "valid_geometry_linestring": (OK, TYPE),
    "valid_geometry_multilinestring": (TYPE, TYPE),
    "valid_geometry_multipoint": (TYPE, TYPE),
    "valid_geometry_multipolygon": (TYPE, OK),
    "valid_geometry_point": (OK, TYPE),
    "valid_geometry_polygon": (TYPE, OK),
}


@needs_problems
def test_every_problem_file_has_an_expectation() -> None:
    assert {file.stem for file in PROBLEMS.glob("*.geojson")} == set(EXPECTED)


@needs_problems
@pytest.mark.parametrize("name", EXPECTED)
def test_a_problem_file_gets_its_code(name: str) -> None:
    file = PROBLEMS / f"{name}.geojson"
    (place,), (region,) = read_callout_geometry(file), read_regions(file)
    as_place, as_region = EXPECTED[name]
    assert (place.error.code if place.error else OK) == as_place
    assert (region.error.code if region.error else OK) == as_region


@needs_problems
@pytest.mark.parametrize("name", EXPECTED)
def test_a_problem_file_given_as_one_place_gets_the_same_code(name: str) -> None:
    text = (PROBLEMS / f"{name}.geojson").read_bytes()
    expected = TYPE if b"FeatureCollection" in text else EXPECTED[name][0]
    assert outcome(text) == expected


def outcome(text: bytes) -> str:
    try:
        parse_location(text)
    except Rejected as error:
        return error.code
    return OK


@needs_ofds
def test_ofds_spans_are_lines_with_their_names() -> None:
    places = read_callout_geometry(OFDS / "spans.geojson")
    assert [place.error for place in places] == [None] * len(places)
    assert places[0].name == "Accra to Kumasi"
    assert {place.location.type for place in places if place.location} == {"LineString"}
    assert places[0].location is not None
    assert places[0].location.describe().startswith("line of 13 points, 2")


@needs_ofds
def test_ofds_nodes_are_points_with_their_names() -> None:
    places = read_callout_geometry(OFDS / "nodes.geojson")
    assert {place.location.type for place in places if place.location} == {"Point"}
    assert places[0].name == "Accra"
    assert [place.error for place in places] == [None] * len(places)


@needs_ofds
def test_ofds_nodes_without_geometry_say_so_each() -> None:
    places = read_callout_geometry(OFDS / "api-response.geojson")
    assert [place.name for place in places] == ["Accra POP", "Kumasi POP"]
    errors = [place.error for place in places if place.error]
    assert [error.path for error in errors] == [
        ("features", 0, "geometry"),
        ("features", 1, "geometry"),
    ]
    assert {error.code for error in errors} == {GEOJSON}


@needs_ofds
def test_names_from_several_networks_are_told_apart() -> None:
    places = read_callout_geometry(OFDS / "multiple-networks.geojson")
    assert [place.name for place in places] == [
        "Accra POP (Ghana Fibre Network)",
        "Lomé POP (Togo Fibre Network)",
    ]


# Files made here ---------------------------------------------------------------------------

POINT = {"type": "Point", "coordinates": [-104.99, 39.74]}


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **members}


def written(folder: Path, content: Any) -> Path:
    file = folder / "given.geojson"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def refused(file: Path, **options: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read_callout_geometry(file, **options)
    return caught.value


def test_one_bad_feature_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    bad = feature({"type": "Point", "coordinates": [39.74, -104.99]}, name="Swapped")
    file = written(tmp_path, collection(bad, feature(POINT, name="Good")))
    first, second = read_callout_geometry(file)
    assert first.error is not None
    assert first.error.code == "COORDINATES_SWAPPED"
    assert first.error.path == ("features", 0, "geometry", "coordinates", 1)
    assert (first.location, second.error, second.name) == (None, None, "Good")
    assert second.location == parse_location(POINT)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (POINT, "feature 1"),
        (feature(POINT, name=" Main St "), "Main St"),
        (feature(POINT, id="7", featureType="span"), "span 7"),
        (feature(POINT) | {"id": 12}, "feature 12"),
        (feature(POINT, name=["no"], id=True), "feature 1"),
        (feature(POINT) | {"properties": None}, "feature 1"),
    ],
)
def test_a_place_is_named_by_its_name_or_id_or_number(
    tmp_path: Path, content: Any, name: str
) -> None:
    (place,) = read_callout_geometry(written(tmp_path, content))
    assert (place.name, place.error) == (name, None)


@pytest.mark.parametrize("item", [None, 5, "x", [], {}, {"type": "Feature", "geometry": []}])
def test_a_feature_that_is_none_is_an_error_of_its_own(tmp_path: Path, item: Any) -> None:
    (place,) = read_callout_geometry(written(tmp_path, collection(item)))
    assert place.error is not None
    assert place.error.path[:2] == ("features", 0)


def test_regions_keep_their_properties(tmp_path: Path) -> None:
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    content = feature({"type": "Polygon", "coordinates": [ring]}, name="North", fips="08001")
    (region,) = read_regions(written(tmp_path, content))
    assert (region.name, region.properties["fips"], region.error) == ("North", "08001", None)
    assert region.region == {"type": "Polygon", "coordinates": [ring]}


def test_an_empty_collection_holds_nothing(tmp_path: Path) -> None:
    assert read_callout_geometry(written(tmp_path, collection())) == []


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    for file in (tmp_path / "none.geojson", tmp_path, Path("\0")):
        error = refused(file)
        assert error.code == "FILE_UNREADABLE"
        assert error.message.endswith(".")
    assert "No such file" in refused(tmp_path / "none.geojson").message


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.geojson"
    with file.open("wb") as sparse:
        sparse.truncate(20_000_001)
    error = refused(file)
    assert error.code == "FILE_TOO_LARGE"
    assert "20 MB" in error.message
    assert refused(written(tmp_path, "[]"), max_bytes=1).code == "FILE_TOO_LARGE"


@pytest.mark.parametrize(
    ("content", "code", "path"),
    [
        ("", "INVALID_JSON", ()),
        ("PK\x03\x04", "INVALID_JSON", ()),
        ("[]", GEOJSON, ()),
        ({"type": "FeatureCollection"}, GEOJSON, ("features",)),
        ({"type": "FeatureCollection", "features": 5}, GEOJSON, ("features",)),
        ({"networks": [{"id": "1", "nodes": []}]}, GEOJSON, ("networks",)),
        (collection(crs={"properties": {"name": "EPSG:25832"}}), "UNSUPPORTED_CRS", ("crs",)),
    ],
)
def test_a_file_that_is_no_geojson_is_refused_as_a_whole(
    tmp_path: Path, content: Any, code: str, path: tuple[str, ...]
) -> None:
    error = refused(written(tmp_path, content))
    assert (error.code, error.path) == (code, path)
