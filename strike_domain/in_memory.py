"""All of Strike's domain in one object, in memory: for tests, for embedding, for learning.

Nothing runs by itself here. `settle` lets the process and the workers do what is due at the
present moment of the clock, `advance` goes on from one thing that is due to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from eventsourcing.persistence import Tracking

from strike_domain.callouts import Callouts
from strike_domain.eco import EcoCreated, EcoEvent
from strike_domain.errors import NotFound
from strike_domain.field_work import CrewDesk, Look, first_look
from strike_domain.log import StrikeLog
from strike_domain.memory import ManualClock, MemoryDirectory, PaperLinks, memory_env
from strike_domain.pager_process import PagerProcess
from strike_domain.pager_run import CallRequested, PagerRun, PagerRunStarted, RunEvent
from strike_domain.paging import Paging
from strike_domain.ports import FieldWork, Telephone, Texts
from strike_domain.ringer import Ringer
from strike_domain.routing import Router
from strike_domain.technicians import Technicians
from strike_domain.texter import Texter


class StrikeInMemory:
    """Log, commands, pager process and workers, on one clock that is moved by hand.

    Without `texts` nobody gets a text.
    """

    def __init__(
        self,
        telephone: Telephone,
        field_work: FieldWork | None = None,
        directory: MemoryDirectory | None = None,
        clock: ManualClock | None = None,
        texts: Texts | None = None,
    ) -> None:
        env = memory_env()
        self.clock = clock or ManualClock()
        self.directory = directory or MemoryDirectory()
        self.log = StrikeLog(env)
        router = Router(self.directory)
        self.process = PagerProcess(router, self.clock, env)
        self.callouts = Callouts(self.log, self.directory, self.clock)
        self.paging = Paging(self.log, router, self.directory, self.clock)
        self.technicians = Technicians(self.log, self.paging, self.directory, self.clock)
        texter = Texter(self.log, texts, PaperLinks(), self.clock) if texts else None
        self.ringer = Ringer(
            self.log, telephone, self.clock, others=self, router=router, texter=texter
        )
        self.desk = None
        if field_work is not None:
            self.desk = CrewDesk(self.log, field_work, self.clock, self.directory)
        self._runs: set[UUID] = set()
        self._looks: dict[UUID, Look] = {}

    def events(self, after: int = 0) -> list[tuple[int, object]]:
        """The whole log as (position, event), in order."""
        notifications = self.log.recorder.select_notifications(after + 1, 1_000_000)
        return [(one.id, self.log.mapper.to_domain_event(one)) for one in notifications]

    def runs_ringing(self, phone: str, since: datetime) -> Iterable[UUID]:
        """The runs that rang that number (`ringer.OtherCalls`)."""
        requests = [event for _, event in self.events() if isinstance(event, CallRequested)]
        return {one.originator_id for one in requests if one.contact.phone == phone}

    def run_of(self, eco_id: UUID) -> PagerRun:
        """The newest pager run of an ECO."""
        run_id = self.log.eco(eco_id).latest_run_id
        if run_id is None:
            raise NotFound("pager run")
        return self.log.run(run_id)

    def settle(self) -> None:
        """Until nothing more is due at this moment."""
        while self._follow() or self._work():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, doing on the way whatever falls due, at the moment it does."""
        end = self.clock.now() + timedelta(seconds=seconds)
        self.settle()
        while (due := self.next_due()) is not None and due <= end:
            self.clock.advance_to(due)
            self.settle()
        self.clock.advance_to(end)

    def next_due(self) -> datetime | None:
        """The next moment at which a run or a field task needs looking at."""
        runs = [self.log.run(run_id).due_at for run_id in self._runs]
        looks = [look.due_at for look in self._looks.values()] if self.desk else []
        return min((due for due in (*runs, *looks) if due is not None), default=None)

    def _follow(self) -> bool:
        last = self.process.recorder.max_tracking_id(self.log.name) or 0
        new = self.events(after=last)
        for position, event in new:
            self.process.process_event(event, Tracking(self.log.name, position))
            self._note(event)
        return bool(new)

    def _note(self, event: object) -> None:
        if isinstance(event, PagerRunStarted | RunEvent):
            self._runs.add(event.originator_id)
        elif isinstance(event, EcoEvent | EcoCreated):
            is_about_looks, due_at = first_look(event, self.log.eco(event.originator_id))
            if is_about_looks:
                self._looks[event.originator_id] = Look(due_at)

    def _work(self) -> bool:
        """Whether anything was due. What was due has then been done."""
        before = self.log.position()
        for run_id in sorted(self._runs):
            if self.ringer.work_on(run_id).due_at is None:
                self._runs.discard(run_id)
        for eco_id, look in self._looks.items():
            if self.desk and look.due_at is not None and look.due_at <= self.clock.now():
                self._looks[eco_id] = self.desk.look_after(eco_id, look)
        return self.log.position() > before
