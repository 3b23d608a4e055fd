"""docs/access.md shows the rules that Strike goes by, and every one of them."""

from __future__ import annotations

from pathlib import Path

from strike_app.admin.access import BEGIN, END, as_markdown, rows
from strike_domain.access import Action

PAGE = Path(__file__).parents[2] / "docs" / "access.md"


def test_the_page_holds_the_rules_that_are_executed() -> None:
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    table, after = rest.split(END)
    assert table.strip() == as_markdown()
    assert before.startswith("# ") and not after.strip()


def test_every_action_is_in_the_table() -> None:
    assert [row[0] for row in rows()] == [*Action]
