"""What every gazetteer must find, and in which order: the listed one, and GeoNames' file."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strike_adapters.memory import ListedPlaces
from strike_adapters.places import GazetteerMissing, GeoNamesPlaces
from strike_adapters.places.build_places import written
from strike_adapters.places.gazetteer import FILE
from strike_domain import Rejected
from strike_domain.places import Place, PlaceKind, Places, look_up

TOWNS = sorted(
    [
        ("Boulder", "CO", 40.01499, -105.27055, 106_803),
        ("Boulder", "MT", 46.23659, -112.12083, 1_207),
        ("Boulder City", "NV", 35.97859, -114.83249, 15_551),
        ("St. Louis", "MO", 38.62727, -90.19789, 279_695),
        ("Saint Paul", "MN", 44.94441, -93.09327, 311_527),
        ("Fort Collins", "CO", 40.58526, -105.08442, 169_810),
        ("Coeur d'Alene", "ID", 47.67768, -116.78047, 49_122),
        ("Cañon City", "CO", 38.44098, -105.24245, 16_400),
        ("Springfield", "IL", 39.80172, -89.64371, 114_394),
        ("Springfield", "MO", 37.21533, -93.29824, 169_176),
        ("Springfield", "OR", 44.04624, -123.02203, 61_893),
        ("Washington", "DC", 38.89511, -77.03637, 689_545),
        ("New York City", "NY", 40.71427, -74.00597, 8_804_190),
        ("Mayagüez", "PR", 18.20107, -67.13962, 73_077),
        ("Denver", "CO", 39.73915, -104.9847, 729_019),
        ("Aurora", "CO", 39.72943, -104.83192, 386_261),
        ("Golden", "CO", 39.75554, -105.2211, 20_000),
    ],
    key=lambda row: -row[4],
)
COUNTIES = [("Boulder County", "CO", 40.09, -105.36, 0), ("Ouray County", "CO", 38.15, -107.77, 0)]

BOULDER = (-105.27, 40.01)
OREGON = (-123.0, 44.0)


def _place(row: tuple[str, str, float, float, int], kind: PlaceKind) -> Place:
    name, state, latitude, longitude, population = row
    return Place(name, kind, state, latitude, longitude, population)


LISTED = ListedPlaces(
    [
        *(_place(row, PlaceKind.TOWN) for row in TOWNS),
        *(_place(row, PlaceKind.COUNTY) for row in COUNTIES),
    ]
)


@pytest.fixture(scope="module")
def written_places(tmp_path_factory: pytest.TempPathFactory) -> GeoNamesPlaces:
    file = tmp_path_factory.mktemp("places") / "places.json.gz"
    file.write_bytes(gzip.compress(written(TOWNS, COUNTIES)))
    return GeoNamesPlaces(file)


@pytest.fixture(params=["ListedPlaces", "GeoNamesPlaces"])
def places(request: pytest.FixtureRequest, written_places: GeoNamesPlaces) -> Places:
    return LISTED if request.param == "ListedPlaces" else written_places


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("boulder co", "Boulder, CO"),
        ("Boulder, Colorado", "Boulder, CO"),
        ("Boulder, Colo", "Boulder, CO"),
        ("boulder, c", "Boulder, CO"),
        ("bolder, c", "Boulder, CO"),
        ("boulder, m", "Boulder, MT"),
        ("boulder,", "Boulder, CO"),
        ("BOULDER, CO 80301", "Boulder, CO"),
        ("boulder mt usa", "Boulder, MT"),
        ("boulder county", "Boulder County, CO"),
        ("boulder c", "Boulder City, NV"),
        ("St. Louis", "St. Louis, MO"),
        ("saint louis", "St. Louis, MO"),
        ("st paul", "Saint Paul, MN"),
        ("ft collins", "Fort Collins, CO"),
        ("collins", "Fort Collins, CO"),
        ("coeur dalene", "Coeur d'Alene, ID"),
        ("canon city", "Cañon City, CO"),
        ("Cañon", "Cañon City, CO"),
        ("mayaguez", "Mayagüez, PR"),
        ("washington dc", "Washington, DC"),
        ("Washington, D.C.", "Washington, DC"),
        ("springfield", "Springfield, MO"),
        ("springfield il", "Springfield, IL"),
        ("new york", "New York City, NY"),
        ("bolder", "Boulder, CO"),
        ("boudler", "Boulder, CO"),
        ("bouldder", "Boulder, CO"),
        ("bpulder", "Boulder, CO"),
        ("boulde", "Boulder, CO"),
        ("springfeild, il", "Springfield, IL"),
        ("sprimgf", "Springfield, MO"),
    ],
)
def test_it_finds_what_people_type(places: Places, text: str, first: str) -> None:
    assert places.find(text, 3)[0].label == first


@pytest.mark.parametrize("text", ["", "b", "  ", "xqzzy", "boulder zz", "!!", "80301", "\n\n"])
def test_it_finds_nothing_where_nothing_fits(places: Places, text: str) -> None:
    assert [one for one in places.find(text, 3) if "Boulder" in one.name] == []


def test_the_exact_name_comes_first_then_the_larger_town(places: Places) -> None:
    labels = [one.label for one in places.find("boulder", 10)]
    assert labels == ["Boulder, CO", "Boulder, MT", "Boulder City, NV", "Boulder County, CO"]


def test_what_is_near_comes_first_among_equals(places: Places) -> None:
    assert places.find("springfield", 1, OREGON)[0].label == "Springfield, OR"
    assert [one.label for one in places.find("boulder", 3, BOULDER)][0] == "Boulder, CO"


def test_no_more_than_asked_for_and_none_twice(places: Places) -> None:
    assert len(places.find("boulder co", 1)) == 1
    found = places.find("boulder co", 10)
    assert len(set(found)) == len(found)


def test_a_place_says_all_that_is_known_of_it(places: Places) -> None:
    (town,) = places.find("golden", 1)
    assert town == Place("Golden", PlaceKind.TOWN, "CO", 39.75554, -105.2211, 20_000)
    (county,) = places.find("ouray", 1)
    assert county.kind is PlaceKind.COUNTY and county.population == 0


def _texts() -> st.SearchStrategy[str]:
    names = st.sampled_from([row[0] for row in [*TOWNS, *COUNTIES]])
    states = st.sampled_from(["", " co", ", Colorado", " mo", ", n"])

    @st.composite
    def damaged(draw: Callable[..., str]) -> str:
        name = draw(names).lower()
        at = int(draw(st.integers(0, len(name))))
        cut = int(draw(st.integers(0, 3)))
        letter = draw(st.sampled_from(["", "x", "e", " "]))
        return name[:at] + letter + name[at + cut :] + draw(states)

    return damaged() | st.text(max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_texts(), st.sampled_from([None, BOULDER, OREGON]), st.integers(1, 20))
def test_both_find_the_same(
    written_places: GeoNamesPlaces, text: str, near: tuple[float, float] | None, limit: int
) -> None:
    assert written_places.find(text, limit, near) == LISTED.find(text, limit, near)


def test_typed_coordinates_need_no_gazetteer(places: Places) -> None:
    (found,) = look_up(places, "40.01, -105.27", 8)
    assert found.kind is PlaceKind.COORDINATES
    assert found.location.coordinates == (-105.27, 40.01)


@pytest.mark.parametrize(
    ("text", "limit", "code"),
    [
        ("x", 0, "PAGE_SIZE_INVALID"),
        ("x", 51, "PAGE_SIZE_INVALID"),
        ("x" * 201, 1, "TEXT_TOO_LONG"),
    ],
)
def test_what_is_asked_wrongly_is_refused(places: Places, text: str, limit: int, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        look_up(places, text, limit)
    assert refused.value.code == code


def test_a_package_that_was_not_built_says_so(tmp_path: Path) -> None:
    with pytest.raises(GazetteerMissing, match="type coordinates"):
        GeoNamesPlaces(tmp_path / "nothing").find("boulder", 1)


@pytest.mark.skipif(not FILE.is_file(), reason="the package was not built")
class TestTheShippedFile:
    places = GeoNamesPlaces()

    @pytest.mark.parametrize(
        ("text", "first"),
        [("boulder co", "Boulder, CO"), ("saint louis", "St. Louis, MO"), ("bolder", "Boulder, CO")]
        + [("orleans parish", "Orleans Parish, LA"), ("juneau", "Juneau, AK")]
        + [("charlotte amalie", "Charlotte Amalie, VI"), ("hagatna", "Hagåtña, GU")],
    )
    def test_it_has_the_country_and_its_territories(self, text: str, first: str) -> None:
        assert self.places.find(text, 3)[0].label == first

    def test_it_is_small_and_quick(self) -> None:
        """Processor time, since other work may be going on; the limits are ten times the need."""
        assert FILE.stat().st_size < 500_000
        began = time.process_time()
        GeoNamesPlaces().find("boulder", 8)
        assert time.process_time() - began < 1.0
        for text in ("sa", "san", "boudler, co", "springfeild il"):
            began = time.process_time()
            self.places.find(text, 8, BOULDER)
            assert time.process_time() - began < 0.05

    def test_every_column_has_a_row_for_each_name(self) -> None:
        content = orjson.loads(gzip.decompress(FILE.read_bytes()))
        count = len(content["names"].split("\n"))
        assert count > 24_000
        assert len(content["states"]) == 2 * count
        assert {len(content[name]) for name in ("latitudes", "longitudes", "populations")} == {
            count
        }
