"""What the domain's tests are given: a night with a callout, phones that can be told what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self, TypeVar, cast
from unittest.mock import patch
from uuid import UUID, uuid4

from eventsourcing.persistence import Mapper

from strike_domain import (
    Actor,
    CallOrder,
    Contact,
    Eco,
    EcoOrder,
    FieldTask,
    JobType,
    Language,
    Link,
    LinkStatus,
    PagerList,
    PagerRun,
    PagingPolicy,
    PaperTelephone,
    ProviderCall,
    ProviderCallState,
    RingAgain,
    Ringer,
    Role,
    Side,
    Stamp,
    StrikeInMemory,
    TaskSnapshot,
    TaskState,
    Unavailable,
    parse_location,
)
from strike_domain.eventsourced import Aggregate, JSONBytes, PydanticMapper, project
from strike_domain.memory import ManualClock, PaperCall
from strike_domain.pager_run import Briefing, Call, RunPlan
from strike_domain.ports import TextOrder
from strike_domain.technicians import Job, Standing
from strike_domain.voice import Speech

START = datetime(2026, 1, 15, 3, 0, tzinfo=UTC)
NOC, OSP, LIST = UUID(int=0xA0C), UUID(int=0x05B), UUID(int=0x115)
OPERATOR = Actor(name="nina@noc.example", tenant_id=NOC, side=Side.NOC, role=Role.OPERATOR)
DISPATCHER = Actor(name="dora@osp.example", tenant_id=OSP, side=Side.OSP, role=Role.OPERATOR)

ANA = Contact(name="Ana", phone="+13035550101")
BEN = Contact(name="Ben", phone="+13035550102")
CEM = Contact(name="Cem", phone="+13035550103", language=Language.SPANISH)

BOULDER = {"type": "Point", "coordinates": [-105.27, 40.01]}

TAggregate = TypeVar("TAggregate", bound=Aggregate)


class Killed(BaseException):
    """The worker died here."""


def at(seconds: float = 0) -> datetime:
    return START + timedelta(seconds=seconds)


def stamp(seconds: float = 0) -> Stamp:
    """What a command is stamped with, so many seconds after the start."""
    cause = uuid4()
    return Stamp(
        at=at(seconds), actor="test", tenant_id=None, correlation_id=cause, causation_id=cause
    )


def mapper() -> Mapper[UUID]:
    return PydanticMapper(JSONBytes())


def stored(events: Sequence[Any]) -> list[Any]:
    """The events as they come back from the log."""
    through = mapper()
    return [through.to_domain_event(through.to_stored_event(event)) for event in events]


def replayed(aggregate: TAggregate) -> TAggregate:
    """`aggregate` as it is after what happened to it was stored and read again."""
    return cast(TAggregate, project(None, stored(aggregate.collect_events())))


def new_eco(eco_id: UUID | None = None, **fields: Any) -> Eco:
    """An ECO that was created, and is not stored yet."""
    asked: dict[str, Any] = {
        "noc_id": NOC,
        "osp_id": OSP,
        "location": parse_location(BOULDER),
        "job_type": JobType.FNOL,
        "description": "A digger went through the cable.",
        "job_number": "26-0001",
    }
    return Eco.create(eco_id or uuid4(), stamp(), **asked | fields)


def given_eco(*happened: Callable[[Eco], object], **fields: Any) -> Eco:
    """An ECO to which `happened` has happened, loaded from its events."""
    eco = new_eco(**fields)
    for each in happened:
        each(eco)
    return replayed(eco)


def given_run(
    *happened: Callable[[PagerRun], object],
    contacts: Sequence[Contact] = (ANA, BEN),
    rounds: int = 1,
) -> PagerRun:
    """A pager run to which `happened` has happened, loaded from its events."""
    people = PagerList(id=LIST, osp_id=OSP, name="nights", contacts=tuple(contacts), rounds=rounds)
    run = PagerRun.start(
        uuid4(),
        stamp(),
        eco_id=uuid4(),
        noc_id=NOC,
        osp_id=OSP,
        plan=RunPlan.snapshot(people),
        briefing=Briefing(job_number="26-0001", job_type="FNOL", place="Boulder", description="x"),
    )
    for each in happened:
        each(run)
    return replayed(run)


def names(aggregate: Aggregate) -> list[str]:
    """What happened to the aggregate since it was loaded."""
    return [type(event).__name__ for event in aggregate.pending_events]


def tasks(*states: TaskState) -> TaskSnapshot:
    return TaskSnapshot.of(
        [FieldTask(id=f"t{n}", name=f"Task {n}", state=state) for n, state in enumerate(states, 1)]
    )


class Switchboard(PaperTelephone):
    """The paper telephone with a clock, a record of what was asked of it, and faults on demand.

    `faults` are used up one by one as calls are placed: an `Unavailable` is raised without a call
    being made; a pair of True and an error raises it after the call was made; None is no fault.
    `text_faults` are raised one by one instead of taking a text.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.faults: list[BaseException | tuple[bool, BaseException] | None] = []
        self.text_faults: list[BaseException] = []
        self.is_reachable = True
        self.asked: list[tuple[str, str]] = []
        self.orders: list[CallOrder] = []
        self.placed_at: dict[str, datetime] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.starts_as = ProviderCallState.RINGING

    def place(self, order: CallOrder) -> str:
        self._ask("place", order.to)
        self.orders.append(order)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, BaseException):
            raise fault
        sid = super().place(order)
        self.calls[-1].state = self.starts_as
        self.placed_at[sid] = self.clock.now()
        self._meanwhile("placed")
        if fault is not None:
            raise fault[1]
        return sid

    def send_text(self, order: TextOrder) -> str:
        self._ask("text", order.to)
        if self.text_faults:
            raise self.text_faults.pop(0)
        return super().send_text(order)

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        self._ask("find", to)
        listed = super().find(noc_id, to, since)
        self._meanwhile("found")
        return [one for one in listed if self.placed_at[one.sid] >= since]

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        self._reach()
        found = super().fetch(noc_id, sid)
        self._meanwhile("fetched")
        return found

    def end(self, noc_id: UUID, sid: str) -> None:
        self._ask("end", self._call(sid).order.to)
        super().end(noc_id, sid)
        self._meanwhile("ended")

    def _ask(self, what: str, to: str) -> None:
        self.asked.append((what, to))
        self._reach()

    def _reach(self) -> None:
        if not self.is_reachable:
            raise Unavailable("No route to the provider.")

    def _meanwhile(self, moment: str) -> None:
        """What others do just now; once."""
        happens = self.meanwhile.pop(moment, None)
        if happens:
            happens()

    def placed(self) -> list[str]:
        """The numbers for which a call really came to be, in order."""
        return [call.order.to for call in self.calls]

    def live(self) -> list[PaperCall]:
        return [call for call in self.calls if not call.state.is_final]


