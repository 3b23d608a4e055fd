"""A very short chaos day; the long form is `tox -e chaos`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults.chaos import live, report
from tests.faults.outage_world import processes_of
from tests.integration.stored import eventually

SECONDS = float(os.environ.get("STRIKE_CHAOS_SECONDS", "20"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_misbehaves_nothing_is_lost(request: pytest.FixtureRequest) -> None:
    day = live(4, SECONDS, lambda over, said: None)
    report(day, Console(file=request.config.get_terminal_writer()._file, width=100))
    assert not day.problems, "\n".join(day.problems[:20])
    assert len(day.done) >= 4 and day.calls


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_day_that_is_ended_from_outside_leaves_nothing_behind(tmp_path: Path) -> None:
    """Also if it is told twice: as by an impatient Ctrl-C."""
    day = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.chaos", "--minutes", "9"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: [*tmp_path.glob("strike-outages-*/writer-*.json")], 120)
        day.send_signal(signal.SIGTERM)
        day.send_signal(signal.SIGINT)
        # Of two that come at once it may hear of either first.
        assert day.wait(120) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    finally:
        day.kill()
    assert processes_of(tmp_path) == []
    assert [*tmp_path.glob("strike-outages-*")] == []
