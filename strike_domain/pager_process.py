"""The pager process: follows the log and answers some events with others, exactly once.

It reads the notification log and writes to the same one; what it writes and how far it has read
are one transaction (specification, section 8). It decides; it never rings anybody: side effects
are the ringer's, so that no replay can make a phone ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from eventsourcing.application import ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import IntegrityError, Tracking
from eventsourcing.projection import EventSourcedProjection
from eventsourcing.utils import EnvType, TopicError, resolve_topic

from strike_domain.actors import Actor, Stamp
from strike_domain.eco import (
    Eco,
    EcoCancelled,
    EcoCompleted,
    EcoCreated,
    PagingPolicy,
    PagingState,
    ResponderAssigned,
)
from strike_domain.eventsourced import DomainEvent, project
from strike_domain.log import LOG_ENV, LOG_NAME, MAX_ATTEMPTS
from strike_domain.pager_run import PagerRun, PagerRunExhausted
from strike_domain.ports import Clock
from strike_domain.routing import NoRoute, Router, start_run

PAGER = Actor.system("pager")

ANSWERED = frozenset(
    one.TOPIC
    for one in (EcoCreated, EcoCancelled, EcoCompleted, ResponderAssigned, PagerRunExhausted)
)
"""Topics of the events that the process may answer: those that its policy names below."""

Processing = ProcessingEvent[UUID]

MAX_POSITION = 2**63 - 1
"""After the end of every log."""


class PagerProcess(EventSourcedProjection[UUID]):
    """Starts, ends and reports pager runs, as ECO and run events call for it."""

    name = LOG_NAME
    env: ClassVar[dict[str, str]] = LOG_ENV
    topics: Sequence[str] = ()

    def __init__(self, router: Router, clock: Clock, env: EnvType | None = None) -> None:
        super().__init__(env)
        self._router = self._routing = router
        self._clock = clock
        self._ahead: dict[UUID, Eco] = {}
        """ECOs that were read together, to be answered now."""

    @staticmethod
    def may_answer(topic: str) -> bool:
        """Whether the process may answer such an event. One that this version does not know may be
        one that a newer version answers: it is not passed over."""
        try:
            resolve_topic(topic)
        except TopicError:
            return True
        return topic in ANSWERED

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """As the library does; but a command that was faster is no reason to stop.

        Raises `IntegrityError` only when another process has already done this event.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                self.process_events([domain_event], tracking)
                return
            except IntegrityError:
                done = self.recorder.has_tracking_id(
                    tracking.application_name, tracking.notification_id
                )
                if done or attempt == MAX_ATTEMPTS - 1:
                    raise

    def process_events(self, events: Sequence[Any], tracking: Tracking) -> None:
        """Answer events of different ECOs in one transaction, up to the position of `tracking`.

        No two of one ECO: what the first is answered with could not be seen for the second. Raises
        `IntegrityError`, and stores nothing, if a command was faster with one of them, or another
        process has done them already.
        """
        processing = Processing(tracking=tracking)
        self._ahead = self._read_ahead(events) if len(events) > 1 else {}
        self._routing = self._router.reading_once(
            [(eco.osp_id, eco.location) for eco in self._ahead.values() if _is_to_be_paged(eco)]
        )
        for one in events:
            self.policy(one, processing)
        recordings = self._record(processing)
        self._take_snapshots(processing)
        self.notify(processing.events)
        self._notify(recordings)

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: Processing) -> None:
        """Most events ask nothing of the pager."""

    @policy.register
    def _(self, event: EcoCreated, processing_event: Processing) -> None:
        eco = self._eco(event.originator_id)
        if not _is_to_be_paged(eco):
            return
        route = self._routing.route(eco.osp_id, eco.location)
        if isinstance(route, NoRoute):
            eco.report_unroutable(route.reason, self._because(event))
            processing_event.collect_events(eco)
        else:
            processing_event.collect_events(
                start_run(eco, route.plan, route.reason, self._because(event)), eco
            )

    @policy.register
    def _(self, event: PagerRunExhausted, processing_event: Processing) -> None:
        eco = self._eco(event.eco_id)
        eco.exhaust_paging(event.originator_id, event.calls, self._because(event))
        processing_event.collect_events(eco)

    @policy.register
    def _(self, event: EcoCancelled, processing_event: Processing) -> None:
        self._cancel_run(event, "The ECO was cancelled.", processing_event)

    @policy.register
    def _(self, event: EcoCompleted, processing_event: Processing) -> None:
        self._cancel_run(event, "The work is done.", processing_event)

    @policy.register
    def _(self, event: ResponderAssigned, processing_event: Processing) -> None:
        # An acceptance may come from an earlier run while a later one is still ringing.
        reason = f"{event.responder.name} accepted."
        self._cancel_run(event, reason, processing_event, accepted=event.responder.run_id)

    def _cancel_run(
        self,
        event: DomainEvent,
        reason: str,
        processing_event: Processing,
        accepted: UUID | None = None,
    ) -> None:
        # As it was then: a run that was dispatched since is wanted.
        run_id = self._eco(event.originator_id, event.originator_version).latest_run_id
        if run_id is not None and run_id != accepted:
            run: PagerRun = self.repository.get(run_id, projector_func=project)
            run.cancel(reason, self._because(event))
            processing_event.collect_events(run)

    def _eco(self, eco_id: UUID, version: int | None = None) -> Eco:
        if version is None and eco_id in self._ahead:
            return self._ahead.pop(eco_id)
        eco: Eco = self.repository.get(eco_id, version=version, projector_func=project)
        return eco

    def _read_ahead(self, events: Sequence[Any]) -> dict[UUID, Eco]:
        """Those that have been created, in one question; none where that cannot be asked."""
        select = getattr(self.recorder, "select_streams", None)
        ids = [one.originator_id for one in events if isinstance(one, EcoCreated)]
        if select is None or not ids:
            return {}
        found: dict[UUID, Any] = {}
        for stored in select(ids, MAX_POSITION):
            event: Any = self.mapper.to_domain_event(stored)
            found[stored.originator_id] = event.mutate(found.get(stored.originator_id))
        return found

    def _because(self, event: DomainEvent) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=PAGER.name,
            tenant_id=None,
            correlation_id=event.correlation_id,
            causation_id=event.event_id,
        )


def _is_to_be_paged(eco: Eco) -> bool:
    is_wanted = eco.paging_policy is PagingPolicy.AUTOMATIC and eco.is_active
    return is_wanted and eco.paging_state is PagingState.NOT_STARTED
