"""The simulator finds every planted bug within 200 stories, and none where there is none."""

from __future__ import annotations

import pytest

from strike_app.simulate.command import judge
from tests.simulation.planted import BUGS, Bug

MOST_STORIES = 200


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_simulator_finds_that(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    stories = map(judge, range(1, MOST_STORIES + 1))
    # A bug that is planted in the wrong place breaks the simulation itself: that finds nothing.
    found = next((one for one in stories if one.broken.keys() - {"nothing_broke"}), None)
    assert found is not None, "not found in 200 stories"
