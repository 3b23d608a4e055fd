"""docs/threat-model.md names tests that there are, for every kind of threat."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "threat-model.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([A-Z]) \| (.*) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
NAMED = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)


def missing(file: str, name: str) -> bool:
    """Whether no file of that name has a test of that name."""
    wanted = rf"^ *(async )?def {name}\b" if name else "^"
    return not any(
        re.search(wanted, found.read_text("utf-8"), re.MULTILINE) for found in TESTS.rglob(file)
    )


def test_every_test_that_it_names_is_there() -> None:
    assert [f"{file}::{name}" for file, name in NAMED if missing(file, name)] == []


def test_a_test_that_is_not_there_would_be_noticed() -> None:
    assert missing("test_threat_model.py", "test_nothing_of_the_kind")
    assert missing("test_no_such_file.py", "")


def test_every_threat_has_a_defence_and_a_test_of_it() -> None:
    assert len(ROWS) > 40
    for _, threat, defence, test in ROWS:
        assert threat.strip() and defence.strip(), threat
        assert re.search(r"`test_\w+\.py", test), threat


def test_every_kind_of_threat_is_thought_of() -> None:
    assert {letter for letter, *_ in ROWS} == set("STRIDE")
