"""Whether the right phones would ring tonight: lists, people, regions, and the drill."""

from __future__ import annotations

from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from strike_app.list_map import draw
from strike_domain import Contact, PagerList, RingAgain, parse_location, parse_region
from strike_domain.drill import drill
from strike_domain.readiness import LEAST_M2, Readiness, Severity, check_lists
from tests.unit.given import ANA, BEN, BOULDER, CEM, OSP

KM = 1 / 111.195
"""A kilometre at the equator, in degrees."""


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [[[x * KM, y * KM] for x, y in ring]]}


def given(
    name: str = "nights",
    *contacts: Contact,
    region: dict[str, Any] | None = None,
    **more: Any,
) -> PagerList:
    people = contacts or (ANA, BEN)
    agreed = frozenset(one.phone for one in people)
    checked = parse_region(region) if region else None
    fields: dict[str, Any] = {"consented": agreed, "region": checked} | more
    return PagerList(id=uuid4(), osp_id=OSP, name=name, contacts=people, **fields)


def codes(readiness: Readiness) -> list[str]:
    return [one.code for one in readiness.problems]


def test_lists_with_two_people_and_a_default_are_ready() -> None:
    found = check_lists([given(), given("north", region=box(0, 0, 10, 10))])
    assert found.is_ready
    assert found.problems == ()
    assert (found.lists, found.contacts) == (2, 2)


def test_no_list_at_all_is_wrong() -> None:
    found = check_lists([])
    assert (codes(found), found.is_ready) == (["NO_LISTS"], False)


def test_without_a_default_list_there_is_ground_where_nobody_is_rung() -> None:
    found = check_lists([given("north", region=box(0, 0, 10, 10))])
    assert (codes(found), found.is_ready) == (["NO_DEFAULT_LIST"], True)


def test_an_empty_list_is_wrong() -> None:
    found = check_lists([given().model_copy(update={"contacts": ()})])
    assert (codes(found), found.is_ready) == (["LIST_EMPTY"], False)
    assert found.problems[0].list_name == "nights"


def test_a_number_that_cannot_be_called_is_wrong_and_names_the_person() -> None:
    dora = Contact(name="Dora", phone="+1303")
    found = check_lists([given("nights", dora, ANA, BEN)])
    assert (codes(found), found.is_ready) == (["NUMBER_INVALID"], False)
    assert found.problems[0].contact == "Dora"
    assert "country code" in found.problems[0].cure


def test_a_list_on_which_no_number_can_be_called_is_unreachable() -> None:
    found = check_lists([given("nights", Contact(name="Dora", phone="nonsense"))])
    assert codes(found) == ["LIST_UNREACHABLE", "NUMBER_INVALID"]


@pytest.mark.parametrize("phone", ["+19002345678", "+448701234567"])
def test_a_number_that_is_no_person_s_is_told(phone: str) -> None:
    found = check_lists([given("nights", Contact(name="Dora", phone=phone), ANA)])
    assert codes(found) == ["NUMBER_NOT_A_PERSON"]


def test_one_person_alone_and_a_number_twice_are_told() -> None:
    assert codes(check_lists([given("nights", ANA)])) == ["ONLY_ONE"]
    twin = Contact(name="Twin", phone=ANA.phone)
    assert codes(check_lists([given("nights", ANA, BEN, twin)])) == ["NUMBER_REPEATED"]


def test_who_has_not_agreed_to_be_rung_by_a_machine_is_told_and_rung_all_the_same() -> None:
    found = check_lists([given(consented=frozenset({ANA.phone}))])
    (problem,) = found.problems
    assert (problem.code, problem.contact, found.is_ready) == ("NO_CONSENT", "Ben", True)


# Regions -----------------------------------------------------------------------------------


def test_regions_that_share_a_border_have_neither_gap_nor_overlap() -> None:
    found = check_lists(
        [
            given(),
            given("west", region=box(0, 0, 10, 10)),
            given("east", region=box(10, 0, 20, 10)),
        ]
    )
    assert (found.gaps, found.overlaps, found.problems) == ((), (), ())


def test_a_strip_between_two_regions_is_a_gap_with_its_area() -> None:
    lists = [given("west", region=box(0, 0, 10, 10)), given("east", region=box(10.1, 0, 20, 10))]
    found = check_lists([given(), *lists])
    (gap,) = found.gaps
    assert gap.area_m2 == pytest.approx(0.1 * 10 * 1e6, rel=0.01)
    assert (codes(found), found.is_ready) == (["REGION_GAP"], True)
    assert "1.00 km²" in found.problems[0].said and "default list" in found.problems[0].said
    # Where there is no default list, nobody is rung there.
    found = check_lists(lists)
    assert not found.is_ready
    assert "nobody is rung" in found.problems[0].said


def test_ground_between_regions_far_apart_is_no_gap() -> None:
    found = check_lists(
        [given(), given("a", region=box(0, 0, 10, 10)), given("b", region=box(12, 0, 20, 10))]
    )
    assert found.gaps == ()


def test_a_notch_in_one_region_s_outer_border_is_no_gap() -> None:
    ring: list[list[float]]
    ring = [[0, 0], [10, 0], [10, 10], [5.05, 10], [5, 5], [4.95, 10], [0, 10], [0, 0]]
    notched = {"type": "Polygon", "coordinates": [[[x * KM, y * KM] for x, y in ring]]}
    assert check_lists([given(), given("a", region=notched)]).gaps == ()


