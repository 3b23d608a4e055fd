"""Strike against every order of webhooks, keys, clocks, commands, faults and deaths.

The telephone here is a simulated provider: it knows the truth about its calls, and what Strike
gets to hear of it is late, doubled, shuffled or lost. In CI the machine takes a few seconds; to
let it search, run it with the number of examples as `STRIKE_MACHINE_EXAMPLES=5000`.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from strike_domain import (
    CallOrder,
    CallReport,
    CallState,
    Contact,
    Eco,
    EcoStatus,
    InvalidTransition,
    OutcomeUnknown,
    PagerRun,
    PagingState,
    ProviderCallState,
    RingAgain,
    Ringer,
    RunState,
    TaskState,
    TextOrder,
    Unavailable,
)
from strike_domain.eco import EcoCancelled, PagerDispatched, ResponderAssigned
from strike_domain.eventsourced import project
from strike_domain.memory import ManualClock, PaperCall, PaperLinks
from strike_domain.pager_run import (
    MAX_PLACEMENTS,
    CallPlaced,
    CallRequested,
    CallRetried,
    ListRungAgain,
    PagerRunStarted,
    SecondCallFound,
    SecondState,
)
from strike_domain.technicians import Standing
from strike_domain.texter import Texter, link_of
from tests.unit.given import ANA, BEN, OPERATOR, Killed, Night, Switchboard, stamp, tasks

EXAMPLES = int(os.environ.get("STRIKE_MACHINE_EXAMPLES", "0"))

TWIN = Contact(name="Ana's twin", phone=ANA.phone)

LONGEST_WAIT = timedelta(seconds=120)
"""No deadline of a run is further away than this."""

Fault = str


class Provider(Switchboard):
    """Does what it is told to do wrong next, once; writes down what it tells and was asked."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.wrong: dict[str, Fault] = {}
        self.letters: list[CallReport] = []
        self.attempts: dict[UUID, list[str]] = defaultdict(list)
        self.numbers: dict[UUID, str] = {}
        self.asked_about: Counter[tuple[UUID, int]] = Counter()
        self.on_the_way: list[tuple[CallOrder, int]] = []
        self.came_late: set[UUID] = set()
        self.was_unreachable = False
        self.is_known: Callable[[str], bool] = lambda sid: True
        self.strays: set[str] = set()
        self.picked_up: list[PaperCall] = []
        self.while_placing: Callable[[], object] | None = None
        self.texted: set[UUID] = set()

    def send_text(self, order: TextOrder) -> str:
        assert order.call_id not in self.texted, "Two texts for one call."
        assert order.call_id in self.attempts, "A text before its call."
        self.texted.add(order.call_id)
        fault = self.wrong.pop("text", "")
        if fault == "refused" or not self.is_reachable:
            raise Unavailable("503")
        if fault == "forbidden":
            raise Unavailable("21614", can_retry=False)
        if fault == "lost before":
            raise OutcomeUnknown("The request got lost.")
        if fault == "killed before":
            raise Killed
        sid = super().send_text(order)
        if fault == "lost after":
            raise OutcomeUnknown("The answer got lost.")
        if fault == "killed after":
            raise Killed
        return sid

    def place(self, order: CallOrder) -> str:
        self._may_be_placed(order)
        attempts = self.attempts[order.call_id]
        attempts.append("unknown")
        self.numbers[order.call_id] = order.to
        number = len(attempts) - 1
        self._delay()
        fault = self.wrong.pop("place", "")
        if fault == "refused" or not self.is_reachable:
            attempts[number] = "refused"
            raise Unavailable("503")
        if fault == "forbidden":
            attempts[number] = "refused"
            raise Unavailable("21211", can_retry=False)
        if fault == "lost before":
            raise OutcomeUnknown("The request got lost.")
        if fault == "late":
            self.on_the_way.append((order, len(attempts)))
            raise OutcomeUnknown("No answer in time.")
        if fault == "killed before":
            raise Killed
        sid = self._really_place(order)
        if fault == "lost after":
            raise OutcomeUnknown("The answer got lost.")
        if fault == "killed after":
            raise Killed
        attempts[number] = "placed"
        return sid

    def _may_be_placed(self, order: CallOrder) -> None:
        """A call is placed again only after a sure refusal, or after asking twice."""
        earlier = self.attempts[order.call_id]
        was_asked = self.asked_about[order.call_id, len(earlier)] >= 2
        assert not earlier or earlier[-1] == "refused" or was_asked, "Placed twice without asking."
        assert order.call_id not in self.came_late, "Placed although the provider has it."

    def get_through(self) -> None:
        """A request arrives that was thought lost, before it was asked for a second time."""
        order, attempt = self.on_the_way.pop(0)
        if self.is_reachable and self.asked_about[order.call_id, attempt] < 2:
            self.came_late.add(order.call_id)
            self._really_place(order)

    def _delay(self) -> None:
        delay, self.while_placing = self.while_placing, None
        if delay:
            delay()

    def _really_place(self, order: CallOrder) -> str:
        self.starts_as = ProviderCallState.QUEUED
        return super().place(order)

    def find(self, noc_id: UUID, to: str, since: Any) -> Any:
        self._fail_or_die("find")
        found = super().find(noc_id, to, since)
        for call_id, attempts in self.attempts.items():
            if to != self.numbers.get(call_id):
                continue
            self.asked_about[call_id, len(attempts)] += 1
        return found

    def fetch(self, noc_id: UUID, sid: str) -> Any:
        self._fail_or_die("fetch")
        return super().fetch(noc_id, sid)

    def end(self, noc_id: UUID, sid: str) -> None:
        # A worker that dies here, with a call that only it knows, leaves that one ringing. That
        # is a nuisance, and no more: a key pressed in it counts, if it still can.
        if self.wrong.get("end") == "killed before" and not self.is_known(sid):
            self.strays.add(sid)
        fault = self._fail_or_die("end")
        super().end(noc_id, sid)
        self.letters.append(self._call(sid).report)
        if fault == "killed after":
            raise Killed

    def _fail_or_die(self, what: str) -> Fault:
        fault = self.wrong.pop(what, "")
        if fault == "refused":
            self.was_unreachable = True
            raise Unavailable("503")
        if fault == "killed before":
            raise Killed
        return fault

    def _reach(self) -> None:
        self.was_unreachable |= not self.is_reachable
        super()._reach()

    def goes_on(self, call: PaperCall, state: ProviderCallState, by: str | None) -> None:
        call.state, call.answered_by = state, by or call.answered_by
        if state is ProviderCallState.IN_PROGRESS:
            self.picked_up.append(call)
        self.letters.append(call.report)


