"""The demo's counties and its span: real, valid, and made for each other."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from shapely.geometry import shape

import strike_adapters
from strike_adapters.geojson_files import NamedRegion, read_regions
from strike_app.demo.convert_us_atlas import convert, main
from strike_app.demo.spans import demo_span
from strike_domain.geometry import Location
from strike_domain.regions import RegionCandidate, RegionChoice, choose_region, parse_region

REGIONS = Path(strike_adapters.__file__).parents[1] / "strike_app" / "demo" / "regions.geojson"
FRONT_RANGE = {"08001", "08013", "08014", "08031", "08059", "08069", "08123", "56021"}


@pytest.fixture(scope="module")
def regions() -> list[NamedRegion]:
    return read_regions(REGIONS)


@pytest.fixture
def without_topohub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "topohub", None)


def choose(location: Location, regions: list[NamedRegion]) -> RegionChoice:
    candidates = [
        RegionCandidate(list_id=UUID(int=number), name=one.name, region=one.region)
        for number, one in enumerate(regions)
    ]
    choice = choose_region(location, candidates)
    assert choice is not None
    return choice


def test_the_counties_are_valid_regions_of_three_areas(regions: list[NamedRegion]) -> None:
    assert [one.error for one in regions] == [None] * 20
    states = [one.properties["state"] for one in regions]
    assert {state: states.count(state) for state in states} == {
        "Colorado": 7,
        "Wyoming": 1,
        "Utah": 4,
        "Oregon": 8,
    }
    assert len({one.properties["fips"] for one in regions}) == 20


def test_neighbours_share_their_borders_to_the_last_digit(regions: list[NamedRegion]) -> None:
    areas = {one.properties["fips"]: shape(one.region) for one in regions if one.region}
    for codes in (FRONT_RANGE, areas.keys() - FRONT_RANGE):
        for one in codes:
            for other in codes - {one}:
                assert not areas[one].overlaps(areas[other])
    assert areas["08069"].touches(areas["08013"])


def test_the_file_is_small_and_says_where_it_comes_from() -> None:
    text = REGIONS.read_text()
    assert len(text) < 150_000
    licence = json.loads(text)["licence"]
    assert "us-atlas" in licence
    assert "ISC" in licence


@pytest.mark.usefixtures("without_topohub")
def test_without_topohub_the_route_is_our_own_and_says_so(regions: list[NamedRegion]) -> None:
    name, location = demo_span()
    assert "hand-drawn" in name
    assert "not a carrier's span" in name
    choice = choose(location, regions)
    assert (choice.name, choice.reason) == ("Larimer", "covers 51 % of the span; most of four")
    assert demo_span() == (name, location)


def test_with_topohub_the_span_is_a_carriers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regions: list[NamedRegion]
) -> None:
    nodes = [{"name": "Elsewhere"}, node("Cheyenne", -104.8, 41.1), node("Boulder", -105.3, 40.0)]
    install_topohub(tmp_path, monkeypatch, {"nodes": nodes, "edges": []})
    name, location = demo_span()
    assert "Sprint" in name
    assert location.positions == ((-104.8, 41.1), (-105.3, 40.0))
    assert choose(location, regions).name == "Larimer"


def test_a_topohub_without_the_span_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_topohub(tmp_path, monkeypatch, {"nodes": [node("Cheyenne", -104.8, 41.1)]})
    assert "hand-drawn" in demo_span()[0]


def node(name: str, longitude: float, latitude: float) -> dict[str, Any]:
    return {"name": name, "pos": [longitude, latitude]}


def install_topohub(folder: Path, monkeypatch: pytest.MonkeyPatch, network: Any) -> None:
    """Stand in for the package: its licence question keeps it out of our tests."""
    data = folder / "topohub" / "data" / "topozoo"
    data.mkdir(parents=True)
    (folder / "topohub" / "__init__.py").touch()
    (data / "Sprint.json").write_text(json.dumps(network))
    monkeypatch.delitem(sys.modules, "topohub", raising=False)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()


# The converter -----------------------------------------------------------------------------

# Two unit squares side by side; arc 0 is their common border, arc 3 an enclave that collapsed.
TOPOLOGY = {
    "transform": {"scale": [0.5, 0.5], "translate": [-105.0, 40.0]},
    "arcs": [
        [[2, 0], [0, 2]],
        [[2, 2], [-2, 0], [0, -2], [2, 0]],
        [[2, 2], [2, 0], [0, -2], [-2, 0]],
        [[1, 1], [0, 0], [0, 0]],
    ],
    "objects": {
        "states": {"geometries": [{"id": "99", "properties": {"name": "Nowhere"}}]},
        "counties": {
            "geometries": [
                {
                    "type": "Polygon",
                    "id": "99001",
                    "properties": {"name": "West"},
                    "arcs": [[0, 1], [3]],
                },
                {
                    "type": "MultiPolygon",
                    "id": "99003",
                    "properties": {"name": "East"},
                    "arcs": [[[-3, -1]], [[3]]],
                },
            ]
        },
    },
}


def test_arcs_are_decoded_and_joined_forwards_and_backwards() -> None:
    west, east = convert(TOPOLOGY, ["99001", "99003"])["features"]
    assert west["properties"] == {"fips": "99001", "name": "West", "state": "Nowhere"}
    assert parse_region(west)["coordinates"] == [
        [[-104.0, 40.0], [-104.0, 41.0], [-105.0, 41.0], [-105.0, 40.0], [-104.0, 40.0]]
    ]
    assert parse_region(east)["type"] == "Polygon"
    assert shape(parse_region(east)).touches(shape(parse_region(west)))


def test_the_script_writes_a_readable_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "counties-10m.json"
    file.write_text(json.dumps(TOPOLOGY))
    main([str(file), "--fips", "99003"])
    written = capsys.readouterr().out
    assert json.loads(written) == json.loads(json.dumps(convert(TOPOLOGY, ["99003"])))
    assert len(written.splitlines()) == 3
