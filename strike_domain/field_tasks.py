"""Tasks in the field, as Render Networks reports them, and the words people see for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Self

from pydantic import BaseModel, ConfigDict


class TaskState(StrEnum):
    """Render's own states; `words` is what a person reads (specification, section 5)."""

    BLUEPRINTED = "blueprinted"
    ALLOCATED = "allocated"
    RELEASABLE = "releasable"
    RELEASED = "released"
    JEOPARDY = "jeopardy"
    COMPLETED = "completed"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def has_started(self) -> bool:
        """True from the moment a crew is at work."""
        return self in (TaskState.RELEASED, TaskState.JEOPARDY, TaskState.COMPLETED)


_WORDS = {
    TaskState.BLUEPRINTED: "planned",
    TaskState.ALLOCATED: "assigned",
    TaskState.RELEASABLE: "ready to start",
    TaskState.RELEASED: "crew at work",
    TaskState.JEOPARDY: "at risk",
    TaskState.COMPLETED: "done",
}


class FieldTask(BaseModel):
    """One task of an ECO's subsector."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    state: TaskState
    cloned_from: str | None = None


class TaskSnapshot(BaseModel):
    """All tasks of one subsector at one moment: a full answer, never a part of one."""

    model_config = ConfigDict(frozen=True)

    tasks: tuple[FieldTask, ...]

    @classmethod
    def of(cls, tasks: Sequence[FieldTask]) -> Self:
        """A snapshot in a fixed order, so that the order of an answer means nothing."""
        return cls(tasks=tuple(sorted(tasks, key=lambda task: task.id)))

    @property
    def fingerprint(self) -> str:
        """Changes if and only if something that matters changed: not times, not the order."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def has_started(self) -> bool:
        return any(task.state.has_started for task in self.tasks)

    @property
    def is_complete(self) -> bool:
        """At least one task, and all of them completed: no tasks is not completion."""
        return bool(self.tasks) and all(t.state is TaskState.COMPLETED for t in self.tasks)

    @property
    def summary(self) -> str:
        """In words, most advanced last: `1 assigned, 2 crew at work`."""
        counts = Counter(task.state for task in self.tasks)
        return ", ".join(f"{counts[s]} {s.words}" for s in TaskState if counts[s]) or "no tasks"

    def changes_since(self, before: TaskSnapshot) -> Sequence[str]:
        """What became of each task, in words: `'Splice' was crew at work, is done`."""
        old = {task.id: task for task in before.tasks}
        new = {task.id: task for task in self.tasks}
        told = [_change(old.get(task.id), task, {**old, **new}) for task in self.tasks]
        gone = [f"{task.name!r} was removed" for task in before.tasks if task.id not in new]
        return [line for line in told if line] + gone


def _change(before: FieldTask | None, now: FieldTask, known: Mapping[str, FieldTask]) -> str:
    if before is None:
        origin = known.get(now.cloned_from or "")
        source = f" after {origin.name!r}" if origin else ""
        return f"{now.name!r} is new{source}, {now.state.words}"
    words = f"{now.name!r}" if before.name == now.name else f"{before.name!r}, now {now.name!r},"
    if before.state is TaskState.COMPLETED and now.state is not TaskState.COMPLETED:
        return f"{words} was reopened, {now.state.words}"
    if before.state is not now.state:
        return f"{words} was {before.state.words}, is {now.state.words}"
    return f"{before.name!r} is called {now.name!r} now" if before.name != now.name else ""


class Polled(BaseModel):
    """What one poll of a subsector found. `snapshot` is None where the server said 'unchanged'."""

    model_config = ConfigDict(frozen=True)

    snapshot: TaskSnapshot | None
    etag: str | None
    at: datetime