LIVE = (ProviderCallState.QUEUED, ProviderCallState.RINGING, ProviderCallState.IN_PROGRESS)

NEXT = {
    ProviderCallState.QUEUED: (
        ProviderCallState.RINGING,
        ProviderCallState.IN_PROGRESS,
        ProviderCallState.FAILED,
    ),
    ProviderCallState.RINGING: (
        ProviderCallState.IN_PROGRESS,
        ProviderCallState.BUSY,
        ProviderCallState.NO_ANSWER,
    ),
    ProviderCallState.IN_PROGRESS: (ProviderCallState.COMPLETED,),
}

any_number = st.integers(0, 1_000)


class StrikeMachine(RuleBasedStateMachine):
    """What can happen in a bad night, in any order."""

    def __init__(self) -> None:
        super().__init__()
        again = RingAgain(after_minutes=2, times=2)
        self.night = Night(ANA, TWIN, BEN, ring_again=again, texted=[ANA, BEN])
        self.provider = Provider(self.night.clock)
        self.night.switchboard = self.provider
        self.strike = self.night.strike
        self.provider.is_known = self._is_known
        self.ecos: list[UUID] = []
        self.runs: dict[UUID, UUID] = {}
        self.mirror: dict[UUID, Any] = {}
        self.seen = 0
        self.next_save = ""
        self._save = self.strike.log.save
        self.strike.log.save = self._save_with_trouble  # type: ignore[method-assign]
        self._ids = count(1)
        self.strike.callouts._new_id = self.strike.paging._new_id = self._new_id
        self.strike.ringer = self._new_worker()

    def _is_known(self, sid: str) -> bool:
        told = CallPlaced | SecondCallFound
        return any(isinstance(e, told) and e.sid == sid for _, e in self.strike.events())

    def _new_id(self) -> UUID:
        """The same story always has the same ids; hypothesis asks for that."""
        return UUID(int=next(self._ids))

    def _new_worker(self) -> Ringer:
        log, clock = self.strike.log, self.night.clock
        texter = Texter(log, self.provider, PaperLinks(), clock, new_id=self._new_id)
        return Ringer(log, self.provider, clock, self.strike, self._new_id, texter=texter)

    def _save_with_trouble(self, *aggregates: Any, **kwargs: Any) -> Any:
        trouble, self.next_save = self.next_save, ""
        if trouble == "somebody is faster" and self.provider.letters:
            self._deliver(self.provider.letters.pop())
        recordings = self._save(*aggregates, **kwargs)
        if trouble == "the answer is lost":
            # What the library's own second try then meets.
            raise IntegrityError("duplicate key")
        return recordings

    def _eco(self, which: int) -> Eco:
        return self.strike.log.eco(self.ecos[which % len(self.ecos)])

    def _eco_of(self, run_id: UUID) -> Eco:
        return self.strike.log.eco(self.strike.log.run(run_id).eco_id)

    # Commands --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.ecos) < 2)
    @rule()
    def create(self) -> None:
        self.ecos.append(self.night.order())

    @precondition(lambda self: self.ecos)
    @rule(which=any_number)
    def cancel(self, which: int) -> None:
        eco = self._eco(which)
        try:
            self.strike.callouts.cancel_eco(eco.id, "Signal is back.", OPERATOR)
        except InvalidTransition:
            assert eco.status in (EcoStatus.CANCELLED, EcoStatus.COMPLETED)

    @precondition(lambda self: self.ecos)
    @rule(which=any_number)
    def dispatch(self, which: int) -> None:
        eco = self._eco(which)
        try:
            self.strike.paging.dispatch(eco.id, OPERATOR)
        except InvalidTransition:
            assert eco.paging_state is PagingState.RUNNING or not eco.is_active

    @precondition(lambda self: any(self._eco(n).offers for n in range(len(self.ecos))))
    @rule(which=any_number, offer=any_number)
    def take_up_offer(self, which: int, offer: int) -> None:
        eco = self._eco(which)
        if not eco.offers:
            return
        chosen = eco.offers[offer % len(eco.offers)]
        try:
            self.strike.paging.take_up_offer(eco.id, chosen.call_id, OPERATOR)
        except InvalidTransition:
            assert eco.paging_state is PagingState.RUNNING or not eco.is_active
        else:
            run = self.strike.run_of(eco.id)
            assert [one.name for one in run.plan.contacts] == [chosen.name]

    @precondition(lambda self: self.ecos)
    @rule(which=any_number, done=st.booleans())
    def field_reports(self, which: int, done: bool) -> None:
        snapshot = tasks(TaskState.COMPLETED if done else TaskState.RELEASED)
        self.strike.log.change_eco(
            self._eco(which).id, lambda eco: eco.record_tasks(snapshot, timedelta(1), stamp())
        )

    # Strike's own processes ------------------------------------------------------------------

    @rule()
    def follow(self) -> None:
        self.strike._follow()

    @precondition(lambda self: self.runs)
    @rule(which=any_number)
    def work(self, which: int) -> None:
        self._work_on(list(self.runs)[which % len(self.runs)])

    @precondition(lambda self: self.runs)
    @rule(which=any_number, seconds=st.sampled_from([1, 10, 50]), follows=st.booleans())
    def work_slowly(self, which: int, seconds: float, follows: bool) -> None:
        """The provider takes its time, and another worker takes over meanwhile."""
        run_id = list(self.runs)[which % len(self.runs)]

        def meanwhile() -> None:
            self.night.clock.advance(seconds)
            if follows:
                self.strike._follow()
            self._new_worker().work_on(run_id)

        self.provider.while_placing = meanwhile
        self._work_on(run_id)
        self.provider.while_placing = None

    @precondition(lambda self: self.runs)
    @rule(which=any_number)
    def work_without_a_claim(self, which: int) -> None:
        """The run is lost right before a call."""
        self._work_on(list(self.runs)[which % len(self.runs)], lambda: False)

    def _work_on(self, run_id: UUID, is_held: Callable[[], bool] = lambda: True) -> None:
        try:
            self.strike.ringer.work_on(run_id, is_held)
        except Killed:
            self.strike.ringer = self._new_worker()

    @rule(seconds=st.sampled_from([1, 5, 10, 30, 40, 60, 125]))
    def time_passes(self, seconds: float) -> None:
        self.night.clock.advance(seconds)

    # The provider ----------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(["place", "find", "fetch", "end", "text"]),
        fault=st.sampled_from(
            [
                "refused",
                "forbidden",
                "late",
                "lost before",
                "lost after",
                "killed before",
                "killed after",
            ]
        ),
    )
    def goes_wrong_next(self, what: str, fault: Fault) -> None:
        self.provider.wrong[what] = fault

    @rule(trouble=st.sampled_from(["somebody is faster", "the answer is lost"]))
    def the_store_has_trouble_next(self, trouble: str) -> None:
        self.next_save = trouble

    @rule(reachable=st.booleans())
    def network(self, reachable: bool) -> None:
        self.provider.is_reachable = reachable

    @precondition(lambda self: self.provider.on_the_way)
    @rule()
    def a_request_gets_through_late(self) -> None:
        self.provider.get_through()

    @precondition(lambda self: self.provider.live())
    @rule(which=any_number, how=any_number, by=st.sampled_from([None, "human", "machine_start"]))
    def call_goes_on(self, which: int, how: int, by: str | None) -> None:
        live = self.provider.live()
        call = live[which % len(live)]
        choices = NEXT[call.state]
        self.provider.goes_on(call, choices[how % len(choices)], by)

    @precondition(lambda self: self.provider.letters)
    @rule(which=any_number, again=st.booleans())
    def webhook_comes(self, which: int, again: bool) -> None:
        letters = self.provider.letters
        index = which % len(letters)
        self._deliver(letters[index] if again else letters.pop(index))

    def _deliver(self, report: CallReport) -> None:
        if report.state is ProviderCallState.IN_PROGRESS:
            self.strike.paging.answered(report)
        self.strike.paging.reported(report)

    @precondition(lambda self: self.provider.letters)
    @rule(which=any_number)
    def webhook_is_lost(self, which: int) -> None:
        self.provider.letters.pop(which % len(self.provider.letters))

    @precondition(lambda self: self.provider.picked_up)
    @rule(which=any_number, key=st.sampled_from(["1", "1", "2", "3", "4", "9", "", "5"]))
    def key_is_pressed(self, which: int, key: str) -> None:
        """Somebody who picked up presses a key; it may take long to arrive."""
        picked_up = self.provider.picked_up
        call = picked_up[which % len(picked_up)]
        before = self._eco_of(call.order.run_id)
        speech = self.strike.paging.key_pressed(call.report, key)
        if speech.gather is None and not call.state.is_final:
            self.provider.goes_on(call, ProviderCallState.COMPLETED, None)
        run = self.strike.log.run(call.order.run_id)
        if key == "1" and before.needs_responder:
            assert run.accepted_by is not None, "A key was pressed, and nobody has it."
        if (
            key == "4"
            and before.needs_responder
            and run.state
            in (
                RunState.RUNNING,
                RunState.EXHAUSTED,
            )
        ):
            offers = self._eco_of(run.id).offers
            assert any(one.call_id == call.order.call_id for one in offers), "An offer was lost."

    @precondition(lambda self: self.provider.texts)
    @rule(which=any_number, word=st.sampled_from(["accept", "accept", "decline", "way", "done"]))
    def link_is_followed(self, which: int, word: str) -> None:
        """Somebody who got a text answers by its link, whenever that may be."""
        texts = self.provider.texts
        order = texts[which % len(texts)]
        run = self.strike.log.run(order.run_id)
        link = link_of(run, run.call(order.call_id))
        holders = self.strike.technicians
        before = holders.job(link)
        say = {
            "accept": holders.accept,
            "decline": holders.decline,
            "way": holders.on_my_way,
            "done": holders.done,
        }
        try:
            say[word](link)
        except InvalidTransition:
            assert word in ("way", "done") and before.standing is not Standing.YOURS
            return
        after = holders.job(link)
        if word == "accept" and before.standing.can_accept:
            assert after.standing in (Standing.YOURS, Standing.TAKEN)
        if before.standing in (Standing.YOURS, Standing.DONE) and word != "done":
            assert after.standing is before.standing, "What was theirs was taken away."

    # What is always so -----------------------------------------------------------------------

    @invariant()
    def one_acceptance_and_nobody_rung_after_it(self) -> None:
        for position, event in self.strike.events(self.seen):
            self.seen = position
            previous = self.mirror.get(event.originator_id)  # type: ignore[attr-defined]
            self._check(event, previous)
            after = event.mutate(previous)  # type: ignore[attr-defined]
            self.mirror[event.originator_id] = after  # type: ignore[attr-defined]

    def _check(self, event: object, previous: Any) -> None:
        match event:
            case PagerRunStarted():
                self.runs[event.originator_id] = event.eco_id
            case CallPlaced() | SecondCallFound():
                order = self.provider._call(event.sid).order
                assert (order.run_id, order.call_id) == (event.originator_id, event.call_id)
            case ResponderAssigned():
                assert previous.responder is None, "Two have accepted."
            case PagerDispatched():
                assert previous.paging_state is not PagingState.RUNNING
            case ListRungAgain():
                assert previous.state is RunState.EXHAUSTED
            case CallRequested() | CallRetried():
                eco: Eco = self.mirror[self.runs[event.originator_id]]
                assert eco.responder is None, "Somebody was rung after the acceptance."
                assert eco.is_active, "Somebody was rung for an ECO that has ended."
            case EcoCancelled():
                assert previous.is_active
            case _:
                pass

    @invariant()
    def every_running_run_has_a_deadline_and_one_live_call_at_most(self) -> None:
        now = self.night.clock.now()
        for run in map(self.strike.log.run, self.runs):
            assert sum(call.is_live for call in run.calls.values()) <= 1
            if run.state is RunState.RUNNING or run.live_call or run.left_up or run.second_due:
                assert run.due_at is not None
                assert run.due_at <= now + LONGEST_WAIT
                assert (run.due_step(now) is None) == (run.due_at > now)
            elif run.due_at is not None:
                assert run.state is RunState.EXHAUSTED
                assert run.plan.ring_again is not None and run.plan.ring_again.times > 0

    @invariant()
    def what_went_out_to_the_provider_is_counted(self) -> None:
        for run in map(self.strike.log.run, self.runs):
            for call in run.calls.values():
                assert len(self.provider.attempts[call.id]) <= call.placements <= MAX_PLACEMENTS

    @rule()
    def settles(self) -> None:
        """Everybody catches up, with nothing going wrong: then ECO and runs agree."""
        self.provider.wrong.clear()
        self.next_save = ""
        self.strike.settle()
        self._check_agreement()

    def _check_agreement(self) -> None:
        for eco in map(self.strike.log.eco, self.ecos):
            for run_id in eco.runs[:-1]:
                assert self.strike.log.run(run_id).state is not RunState.RUNNING
            if eco.runs:
                self._agree(eco, self.strike.log.run(eco.runs[-1]))

    def _agree(self, eco: Eco, run: PagerRun) -> None:
        agreeing = {
            PagingState.RUNNING: {RunState.RUNNING},
            PagingState.EXHAUSTED: {RunState.EXHAUSTED},
            # Whoever accepted may have done so in an earlier run.
            PagingState.ACCEPTED: {RunState.ACCEPTED, RunState.CANCELLED, RunState.EXHAUSTED},
            PagingState.CANCELLED: {RunState.CANCELLED, RunState.EXHAUSTED},
        }
        assert run.state in agreeing[eco.paging_state], (eco.paging_state, run.state)
        if eco.paging_state is PagingState.ACCEPTED:
            assert eco.responder is not None
            accepted = self.strike.log.run(eco.responder.run_id)
            assert accepted.state is RunState.ACCEPTED
            assert accepted.accepted_by is not None
            assert accepted.call(eco.responder.call_id).contact.name == eco.responder.name

    def teardown(self) -> None:
        """With a healthy provider and enough time every run ends, and the log tells it all."""
        self.provider.wrong.clear()
        self.provider.is_reachable = True
        self.next_save = ""
        self.strike.settle()
        self.strike.advance(3_600)
        self.one_acceptance_and_nobody_rung_after_it()
        self.every_running_run_has_a_deadline_and_one_live_call_at_most()
        self._check_agreement()
        for run in map(self.strike.log.run, self.runs):
            assert run.state is not RunState.RUNNING
            assert run.left_up is None, "A phone was left ringing."
            assert run.second_due is None, "A second phone was left to ring."
            assert all(call.state is CallState.ENDED for call in run.calls.values())
            self._check_provider_has_hung_up(run)
        for originator_id, mirrored in self.mirror.items():
            events = self.strike.log.events.get(originator_id)
            assert project(None, events) == mirrored

    def _check_provider_has_hung_up(self, run: PagerRun) -> None:
        if self.provider.was_unreachable:
            return
        known = {call.sid for call in run.calls.values() if call.outcome != "ACCEPTED"}
        for one in run.calls.values():
            known |= {two.sid for two in one.seconds if two.state is SecondState.ENDED}
        known -= self.provider.strays
        for call in self.provider.calls:
            assert call.sid not in known or call.state.is_final, "It still rings."


TestStrike = StrikeMachine.TestCase
TestStrike.settings = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=60 if EXAMPLES else 40,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
