"""The simulator finds every planted bug within 200 stories, and none where there is none."""

from __future__ import annotations

import pytest

from strike_app.simulate.command import judge
from tests.simulation.planted import BUGS, Bug

MOST_STORIES = 200


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_simulator_finds_that(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    found = next((one for one in map(judge, range(1, MOST_STORIES + 1)) if one.broken), None)
    assert found is not None, "not found in 200 stories"
