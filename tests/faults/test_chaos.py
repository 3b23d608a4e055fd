"""A very short chaos day; the long form is `tox -e chaos`."""

from __future__ import annotations

import os

import pytest
from rich.console import Console

from tests.faults.chaos import live, report

SECONDS = float(os.environ.get("STRIKE_CHAOS_SECONDS", "20"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_misbehaves_nothing_is_lost(request: pytest.FixtureRequest) -> None:
    day = live(4, SECONDS, lambda over, said: None)
    report(day, Console(file=request.config.get_terminal_writer()._file, width=100))
    assert not day.problems, "\n".join(day.problems[:20])
    assert len(day.done) >= 4 and day.calls
