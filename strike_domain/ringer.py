"""The side effects of paging: whatever a run has due, done through the `Telephone`.

A deadline worker calls `work_on` for each run whose time has come. It can be killed at any point:
the intent is stored before the provider is asked for a call, and what became of an intent that
nobody finished is asked for, never guessed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError

from strike_domain.actors import Actor, Stamp
from strike_domain.eco import Eco, PagingState
from strike_domain.errors import InvalidTransition, OutcomeUnknown, Unavailable
from strike_domain.log import StrikeLog
from strike_domain.pager_run import (
    LOOK_AGAIN_AFTER,
    RESOLVE_AFTER,
    Call,
    CallOutcome,
    CallState,
    EndSecond,
    HangUp,
    PagerRun,
    PlaceAgain,
    PlaceNext,
    ReadBack,
    ResolveUnknown,
    RingListAgain,
    RunState,
    Step,
    TakeDown,
)
from strike_domain.paging import come_to, take_state, unanswered
from strike_domain.ports import CallOrder, Clock, ProviderCall, ProviderCallState, Telephone
from strike_domain.routing import Router, start_run
from strike_domain.texter import Texter

RINGER = Actor.system("ringer")

CLOCK_SKEW = timedelta(seconds=5)
"""How far the provider's clock may be behind ours when we ask for calls since a moment."""

MOST_KEPT = 5_000
"""How many runs, and as many ECOs, one ringer keeps in memory."""

OTHERS_WITHIN = timedelta(hours=6)
"""How long before a call others may have been requested that the provider got only now. All of one
call's attempts take two minutes, but for as long as nobody works at all."""

ARRIVES_WITHIN = RESOLVE_AFTER + LOOK_AGAIN_AFTER
"""How long after an attempt the provider may get it: then it is taken for lost, and made again."""

NO_SUCH_CALL = "The provider has no such call"
ANSWERED = "Somebody had answered it."
DOUBTFUL = "The provider has a call to that number which may be another run's."

RINGING_STEPS = (PlaceNext, PlaceAgain, ResolveUnknown)
"""What may make a phone ring."""

MAX_STEPS = 100
"""A guard: one visit to a run never does more than this."""


Done = tuple[PagerRun, Call | None]
"""A run after a step, and a call of it whose intent was stored and that is to be placed."""


def _alone() -> bool:
    return True


class OtherCalls(Protocol):
    """Who else rings a number: what the provider has for it may be theirs.

    A provider says of a call which number it rings, and not for which run.
    """

    def runs_ringing(self, phone: str, since: datetime) -> Iterable[UUID]:
        """The runs that asked for a call to that number since then; any others do no harm.

        All that was stored before the question counts: a read model that lags behind is not enough.
        """


class NoOtherCalls:
    """For an embedder with one run at a time."""

    def runs_ringing(self, phone: str, since: datetime) -> Iterable[UUID]:
        return ()


class Kept:
    """The aggregates worked on last: of them only what is new has to be read.

    A run is taken out while it is worked on, so that no two threads change one object, and is not
    put back once it is over.
    """

    def __init__(self, log: StrikeLog, most: int = MOST_KEPT) -> None:
        self._log = log
        self._most = most
        self._runs: OrderedDict[UUID, PagerRun] = OrderedDict()
        self._ecos: OrderedDict[UUID, Eco] = OrderedDict()
        self._lock = Lock()

    def newest(self, run_id: UUID) -> PagerRun:
        """The run as it is now. Raises `NotFound`."""
        with self._lock:
            run = self._runs.pop(run_id, None)
        return self._log.run(run_id) if run is None else self._log.caught_up(run)

    def keep(self, run: PagerRun) -> None:
        """For the next time, if there will be one."""
        with self._lock:
            if run.due_at is None or run.pending_events:
                self._ecos.pop(run.eco_id, None)
                return
            self._runs[run.id] = run
            while len(self._runs) > self._most:
                self._runs.popitem(last=False)

    def eco(self, eco_id: UUID) -> Eco:
        """The ECO as it is now. Raises `NotFound`."""
        with self._lock:
            eco = self._ecos.pop(eco_id, None)
        eco = self._log.eco(eco_id) if eco is None else self._log.caught_up(eco)
        with self._lock:
            self._ecos[eco_id] = eco
            while len(self._ecos) > self._most:
                self._ecos.popitem(last=False)
        return eco


