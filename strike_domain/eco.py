"""The emergency callout order: what can happen to it, what is then true, what may be asked.

Source of every rule: specification, section 3.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from strike_domain.actors import Stamp
from strike_domain.errors import InvalidTransition, NotFound, Rejected
from strike_domain.eventsourced import (
    Aggregate,
    AggregateCreated,
    AggregateEvent,
    singledispatchmethod,
)
from strike_domain.field_tasks import TaskSnapshot
from strike_domain.geometry import Location

MAX_TEXT = 4_000
"""Longest description or note, in characters."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class JobType(StrEnum):
    """What kind of job it is: CMR claims, MFR maintenance, FNOL first notice of loss."""

    CMR = "CMR"
    MFR = "MFR"
    FNOL = "FNOL"


class EcoStatus(StrEnum):
    """How far the work has come; says nothing of paging or Render."""

    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Nothing but notes can follow."""
        return self in (EcoStatus.CLOSED, EcoStatus.CANCELLED)


class PagingState(StrEnum):
    """What came of the attempts to find a responder."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    ACCEPTED = "ACCEPTED"
    EXHAUSTED = "EXHAUSTED"
    NO_LIST = "NO_LIST"
    CANCELLED = "CANCELLED"


class RenderState(StrEnum):
    """Whether the field tasks exist in the contractor's Render instance."""

    NOT_CONFIGURED = "NOT_CONFIGURED"
    PENDING = "PENDING"
    TASKED = "TASKED"
    FAILED = "FAILED"


class PagingPolicy(StrEnum):
    """Whether paging starts by itself when an ECO is created; a property of the link."""

    AUTOMATIC = "AUTOMATIC"
    MANUAL = "MANUAL"


class Priority(StrEnum):
    """How much it presses, from least to most."""

    LOW = "LOW"
    NORMAL = "NORMAL"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Responder(BaseModel):
    """Who accepted, on which call."""

    model_config = ConfigDict(frozen=True)

    name: str
    run_id: UUID
    call_id: UUID


class FieldProblem(BaseModel):
    """Why nobody knows at the moment how the field tasks stand, and since when."""

    model_config = ConfigDict(frozen=True)

    code: str
    reason: str
    since: datetime


class Offer(BaseModel):
    """Somebody could come, but needs more than so many minutes. It is no acceptance."""

    model_config = ConfigDict(frozen=True)

    name: str
    run_id: UUID
    call_id: UUID
    minutes: int


# What can happen ---------------------------------------------------------------------------


class EcoEvent(AggregateEvent):
    """Base of every event in an ECO's stream after the first."""


class EcoCreated(AggregateCreated):
    TOPIC = "strike.eco.created"
    noc_id: UUID
    osp_id: UUID
    location: Location
    job_type: JobType
    description: str
    job_number: str
    priority: Priority
    paging_policy: PagingPolicy
    render_state: RenderState
    client_reference: str | None
    ticket: str | None
    affected_customers: int | None


class EcoAmended(EcoEvent):
    """Only the fields that changed are set."""

    TOPIC = "strike.eco.amended"
    description: str | None
    location: Location | None
    priority: Priority | None


class NoteAdded(EcoEvent):
    TOPIC = "strike.eco.note-added"
    text: str


class RenderTasked(EcoEvent):
    TOPIC = "strike.eco.render-tasked"
    project: str
    subsector_id: str
    task_id: str


class RenderTaskingFailed(EcoEvent):
    TOPIC = "strike.eco.render-tasking-failed"
    reason: str
    attempts: int


class RenderTaskingRequested(EcoEvent):
    """Somebody wants the field tasks to be made after all: they had failed, or were not wanted."""

    TOPIC = "strike.eco.render-tasking-requested"


class PagerDispatched(EcoEvent):
    TOPIC = "strike.eco.pager-dispatched"
    run_id: UUID
    list_id: UUID
    list_name: str
    reason: str


class ResponderAssigned(EcoEvent):
    TOPIC = "strike.eco.responder-assigned"
    responder: Responder
    late: bool


class ArrivalOffered(EcoEvent):
    """A key said: I could come, but not soon. Whoever is nearer is still looked for."""

    TOPIC = "strike.eco.arrival-offered"
    offer: Offer


class PagingExhausted(EcoEvent):
    TOPIC = "strike.eco.paging-exhausted"
    run_id: UUID
    calls: int


class PagingUnroutable(EcoEvent):
    TOPIC = "strike.eco.paging-unroutable"
    reason: str


