"""The form of a pager list without a browser: its buttons, what it sends, regions from files."""

from __future__ import annotations

import json

import pytest
from multidict import MultiDict

from strike_app.posted import Posted
from strike_app.web.asking import Refused
from strike_app.web.forms import Filled
from strike_app.web.list_forms import ListForm, Row
from strike_app.web.region_files import MAX_REGION, offers_of, take_only
from strike_domain.errors import Forbidden, Rejected

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


def a_form(*names: str, **values: str) -> ListForm:
    form = ListForm.new()
    form.values |= values
    form.rows = [Row(str(number), name, f"+{number}") for number, name in enumerate(names, 1)]
    return form


def called(form: ListForm) -> list[str]:
    return [one.name for one in form.rows]


@pytest.mark.parametrize(
    ("do", "order"),
    [
        ("up-1", "ABC"),
        ("up-2", "BAC"),
        ("down-2", "ACB"),
        ("down-3", "ABC"),
        ("remove-2", "AC"),
        ("up-9", "ABC"),
        ("remove-", "ABC"),
        ("nonsense", "ABC"),
    ],
)
def test_each_button_does_what_it_says(do: str, order: str) -> None:
    form = a_form("A", "B", "C")
    form.press(do)
    assert "".join(called(form)) == order


def test_somebody_new_gets_a_key_of_their_own() -> None:
    form = a_form("A", "B")
    form.press("remove-1")
    form.press("add")
    assert [one.key for one in form.rows] == ["2", "3"]


def test_what_was_sent_is_what_is_filled_in() -> None:
    sent = [("name", "Denver"), ("contact", "n1"), ("contact", "7"), ("contact", "n1")]
    sent += [
        ("name-7", "Bob"),
        ("phone-7", "+1"),
        ("language-7", "SPANISH"),
        ("consented-7", "yes"),
        ("texted-7", "yes"),
    ]
    sent += [("name-n1", "Ada"), ("reason-4", "TOO_FAR"), ("minutes-4", "30"), ("rounds", "2")]
    form = ListForm.of_sent(Posted(MultiDict(sent)))
    bob = Row("7", "Bob", "+1", "SPANISH", consented=True, texted=True)
    assert form.rows == [Row("n1", "Ada"), bob]
    form.values |= {"ground": "everywhere", "answerSeconds": "30"}
    given = form.list_input(None)
    assert [one["texted"] for one in given["contacts"]] == [False, True]
    assert given["declineKeys"] == [{"key": "4", "reason": "TOO_FAR", "minutes": 30}]
    assert (given["name"], given["rounds"], given["region"]) == ("Denver", 2, None)


def test_rows_with_nothing_in_them_are_nobody() -> None:
    form = a_form("A", ground="everywhere")
    form.rows.insert(0, Row("8"))
    assert [one["name"] for one in form.list_input(None)["contacts"]] == ["A"]
    refused = Refused("X", "wrong", ("input", "contacts", "0", "phone"))
    form.refuse(refused)
    assert form.errors == {"phone-1": refused}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"region": ""}, "region"),
        ({"region": "[1]"}, "region"),
        ({"region": "["}, "region"),
        ({"region": "[" * 100_000}, "region"),
        ({"ground": "everywhere", "rounds": ""}, "rounds"),
        ({"ground": "everywhere", "rounds": "two"}, "rounds"),
        ({"ground": "everywhere", "rounds": "99999999999"}, "rounds"),
        ({"ground": "everywhere", "minutes-4": ""}, "minutes-4"),
    ],
)
def test_what_cannot_be_sent_is_refused_beside_its_field(
    values: dict[str, str], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        a_form("A", **values).list_input(None)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (("input", "region", "coordinates", "0"), "region"),
        (("afterMinutes",), "ringAgainMinutes"),
        (("times",), "ringAgainTimes"),
        (("input", "name"), "name"),
        (("key",), ""),
        ((), ""),
    ],
)
def test_a_refusal_stands_beside_the_field_it_means(path: tuple[str, ...], field: str) -> None:
    form = a_form("A")
    form.refuse(Refused("X", "wrong", path))
    assert {name: error.message for name, error in form.errors.items()} == {field: "wrong"}


def test_what_is_no_fault_of_the_form_is_not_told_in_it() -> None:
    with pytest.raises(Forbidden):
        Filled().refuse(Refused("ROLE_MISSING", "no"))


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "x"])
def test_a_number_is_one(text: str) -> None:
    with pytest.raises(Refused):
        Filled({"at": text}).number("at")


def test_a_decimal_comma_is_a_point() -> None:
    assert Filled({"at": "40,5"}).number("at") == 40.5


# Regions from files ------------------------------------------------------------------------


def collection(*shapes: tuple[str, object]) -> str:
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": geometry}
        for name, geometry in shapes
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_one_region_goes_into_the_form_and_names_a_list_that_has_no_name() -> None:
    form = a_form()
    assert take_only(form, offers_of(collection(("East", SQUARE)), "", 100)) == []
    assert json.loads(form.get("region"))["type"] == "Polygon"
    assert form.get("name") == "East"


def test_of_several_the_person_chooses_and_a_bad_one_hides_no_good_one() -> None:
    form = a_form()
    bad = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}
    offers = take_only(form, offers_of(collection(("East", SQUARE), ("West", bad)), "", 100))
    assert [(one.name, bool(one.region)) for one in offers] == [("East", True), ("West", False)]
    assert offers[1].problem and offers[1].problem.where.startswith("features.1")
    assert form.get("region") == ""


def test_lines_become_ground_named_by_the_file() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [0.1, 0.1]]}
    (offer,) = offers_of(json.dumps(line), "north.geojson", 500)
    assert offer.name == "north"
    (wrong,) = offers_of(json.dumps(line), "", 1)
    assert wrong.problem and "10 to 50,000 metres" in wrong.problem.message


@pytest.mark.parametrize("content", ["", "{", "[]", '{"networks": []}', b"\xff\xfe"])
def test_a_file_that_is_none_is_refused(content: str | bytes) -> None:
    with pytest.raises(Rejected):
        offers_of(content, "", 100)


def test_a_region_that_no_form_can_carry_is_told() -> None:
    ring = [[x / 1e5 + 1e-9, 0.123456789012] for x in range(40_000)]
    ring += [[0.2, 1.0], ring[0]]
    (offer,) = offers_of(json.dumps({"type": "Polygon", "coordinates": [ring]}), "", 100)
    assert len(json.dumps(ring)) > MAX_REGION
    assert offer.problem and offer.problem.code == "REGION_TOO_DETAILED"
