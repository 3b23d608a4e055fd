"""What a change changed, in words."""

from __future__ import annotations

from typing import Any

import pytest

from strike_app.admin.differences import LONGEST, Difference, differences, in_words

ANA = {"name": "Ana", "phone": "+13035550101", "language": "en-US"}
BEN = {"name": "Ben", "phone": "+13035550102", "language": "en-US"}
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


def test_only_what_differs_is_told() -> None:
    told = differences({"name": "Days", "rounds": 1}, {"name": "Days", "rounds": 2})
    assert told == [Difference("rounds", "1", "2")]


def test_of_what_is_new_or_gone_all_is_told_that_has_a_value() -> None:
    values: dict[str, Any] = {"name": "Days", "region": None, "contacts": []}
    assert differences(None, values) == [Difference("name", "–", "Days")]
    assert differences(values, None) == [Difference("name", "Days", "–")]


def test_the_order_of_a_set_means_nothing() -> None:
    assert differences({"scopes": ["READ", "ADMIN"]}, {"scopes": ["ADMIN", "READ"]}) == []


def test_of_people_only_those_are_told_who_came_or_went() -> None:
    (told,) = differences({"contacts": [ANA]}, {"contacts": [ANA, BEN]})
    assert "Ben +13035550102" in told.after and "Ana" not in told.after
    (turned,) = differences({"contacts": [ANA, BEN]}, {"contacts": [BEN, ANA]})
    assert turned.after == "Ben +13035550102, Ana +13035550101"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (False, "false"),
        (0, "0"),
        (SQUARE, "Polygon, 4 vertices"),
        ([{"key": "3", "reason": "CANNOT"}], "3 CANNOT"),
        ({"after_minutes": 15, "times": 2}, '{"after_minutes": 15, "times": 2}'),
        (["b", "a"], "a, b"),
    ],
)
def test_a_value_is_told_as_people_read_it(value: Any, words: str) -> None:
    assert in_words(value) == words


def test_no_value_is_longer_than_a_line() -> None:
    told = in_words("x" * 500)
    assert len(told) == LONGEST and told.endswith("…")
