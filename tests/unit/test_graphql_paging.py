"""Cursors keep their place while ECOs arrive, and positions promise only what is there."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strike_adapters.postgres.cursors import read_cursor, write_cursor
from strike_adapters.postgres.eco_lists import KEYS, EcoSort, PageAsked
from strike_adapters.postgres.queries import EcoNow
from strike_domain.errors import Rejected

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def written(sort: EcoSort, at: datetime, urgency: int, eco_id: UUID) -> str:
    row = {"created_at": at, "updated_at": at, "urgency": urgency, "eco_id": eco_id}
    return write_cursor(row, sort, KEYS[sort])


@given(st.sampled_from(EcoSort), MOMENTS, st.integers(0, 44), st.uuids())
def test_a_cursor_says_exactly_where_its_row_stands(
    sort: EcoSort, at: datetime, urgency: int, eco_id: UUID
) -> None:
    everything = {"created_at": at, "updated_at": at, "urgency": urgency, "eco_id": eco_id}
    found = read_cursor(written(sort, at, urgency, eco_id), sort, KEYS[sort], ("after",))
    assert found == {name: everything[name] for name in KEYS[sort]}


@pytest.mark.parametrize("given_for", EcoSort)
@pytest.mark.parametrize("used_for", EcoSort)
def test_a_cursor_of_another_sort_is_refused(given_for: EcoSort, used_for: EcoSort) -> None:
    cursor = written(given_for, datetime(2026, 1, 1, tzinfo=UTC), 12, UUID(int=7))
    if given_for is used_for:
        assert read_cursor(cursor, used_for, KEYS[used_for], ("after",))
        return
    with pytest.raises(Rejected) as refused:
        read_cursor(cursor, used_for, KEYS[used_for], ("after",))
    assert (refused.value.code, refused.value.path) == ("CURSOR_OF_OTHER_SORT", ("after",))


def encoded(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "",
        "é",
        "\ud800",
        "MjAyNi0wMS0wMQ==",
        "fHw=",
        "2026|x",
        "/" * 50,
        encoded("MOST_URGENT"),
        encoded("MOST_URGENT", 10**12, "2026-01-01T00:00:00Z", str(UUID(int=1))),
        encoded("MOST_URGENT", True, "2026-01-01T00:00:00Z", str(UUID(int=1))),
        encoded("MOST_URGENT", 1, "2026-01-01T00:00:00", str(UUID(int=1))),
        encoded("MOST_URGENT", 1, None, str(UUID(int=1))),
        encoded("MOST_URGENT", 1, "2026-01-01T00:00:00Z", {"a": 1}),
        encoded(["MOST_URGENT"], 1, "2026-01-01T00:00:00Z", str(UUID(int=1))),
        encoded(),
    ],
)
def test_what_no_page_gave_is_refused_with_its_path(cursor: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_cursor(cursor, EcoSort.MOST_URGENT, KEYS[EcoSort.MOST_URGENT], ("before",))
    assert (refused.value.code, refused.value.path) == ("CURSOR_INVALID", ("before",))


@pytest.mark.parametrize(
    ("asked", "code", "path"),
    [
        ((0, None, None, None), "PAGE_SIZE_INVALID", "first"),
        ((201, None, None, None), "PAGE_SIZE_INVALID", "first"),
        ((None, None, 0, None), "PAGE_SIZE_INVALID", "last"),
        ((5, None, 5, None), "PAGE_DIRECTION_UNCLEAR", "last"),
        ((None, "x", None, "y"), "PAGE_DIRECTION_UNCLEAR", "last"),
    ],
)
def test_a_page_that_cannot_be_is_refused(asked: Any, code: str, path: str) -> None:
    with pytest.raises(Rejected) as refused:
        PageAsked.of(*asked)
    assert (refused.value.code, refused.value.path) == (code, (path,))


@pytest.mark.parametrize(
    ("marks", "reached", "position", "is_whole"),
    [
        ((5, 5, 0), 9, 5, True),
        ((5, 7, 7), 7, 7, True),
        ((5, 7, 6), 6, 6, False),
        ((5, 7, 7), 4, 4, False),
    ],
)
def test_a_position_promises_nothing_that_a_read_model_lacks(
    marks: tuple[int, int, int], reached: int, position: int, is_whole: bool
) -> None:
    row: dict[str, Any] = {}
    now = EcoNow(row, marks, reached)
    assert (now.position, now.is_whole) == (position, is_whole)
