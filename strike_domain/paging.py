"""Commands on pager runs: what people ask for, and what telephones report.

A report may come late, twice, out of order or never; each method takes from it what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from strike_domain.access import Action, reaches, require
from strike_domain.actors import LINK, Actor, Stamp
from strike_domain.callouts import is_repeat, visible
from strike_domain.contacts import DeclineKey, DeclineReason, PagerList
from strike_domain.eco import Eco, Offer, Responder
from strike_domain.errors import NotFound, Rejected
from strike_domain.geometry import Location
from strike_domain.log import Receipt, StrikeLog, while_others_are_faster
from strike_domain.pager_run import (
    Call,
    CallOutcome,
    CallState,
    PagerRun,
    PagerRunStarted,
    RunPlan,
    RunState,
)
from strike_domain.ports import Clock, Directory, ProviderCallState
from strike_domain.routing import NoRoute, Route, Router, start_run
from strike_domain.timeline import in_time
from strike_domain.voice import Speech, Voice

ACCEPT, DECLINE, REPEAT, SILENCE = "1", "2", "9", ""

MAX_PROMPTS = 2
"""The prompt and its repetition; silence after that is TIMED_OUT."""

MAX_REPEATS = 5
"""How often key 9, or a wrong key, can make the prompt start again."""


@dataclass(frozen=True)
class CallReport:
    """What the provider says of one call. `sid` is its own id for it."""

    run_id: UUID
    call_id: UUID
    sid: str
    state: ProviderCallState | None = None
    answered_by: str | None = None


class Paging:
    """Dispatch by hand, and everything that comes back from the telephones."""

    def __init__(
        self,
        log: StrikeLog,
        router: Router,
        directory: Directory,
        clock: Clock,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.log = log
        self._router = router
        self._directory = directory
        self._clock = clock
        self._new_id = new_id

    def who_would_be_rung(self, osp_id: UUID, location: Location, actor: Actor) -> Route | NoRoute:
        """The list that a callout there would ring, and why. Stores nothing.

        For the contractor itself and for NOCs with an active link to it; `NotFound` for others.
        """
        self._may_look(osp_id, actor)
        return self._router.route(osp_id, location)

    def lists_of(self, osp_id: UUID, actor: Actor) -> Sequence[PagerList]:
        """The contractor's lists, for those who may ask `who_would_be_rung`."""
        self._may_look(osp_id, actor)
        return self._router.lists_of(osp_id)

    def _may_look(self, osp_id: UUID, actor: Actor) -> None:
        require(actor, Action.LISTS_PREVIEW)
        if actor.tenant_id == osp_id:
            return
        link = self._directory.link(actor.tenant_id, osp_id) if actor.tenant_id else None
        if not reaches(Action.LISTS_PREVIEW, link):
            raise NotFound("contractor")

    def dispatch(self, eco_id: UUID, actor: Actor, list_id: UUID | None = None) -> Receipt[Eco]:
        """Start a run by hand, on the list for the place or on a chosen one.

        Raises `InvalidTransition` while a run is going on, `Rejected` (NO_LIST) if nobody can be
        rung.
        """

        def plan(eco: Eco) -> tuple[RunPlan, str]:
            route = self._route(eco, list_id)
            return route.plan, route.reason

        return self._dispatch(eco_id, actor, plan)

    def take_up_offer(self, eco_id: UUID, call_id: UUID, actor: Actor) -> Receipt[Eco]:
        """Ring whoever offered in that call to come later: only their key makes it theirs.

        Raises `NotFound` if no such offer was made, `InvalidTransition` while a run is going on.
        """

        def plan(eco: Eco) -> tuple[RunPlan, str]:
            offer = eco.offer(call_id)
            run = self.log.run(offer.run_id)
            alone = {"contacts": (run.call(call_id).contact,), "ring_again": None}
            reason = f"{offer.name} offered to come in more than {in_time(offer.minutes)}"
            return run.plan.model_copy(update=alone), reason

        return self._dispatch(eco_id, actor, plan)

    def _dispatch(
        self, eco_id: UUID, actor: Actor, plan: Callable[[Eco], tuple[RunPlan, str]]
    ) -> Receipt[Eco]:
        require(actor, Action.ECO_DISPATCH)

        def once() -> Receipt[Eco]:
            eco = visible(self.log.eco(eco_id), actor)
            if is_repeat(self.log, eco, actor):
                return Receipt(eco, self.log.position())
            stamp = self._stamp(actor.name, actor.tenant_id, eco.correlation_id, actor.command_id)
            run = start_run(eco, *plan(eco), stamp)
            return Receipt(eco, self.log.store(run, eco))

        return while_others_are_faster(once)

    def _route(self, eco: Eco, list_id: UUID | None) -> Route:
        route = (
            self._router.chosen(eco.osp_id, list_id)
            if list_id
            else self._router.route(eco.osp_id, eco.location)
        )
        if isinstance(route, NoRoute):
            raise Rejected("NO_LIST", route.reason, ("listId",))
        return route

    def noc_of(self, run_id: UUID) -> UUID:
        """Whose run it is, by its first event alone. Raises `NotFound`."""
        first = next(iter(self.log.events.get(run_id, lte=1)), None)
        if not isinstance(first, PagerRunStarted):
            raise NotFound("pager run")
        return first.noc_id

    def answered(self, report: CallReport) -> Speech:
        """Somebody or something picked up: say what it is about. Accepts nothing."""

        def take(run: PagerRun, call: Call, stamp: Stamp) -> None:
            run.call_answered(call.id, stamp, report.answered_by)

        run, call = self._on_call(report, take, CallState.ANSWERED)
        return self._greet(run, call)

    def _greet(self, run: PagerRun, call: Call) -> Speech:
        voice = _voice(run, call)
        if call.outcome is CallOutcome.ACCEPTED:
            return voice.accepted()
        if run.state is RunState.CANCELLED:
            return self._no_longer_needed(run, voice)
        if run.accepted_by is not None:
            return voice.taken(run.accepted_by.name)
        return voice.prompt()

    def reported(self, report: CallReport) -> None:
        """Take in a status callback. Unknown run or call: `NotFound`."""

        def take(run: PagerRun, call: Call, stamp: Stamp) -> None:
            take_state(run, call, report.state, report.answered_by, stamp)

        self._on_call(report, take)

    def _on_call(
        self,
        report: CallReport,
        take: Callable[[PagerRun, Call, Stamp], None],
        so_far: CallState | None = None,
    ) -> tuple[PagerRun, Call]:
        def command(run: PagerRun) -> None:
            call = run.call(report.call_id)
            stamp = self._stamp("strike:telephone", None, run.correlation_id)
            run.call_told(call.id, report.sid, stamp, so_far or come_to(report.state))
            # A second call for the same turn says nothing about the one that counts.
            if call.sid == report.sid:
                take(run, call, stamp)

        run = self.log.change_run(report.run_id, command).aggregate
        return run, run.call(report.call_id)

    def text_reported(self, run_id: UUID, call_id: UUID, reason: str | None) -> None:
        """What the provider says later of a call's text: why it failed, or None if it did not.

        Unknown run or call: `NotFound`.
        """

        def command(run: PagerRun) -> None:
            call = run.call(call_id)
            if reason is not None:
                stamp = self._stamp("strike:telephone", None, run.correlation_id)
                run.text_failed(call.id, reason, stamp)

        self.log.change_run(run_id, command)

    def answered_by_link(self, run_id: UUID, call_id: UUID, key: str) -> Speech:
        """The link in a call's text did what `key`, ACCEPT or DECLINE, does in the call.

        A call that is still up is left to a worker, who ends it. Raises `NotFound`.
        """
        return while_others_are_faster(lambda: self._answered_by_link(run_id, call_id, key))

    def _answered_by_link(self, run_id: UUID, call_id: UUID, key: str) -> Speech:
        run = self.log.run(run_id)
        call = run.call(call_id)
        stamp = self._stamp(f"{LINK}{call.contact.name}", None, run.correlation_id)
        run.leave_up(call.id, stamp)
        if key == ACCEPT:
            return self._accept(run, call, stamp, by_link=True)
        speech = self._other_key(run, call, DECLINE, stamp)
        self.log.store(run)
        return speech

    def key_pressed(self, report: CallReport, key: str) -> Speech:
        """What the key did is stored before it is said. An empty `key` is silence."""
        return while_others_are_faster(lambda: self._key_pressed(report, key))

    def _key_pressed(self, report: CallReport, key: str) -> Speech:
        run = self.log.run(report.run_id)
        call = run.call(report.call_id)
        stamp = self._stamp(f"contact:{call.contact.name}", None, run.correlation_id)
        run.call_told(call.id, report.sid, stamp, CallState.ANSWERED)
        if call.sid == report.sid:
            run.call_answered(call.id, stamp, report.answered_by)  # Should that report be missing.
        if key == ACCEPT:
            return self._accept(run, call, stamp)
        if declined := run.plan.decline_key(key):
            return self._declined(run, call, declined, stamp)
        speech = self._other_key(run, call, key, stamp)
        self.log.store(run)
        return speech

    def _accept(self, run: PagerRun, call: Call, stamp: Stamp, *, by_link: bool = False) -> Speech:
        """Run and ECO take the acceptance in one transaction, so what is said is true.

        A run of which somebody had the job, until others were dispatched, takes nobody any more:
        of a key we cannot know whether it was pressed since. Whoever opens the link sees that
        somebody is needed, and has it if they say so.
        """
        voice = _voice(run, call)
        eco = self.log.eco(run.eco_id)
        is_anew = by_link and run.accepted_by is not None and eco.needs_responder
        if call.outcome is CallOutcome.ACCEPTED and not is_anew:
            return voice.accepted()
        if not eco.needs_responder or (run.accepted_by and not is_anew):
            run.call_ended(call.id, CallOutcome.CANCELLED, stamp, "Accepted too late.")
            self.log.store(run)
            owner = eco.responder or run.accepted_by
            return voice.taken(owner.name) if owner else voice.over()
        late = is_anew or run.accept(call.id, stamp)
        responder = Responder(name=call.contact.name, run_id=run.id, call_id=call.id)
        eco.assign_responder(responder, stamp, late=late)
        self.log.store(run, eco)
        return voice.accepted()

    def _declined(self, run: PagerRun, call: Call, key: DeclineKey, stamp: Stamp) -> Speech:
        """No, and why; what somebody offers instead is stored with it, in one transaction."""
        voice = _voice(run, call)
        if call.outcome is CallOutcome.ACCEPTED:
            return voice.accepted()
        run.call_ended(call.id, CallOutcome.DECLINED, stamp, why(key))
        if run.is_settled:
            self.log.store(run)
            return self._greet(run, call)
        if key.minutes is None:
            self.log.store(run)
            return voice.cannot(is_last=run.is_through)
        eco = self.log.eco(run.eco_id)
        if not eco.needs_responder:
            self.log.store(run)
            return self._no_longer_needed(run, voice)
        offer = Offer(name=call.contact.name, run_id=run.id, call_id=call.id, minutes=key.minutes)
        eco.record_offer(offer, stamp)
        self.log.store(run, eco)
        return voice.too_far(key.minutes, is_last=run.is_through)

    def _other_key(self, run: PagerRun, call: Call, key: str, stamp: Stamp) -> Speech:
        voice = _voice(run, call)
        if call.outcome is CallOutcome.ACCEPTED:
            return voice.accepted()
        if key == DECLINE:
            run.call_ended(call.id, CallOutcome.DECLINED, stamp)
            if not run.is_settled:
                return voice.declined(is_last=run.is_through)
        if run.is_settled:
            return self._greet(run, call)
        if key == SILENCE and not call.is_live:
            return voice.silence()  # Nothing counts its prompts any more: a machine would loop.
        if call.prompts >= (MAX_PROMPTS if key == SILENCE else MAX_REPEATS):
            run.call_ended(call.id, unanswered(call), stamp, "No key was pressed.")
            return voice.silence()
        run.repeat_prompt(call.id, stamp)
        return voice.prompt(after_wrong_key=key not in (REPEAT, SILENCE))

    def _no_longer_needed(self, run: PagerRun, voice: Voice) -> Speech:
        responder = self.log.eco(run.eco_id).responder
        return voice.taken(responder.name) if responder else voice.over()

    def _stamp(
        self,
        actor: str,
        tenant_id: UUID | None,
        correlation_id: UUID,
        command_id: UUID | None = None,
    ) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=actor,
            tenant_id=tenant_id,
            correlation_id=correlation_id,
            causation_id=command_id or self._new_id(),
        )