class WorkStarted(EcoEvent):
    TOPIC = "strike.eco.work-started"


class FieldTasksChanged(EcoEvent):
    TOPIC = "strike.eco.field-tasks-changed"
    snapshot: TaskSnapshot
    fingerprint: str
    summary: str


class FieldTasksUnreadable(EcoEvent):
    """The contractor's system does not say how the tasks stand. It says nothing of the work."""

    TOPIC = "strike.eco.field-tasks-unreadable"
    problem: FieldProblem


class FieldTasksReadable(EcoEvent):
    TOPIC = "strike.eco.field-tasks-readable"


class EcoCompleted(EcoEvent):
    """A soft claim until `closes_at`: a new, cloned or reopened task reactivates before then."""

    TOPIC = "strike.eco.completed"
    closes_at: datetime
    by_hand: bool


class EcoReactivated(EcoEvent):
    TOPIC = "strike.eco.reactivated"


class EcoClosed(EcoEvent):
    TOPIC = "strike.eco.closed"


class EcoCancelled(EcoEvent):
    TOPIC = "strike.eco.cancelled"
    reason: str


class EcoWentStale(EcoEvent):
    TOPIC = "strike.eco.went-stale"
    unchanged_since: datetime


class Eco(Aggregate):
    """One incident."""

    TOPIC = "strike.Eco"

    # What is true --------------------------------------------------------------------------

    @singledispatchmethod
    def evolve(self, event: Any) -> None:
        raise NotImplementedError(f"Eco does not know {type(event).__name__}.")

    @evolve.register
    def _(self, event: EcoCreated) -> None:
        self.noc_id = event.noc_id
        self.osp_id = event.osp_id
        self.location = event.location
        self.job_type = event.job_type
        self.description = event.description
        self.job_number = event.job_number
        self.priority = event.priority
        self.paging_policy = event.paging_policy
        self.client_reference = event.client_reference
        self.ticket = event.ticket
        self.affected_customers = event.affected_customers
        self.status = EcoStatus.OPEN
        self.render_state = event.render_state
        self.render_project: str | None = None
        self.subsector_id: str | None = None
        self.paging_state = PagingState.NOT_STARTED
        self.runs: tuple[UUID, ...] = ()
        self.responder: Responder | None = None
        self.offers: tuple[Offer, ...] = ()
        self.tasks: TaskSnapshot | None = None
        self.tasks_before: TaskSnapshot | None = None
        self.field_problem: FieldProblem | None = None
        self.tasks_changed_at = event.timestamp
        self.stale = False
        self.closes_at: datetime | None = None
        self.accepted_at: datetime | None = None
        self.started_at: datetime | None = None
        self.completed_at: datetime | None = None
        self.closed_at: datetime | None = None
        self.cancelled_at: datetime | None = None
        self.route: tuple[str, str] | None = None
        self.correlation_id = event.correlation_id

    @evolve.register
    def _(self, event: EcoAmended) -> None:
        self.description = event.description or self.description
        self.location = event.location or self.location
        self.priority = event.priority or self.priority

    @evolve.register
    def _(self, event: NoteAdded) -> None:
        """A note changes nothing but the timeline."""

    @evolve.register
    def _(self, event: RenderTasked) -> None:
        self.render_state = RenderState.TASKED
        self.render_project = event.project
        self.subsector_id = event.subsector_id
        self.tasks_changed_at = event.timestamp

    @evolve.register
    def _(self, event: RenderTaskingFailed) -> None:
        self.render_state = RenderState.FAILED

    @evolve.register
    def _(self, event: RenderTaskingRequested) -> None:
        self.render_state = RenderState.PENDING

    @evolve.register
    def _(self, event: PagerDispatched) -> None:
        self.paging_state = PagingState.RUNNING
        self.runs = (*self.runs, event.run_id)
        # Whoever had it is being replaced; else nobody who is rung now could accept.
        self.responder = self.accepted_at = None
        self.route = (event.list_name, event.reason)

    @evolve.register
    def _(self, event: ResponderAssigned) -> None:
        self.paging_state = PagingState.ACCEPTED
        self.responder = event.responder
        self.accepted_at = event.timestamp

    @evolve.register
    def _(self, event: ArrivalOffered) -> None:
        self.offers = (*self.offers, event.offer)

    @evolve.register
    def _(self, event: PagingExhausted) -> None:
        self.paging_state = PagingState.EXHAUSTED

    @evolve.register
    def _(self, event: PagingUnroutable) -> None:
        self.paging_state = PagingState.NO_LIST

    @evolve.register
    def _(self, event: WorkStarted) -> None:
        self.status = EcoStatus.IN_PROGRESS
        self.started_at = event.timestamp
        self._heard_from_the_field(event)

    @evolve.register
    def _(self, event: FieldTasksChanged) -> None:
        self.tasks_before = self.tasks
        self.tasks = event.snapshot
        self._heard_from_the_field(event)

    @evolve.register
    def _(self, event: FieldTasksUnreadable) -> None:
        self.field_problem = event.problem

    @evolve.register
    def _(self, event: FieldTasksReadable) -> None:
        self.field_problem = None

    @evolve.register
    def _(self, event: EcoCompleted) -> None:
        self.status = EcoStatus.COMPLETED
        self.closes_at = event.closes_at
        self.completed_at = event.timestamp
        self._heard_from_the_field(event)
        self._end_paging()

    @evolve.register
    def _(self, event: EcoReactivated) -> None:
        self.status = EcoStatus.IN_PROGRESS
        self.closes_at = self.completed_at = None
        self._heard_from_the_field(event)

    @evolve.register
    def _(self, event: EcoClosed) -> None:
        self.status = EcoStatus.CLOSED
        self.closed_at = event.timestamp

    @evolve.register
    def _(self, event: EcoCancelled) -> None:
        self.status = EcoStatus.CANCELLED
        self.cancelled_at = event.timestamp
        self.stale = False
        self.field_problem = None
        self._end_paging()

    @evolve.register
    def _(self, event: EcoWentStale) -> None:
        self.stale = True

    def _heard_from_the_field(self, event: EcoEvent) -> None:
        self.tasks_changed_at = event.timestamp
        self.stale = False

    def _end_paging(self) -> None:
        if self.paging_state is PagingState.RUNNING:
            self.paging_state = PagingState.CANCELLED

    @property
    def latest_run_id(self) -> UUID | None:
        return self.runs[-1] if self.runs else None

    @property
    def is_active(self) -> bool:
        """Work is still expected: neither done nor given up."""
        return self.status in (EcoStatus.OPEN, EcoStatus.IN_PROGRESS)

    @property
    def is_by_hand(self) -> bool:
        """No field tasks exist in the contractor's system: people say how the work stands."""
        return self.render_state in (RenderState.NOT_CONFIGURED, RenderState.FAILED)

    @property
    def needs_responder(self) -> bool:
        """An acceptance, even a late one, is still welcome."""
        return self.is_active and self.responder is None

    @property
    def expected_at(self) -> datetime | None:
        """Not before then does the responder get there, by their own word; None: nothing said."""
        if self.responder is None or self.accepted_at is None:
            return None
        said = [one.minutes for one in self.offers if one.name == self.responder.name]
        return self.accepted_at + timedelta(minutes=said[-1]) if said else None

    def offer(self, call_id: UUID) -> Offer:
        """The offer that was made in that call; `NotFound` if none was."""
        for one in self.offers:
            if one.call_id == call_id:
                return one
        raise NotFound("offer")

    def next_run_id(self) -> UUID:
        """Derived, so that one dispatch tried twice starts one run."""
        return uuid5(self.id, f"run/{len(self.runs) + 1}")

    # What may be asked ---------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        eco_id: UUID,
        stamp: Stamp,
        *,
        noc_id: UUID,
        osp_id: UUID,
        location: Location,
        job_type: JobType,
        description: str,
        job_number: str,
        priority: Priority = Priority.NORMAL,
        paging_policy: PagingPolicy = PagingPolicy.AUTOMATIC,
        has_render: bool = False,
        client_reference: str | None = None,
        ticket: str | None = None,
        affected_customers: int | None = None,
    ) -> Eco:
        return cls.begin(
            EcoCreated,
            eco_id,
            stamp,
            noc_id=noc_id,
            osp_id=osp_id,
            location=location,
            job_type=job_type,
            description=checked_text(description, "description"),
            job_number=job_number,
            priority=priority,
            paging_policy=paging_policy,
            render_state=RenderState.PENDING if has_render else RenderState.NOT_CONFIGURED,
            client_reference=client_reference,
            ticket=ticket,
            affected_customers=affected_customers,
        )

    def amend(
        self,
        stamp: Stamp,
        *,
        description: str | None = None,
        location: Location | None = None,
        priority: Priority | None = None,
    ) -> None:
        """Correct the order. What is given but equal to what stands is not stored."""
        self._refuse_if_ended("amended")
        if description is not None:
            description = checked_text(description, "description")
        changes = {
            "description": description if description != self.description else None,
            "location": location if location != self.location else None,
            "priority": priority if priority != self.priority else None,
        }
        if any(change is not None for change in changes.values()):
            self.emit(EcoAmended, stamp, **changes)

    def add_note(self, text: str, stamp: Stamp) -> None:
        """Allowed in every status: what is learnt afterwards belongs to the record too."""
        self.emit(NoteAdded, stamp, text=checked_text(text, "text"))

    def cancel(self, reason: str, stamp: Stamp) -> None:
        self._refuse_unless_active("cancelled")
        self.emit(EcoCancelled, stamp, reason=checked_text(reason, "reason"))

    def dispatch_pager(
        self, run_id: UUID, list_id: UUID, list_name: str, reason: str, stamp: Stamp
    ) -> None:
        self._refuse_unless_active("paged")
        if self.paging_state is PagingState.RUNNING:
            raise InvalidTransition("People are being rung already; wait, or cancel the ECO.")
        self.emit(
            PagerDispatched,
            stamp,
            run_id=run_id,
            list_id=list_id,
            list_name=list_name,
            reason=reason,
        )

    def report_unroutable(self, reason: str, stamp: Stamp) -> None:
        """Nobody can be rung: said at once and loudly, never waited for."""
        self._refuse_unless_active("paged")
        self.emit(PagingUnroutable, stamp, reason=reason)

    def assign_responder(self, responder: Responder, stamp: Stamp, *, late: bool = False) -> None:
        """The first acceptance wins; raises `InvalidTransition` for every later one."""
        if not self.needs_responder:
            taken = f"{self.responder.name} has it." if self.responder else f"It is {self.status}."
            raise InvalidTransition(taken)
        self.emit(ResponderAssigned, stamp, responder=responder, late=late)

    def record_offer(self, offer: Offer, stamp: Stamp) -> None:
        """Keep what somebody offered, once, as long as nobody has accepted."""
        is_known = any(one.call_id == offer.call_id for one in self.offers)
        if self.needs_responder and not is_known:
            self.emit(ArrivalOffered, stamp, offer=offer)

    def exhaust_paging(self, run_id: UUID, calls: int, stamp: Stamp) -> None:
        """Nobody on the list accepted. Nothing happens if that run no longer matters."""
        is_current = run_id == self.latest_run_id and self.paging_state is PagingState.RUNNING
        if is_current and self.is_active:
            self.emit(PagingExhausted, stamp, run_id=run_id, calls=calls)

    def record_tasking(self, project: str, subsector_id: str, task_id: str, stamp: Stamp) -> None:
        if self.render_state is RenderState.TASKED or not self.is_active:
            return
        self.emit(RenderTasked, stamp, project=project, subsector_id=subsector_id, task_id=task_id)

    def record_tasking_failure(self, reason: str, attempts: int, stamp: Stamp) -> None:
        if self.render_state is RenderState.PENDING and self.is_active:
            self.emit(RenderTaskingFailed, stamp, reason=reason, attempts=attempts)

    def request_tasking(self, stamp: Stamp) -> None:
        """Have the field tasks made after all. Refused where they exist or are being made."""
        self._refuse_unless_active("sent to the field crew")
        if not self.is_by_hand:
            made = self.render_state is RenderState.TASKED
            raise InvalidTransition(f"Its field tasks {'exist' if made else 'are being made'}.")
        self.emit(RenderTaskingRequested, stamp)

    def record_unreadable(self, problem: FieldProblem, *, lasts: bool, stamp: Stamp) -> None:
        """Say once that the field tasks cannot be read.

        A problem that `lasts` by itself is said although another one was; one that may pass is not.
        """
        if not self.status.is_final and self._is_news(problem, lasts):
            self.emit(FieldTasksUnreadable, stamp, problem=problem)

    def _is_news(self, problem: FieldProblem, lasts: bool) -> bool:
        known = self.field_problem
        return known is None or (lasts and known.code != problem.code)

    def record_readable(self, stamp: Stamp) -> None:
        """An answer came, whatever it says: what was said of a problem is over."""
        if not self.status.is_final and self.field_problem is not None:
            self.emit(FieldTasksReadable, stamp)

    def record_tasks(
        self,
        snapshot: TaskSnapshot,
        grace: timedelta,
        stamp: Stamp,
        asked_at: datetime | None = None,
    ) -> None:
        """Take in a full answer about the field tasks; an unchanged one stores nothing.

        Nor does one that was asked for before the last change was heard of (`asked_at`): whoever
        asked has slept meanwhile, and its news is old.
        """
        if self.status.is_final or (asked_at is not None and asked_at < self.tasks_changed_at):
            return
        if self.tasks is not None and snapshot.fingerprint == self.tasks.fingerprint:
            return
        self.emit(
            FieldTasksChanged,
            stamp,
            snapshot=snapshot,
            fingerprint=snapshot.fingerprint,
            summary=snapshot.summary,
        )
        self._follow_tasks(snapshot, grace, stamp)

    def _follow_tasks(self, snapshot: TaskSnapshot, grace: timedelta, stamp: Stamp) -> None:
        if self.status is EcoStatus.OPEN and snapshot.has_started:
            self.emit(WorkStarted, stamp)
        if self.status is EcoStatus.COMPLETED and not snapshot.is_complete:
            self.emit(EcoReactivated, stamp)
        elif self.status is EcoStatus.IN_PROGRESS and snapshot.is_complete:
            self.emit(EcoCompleted, stamp, closes_at=stamp.at + grace, by_hand=False)

    def start_by_hand(self, stamp: Stamp) -> None:
        """Say that a crew is at work, where no field tasks can say it."""
        self._refuse_unless_by_hand()
        if self.status is not EcoStatus.OPEN:
            raise InvalidTransition(f"Work on an ECO that is {self.status} cannot start.")
        self.emit(WorkStarted, stamp)

    def complete_by_hand(self, grace: timedelta, stamp: Stamp) -> None:
        """Only where no field tasks can know better."""
        self._refuse_unless_by_hand()
        self._refuse_unless_active("completed")
        if self.status is EcoStatus.OPEN:
            self.emit(WorkStarted, stamp)
        self.emit(EcoCompleted, stamp, closes_at=stamp.at + grace, by_hand=True)

    def reopen_by_hand(self, stamp: Stamp) -> None:
        """Say within the grace period that the work is not done after all."""
        self._refuse_unless_by_hand()
        if self.status is not EcoStatus.COMPLETED:
            raise InvalidTransition(f"An ECO that is {self.status} cannot be reopened.")
        self.emit(EcoReactivated, stamp)

    def _refuse_unless_by_hand(self) -> None:
        if not self.is_by_hand:
            raise InvalidTransition("Field tasks decide how far this ECO is; nobody else does.")

    def close(self, stamp: Stamp) -> None:
        """End the grace period. Refused before it is over: CLOSED is final."""
        if self.status is not EcoStatus.COMPLETED or self.closes_at is None:
            raise InvalidTransition(f"An ECO that is {self.status} cannot be closed.")
        if stamp.at < self.closes_at:
            raise InvalidTransition(f"The grace period lasts until {self.closes_at.isoformat()}.")
        self.emit(EcoClosed, stamp)

    def go_stale(self, ttl: timedelta, stamp: Stamp) -> None:
        """Say once that the field has been silent for `ttl`; the next change clears it."""
        silent = stamp.at - self.tasks_changed_at >= ttl
        if self.is_active and not self.stale and silent:
            self.emit(EcoWentStale, stamp, unchanged_since=self.tasks_changed_at)

    def _refuse_unless_active(self, done: str) -> None:
        if not self.is_active:
            raise InvalidTransition(f"An ECO that is {self.status} cannot be {done}.")

    def _refuse_if_ended(self, done: str) -> None:
        if self.status.is_final:
            raise InvalidTransition(f"An ECO that is {self.status} cannot be {done}.")


def checked_text(text: str, name: str) -> str:
    """Strip `text`; raise `Rejected` if nothing is left, or more than 4,000 characters."""
    text = text.strip()
    if not text:
        raise Rejected(f"{name.upper()}_EMPTY", f"Say in a few words what the {name} is.", (name,))
    if len(text) > MAX_TEXT:
        message = f"{len(text)} characters are too many; {MAX_TEXT} is the most."
        raise Rejected(f"{name.upper()}_TOO_LONG", message, (name,))
    if not is_storable(text):
        message = "Leave out the NUL character and broken half characters."
        raise Rejected(f"{name.upper()}_INVALID", message, (name,))
    return text


def is_storable(text: str) -> bool:
    """False for NUL, which PostgreSQL refuses, and lone surrogates, which UTF-8 cannot hold."""
    return _UNSTORABLE.search(text) is None
