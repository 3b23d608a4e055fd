"""The side effects of paging: whatever a run has due, done through the `Telephone`.

A deadline worker calls `work_on` for each run whose time has come. It can be killed at any point:
the intent is stored before the provider is asked for a call, and what became of an intent that
nobody finished is asked for, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Protocol
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError

from strike_domain.actors import Actor, Stamp
from strike_domain.errors import InvalidTransition, OutcomeUnknown, Unavailable
from strike_domain.log import StrikeLog
from strike_domain.pager_run import (
    Call,
    CallOutcome,
    CallState,
    HangUp,
    PagerRun,
    PlaceAgain,
    PlaceNext,
    ReadBack,
    ResolveUnknown,
    RunState,
    Step,
)
from strike_domain.paging import take_state, unanswered
from strike_domain.ports import CallOrder, Clock, ProviderCall, ProviderCallState, Telephone

RINGER = Actor.system("ringer")

CLOCK_SKEW = timedelta(seconds=5)
"""How far the provider's clock may be behind ours when we ask for calls since a moment."""

MAX_STEPS = 100
"""A guard: one visit to a run never does more than this."""


class KnownCalls(Protocol):
    """Which provider ids already belong to a call of some run."""

    def known(self, sids: Collection[str]) -> Collection[str]:
        """The subset of `sids` that is known."""


class NoOtherCalls:
    """For an embedder with one run at a time."""

    def known(self, sids: Collection[str]) -> Collection[str]:
        return ()


class Ringer:
    """Does what runs have due."""

    def __init__(
        self,
        log: StrikeLog,
        telephone: Telephone,
        clock: Clock,
        known_calls: KnownCalls | None = None,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.log = log
        self._telephone = telephone
        self._clock = clock
        self._known_calls = known_calls or NoOtherCalls()
        self._new_id = new_id

    def work_on(self, run_id: UUID) -> PagerRun:
        """Do everything the run has due now; return it, with `due_at` saying when to come back.

        Whoever else works on it at the same time is noticed by the store, and then left to it.
        """
        for _ in range(MAX_STEPS):
            run = self.log.run(run_id)
            step = run.due_step(self._clock.now())
            if step is None:
                return run
            try:
                self._do(run, step)
            except (IntegrityError, InvalidTransition):
                continue
        return self.log.run(run_id)

    def _do(self, run: PagerRun, step: Step) -> None:
        match step:
            case PlaceNext():
                call = run.request_call(self._stamp(run))
                self.log.store(run)
                self._place(run, call)
            case PlaceAgain(call):
                self._place_again(run, call, "It was refused for a passing reason.")
            case ResolveUnknown(call):
                self._resolve(run, call)
            case ReadBack(call):
                self._read_back(run, call)
            case HangUp(call):
                self._hang_up(run, call)

    def _place(self, run: PagerRun, call: Call) -> None:
        order = CallOrder(run.noc_id, run.id, call.id, call.contact.phone, run.plan.answer_seconds)
        try:
            sid = self._telephone.place(order)
        except OutcomeUnknown:
            return  # Its deadline brings the run back here, to ask what became of it.
        except Unavailable as error:
            reason, can_retry = error.message, error.can_retry
            self._record(run, lambda r, s: r.call_refused(call.id, reason, s, can_retry=can_retry))
        else:
            self._placed(run, call, sid, call.attempt)

    def _placed(self, run: PagerRun, call: Call, sid: str, attempt: int) -> None:
        """Record the id. If another worker took the call over meanwhile, ours must not ring."""

        def record(newest: PagerRun, stamp: Stamp) -> None:
            if newest.call(call.id).attempt == attempt:
                newest.call_placed(call.id, sid, stamp)

        if self._record(run, record).call(call.id).sid != sid:
            self._telephone.end(run.noc_id, sid)

    def _place_again(self, run: PagerRun, call: Call, reason: str) -> None:
        run.retry_call(call.id, reason, self._stamp(run))
        self.log.store(run)
        self._place(run, run.call(call.id))

    def _resolve(self, run: PagerRun, call: Call) -> None:
        """An intent without a result: ask the provider whether it has such a call."""
        try:
            found = self._find(run, call)
        except Unavailable as error:
            self._wait(run, call, f"The provider cannot be asked: {error.message}")
            return
        if found is not None:
            self._record(run, lambda r, s: r.call_placed(call.id, found.sid, s))
        elif run.state is RunState.RUNNING:
            self._place_again(run, call, "The provider has no such call.")
        else:
            self._record(run, lambda r, s: r.call_ended(call.id, CallOutcome.CANCELLED, s))

    def _find(self, run: PagerRun, call: Call) -> ProviderCall | None:
        since = call.requested_at - CLOCK_SKEW
        found = self._telephone.find(run.noc_id, call.contact.phone, since)
        ours = {other.sid for other in run.calls.values() if other.sid}
        strangers = [one for one in found if one.sid not in ours]
        taken = self._known_calls.known([one.sid for one in strangers])
        free = [one for one in strangers if one.sid not in taken]
        return free[-1] if free else None

    def _read_back(self, run: PagerRun, call: Call) -> None:
        """The deadline passed: the provider's word decides, then the call is ended."""
        assert call.sid is not None
        try:
            actual = self._telephone.fetch(run.noc_id, call.sid)
            if self._is_time_up(call, actual.state):
                self._telephone.end(run.noc_id, call.sid)
        except Unavailable as error:
            self._wait(run, call, f"The provider cannot be asked: {error.message}")
            return
        self._record(run, lambda r, s: self._settle(r, r.call(call.id), call.state, actual, s))

    def _is_time_up(self, call: Call, actual: ProviderCallState) -> bool:
        if actual is ProviderCallState.IN_PROGRESS:
            return call.state is CallState.ANSWERED
        return actual is ProviderCallState.RINGING

    def _settle(
        self, run: PagerRun, call: Call, seen: CallState, actual: ProviderCall, stamp: Stamp
    ) -> None:
        if call.state is not seen:
            return  # A webhook said more while we asked; the next look goes by that.
        if actual.state is ProviderCallState.QUEUED:
            run.wait_longer(call.id, "The provider has it queued.", stamp)
        elif actual.state is ProviderCallState.RINGING:
            run.call_ended(call.id, CallOutcome.NO_ANSWER, stamp)
        elif self._is_time_up(call, actual.state):
            outcome = unanswered(call, actual.answered_by)
            run.call_ended(call.id, outcome, stamp, "No key was pressed in time.")
        else:
            take_state(run, call, actual.state, actual.answered_by, stamp)

    def _hang_up(self, run: PagerRun, call: Call) -> None:
        assert call.sid is not None
        try:
            self._telephone.end(run.noc_id, call.sid)
        except Unavailable as error:
            self._wait(run, call, f"The call could not be ended: {error.message}")
            return
        self._record(
            run, lambda r, s: r.call_ended(call.id, CallOutcome.CANCELLED, s, "No longer needed.")
        )

    def _wait(self, run: PagerRun, call: Call, reason: str) -> None:
        self._record(run, lambda r, s: r.wait_longer(call.id, reason, s))

    def _record(self, run: PagerRun, command: Callable[[PagerRun, Stamp], None]) -> PagerRun:
        """Store what is a fact by now, on the newest state of the run."""
        return self.log.change_run(run.id, lambda r: command(r, self._stamp(r))).aggregate

    def _stamp(self, run: PagerRun) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=RINGER.name,
            tenant_id=None,
            correlation_id=run.correlation_id,
            causation_id=self._new_id(),
        )