class Ringer:
    """Does what runs have due.

    A list that is rung again is rung as it is by then; without a `router`, as it was. Without a
    `texter` nobody gets a text.
    """

    def __init__(
        self,
        log: StrikeLog,
        telephone: Telephone,
        clock: Clock,
        others: OtherCalls | None = None,
        new_id: Callable[[], UUID] = uuid4,
        router: Router | None = None,
        texter: Texter | None = None,
    ) -> None:
        self.log = log
        self._texter = texter
        self._router = router
        self._telephone = telephone
        self._clock = clock
        self._others = others or NoOtherCalls()
        self._kept = Kept(log)
        self._new_id = new_id

    def work_on(self, run_id: UUID, is_held: Callable[[], bool] = _alone) -> PagerRun:
        """Do everything the run has due now; return it, with `due_at` saying when to come back.

        Whoever else works on it at the same time is noticed by the store, and then left to it. A
        request to the provider is noticed by nobody: `is_held` is asked right before one that makes
        a phone ring, whether the run is ours alone for as long as that may take.
        """
        run = self._kept.newest(run_id)
        for _ in range(MAX_STEPS):
            step = run.due_step(self._clock.now())
            if step is None:
                break
            try:
                if isinstance(step, RINGING_STEPS) and not self._is_wanted(run):
                    run = self._no_longer_wanted(run)
                else:
                    run, intent = self._do(run, step)
                    if intent is not None:
                        run = self._place(run, intent, is_held)
            except (IntegrityError, InvalidTransition):
                run = self.log.run(run_id)
        if self._texter is not None:
            self._texter.look_at(run)
        self._kept.keep(run)
        return run

    def _is_wanted(self, run: PagerRun) -> bool:
        """Ask the ECO itself: a process that lags behind must not let people be rung."""
        if run.state is not RunState.RUNNING:
            return True
        eco = self._kept.eco(run.eco_id)
        return eco.paging_state is PagingState.RUNNING and eco.latest_run_id == run.id

    def _no_longer_wanted(self, run: PagerRun) -> PagerRun:
        run.cancel("The ECO no longer needs it.", self._stamp(run))
        self.log.store(run)
        return run

    def _do(self, run: PagerRun, step: Step) -> Done:
        match step:
            case PlaceNext():
                call = run.request_call(self._stamp(run))
                self.log.store(run)
                return run, call
            case PlaceAgain(call):
                return self._again(run, call, "It was refused for a passing reason.")
            case ResolveUnknown(call):
                return self._resolve(run, call)
            case ReadBack(call):
                return self._read_back(run, call)
            case HangUp(call):
                return self._hang_up(run, call), None
            case TakeDown(call):
                return self._take_down(run, call), None
            case EndSecond(call, sid):
                return self._end_second(run, call, sid), None
            case RingListAgain():
                return self._ring_list_again(run), None

    def _place(self, run: PagerRun, call: Call, is_held: Callable[[], bool]) -> PagerRun:
        attempt = call.attempt
        if not is_held():
            # To store the intent took so long that somebody else may have the run by now. Its
            # deadline brings it back, as for an outcome that is not known.
            return self._record(run, lambda r, s: r.give_up_placement(call.id, attempt, s))
        order = CallOrder(run.noc_id, run.id, call.id, call.contact.phone, run.plan.answer_seconds)
        try:
            sid = self._telephone.place(order)
        except OutcomeUnknown:
            return run  # Its deadline brings the run back here, to ask what became of it.
        except Unavailable as error:
            return self._refused(run, call, error, attempt)
        return self._placed(run, call, sid, attempt)

    def _refused(self, run: PagerRun, call: Call, error: Unavailable, attempt: int) -> PagerRun:
        """Record the refusal, unless another worker took the call over meanwhile."""

        def record(newest: PagerRun, stamp: Stamp) -> None:
            if newest.call(call.id).attempt == attempt:
                newest.call_refused(call.id, error.message, stamp, can_retry=error.can_retry)

        return self._record(run, record)

    def _placed(self, run: PagerRun, call: Call, sid: str, attempt: int) -> PagerRun:
        """Record the id. A call that was taken over or given up meanwhile must not ring."""
        given_up = False

        def record(newest: PagerRun, stamp: Stamp) -> None:
            nonlocal given_up
            found = newest.call(call.id)
            given_up = found.sid is None and not found.is_live
            if found.attempt == attempt:
                newest.call_placed(call.id, sid, stamp)

        after = self._record(run, record)
        if after.call(call.id).sid != sid or given_up:
            # Should even that fail, it rings for nothing: a nuisance, and a key in it still counts.
            with suppress(Unavailable):
                self._telephone.end(run.noc_id, sid)
        return after

    def _again(self, run: PagerRun, call: Call, reason: str) -> Done:
        run.retry_call(call.id, reason, self._stamp(run))
        self.log.store(run)
        return run, run.call(call.id)

    def _resolve(self, run: PagerRun, call: Call) -> Done:
        """An intent without a result: ask the provider whether it has such a call.

        Of one that was never given to it, it could only name somebody else's call to that number.
        """
        try:
            found, missing = self._find(run, call) if call.placements else ((), None)
        except Unavailable as error:
            return self._wait(run, call, f"The provider cannot be asked: {error.message}"), None
        if not found and not call.is_missing:
            attempt = call.attempt
            return self._record(run, lambda r, s: r.call_not_found(call.id, attempt, s)), None
        if not found and run.state is RunState.RUNNING and not call.is_used_up:
            # To ask may have taken seconds.
            if not self._is_wanted(run):
                return self._no_longer_wanted(run), None
            return self._again(run, call, missing or f"{NO_SUCH_CALL}.")

        def record(newest: PagerRun, stamp: Stamp) -> None:
            if found:
                _take_found(newest, call.id, found, stamp)
            elif run.state is not RunState.RUNNING:
                newest.call_ended(call.id, CallOutcome.CANCELLED, stamp)
            else:
                reason = missing or f"{NO_SUCH_CALL} after {call.attempt} attempts."
                newest.call_ended(call.id, CallOutcome.FAILED, stamp, reason)

        return self._record(run, record), None

    def _find(self, run: PagerRun, call: Call) -> tuple[Sequence[ProviderCall], str | None]:
        """What the provider has that can be no other than this one, those that live first; or why
        it may be another.

        One too many rings a phone twice. One that is another run's, and taken for this, leaves a
        person unasked, and is ended when this run no longer needs it.
        """
        since = call.requested_at - CLOCK_SKEW
        listed = self._telephone.find(run.noc_id, call.contact.phone, since)
        known = {sid for one in run.calls.values() for sid in one.sids}
        left = [one for one in listed if one.sid not in known and not _is_given_up(one)]
        # Read after that: whoever has a call there had stored the intent before.
        others = self._others_to(run, call) if left else []
        told = {sid for one in others for sid in one.sids}
        left = [one for one in left if one.sid not in told]
        before = since - CLOCK_SKEW - ARRIVES_WITHIN
        if left and any(_may_have_left_one(one, before) for one in others):
            return (), DOUBTFUL
        return sorted(left, key=lambda one: one.state.is_final), None

    def _others_to(self, run: PagerRun, call: Call) -> list[Call]:
        """The other calls to that number, of this run and of others, as the log has them by now."""
        phone, since = call.contact.phone, call.requested_at - OTHERS_WITHIN
        others = {*self._others.runs_ringing(phone, since)} - {run.id}
        return [
            one
            for each in (run, *map(self.log.run, others))
            for one in each.calls.values()
            if one.contact.phone == phone and one.requested_at >= since and one.id != call.id
        ]

    def _read_back(self, run: PagerRun, call: Call) -> Done:
        """The deadline passed: the provider's word decides, then the call is ended.

        Usually nobody answered. Then the next intent is stored with that, in one transaction.
        """
        sid, seen = str(call.sid), call.state
        try:
            actual = self._telephone.fetch(run.noc_id, sid)
            if _is_time_up(run, call, actual.state):
                self._telephone.end(run.noc_id, sid)
        except Unavailable as error:
            return self._wait(run, call, f"The provider cannot be asked: {error.message}"), None
        following: Call | None = None

        def settle(newest: PagerRun, stamp: Stamp) -> None:
            nonlocal following
            self._settle(newest, newest.call(call.id), seen, actual, stamp)
            goes_on = isinstance(newest.due_step(self._clock.now()), PlaceNext)
            following = None
            if goes_on and self._is_wanted(newest):
                following = newest.request_call(self._stamp(newest))

        return self._record(run, settle), following

    def _settle(
        self, run: PagerRun, call: Call, seen: CallState, actual: ProviderCall, stamp: Stamp
    ) -> None:
        if call.state is not seen:
            return  # A webhook said more while we asked; the next look goes by that.
        if actual.state is ProviderCallState.QUEUED:
            run.wait_longer(call.id, "The provider has it queued.", stamp)
        elif actual.state is ProviderCallState.RINGING and call.state is CallState.PLACED:
            # The provider had it queued, and its word that it rings was lost: it rings only now.
            run.call_ringing(call.id, stamp)
        elif actual.state is ProviderCallState.RINGING:
            run.call_ended(call.id, CallOutcome.NO_ANSWER, stamp)
        elif _is_time_up(run, call, actual.state):
            outcome = unanswered(call, actual.answered_by)
            run.call_ended(call.id, outcome, stamp, "No key was pressed in time.")
        else:
            take_state(run, call, actual.state, actual.answered_by, stamp)

    def _hang_up(self, run: PagerRun, call: Call) -> PagerRun:
        try:
            self._telephone.end(run.noc_id, str(call.sid))
        except Unavailable as error:
            return self._wait(run, call, f"The call could not be ended: {error.message}")
        return self._record(
            run, lambda r, s: r.call_ended(call.id, CallOutcome.CANCELLED, s, "No longer needed.")
        )

    def _take_down(self, run: PagerRun, call: Call) -> PagerRun:
        """One try: the next person is not kept waiting for a phone that stops by itself."""
        reason: str | None = None
        try:
            self._telephone.end(run.noc_id, str(call.sid))
        except Unavailable as error:
            reason = error.message
        return self._record(run, lambda r, s: r.call_taken_down(call.id, s, reason))

    def _end_second(self, run: PagerRun, call: Call, sid: str) -> PagerRun:
        reason: str | None = None
        can_retry = False
        try:
            if self._telephone.fetch(run.noc_id, sid).state is ProviderCallState.IN_PROGRESS:
                reason = ANSWERED
            else:
                self._telephone.end(run.noc_id, sid)
        except Unavailable as error:
            reason, can_retry = error.message, True
        return self._record(
            run, lambda r, s: r.second_call_ended(call.id, sid, s, reason, can_retry=can_retry)
        )

    def _ring_list_again(self, run: PagerRun) -> PagerRun:
        """A new run in place of the one that found nobody; or none, if somebody was faster."""
        eco, stamp = self.log.eco(run.eco_id), self._stamp(run)
        # The process may be behind: then nobody has told the ECO yet.
        eco.exhaust_paging(run.id, len(run.calls), stamp)
        is_wanted = eco.needs_responder and eco.paging_state is PagingState.EXHAUSTED
        if not is_wanted or eco.latest_run_id != run.id:
            run.settle_ringing_again(stamp, reason="The ECO no longer needs it.")
            self.log.store(run, eco)
            return run
        plan = self._router.people_now(run.osp_id, run.plan) if self._router else run.plan
        plan = plan.again()
        again = start_run(eco, plan, "rung again: nobody had accepted", stamp)
        run.settle_ringing_again(stamp, next_run_id=again.id)
        self.log.store(run, again, eco)
        return run

    def _wait(self, run: PagerRun, call: Call, reason: str) -> PagerRun:
        return self._record(run, lambda r, s: r.wait_longer(call.id, reason, s))

    def _record(self, run: PagerRun, command: Callable[[PagerRun, Stamp], None]) -> PagerRun:
        """Store what is a fact by now: on the run in hand, or on the newest if it is not that."""
        command(run, self._stamp(run))
        if run.pending_events:
            with suppress(IntegrityError):
                self.log.store(run)
                return run
        return self.log.change_run(run.id, lambda r: command(r, self._stamp(r))).aggregate

    def _stamp(self, run: PagerRun) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=RINGER.name,
            tenant_id=None,
            correlation_id=run.correlation_id,
            causation_id=self._new_id(),
        )


def _is_given_up(call: ProviderCall) -> bool:
    """Only we cancel, and only what we gave up: such a call rang for nobody."""
    return call.state is ProviderCallState.CANCELED


def _may_have_left_one(call: Call, before: datetime) -> bool:
    """Whether the provider may have a call for it of which the log knows nothing.

    What was asked for `before` is older there than any that is looked for.
    """
    return call.asked_at >= before and call.placements > len(call.sids)


def _take_found(run: PagerRun, call_id: UUID, found: Sequence[ProviderCall], stamp: Stamp) -> None:
    """The provider has it: its id, and how far it has come while nobody was listening."""
    call = run.call(call_id)
    for one in found:
        run.call_told(call_id, one.sid, stamp, come_to(one.state))
        if call.sid == one.sid:
            take_state(run, call, one.state, one.answered_by, stamp)


def _is_time_up(run: PagerRun, call: Call, actual: ProviderCallState) -> bool:
    match actual:
        case ProviderCallState.QUEUED:
            return not run.can_wait
        case ProviderCallState.IN_PROGRESS:
            return call.state is CallState.ANSWERED
        case _:
            return actual is ProviderCallState.RINGING and call.state is not CallState.PLACED
