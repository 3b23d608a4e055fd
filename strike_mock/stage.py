"""Which scenario is being played. Calls and tasks keep the one that they began with."""

from __future__ import annotations

from datetime import datetime

from strike_mock.scenarios import Scenario


class Stage:
    """Holds the present scenario, which the control API may change, and when its story began."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._began: datetime | None = None

    @property
    def scenario(self) -> Scenario:
        """The scenario that new calls and tasks belong to."""
        return self._scenario

    @scenario.setter
    def scenario(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._began = None

    def begin(self, now: datetime) -> None:
        """Note that something happens: with the first of it the story begins."""
        self._began = self._began or now

    def seconds(self, now: datetime) -> float:
        """How long the story has been going on, in simulated seconds; 0 before it begins."""
        return 0.0 if self._began is None else (now - self._began).total_seconds()