class Night:
    """One contractor with one list, and the callouts of one night."""

    def __init__(
        self,
        *contacts: Contact,
        policy: PagingPolicy = PagingPolicy.AUTOMATIC,
        rounds: int = 1,
        ring_again: RingAgain | None = None,
        texted: Sequence[Contact] = (),
        **strike: Any,
    ) -> None:
        self.clock = ManualClock(START)
        self.switchboard = Switchboard(self.clock)
        self.strike = StrikeInMemory(
            self.switchboard, clock=self.clock, texts=self.switchboard, **strike
        )
        link = Link(noc_id=NOC, osp_id=OSP, status=LinkStatus.ACTIVE, paging_policy=policy)
        people = contacts or (ANA, BEN)
        self.pager_list = PagerList(
            id=LIST,
            osp_id=OSP,
            name="nights",
            contacts=people,
            rounds=rounds,
            ring_again=ring_again,
            texted=frozenset(one.phone for one in texted),
        )
        self.strike.directory.add(link, self.pager_list)
        self.eco_id = UUID(int=0)

    def create(self, **order: Any) -> Self:
        """Create the callout, and let what is due happen."""
        self.order(**order)
        self.strike.settle()
        return self

    def order(self, **order: Any) -> UUID:
        """Create the callout only; nobody follows the log yet."""
        asked: dict[str, Any] = {
            "osp_id": OSP,
            "location": BOULDER,
            "job_type": "FNOL",
            "description": "A digger went through the cable.",
        }
        receipt = self.strike.callouts.create_eco(EcoOrder(**asked | order), OPERATOR)
        self.eco_id = receipt.aggregate.id
        return self.eco_id

    def cancel(self) -> Self:
        self.strike.callouts.cancel_eco(self.eco_id, "Signal is back.", OPERATOR)
        self.strike.settle()
        return self

    def dispatch(self, list_id: UUID | None = None) -> Self:
        self.strike.paging.dispatch(self.eco_id, OPERATOR, list_id)
        self.strike.settle()
        return self

    def after(self, seconds: float) -> Self:
        """Let time pass."""
        self.strike.advance(seconds)
        return self

    def phone(self, contact: Contact) -> Phone:
        return Phone(self, contact)

    def page(self, contact: Contact) -> LinkedPage:
        """What the newest text to somebody leads to."""
        texts = [one for one in self.switchboard.texts if one.to == contact.phone]
        assert texts, f"{contact.name} got no text."
        return LinkedPage(self, texts[-1])

    @contextmanager
    def claims_lost(self) -> Iterator[None]:
        """Meanwhile whoever works on a run finds, right before a call, that it has it no more."""
        ringer = self.strike.ringer
        with patch.object(ringer, "work_on", partial(ringer.work_on, is_held=lambda: False)):
            yield

    def another_worker(self) -> Ringer:
        return Ringer(self.strike.log, self.switchboard, self.clock, others=self.strike)

    @property
    def eco(self) -> Eco:
        return self.strike.log.eco(self.eco_id)

    def eco_is(self, **expected: object) -> None:
        """The ECO has these attributes now."""
        eco = self.eco
        assert {name: getattr(eco, name) for name in expected} == expected

    @property
    def run(self) -> PagerRun:
        return self.strike.run_of(self.eco_id)

    @property
    def calls(self) -> list[Call]:
        return list(self.run.calls.values())

    @property
    def outcomes(self) -> list[str]:
        """`Ana NO_ANSWER` and so on, for every call of the newest run."""
        return [f"{call.contact.name} {call.outcome}" for call in self.calls]

    def happened(self) -> list[str]:
        return [type(event).__name__ for _, event in self.strike.events()]


