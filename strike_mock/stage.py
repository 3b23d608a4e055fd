"""Which scenario is being played. Calls and tasks keep the one that they began with."""

from __future__ import annotations

from strike_mock.scenarios import Scenario


class Stage:
    """Holds the present scenario, which the control API may change."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
