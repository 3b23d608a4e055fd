"""The side effects of field work: make the tasks, then follow them to their confirmed end.

A worker calls `look_after` for each ECO whose time has come (specification, section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from strike_domain.actors import Actor, Stamp
from strike_domain.eco import (
    Eco,
    EcoCancelled,
    EcoClosed,
    EcoCompleted,
    EcoCreated,
    EcoReactivated,
    EcoStatus,
    FieldProblem,
    RenderState,
    RenderTasked,
    RenderTaskingRequested,
    WorkStarted,
)
from strike_domain.errors import Unavailable
from strike_domain.field_tasks import Polled
from strike_domain.log import StrikeLog
from strike_domain.ports import Clock, FieldTerms, FieldWork, HasFieldTerms, WorkOrder

CREW_DESK = Actor.system("field-work")

MAX_TASKING_ATTEMPTS = 5
"""How often the tasks are tried to be made before people are told that it failed."""

FIRST_BACKOFF = timedelta(seconds=2)
MAX_BACKOFF = timedelta(minutes=5)

MAX_RETRY_AFTER = timedelta(minutes=10)
"""The longest pause that the other side is granted: who says "tomorrow" is asked before."""

TELL_AFTER = timedelta(minutes=10)
"""How long polls may fail until people are told that nobody knows how the field stands."""

READ_IN_FULL_EVERY = timedelta(minutes=10)
"""How long "nothing has changed" is believed before everything is read again: a tag that a server
keeps by mistake must not hide the work. Nothing is closed without a full reading either."""

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Following:
    """Which tasks are followed. Until `check_at`, "nothing has changed" is all there is to know."""

    osp_id: UUID
    subsector_id: str
    check_at: datetime


@dataclass(frozen=True)
class Look:
    """What one look found out, kept for the next one. `due_at` None: nothing left to look for.

    `attempts` counts the failures in a row, of which the first was at `failing_since`.
    """

    due_at: datetime | None
    attempts: int = 0
    etag: str | None = None
    error: str | None = None
    failing_since: datetime | None = None
    following: Following | None = None


def first_look(event: object, after: Any) -> tuple[bool, datetime | None]:
    """Whether an event sets when its ECO is looked at, and that time; None: never again.

    `after`: the aggregate right after it. In between, each look says itself when the next is due.
    """
    match event:
        case EcoClosed() | EcoCancelled():
            return True, None
        case EcoCreated() | RenderTasked() | RenderTaskingRequested():
            return True, event.timestamp
        case WorkStarted() | EcoCompleted() | EcoReactivated() if after.is_by_hand:
            return True, event.timestamp
        case _:
            return False, None


def next_poll(eco_id: UUID, interval: timedelta, after: datetime) -> datetime:
    """The ECO's own moment in the first interval that begins then.

    Each ECO has its moment, made from its id, so that the polls of many are spread evenly, and
    stay so however many of them fell due at once after an outage.
    """
    step = max(1, interval // timedelta(microseconds=1))
    since = (after - EPOCH) // timedelta(microseconds=1)
    return after + timedelta(microseconds=step - (since - eco_id.int) % step)


class CrewDesk:
    """Sees to the field tasks of one ECO after the other."""

    def __init__(
        self,
        log: StrikeLog,
        field_work: FieldWork,
        clock: Clock,
        directory: HasFieldTerms,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.log = log
        self._field_work = field_work
        self._clock = clock
        self._directory = directory
        self._new_id = new_id

    def look_after(self, eco_id: UUID, last: Look) -> Look:
        """Do what the ECO has due now and say when to look again."""
        if last.following and last.etag and not last.attempts and not self._is_due(last.following):
            return self._poll(eco_id, last.following, last)
        eco = self.log.eco(eco_id)
        if eco.status.is_final:
            return Look(due_at=None)
        if eco.render_state is RenderState.PENDING:
            return self._make_tasks(eco, last)
        if eco.render_state is RenderState.TASKED:
            at_once = Following(eco.osp_id, str(eco.subsector_id), self._clock.now())
            return self._poll(eco.id, last.following or at_once, last)
        return self._by_hand(eco)

    # The tasks are made ---------------------------------------------------------------------

    def _make_tasks(self, eco: Eco, last: Look) -> Look:
        order = WorkOrder(eco.id, eco.osp_id, eco.job_number, eco.description, eco.location)
        try:
            tasked = self._field_work.create(order)
        except Unavailable as error:
            return self._tasking_failed(eco, last.attempts + 1, error)
        self._record(
            eco.id,
            lambda e, s: e.record_tasking(tasked.project, tasked.subsector_id, tasked.task_id, s),
        )
        return Look(due_at=self._clock.now())

    def _tasking_failed(self, eco: Eco, attempts: int, error: Unavailable) -> Look:
        if error.can_retry and attempts < MAX_TASKING_ATTEMPTS:
            # Those who failed together do not come back together.
            jitter = 1 + (eco.id.int >> 8 * attempts) % 256 / 1024
            pause = jitter * _pause(attempts, error)
            return Look(self._clock.now() + pause, attempts, error=error.message)
        after = self._record(
            eco.id, lambda e, s: e.record_tasking_failure(error.message, attempts, s)
        )
        return replace(self._by_hand(after), attempts=attempts, error=error.message)

    # The tasks are followed -----------------------------------------------------------------

    def _poll(self, eco_id: UUID, following: Following, last: Look) -> Look:
        asked_at = self._clock.now()
        etag = None if self._is_due(following) else last.etag
        try:
            polled = self._field_work.poll(following.osp_id, following.subsector_id, etag)
        except Unavailable as error:
            return self._poll_failed(eco_id, following, last, error)
        terms = self._directory.field_terms(following.osp_id)
        if polled.snapshot is None and not last.attempts:
            return replace(last, due_at=next_poll(eco_id, terms.interval, self._clock.now()))
        after = self._record(eco_id, lambda e, s: _take(e, polled, terms, s, asked_at))
        return self._next_look(after, following, terms, polled)

    def _next_look(self, eco: Eco, known: Following, terms: FieldTerms, polled: Polled) -> Look:
        if eco.status.is_final:
            return Look(due_at=None)
        now = self._clock.now()
        due_at = next_poll(eco.id, terms.interval, now)
        check_at = known.check_at if polled.snapshot is None else now + READ_IN_FULL_EVERY
        expected = _expected_at(eco, terms)
        if expected is not None:
            due_at, check_at = min(due_at, max(now, expected)), min(check_at, expected)
        return Look(due_at, etag=polled.etag, following=replace(known, check_at=check_at))

    def _poll_failed(
        self, eco_id: UUID, following: Following, last: Look, error: Unavailable
    ) -> Look:
        """It says nothing about the work: it completes, closes and reactivates nothing."""
        now, attempts = self._clock.now(), last.attempts + 1
        since = last.failing_since or now
        lasts = not error.can_retry and attempts > 1
        is_told = lasts or now - since >= TELL_AFTER
        terms = self._directory.field_terms(following.osp_id)

        def tell(newest: Eco, stamp: Stamp) -> None:
            if is_told:
                problem = FieldProblem(code=error.code, reason=error.message, since=since)
                newest.record_unreadable(problem, lasts=lasts, stamp=stamp)
            # Silence is silence, whoever's fault it is.
            newest.go_stale(terms.inactivity, stamp)

        if is_told or self._is_due(following):
            after = self._record(eco_id, tell)
            if after.status.is_final:
                return Look(due_at=None)
        due_at = next_poll(eco_id, terms.interval, now + _pause(attempts, error))
        return replace(
            last,
            due_at=due_at,
            attempts=attempts,
            error=error.message,
            failing_since=since,
            following=following,
        )

    def _is_due(self, following: Following) -> bool:
        return self._clock.now() >= following.check_at

    # Where there are none -------------------------------------------------------------------

    def _by_hand(self, eco: Eco) -> Look:
        """People say how the work stands; only the end of a period is waited for."""
        terms = self._directory.field_terms(eco.osp_id)

        def look(newest: Eco, stamp: Stamp) -> None:
            newest.go_stale(terms.inactivity, stamp)
            _close_if_due(newest, stamp)

        return Look(due_at=_expected_at(self._record(eco.id, look), terms))

    def _record(self, eco_id: UUID, command: Callable[[Eco, Stamp], None]) -> Eco:
        def stamped(newest: Eco) -> None:
            command(newest, self._stamp(newest))

        return self.log.change_eco(eco_id, stamped).aggregate

    def _stamp(self, eco: Eco) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=CREW_DESK.name,
            tenant_id=None,
            correlation_id=eco.correlation_id,
            causation_id=self._new_id(),
        )


def _pause(attempts: int, error: Unavailable) -> timedelta:
    """How long to wait after so many failures in a row, at least."""
    backoff = min(FIRST_BACKOFF * (1 << min(attempts - 1, 10)), MAX_BACKOFF)
    asked = timedelta(seconds=error.retry_after or 0)
    return max(backoff, min(asked, MAX_RETRY_AFTER))


def _take(eco: Eco, polled: Polled, terms: FieldTerms, stamp: Stamp, asked_at: datetime) -> None:
    eco.record_readable(stamp)
    if polled.snapshot is not None:
        eco.record_tasks(polled.snapshot, terms.grace, stamp, asked_at)
    eco.go_stale(terms.inactivity, stamp)
    # Only a full reading from after the grace period shows that nothing came in it.
    if polled.snapshot is not None and eco.closes_at and asked_at >= eco.closes_at:
        _close_if_due(eco, stamp)


def _close_if_due(eco: Eco, stamp: Stamp) -> None:
    if eco.status is EcoStatus.COMPLETED and eco.closes_at and stamp.at >= eco.closes_at:
        eco.close(stamp)


def _expected_at(eco: Eco, terms: FieldTerms) -> datetime | None:
    """When something has to be done although nothing is heard; None: nothing has."""
    if eco.status is EcoStatus.COMPLETED:
        return eco.closes_at
    if eco.is_active and not eco.stale:
        return eco.tasks_changed_at + terms.inactivity
    return None
