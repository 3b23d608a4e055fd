"""Which lists a file of regions makes, and which it leaves as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from strike_adapters.geojson_files import NamedShape, Network, read_shapes
from strike_app.admin.imports import Outcome, Wanted, plan, regions_of
from strike_domain.contacts import PagerList
from strike_domain.errors import Rejected
from strike_domain.geometry import Location
from tests.unit.given import ANA, BEN
from tests.unit.test_geojson_files import collection, feature, written

NOBODY = Network(None, None)
GHANA, TOGO = Network("1", "Ghana Fibre"), Network("2", "Togo Fibre")


def square(size: float) -> dict[str, Any]:
    ring = [[0.0, 0.0], [size, 0.0], [size, size], [0.0, 0.0]]
    return {"type": "Polygon", "coordinates": [ring]}


def ground(name: str, size: float = 1) -> NamedShape:
    return NamedShape(name, ("features", 0), square(size), None, None, NOBODY)


def span(longitude: float, network: Network = NOBODY) -> NamedShape:
    place = Location(type="LineString", coordinates=((longitude, 0), (longitude, 1)))
    return NamedShape("span", ("features", 0), None, place, None, network)


def a_list(name: str, region: dict[str, Any] | None = None, **values: Any) -> PagerList:
    given: dict[str, Any] = {"id": UUID(int=len(name)), "osp_id": UUID(int=0), "contacts": (ANA,)}
    return PagerList(**given | values, name=name, region=region)


DEFAULT = a_list("everywhere else", rounds=3, consented=frozenset({ANA.phone}))


# What the file wants ----------------------------------------------------------------------------


def test_each_network_is_one_region_where_its_first_feature_stands() -> None:
    shapes = [span(0, GHANA), ground("Denver"), span(5, TOGO), span(1, GHANA)]
    wanted = regions_of(shapes, 2_000, "file")
    assert [one.name for one in wanted] == ["Ghana Fibre", "Denver", "Togo Fibre"]
    assert wanted[0].region and wanted[0].region["type"] == "MultiPolygon"
    assert wanted[2].region and wanted[2].region["type"] == "Polygon"


def test_lines_of_no_network_are_called_after_the_file() -> None:
    (wanted,) = regions_of([span(0), span(1)], 2_000, "north-route")
    assert wanted.name == "north-route"


def test_two_networks_of_one_name_are_told_apart_by_their_ids() -> None:
    shapes = [span(0, GHANA), span(1, Network("9", "Ghana Fibre"))]
    names = [one.name for one in regions_of(shapes, 2_000, "file")]
    assert names == ["Ghana Fibre (1)", "Ghana Fibre (9)"]


def test_a_width_that_makes_no_corridor_is_an_error_of_each_network() -> None:
    (wanted,) = regions_of([span(0, GHANA)], -5, "file")
    assert isinstance(wanted.error, Rejected) and wanted.error.code == "CORRIDOR_WIDTH_INVALID"


def test_a_file_gives_polygons_lines_and_errors_alike(tmp_path: Path) -> None:
    features = collection(
        feature(square(1), name="Area"),
        feature({"type": "Point", "coordinates": [1, 2]}, network={"id": 7, "name": "Net"}),
        feature({"type": "MultiPoint", "coordinates": [[1, 2]]}, name="Points"),
        feature(None, name="Nowhere"),
    )
    area, point, points, nowhere = read_shapes(written(tmp_path, features))
    assert area.region == square(1) and area.error is None
    assert point.location and point.network == Network("7", "Net")
    assert points.error and points.error.code == "GEOMETRY_TYPE_NOT_ALLOWED"
    assert "Polygon" in points.error.message and "Point" in points.error.message
    assert nowhere.error and nowhere.error.path == ("features", 3, "geometry")


# What is done -----------------------------------------------------------------------------------


def wanted(name: str, size: float = 1) -> Wanted:
    return Wanted(name, ("features", 0), square(size))


def test_a_new_list_is_like_the_one_whose_people_it_gets() -> None:
    (step,) = plan([wanted("Denver")], [DEFAULT], DEFAULT)
    assert step.outcome is Outcome.ADDED and step.pager_list
    made = step.pager_list
    assert (made.name, made.region, made.rounds) == ("Denver", square(1), 3)
    assert made.contacts == (ANA,) and made.consented == {ANA.phone}


def test_a_list_that_is_there_gets_the_region_and_nothing_else() -> None:
    before = a_list("Denver", square(1), contacts=(BEN,), rounds=5)
    (step,) = plan([wanted("Denver", 2)], [DEFAULT, before], DEFAULT)
    assert step.outcome is Outcome.CHANGED
    assert step.pager_list == before.model_copy(update={"region": square(2)})


def test_a_region_that_is_as_it_was_changes_nothing() -> None:
    before = a_list("Denver", square(1))
    (step,) = plan([wanted("Denver")], [before], None)
    assert step.outcome is Outcome.SAME


def codes(regions: list[Wanted], lists: list[PagerList], pattern: PagerList | None) -> list[str]:
    return [one.error.code if one.error else "" for one in plan(regions, lists, pattern)]


def test_a_new_list_without_people_is_refused_with_the_cure() -> None:
    assert codes([wanted("Denver")], [], None) == ["CONTACTS_NEEDED"]
    empty = a_list("everywhere else", contacts=())
    assert codes([wanted("Denver")], [empty], empty) == ["CONTACTS_NEEDED"]


def test_the_default_list_never_loses_everywhere_else_to_a_region() -> None:
    assert codes([wanted("everywhere else")], [DEFAULT], DEFAULT) == ["IS_DEFAULT_LIST"]


def test_of_two_features_of_one_name_the_second_is_refused() -> None:
    regions = [wanted("Washington"), wanted(" Washington", 2), wanted("Lincoln")]
    assert codes(regions, [DEFAULT], DEFAULT) == ["", "NAME_TAKEN", ""]


def test_a_name_that_cannot_be_stored_is_refused() -> None:
    regions = [wanted("x" * 201), wanted("x\0")]
    assert codes(regions, [DEFAULT], DEFAULT) == ["NAME_INVALID"] * 2


NAMES = st.sampled_from(["a", "b", " a", "c", "everywhere else"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from([1.0, 2.0])), max_size=6))
def test_doing_it_again_changes_nothing(given: list[tuple[str, float]]) -> None:
    regions = [wanted(name, size) for name, size in given]
    lists = {DEFAULT.name: DEFAULT, "b": a_list("b", square(3), contacts=(BEN,))}
    first = plan(regions, [*lists.values()], DEFAULT)
    lists |= {
        one.name: one.pager_list
        for one in first
        if one.pager_list and one.outcome is not Outcome.REFUSED
    }
    again = plan(regions, [*lists.values()], DEFAULT)
    assert {one.outcome for one in again} <= {Outcome.SAME, Outcome.REFUSED}
    assert [bool(one.error) for one in again] == [bool(one.error) for one in first]
    assert lists["b"].contacts == (BEN,) and lists[DEFAULT.name] == DEFAULT
