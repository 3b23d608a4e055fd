"""The side effects of field work: make the tasks, then follow them to their confirmed end.

A worker calls `look_after` for each ECO whose time has come (specification, section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from strike_domain.actors import Actor, Stamp
from strike_domain.eco import (
    Eco,
    EcoCancelled,
    EcoClosed,
    EcoCompleted,
    EcoCreated,
    EcoStatus,
    RenderState,
    RenderTasked,
)
from strike_domain.errors import Unavailable
from strike_domain.log import StrikeLog
from strike_domain.ports import Clock, FieldWork, WorkOrder

CREW_DESK = Actor.system("field-work")

MAX_TASKING_ATTEMPTS = 5
"""How often the tasks are tried to be made before people are told that it failed."""

FIRST_BACKOFF = timedelta(seconds=2)
MAX_BACKOFF = timedelta(minutes=5)


@dataclass(frozen=True)
class Look:
    """What one look found out, kept for the next one. `due_at` None: nothing left to look for."""

    due_at: datetime | None
    attempts: int = 0
    etag: str | None = None
    error: str | None = None


def first_look(event: object) -> tuple[bool, datetime | None]:
    """Whether an event sets when its ECO is looked at, and that time; None: never again.

    In between, each look says itself when the next one is due.
    """
    match event:
        case EcoClosed() | EcoCancelled():
            return True, None
        case EcoCreated(render_state=RenderState.PENDING) | EcoCompleted(by_hand=True):
            return True, event.timestamp
        case RenderTasked():
            return True, event.timestamp
        case _:
            return False, None


class CrewDesk:
    """Sees to the field tasks of one ECO after the other."""

    def __init__(
        self,
        log: StrikeLog,
        field_work: FieldWork,
        clock: Clock,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.log = log
        self._field_work = field_work
        self._clock = clock
        self._new_id = new_id

    def look_after(self, eco_id: UUID, last: Look) -> Look:
        """Do what the ECO has due now and say when to look again."""
        eco = self.log.eco(eco_id)
        if eco.status in (EcoStatus.CLOSED, EcoStatus.CANCELLED):
            return Look(due_at=None)
        if eco.render_state is RenderState.PENDING:
            return self._make_tasks(eco, last)
        if eco.render_state is RenderState.TASKED:
            return self._poll(eco, last)
        return self._close(eco)

    def _make_tasks(self, eco: Eco, last: Look) -> Look:
        order = WorkOrder(eco.id, eco.osp_id, eco.job_number, eco.description, eco.location)
        try:
            tasked = self._field_work.create(order)
        except Unavailable as error:
            return self._tasking_failed(eco, last.attempts + 1, error)
        self._record(
            eco,
            lambda e, s: e.record_tasking(tasked.project, tasked.subsector_id, tasked.task_id, s),
        )
        return Look(due_at=self._clock.now())

    def _tasking_failed(self, eco: Eco, attempts: int, error: Unavailable) -> Look:
        if error.can_retry and attempts < MAX_TASKING_ATTEMPTS:
            return self._again_later(attempts, error)
        self._record(eco, lambda e, s: e.record_tasking_failure(error.message, attempts, s))
        return Look(due_at=None, attempts=attempts, error=error.message)

    def _again_later(self, attempts: int, error: Unavailable, etag: str | None = None) -> Look:
        backoff = min(FIRST_BACKOFF * 2 ** (attempts - 1), MAX_BACKOFF)
        return Look(self._clock.now() + backoff, attempts, etag, error.message)

    def _poll(self, eco: Eco, last: Look) -> Look:
        try:
            polled = self._field_work.poll(eco.osp_id, str(eco.subsector_id), last.etag)
        except Unavailable as error:
            # A poll that failed says nothing about the work: it completes and closes nothing.
            return self._again_later(min(last.attempts + 1, 10), error, last.etag)
        grace = self._field_work.grace(eco.osp_id)
        ttl = self._field_work.inactivity(eco.osp_id)

        def take(newest: Eco, stamp: Stamp) -> None:
            if polled.snapshot is not None:
                newest.record_tasks(polled.snapshot, grace, stamp)
            newest.go_stale(ttl, stamp)
            _close_if_due(newest, stamp)

        after = self._record(eco, take)
        if after.status is EcoStatus.CLOSED:
            return Look(due_at=None)
        return Look(self._clock.now() + self._field_work.interval(eco.osp_id), etag=polled.etag)

    def _close(self, eco: Eco) -> Look:
        """Without Render only the end of the grace period is waited for."""
        after = self._record(eco, _close_if_due)
        return Look(due_at=after.closes_at if after.status is EcoStatus.COMPLETED else None)

    def _record(self, eco: Eco, command: Callable[[Eco, Stamp], None]) -> Eco:
        def stamped(newest: Eco) -> None:
            command(newest, self._stamp(newest))

        return self.log.change_eco(eco.id, stamped).aggregate

    def _stamp(self, eco: Eco) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=CREW_DESK.name,
            tenant_id=None,
            correlation_id=eco.correlation_id,
            causation_id=self._new_id(),
        )


def _close_if_due(eco: Eco, stamp: Stamp) -> None:
    if eco.status is EcoStatus.COMPLETED and eco.closes_at and stamp.at >= eco.closes_at:
        eco.close(stamp)
