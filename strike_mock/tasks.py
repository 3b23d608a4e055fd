"""What Render knows: tokens, subsectors, tasks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from strike_mock.clock import Clock
from strike_mock.ids import Ids


@dataclass
class Task:
    """A field task; `external_reference` is None on those that the crew made."""

    id: str
    external_reference: str | None
    subsector_id: str
    kind: str
    name: str
    state: str
    cloned_from: str | None
    updated_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return the task as the contract shows it."""
        at = self.updated_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return vars(self) | {"updated_at": at}


@dataclass(frozen=True)
class Change:
    """A task entered a state, or was removed ("removed")."""

    at: datetime
    subsector_id: str
    task_id: str
    state: str


@dataclass
class Subsector:
    """Where the tasks of one ECO are; `tasks` oldest first."""

    id: str
    external_reference: str
    name: str
    tasks: list[Task] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the subsector as the contract shows it."""
        return {
            "id": self.id,
            "external_reference": self.external_reference,
            "name": self.name,
        }

    def etag(self) -> str:
        """Return the strong ETag of the whole task list, quoted."""
        text = json.dumps([task.as_json() for task in self.tasks], sort_keys=True)
        return f'"{sha256(text.encode()).hexdigest()[:32]}"'


class Project:
    """The subsectors and tasks of one project; made things are found again by their reference."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.history: list[Change] = []
        """What happened to the tasks, oldest first."""
        self._clock = clock
        self._ids = ids
        self._subsectors: dict[str, Subsector] = {}
        self._subsector_by_reference: dict[str, Subsector] = {}
        self._task_by_reference: dict[str, Task] = {}

    def subsector(self, subsector_id: str) -> Subsector | None:
        """Return the subsector, or None."""
        return self._subsectors.get(subsector_id)

    def subsectors(self) -> list[Subsector]:
        """Return all subsectors, oldest first."""
        return list(self._subsectors.values())

    def make_subsector(self, reference: str, name: str) -> tuple[Subsector, bool]:
        """Return the subsector of `reference` and whether it is new."""
        existing = self._subsector_by_reference.get(reference)
        if existing is not None:
            return existing, False
        made = Subsector(self._ids.new("ss_"), reference, name)
        self._subsectors[made.id] = self._subsector_by_reference[reference] = made
        return made, True

    def make_task(
        self, reference: str, subsector: Subsector, kind: str, name: str
    ) -> tuple[Task, bool]:
        """Return the task of `reference` and whether it is new."""
        existing = self._task_by_reference.get(reference)
        if existing is not None:
            return existing, False
        made = self.add_task(subsector, kind=kind, name=name, reference=reference)
        self._task_by_reference[reference] = made
        return made, True

    def add_task(
        self,
        subsector: Subsector,
        *,
        kind: str,
        name: str,
        state: str = "blueprinted",
        reference: str | None = None,
        cloned_from: str | None = None,
    ) -> Task:
        """Put a new task into `subsector`."""
        now = self._clock.now()
        task_id = self._ids.new("tk_")
        task = Task(task_id, reference, subsector.id, kind, name, state, cloned_from, now)
        subsector.tasks.append(task)
        self._note(task, state)
        return task

    def remove(self, task: Task) -> None:
        """Let `task` vanish from its subsector's list."""
        self._subsectors[task.subsector_id].tasks.remove(task)
        self._note(task, "removed")

    def move(self, task: Task, state: str) -> None:
        """Put `task` into `state`."""
        task.state = state
        task.updated_at = self._clock.now()
        self._note(task, state)

    def _note(self, task: Task, state: str) -> None:
        self.history.append(Change(self._clock.now(), task.subsector_id, task.id, state))


class Tokens:
    """Access tokens and when they expire."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._expiry: dict[str, datetime] = {}

    def issue(self, seconds: float) -> str:
        """Return a new token, good for so many seconds of simulated time."""
        token = self._ids.new("rt_")
        self._expiry[token] = self._clock.now() + timedelta(seconds=seconds)
        return token

    def accepts(self, token: str) -> bool:
        """Whether `token` was issued and has not expired."""
        expiry = self._expiry.get(token)
        return expiry is not None and self._clock.now() < expiry
