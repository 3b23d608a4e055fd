"""A crew's task system that a test fills by hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from uuid import UUID

from strike_domain.errors import Unavailable
from strike_domain.field_tasks import FieldTask, Polled, TaskSnapshot, TaskState
from strike_domain.memory import SystemClock
from strike_domain.ports import Clock, Tasked, WorkOrder


@dataclass
class _Subsector:
    osp_id: UUID
    tasked: Tasked
    tasks: tuple[FieldTask, ...]
    etag: str | None = field(default=None)

    @property
    def tag(self) -> str:
        return self.etag or f'"{TaskSnapshot.of(self.tasks).fingerprint}"'


class FakeFieldWork:
    """A `FieldWork` for tests; may be used from any number of threads.

    `orders` holds every order that was tried, `polls` the subsector of every poll, both in order.
    With `has_etags` False it answers without tags, as some servers do.
    """

    def __init__(self, clock: Clock | None = None, project: str = "P-1") -> None:
        self.orders: list[WorkOrder] = []
        self.polls: list[str] = []
        self.has_etags = True
        self._clock = clock or SystemClock()
        self._project = project
        self._subsectors: dict[tuple[UUID, UUID], _Subsector] = {}
        self._failures: deque[Unavailable] = deque()
        self._outage: Unavailable | None = None
        self._numbers = count(1)
        self._lock = Lock()

    def tasked(self, osp_id: UUID, eco_id: UUID) -> Tasked:
        """Where an ECO's work was put. Raises KeyError if it was not."""
        return self._subsectors[osp_id, eco_id].tasked

    def tasks(self, subsector_id: str) -> tuple[FieldTask, ...]:
        """The tasks of a subsector. Raises KeyError if there is no such subsector."""
        return self._find(subsector_id).tasks

    def set_tasks(self, subsector_id: str, *tasks: FieldTask, etag: str | None = None) -> None:
        """Replace all tasks of a subsector; `etag` is made from them if it is not given.

        Raises KeyError if there is no such subsector.
        """
        with self._lock:
            subsector = self._find(subsector_id)
            subsector.tasks, subsector.etag = tasks, etag

    def fail_next(self, error: Unavailable) -> None:
        """Let the next `create` or `poll` that nothing else is in line for raise `error`."""
        self._failures.append(error)

    def fail(self, error: Unavailable | None) -> None:
        """Let every `create` and `poll` raise `error` from now on; None ends that."""
        self._outage = error

    def create(self, order: WorkOrder) -> Tasked:
        """Make a subsector with one planned task; the same ECO again gets the same one."""
        with self._lock:
            self.orders.append(order)
            self._fail_if_told()
            made = self._subsectors.get((order.osp_id, order.eco_id)) or self._make(order)
            return made.tasked

    def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
        """All tasks, or none if `etag` still stands; `Unavailable` for an unknown subsector."""
        with self._lock:
            self.polls.append(subsector_id)
            self._fail_if_told()
            subsector = self._of(osp_id, subsector_id)
            at, tag = self._clock.now(), subsector.tag if self.has_etags else None
            if tag is not None and tag == etag:
                return Polled(snapshot=None, etag=tag, at=at)
            return Polled(snapshot=TaskSnapshot.of(subsector.tasks), etag=tag, at=at)

    def _make(self, order: WorkOrder) -> _Subsector:
        number = next(self._numbers)
        tasked = Tasked(self._project, f"ss_{number}", f"tk_{number}")
        name = f"Investigate ECO {order.job_number}"
        first = FieldTask(id=tasked.task_id, name=name, state=TaskState.BLUEPRINTED)
        made = _Subsector(order.osp_id, tasked, (first,))
        self._subsectors[order.osp_id, order.eco_id] = made
        return made

    def _find(self, subsector_id: str) -> _Subsector:
        for one in self._subsectors.values():
            if one.tasked.subsector_id == subsector_id:
                return one
        raise KeyError(subsector_id)

    def _of(self, osp_id: UUID, subsector_id: str) -> _Subsector:
        for one in self._subsectors.values():
            if one.osp_id == osp_id and one.tasked.subsector_id == subsector_id:
                return one
        raise Unavailable(
            f"There is no subsector {subsector_id}.", "FIELD_WORK_NOT_FOUND", can_retry=False
        )

    def _fail_if_told(self) -> None:
        if self._failures:
            raise self._failures.popleft()
        if self._outage is not None:
            raise self._outage