def test_a_hole_that_nobody_covers_is_a_gap_and_one_that_somebody_covers_is_none() -> None:
    outer, inner = box(0, 0, 10, 10), box(4, 4, 6, 6)
    rings = [outer["coordinates"][0], inner["coordinates"][0]]
    ring = {"type": "Polygon", "coordinates": rings}
    found = check_lists([given(), given("ring", region=ring)])
    (gap,) = found.gaps
    assert gap.area_m2 == pytest.approx(4e6, rel=0.01)
    found = check_lists([given(), given("ring", region=ring), given("town", region=inner)])
    assert (found.gaps, found.overlaps) == ((), ())


def test_an_overlap_tells_who_is_rung_there() -> None:
    found = check_lists(
        [given(), given("wide", region=box(0, 0, 10, 10)), given("slim", region=box(9, 0, 12, 10))]
    )
    (overlap,) = found.overlaps
    assert (overlap.first, overlap.second) == ("slim", "wide")
    assert overlap.area_m2 == pytest.approx(10e6, rel=0.01)
    assert codes(found) == ["REGION_OVERLAP"]
    assert "slim is rung there" in found.problems[0].said


def test_a_region_inside_another_is_meant_so() -> None:
    found = check_lists(
        [given(), given("state", region=box(0, 0, 10, 10)), given("town", region=box(4, 4, 6, 6))]
    )
    assert (found.gaps, found.overlaps) == ((), ())


def test_what_is_smaller_than_a_hectare_is_a_matter_of_drawing() -> None:
    width = 0.9 * LEAST_M2 / 10_000 / 1_000  # kilometres, for a strip ten kilometres long
    lists = [
        given(),
        given("west", region=box(0, 0, 10, 10)),
        given("east", region=box(10 + width, 0, 20, 10)),
        given("north", region=box(0, 10 - width, 10, 20)),
    ]
    found = check_lists(lists)
    assert (found.gaps, found.overlaps) == ((), ())


def test_a_service_area_that_is_not_covered_is_a_gap() -> None:
    area = parse_region(box(0, 0, 20, 10))
    found = check_lists([given(), given("west", region=box(0, 0, 10, 10))], area)
    (gap,) = found.gaps
    assert gap.area_m2 == pytest.approx(100e6, rel=0.01)
    assert check_lists([given()], area).gaps[0].area_m2 == pytest.approx(200e6, rel=0.01)


def test_the_worst_comes_first() -> None:
    found = check_lists([given("nights", Contact(name="Dora", phone="+1303"), ANA)])
    lists = [given("a", consented=frozenset()), given("b", Contact(name="D", phone="+1303"), ANA)]
    found = check_lists(lists)
    severities = [one.severity for one in found.problems]
    assert severities == sorted(severities, key=lambda one: one is not Severity.WRONG)


# The picture -------------------------------------------------------------------------------


def test_the_map_shows_every_region_gap_and_overlap() -> None:
    lists = [
        given("<rest>"),
        given("west & co", region=box(0, 0, 10, 10)),
        given("east", region=box(10.1, 0, 20, 10)),
        given("north", region=box(0, 9, 10, 20)),
    ]
    picture = ElementTree.fromstring(draw(lists, check_lists(lists), "Splice & Sons"))  # noqa: S314
    svg = "{http://www.w3.org/2000/svg}"
    kinds = [one.get("class") for one in picture.iter(f"{svg}path") if one.get("class")]
    assert kinds == ["region"] * 3 + ["overlap", "gap"]
    words = [one.text for one in picture.iter(f"{svg}text")]
    assert words[:3] == ["west & co", "east", "north"]
    assert words[3:] == ["Splice & Sons", "1 gap", "1 overlap", "elsewhere: <rest>"]


def test_a_map_without_regions_is_a_map() -> None:
    lists = [given()]
    assert "elsewhere: nights" in draw(lists, check_lists(lists), "x")
    assert "elsewhere nobody is rung" in draw([], check_lists([]), "x")


# The drill ---------------------------------------------------------------------------------


def test_a_drill_tells_who_would_be_rung_when_and_what_they_would_hear() -> None:
    done = drill(given("nights", ANA, CEM, rounds=2), parse_location(BOULDER), "covers the point")
    calls = [(one.seconds, one.line) for one in done.moments if one.line.startswith("Calling")]
    assert calls == [
        (0, "Calling Ana (…0101)"),
        (30, "Calling Cem (…0103)"),
        (60, "Calling Ana (…0101)"),
        (90, "Calling Cem (…0103)"),
    ]
    assert done.moments[-1].seconds == 120
    assert [one.contact.name for one in done.prompts] == ["Ana", "Cem"]
    assert "press 1" in done.prompts[0].sentences[-1]
    assert "pulse 1" in done.prompts[1].sentences[-1]


def test_a_drill_rings_the_list_again_if_it_asks_for_it() -> None:
    again = given("nights", ANA, ring_again=RingAgain(after_minutes=10, times=1))
    done = drill(again, parse_location(BOULDER), "chosen by hand")
    seconds = [one.seconds for one in done.moments if one.line.startswith("Calling")]
    assert seconds == [0, 630]