def take_state(
    run: PagerRun,
    call: Call,
    state: ProviderCallState | None,
    answered_by: str | None,
    stamp: Stamp,
) -> None:
    """Apply what the provider says of a call, from a callback or from asking it."""
    match state:
        case None | ProviderCallState.QUEUED:
            return
        case ProviderCallState.RINGING:
            run.call_ringing(call.id, stamp)
        case ProviderCallState.IN_PROGRESS:
            run.call_answered(call.id, stamp, answered_by)
        case _:
            is_time_up = run.state is RunState.RUNNING and stamp.at >= call.deadline
            outcome, reason = _final(call, state, answered_by, is_time_up=is_time_up)
            run.call_ended(call.id, outcome, stamp, reason)


def _final(
    call: Call, state: ProviderCallState, answered_by: str | None, *, is_time_up: bool
) -> tuple[CallOutcome, str | None]:
    match state:
        case ProviderCallState.BUSY:
            return CallOutcome.BUSY, None
        case ProviderCallState.NO_ANSWER:
            return CallOutcome.NO_ANSWER, None
        case ProviderCallState.COMPLETED:
            return unanswered(call, answered_by), "It ended without a key being pressed."
        case ProviderCallState.CANCELED if is_time_up:
            return CallOutcome.NO_ANSWER, None  # Our own hanging up, reported before we stored it.
        case ProviderCallState.CANCELED:
            return CallOutcome.CANCELLED, "It was ended at the provider."
        case _:
            return CallOutcome.FAILED, "The provider could not connect it."


def come_to(state: ProviderCallState | None) -> CallState | None:
    """How far a call has come that the provider says this of; None if it is over."""
    match state:
        case ProviderCallState.QUEUED:
            return CallState.PLACED
        case ProviderCallState.RINGING:
            return CallState.RINGING
        case ProviderCallState.IN_PROGRESS:
            return CallState.ANSWERED
        case _:
            return None


def why(key: DeclineKey) -> str:
    """What a key with a reason says, for the record."""
    if key.reason is DeclineReason.CANNOT or key.minutes is None:
        return "Cannot come."
    return f"Could come, but in more than {in_time(key.minutes)}."


def unanswered(call: Call, answered_by: str | None = None) -> CallOutcome:
    """The outcome of a call that was picked up, but in which no key was pressed."""
    is_machine = (answered_by or call.answered_by or "").startswith(("machine", "fax"))
    if is_machine:
        return CallOutcome.VOICEMAIL
    return CallOutcome.TIMED_OUT if call.state is CallState.ANSWERED else CallOutcome.NO_ANSWER


def _voice(run: PagerRun, call: Call) -> Voice:
    return Voice(call.contact, run.briefing, run.plan)
