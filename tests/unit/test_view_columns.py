"""The columns of read models that are made from one another, in databases that exist already."""

from __future__ import annotations

import re

from strike_adapters.postgres.views.eco_history import EcoHistoryRecorder
from strike_adapters.postgres.views.eco_views import EcoViewsRecorder

BEFORE_THE_HISTORY = {
    "offers",
    "expected_at",
    "field_tasks",
    "field_problem",
    "field_problem_since",
}
"""Columns that `eco_views` had when `eco_history` was first made like it."""


def added(ddl: tuple[str, ...]) -> set[str]:
    return set(re.findall(r"ADD COLUMN IF NOT EXISTS (\w+)", " ".join(ddl)))


def test_a_column_that_the_list_gets_its_history_gets_as_well() -> None:
    """`LIKE eco_views` is for a new table; one that is there already has to be told."""
    new = added(EcoViewsRecorder.DDL) - BEFORE_THE_HISTORY
    assert added(EcoViewsRecorder.DDL) >= BEFORE_THE_HISTORY
    assert new <= added(EcoHistoryRecorder.DDL), "Add an ALTER TABLE eco_history beside it."
