"""The mock as whoever looks at it sees it: calls, texts, tasks, time, story, faults, requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from strike_mock.clock import Clock, SteppedClock
from strike_mock.exchange import Exchange
from strike_mock.faults import Faults
from strike_mock.journal import Journal
from strike_mock.render import RenderApi
from strike_mock.stage import Stage
from strike_mock.tasks import Project, Subsector, Task
from strike_mock.texts import PostOffice


@dataclass(frozen=True)
class Whole:
    """Every part that there is something to see or to do in."""

    clock: Clock
    stage: Stage
    exchange: Exchange
    post: PostOffice
    render: RenderApi
    faults: Faults
    journal: Journal

    def as_json(self) -> dict[str, Any]:
        """Everything at this moment."""
        return {
            "clock": self.time(),
            "scenario": self.stage.scenario.model_dump(mode="json"),
            "calls": self.calls(),
            "texts": self.texts(),
            "tasks": self.tasks(),
            "faults": dict(self.faults.counts),
            "requests": self.requests(),
        }

    def time(self) -> dict[str, Any]:
        """What the clock shows, and how it runs; null where it cannot be told otherwise."""
        can_step = isinstance(self.clock, SteppedClock)
        return {
            "now": self.clock.now().isoformat(),
            "paused": self.clock.paused if isinstance(self.clock, SteppedClock) else None,
            "speed": self.clock.speed if isinstance(self.clock, SteppedClock) else None,
            "can_step": can_step,
        }

    def calls(self) -> list[dict[str, Any]]:
        """Every call, oldest first, with whose phone it is."""
        return [
            call.as_story() | {"who": self.exchange.phone(call.request.to).who}
            for call in self.exchange.book.all()
        ]

    def texts(self) -> list[dict[str, Any]]:
        """Every text, oldest first, with whose phone it is."""
        return [
            text.as_story() | {"who": self.exchange.phone(text.request.to).who}
            for text in self.post.all()
        ]

    def tasks(self) -> list[dict[str, Any]]:
        """Every field task with its project and subsector, oldest first."""
        return [
            task.as_json() | {"project": name, "subsector": subsector.as_json()}
            for name, _, subsector, task in self.find_tasks()
        ]

    def requests(self) -> list[dict[str, Any]]:
        """The newest requests from and to Strike, oldest first."""
        return [entry.as_json() for entry in self.journal.entries]

    def find_tasks(self) -> list[tuple[str, Project, Subsector, Task]]:
        """Every task with where it is."""
        return [
            (name, project, subsector, task)
            for name, project in self.render.projects.items()
            for subsector in project.subsectors()
            for task in subsector.tasks
        ]