class LinkedPage:
    """The page behind the link in a text: `.accepts().is_theirs()`."""

    def __init__(self, night: Night, text: TextOrder) -> None:
        self._night = night
        self._technicians = night.strike.technicians
        run_id, number = text.body.rsplit("/", 2)[1:]
        self.noc_id, self.link = self._technicians.link(UUID(run_id), int(number))

    @property
    def job(self) -> Job:
        return self._technicians.job(self.link)

    def shows(self, standing: Standing) -> Self:
        assert self.job.standing is standing
        return self

    def accepts(self) -> Self:
        self._technicians.accept(self.link)
        return self._settled()

    def declines(self) -> Self:
        self._technicians.decline(self.link)
        return self._settled()

    def on_the_way(self) -> Self:
        self._technicians.on_my_way(self.link)
        return self._settled()

    def done(self) -> Self:
        self._technicians.done(self.link)
        return self._settled()

    def _settled(self) -> Self:
        self._night.strike.settle()
        return self


class Phone:
    """One person's phone, told as the call goes: `.rings().presses("1").hears("is yours")`."""

    def __init__(self, night: Night, contact: Contact, call: PaperCall | None = None) -> None:
        self._night = night
        self._contact = contact
        self._picked = call
        self._speech: Speech | None = None

    @property
    def call(self) -> PaperCall:
        if self._picked is None:
            to = self._contact.phone
            calls = [one for one in self._night.switchboard.calls if one.order.to == to]
            assert calls, f"{self._contact.name} was never rung."
            self._picked = calls[-1]
        return self._picked

    def is_silent(self) -> Self:
        """Nobody is ringing it, or ever hung on to it."""
        live = [one.order.to for one in self._night.switchboard.live()]
        assert self._contact.phone not in live
        return self

    def is_rung(self) -> Self:
        """The provider has a live call to it, reported or not."""
        assert not self.call.state.is_final, f"{self._contact.name} is not being rung."
        return self

    def rings(self) -> Self:
        """It rings, and the provider says so."""
        return self.is_rung()._becomes(ProviderCallState.RINGING)

    def answers(self, by: str | None = None) -> Self:
        """Somebody or something picks up, and the provider asks what to say."""
        self.call.state, self.call.answered_by = ProviderCallState.IN_PROGRESS, by
        self._speech = self._night.strike.paging.answered(self.call.report)
        return self._settled()

    def voicemail(self) -> Self:
        return self.answers("machine_end_beep")

    def presses(self, key: str) -> Self:
        if self.call.state is ProviderCallState.RINGING:
            self.answers()
        self._speech = self._night.strike.paging.key_pressed(self.call.report, key)
        if self._speech.gather is None and not self.call.state.is_final:
            self.call.state = ProviderCallState.COMPLETED
        return self._settled()

    def says_nothing(self) -> Self:
        return self.presses("")

    def is_busy(self) -> Self:
        return self._becomes(ProviderCallState.BUSY)

    def fails(self) -> Self:
        return self._becomes(ProviderCallState.FAILED)

    def does_not_answer(self) -> Self:
        """The provider gives up by itself."""
        return self._becomes(ProviderCallState.NO_ANSWER)

    def hangs_up(self) -> Self:
        return self._becomes(ProviderCallState.COMPLETED)

    def reports(self, state: ProviderCallState) -> Self:
        """A webhook, whatever the truth is by now."""
        report = self.call.report
        late = type(report)(report.run_id, report.call_id, report.sid, state, report.answered_by)
        self._night.strike.paging.reported(late)
        return self._settled()

    def hears(self, *words: str) -> Self:
        spoken = " ".join(self._speech.sentences) if self._speech else ""
        for word in words:
            assert word in spoken, f"{self._contact.name} heard: {spoken!r}"
        return self

    def is_asked_for_a_key(self) -> Self:
        assert self._speech and self._speech.gather is not None
        return self

    def is_dismissed(self) -> Self:
        """The call ends after what was said."""
        assert self._speech and self._speech.gather is None
        return self

    def _becomes(self, state: ProviderCallState) -> Self:
        self.call.state = state
        self._night.strike.paging.reported(self.call.report)
        return self._settled()

    def _settled(self) -> Self:
        self._night.strike.settle()
        return self
