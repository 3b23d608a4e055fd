"""The port `PagerLists`: in memory, by boxes in PostgreSQL, and by PostGIS, one answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg
import pytest

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres import regions
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.people import save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.regions import BoxRegions, PostgisRegions, regions_of
from strike_domain import (
    DECLINE_KEYS,
    DeclineKey,
    DeclineReason,
    MemoryDirectory,
    PagerList,
    PagerLists,
    RingAgain,
    Side,
    Tenant,
    parse_location,
    parse_region,
)
from strike_domain.regions import Matches, choose_match
from tests.contracts.databases import NO_POSTGIS, postgis_programs, postgis_server
from tests.unit.given import ANA, BEN, CEM

OSP, OTHER = UUID(int=0x05B), UUID(int=0x05C)


class Lists(PagerLists, Protocol):
    """A store of lists, as the tests fill it."""

    def save_list(self, pager_list: PagerList) -> None: ...


class MemoryLists(MemoryDirectory):
    def save_list(self, pager_list: PagerList) -> None:
        self.add(pager_list)


@pytest.fixture(scope="module")
def box_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_postgres(tmp_path_factory.mktemp("boxes")) as server:
        yield _ready(server.url())


@pytest.fixture(scope="module")
def postgis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    programs = postgis_programs()
    if programs is None:
        pytest.skip(NO_POSTGIS)
    with postgis_server(programs, tmp_path_factory.mktemp("postgis")) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION postgis")
        yield _ready(url)


def _ready(url: str) -> str:
    prepare(url)
    with open_pool(url) as pool:
        for osp_id in (OSP, OTHER):
            save_tenant(pool, Tenant(id=osp_id, name=str(osp_id), side=Side.OSP))
    return url


@pytest.fixture(params=["memory", "boxes", "PostGIS"])
def lists(request: pytest.FixtureRequest) -> Iterator[Lists]:
    if request.param == "memory":
        yield MemoryLists()
        return
    url = request.getfixturevalue("box_url" if request.param == "boxes" else "postgis_url")
    with open_pool(url) as pool:
        with pool.connection() as connection:
            connection.execute("DELETE FROM pager_lists")
        adapter = regions_of(pool)
        assert isinstance(adapter, BoxRegions if request.param == "boxes" else PostgisRegions)
        yield PostgresDirectory(pool, adapter)


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def multi(*polygons: Any) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": list(polygons)}


def given(lists: Lists, *, osp_id: UUID = OSP, **by_name: Any) -> None:
    for name, region in by_name.items():
        checked = parse_region(region) if region else None
        lists.save_list(
            PagerList(id=uuid4(), osp_id=osp_id, name=name, contacts=(ANA,), region=checked)
        )


def choice(lists: Lists, *place: Any, osp_id: UUID = OSP) -> tuple[str, str] | None:
    """Name of the chosen list, and the reason, for a point or the vertices of a line."""
    is_line = isinstance(place[0], list)
    geometry = {
        "type": "LineString" if is_line else "Point",
        "coordinates": list(place),
    }
    location = parse_location(geometry)
    chosen = choose_match(location, lists.matches(osp_id, location))
    return (chosen.name, chosen.reason) if chosen else None


WEST, EAST = polygon(box(0, 0, 10, 10)), polygon(box(10, 0, 14, 10))
RING = polygon(box(0, 0, 9, 9), box(3, 3, 6, 6))
FIJI = multi([box(177, -20, 180, -15)], [box(-180, -20, -178, -15)])


def test_a_region_covers_what_lies_in_it_and_on_its_border(lists: Lists) -> None:
    given(lists, West=WEST, Rest=None)
    assert choice(lists, 5, 5) == ("West", "covers the point")
    for corner_or_side in ((0, 0), (10, 10), (10, 3.3), (4.7, 0)):
        assert choice(lists, *corner_or_side) == ("West", "covers the point")
    assert choice(lists, 10.000001, 5) == ("Rest", "default list: no region covers the location")


def test_on_a_shared_border_the_smaller_region_answers(lists: Lists) -> None:
    given(lists, West=WEST, East=EAST)
    assert choice(lists, 10, 5) == ("East", "covers the point; smaller of two")


def test_regions_of_one_size_are_told_apart_by_name(lists: Lists) -> None:
    given(lists, Beta=WEST, Alpha=polygon(box(0, 0, 10, 10)[::-1]))
    assert choice(lists, 5, 5) == ("Alpha", "covers the point; first by name of two of equal size")


def test_a_hole_is_not_covered_and_its_edge_is(lists: Lists) -> None:
    given(lists, Ring=RING, Rest=None)
    assert choice(lists, 4, 4) == ("Rest", "default list: no region covers the location")
    assert choice(lists, 3, 4) == ("Ring", "covers the point")


def test_each_part_of_a_multipolygon_counts(lists: Lists) -> None:
    given(lists, Islands=multi([box(0, 0, 1, 1)], [box(5, 5, 6, 6)]), Rest=None)
    assert choice(lists, 5.5, 5.5) == ("Islands", "covers the point")
    assert choice(lists, 3, 3) == ("Rest", "default list: no region covers the location")


def test_the_antimeridian_is_one_meridian_with_two_numbers(lists: Lists) -> None:
    given(lists, Fiji=FIJI, East=polygon(box(170, -20, 177, -15)), Rest=None)
    assert choice(lists, 180, -17) == ("Fiji", "covers the point")
    assert choice(lists, -180, -17) == ("Fiji", "covers the point")
    assert choice(lists, [179, -17], [180, -17]) == ("Fiji", "covers the whole span")


def test_a_place_at_180_belongs_also_to_a_region_that_ends_at_minus_180(lists: Lists) -> None:
    given(lists, Past=polygon(box(-180, -20, -178, -15)), Rest=None)
    assert choice(lists, 180, -17) == ("Past", "covers the point")
    assert choice(lists, [180, -19], [180, -16]) == ("Past", "covers the whole span")
    assert choice(lists, [179, -17], [180, -17]) is not None
    assert choice(lists, [179, -17], [180, -17]) == (
        "Rest",
        "default list: no region covers the location",
    )


def test_a_line_goes_to_the_region_with_most_of_it(lists: Lists) -> None:
    given(lists, West=WEST, East=EAST, Rest=None)
    assert choice(lists, [2, 5], [12, 5]) == ("West", "covers 80 % of the span; most of two")
    assert choice(lists, [9, 5], [13, 5]) == ("East", "covers 75 % of the span; most of two")
    assert choice(lists, [8, 5], [12, 5]) == ("East", "covers 50 % of the span; smaller of two")
    assert choice(lists, [1, 1], [2, 2]) == ("West", "covers the whole span")


def test_a_line_that_only_touches_a_region_is_not_covered_by_it(lists: Lists) -> None:
    given(lists, West=WEST, Rest=None)
    assert choice(lists, [10, 10], [12, 12]) == (
        "Rest",
        "default list: no region covers the location",
    )


def test_a_line_along_a_border_belongs_to_both_sides(lists: Lists) -> None:
    given(lists, West=WEST, East=EAST)
    assert choice(lists, [10, 2], [10, 8]) == ("East", "covers the whole span; smaller of two")


def test_a_line_that_leaves_and_comes_back_is_added_up(lists: Lists) -> None:
    given(lists, Ring=RING, Hole=polygon(box(3, 3, 6, 6)))
    assert choice(lists, [0, 4], [9, 4]) == ("Ring", "covers 67 % of the span; most of two")


def test_another_contractor_s_regions_are_never_chosen(lists: Lists) -> None:
    given(lists, osp_id=OTHER, Theirs=WEST, Default=None)
    assert choice(lists, 5, 5) is None
    assert choice(lists, 5, 5, osp_id=OTHER) == ("Theirs", "covers the point")


def test_a_region_stored_before_today_s_checks_still_answers(lists: Lists) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    lists.save_list(PagerList(id=uuid4(), osp_id=OSP, name="Bow", contacts=(ANA,), region=bow))
    assert choice(lists, 0.1, 1) == ("Bow", "covers the point")


def test_a_list_comes_back_as_it_was_stored(lists: Lists) -> None:
    stored = PagerList(
        id=uuid4(),
        osp_id=OSP,
        name="nights",
        contacts=(ANA, CEM, BEN),
        region=parse_region(RING),
        rounds=3,
        answer_seconds=45,
        decline_keys=(DeclineKey(key="7", reason=DeclineReason.TOO_FAR, minutes=45),),
        ring_again=RingAgain(after_minutes=15, times=4),
        consented=frozenset({ANA.phone}),
        texted=frozenset({ANA.phone}),
    )
    lists.save_list(stored)
    assert lists.get(OSP, stored.id) == stored
    plain = stored.model_copy(
        update={"decline_keys": DECLINE_KEYS, "ring_again": None, "contacts": (BEN,)}
    )
    nobody: dict[str, object] = {"consented": frozenset(), "texted": frozenset()}
    lists.save_list(plain.model_copy(update=nobody))
    assert lists.get(OSP, stored.id) == plain.model_copy(update=nobody)
    assert lists.get(OTHER, stored.id) is None


def test_random_maps_have_one_answer_in_every_adapter(lists: Lists) -> None:
    """Boxes, triangles and holes over one grid, so that borders are shared; random places."""
    chance = random.Random(11)
    shapes: dict[str, dict[str, Any]] = {}
    for number in range(60):
        west, south = chance.randrange(0, 9), chance.randrange(0, 9)
        ring = box(west, south, west + chance.randrange(1, 4), south + chance.randrange(1, 4))
        if chance.random() < 0.3:
            ring.pop(chance.randrange(1, 3))
        shapes[f"{number:02d}"] = polygon(ring)
    model = MemoryLists()
    for store in (lists, model):
        given(store, osp_id=OSP, **shapes)
    for _ in range(150):
        points = [[chance.randrange(0, 25) / 2, chance.randrange(0, 25) / 2] for _ in range(3)]
        place = points[:1][0] if chance.random() < 0.4 else points
        if len({tuple(one) for one in points}) < 3:
            continue
        assert choice(lists, *place) == choice(model, *place)


def test_several_places_are_answered_as_each_alone(lists: Lists) -> None:
    """Of two contractors with lists of one name, places twice, places that belong to nobody."""
    given(lists, West=WEST, East=EAST, Ring=RING, Fiji=FIJI, Rest=None)
    given(lists, osp_id=OTHER, West=EAST)
    lines = [[[5, 5], [12, 5]], [[179.5, -16], [180, -16]], [[40, 40], [41, 40]]]
    geometries: list[dict[str, Any]] = [
        *({"type": "Point", "coordinates": at} for at in ([5, 5], [4, 4], [180, -17], [5, 5])),
        *({"type": "LineString", "coordinates": line} for line in lines),
    ]
    places = [
        (osp_id, parse_location(geometry)) for geometry in geometries for osp_id in (OSP, OTHER)
    ]
    together = lists.matches_of(places)
    assert [*map(in_order, together)] == [in_order(lists.matches(*place)) for place in places]
    assert len({in_order(one) for one in together}) > 6


def in_order(matches: Matches) -> tuple[object, ...]:
    return tuple(sorted(map(str, matches.regions))), tuple(sorted(map(str, matches.defaults)))


def test_should_postgis_fail_the_boxes_answer(
    postgis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_pool(postgis_url) as pool:
        directory = PostgresDirectory(pool, PostgisRegions(pool))
        with pool.connection() as connection:
            connection.execute("DELETE FROM pager_lists")
        given(directory, West=WEST)
        monkeypatch.setattr(
            regions, "LISTS_COVERING", regions.LISTS_COVERING.replace("ST_Covers", "ST_Gone")
        )
        assert choice(directory, 5, 5) == ("West", "covers the point")


def test_postgis_is_used_also_when_it_comes_to_a_database_later(
    postgis_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgis_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE later")
    url = postgis_url.replace("/postgres?", "/later?")
    _ready(url)
    with open_pool(url) as pool:
        assert isinstance(regions_of(pool), BoxRegions)
        given(PostgresDirectory(pool), West=WEST)
        with pool.connection() as connection:
            connection.execute("CREATE EXTENSION postgis")
        prepare(url)
        adapter = regions_of(pool)
        assert isinstance(adapter, PostgisRegions)
        assert choice(PostgresDirectory(pool, adapter), 5, 5) == ("West", "covers the point")
