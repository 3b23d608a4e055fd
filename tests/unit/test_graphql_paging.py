"""Cursors keep their place while ECOs arrive, and positions promise only what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strike_adapters.postgres.queries import EcoNow, cursor_of, read_cursor
from strike_domain.errors import Rejected

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, st.uuids())
def test_a_cursor_says_exactly_where_its_row_stands(at: datetime, eco_id: UUID) -> None:
    assert read_cursor(cursor_of({"created_at": at, "eco_id": eco_id})) == (at, eco_id)


@given(st.sets(st.tuples(st.integers(0, 5), st.uuids()), min_size=1, max_size=20), st.data())
def test_pages_by_cursor_neither_repeat_nor_miss_a_row(
    made: set[tuple[int, UUID]], data: st.DataObject
) -> None:
    rows = sorted(
        ((datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=at), i) for at, i in made),
        reverse=True,
    )
    at = data.draw(st.integers(0, len(rows) - 1))
    created_at, eco_id = rows[at]
    after = read_cursor(cursor_of({"created_at": created_at, "eco_id": eco_id}))
    assert [row for row in rows if row < after] == rows[at + 1 :]


@pytest.mark.parametrize(
    "cursor", ["nonsense", "", "é", "\ud800", "MjAyNi0wMS0wMQ==", "fHw=", "2026|x", "/" * 50]
)
def test_what_no_page_gave_is_refused_with_its_path(cursor: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_cursor(cursor)
    assert (refused.value.code, refused.value.path) == ("CURSOR_INVALID", ("after",))


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
