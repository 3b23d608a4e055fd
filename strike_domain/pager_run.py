"""One ring-down of a pager list for one ECO: what can happen, what is true, what may be asked.

Source of every rule: specification, section 4. Nothing here depends on the order in which an
outside world reports: a report is taken for what it newly says, or for nothing.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from strike_domain.actors import Stamp
from strike_domain.contacts import Contact, DeclineKey, PagerList, RingAgain
from strike_domain.errors import InvalidTransition, NotFound
from strike_domain.eventsourced import (
    Aggregate,
    AggregateCreated,
    AggregateEvent,
    singledispatchmethod,
)
from strike_domain.ports import MOST_PLACING_SECONDS


class RunState(StrEnum):
    """What a run has come to."""

    RUNNING = "RUNNING"
    ACCEPTED = "ACCEPTED"
    EXHAUSTED = "EXHAUSTED"
    CANCELLED = "CANCELLED"


class CallOutcome(StrEnum):
    """What one call came to. Only a key makes it ACCEPTED or DECLINED."""

    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    NO_ANSWER = "NO_ANSWER"
    BUSY = "BUSY"
    FAILED = "FAILED"
    VOICEMAIL = "VOICEMAIL"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


class CallState(StrEnum):
    """How far one call is known to have come."""

    REQUESTED = "REQUESTED"
    """Intent stored; whether the provider has it is not known yet."""
    PLACED = "PLACED"
    RINGING = "RINGING"
    ANSWERED = "ANSWERED"
    ENDED = "ENDED"


class Briefing(BaseModel):
    """What a person who is rung gets to hear about the ECO."""

    model_config = ConfigDict(frozen=True)

    job_number: str
    job_type: str
    place: str
    description: str
    position: tuple[float, float] | None = None
    """Longitude and latitude of the point, or of the line's start."""
    length_m: float = 0
    """Metres of the line; 0 for a point."""


class RunPlan(BaseModel):
    """The list as it was when the run started; edits since then do not reach this run."""

    model_config = ConfigDict(frozen=True)

    list_id: UUID
    list_name: str
    contacts: tuple[Contact, ...]
    rounds: int
    answer_seconds: int
    key_seconds: int
    queue_seconds: int
    decline_keys: tuple[DeclineKey, ...] = ()
    ring_again: RingAgain | None = None
    texted: tuple[str, ...] = ()
    """Numbers that also get a text with a link when they are rung."""

    @classmethod
    def snapshot(
        cls, pager_list: PagerList, *, key_seconds: int = 20, queue_seconds: int = 30
    ) -> RunPlan:
        """`key_seconds`: how long a prompt waits for a key. `queue_seconds`: how much longer
        than the answer time the provider may take before it reports ringing."""
        return cls(
            list_id=pager_list.id,
            list_name=pager_list.name,
            contacts=pager_list.contacts,
            rounds=pager_list.rounds,
            answer_seconds=pager_list.answer_seconds,
            key_seconds=key_seconds,
            queue_seconds=queue_seconds,
            decline_keys=pager_list.decline_keys,
            ring_again=pager_list.ring_again,
            texted=tuple(sorted(pager_list.texted & {one.phone for one in pager_list.contacts})),
        )

    def again(self) -> RunPlan:
        """The plan for ringing the list once more, with one time less to go."""
        left = self.ring_again
        if left is not None:
            left = left.model_copy(update={"times": left.times - 1})
        return self.model_copy(update={"ring_again": left})

    def decline_key(self, key: str) -> DeclineKey | None:
        return next((one for one in self.decline_keys if one.key == key), None)

    @property
    def total_calls(self) -> int:
        return len(self.contacts) * self.rounds


class TextState(StrEnum):
    """How far the text beside a call is known to have come."""

    REQUESTED = "REQUESTED"
    """Intent stored; whether the provider has it is not known, and it is not given it again."""
    SENT = "SENT"
    FAILED = "FAILED"


class SecondState(StrEnum):
    """What became of a second call for one turn."""

    OPEN = "OPEN"
    """It is to be ended, unless it is the first to ring."""
    ENDED = "ENDED"
    LEFT = "LEFT"
    """It could not be ended, or somebody had answered it: a key in it counts as in the other."""


@dataclass(frozen=True)
class SecondCall:
    """What the provider has for a turn besides the call that counts."""

    sid: str
    state: SecondState


@dataclass
class Call:
    """One call of a run. `deadline` is when Strike must look at it again.

    `attempt`: fences off whoever had an earlier one; those `given_up` never got to the provider.
    `asked_at`: when the latest attempt was to be given to the provider.
    `not_found`: the latest attempt of which the provider, asked for it, knew nothing.
    `is_left_up`: it was answered by the link in the text, and the phone still has to be ended.
    `seconds`: what else the provider has for it; only one of them is to ring.
    `second_tries`: how many times the provider could not be asked to end one.
    `came_late`: it rang after all when it had been given up.
    """

    id: UUID
    number: int
    contact: Contact
    requested_at: datetime
    asked_at: datetime
    deadline: datetime
    state: CallState = CallState.REQUESTED
    sid: str | None = None
    attempt: int = 1
    given_up: tuple[int, ...] = ()
    is_refused: bool = False
    not_found: int = 0
    prompts: int = 0
    answered_by: str | None = None
    outcome: CallOutcome | None = None
    reason: str | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    text: TextState | None = None
    is_left_up: bool = False
    seconds: tuple[SecondCall, ...] = ()
    second_tries: int = 0
    came_late: bool = False

    @property
    def is_live(self) -> bool:
        return self.state is not CallState.ENDED

    @property
    def sids(self) -> frozenset[str]:
        """Every id that the provider is known to have given to it."""
        seconds = frozenset(one.sid for one in self.seconds)
        return seconds if self.sid is None else seconds | {self.sid}

    def second(self, sid: str) -> SecondState | None:
        """What became of that one; None if it is none of them."""
        return next((one.state for one in self.seconds if one.sid == sid), None)

    @property
    def has_rung(self) -> bool:
        """Whether the phone has rung, as far as is known, or is no longer to ring."""
        if self.ringing_at or self.answered_at or self.came_late:
            return True
        return self.outcome not in (None, CallOutcome.BUSY, CallOutcome.FAILED)

    @property
    def placements(self) -> int:
        """How many times the provider was, or may have been, given it."""
        return self.attempt - len(self.given_up)

    @property
    def is_missing(self) -> bool:
        """Whether the provider has no such call: nothing went out, or it was asked for it before.

        Asked once only, it may get the request after the question, where both were held up.
        """
        return self.attempt in (self.not_found, *self.given_up)

    @property
    def is_used_up(self) -> bool:
        """Whether it is not to be given to the provider once more."""
        return self.placements >= MAX_PLACEMENTS or self.attempt >= MAX_ATTEMPTS


# What can happen ---------------------------------------------------------------------------


class RunEvent(AggregateEvent):
    """Base of every event in a run's stream after the first."""


class PagerRunStarted(AggregateCreated):
    """Version 2: keys with a reason, ringing again, and where it is as numbers. Version 3: who gets
    a text as well."""

    TOPIC = "strike.run.started"
    class_version = 3
    eco_id: UUID
    noc_id: UUID
    osp_id: UUID
    plan: RunPlan
    briefing: Briefing

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Whom such a run rings was never told of other keys, so they mean nothing in it."""
        state["plan"] |= {"decline_keys": [], "ring_again": None}
        state["briefing"] |= {"position": None, "length_m": 0}

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        """Nobody was sent any text in such a run."""
        state["plan"] |= {"texted": []}


class CallRequested(RunEvent):
    """The intent, stored before the provider is asked for anything."""

    TOPIC = "strike.run.call-requested"
    call_id: UUID
    contact: Contact
    deadline: datetime


class CallRetried(RunEvent):
    """The provider was asked, has no call that is surely this one, and is now given it again."""

    TOPIC = "strike.run.call-retried"
    call_id: UUID
    attempt: int
    reason: str
    deadline: datetime


class CallRefused(RunEvent):
    """The provider certainly did not start the call; it is tried again at `deadline`."""

    TOPIC = "strike.run.call-refused"
    call_id: UUID
    reason: str
    deadline: datetime


class PlacementGivenUp(RunEvent):
    """Whoever stored the intent had lost the run by then: nothing went out to the provider."""

    TOPIC = "strike.run.placement-given-up"
    call_id: UUID
    attempt: int


class CallNotFound(RunEvent):
    """The provider has no call that is surely that attempt; it is asked once more at `deadline`."""

    TOPIC = "strike.run.call-not-found"
    call_id: UUID
    attempt: int
    deadline: datetime


class CallPlaced(RunEvent):
    TOPIC = "strike.run.call-placed"
    call_id: UUID
    sid: str
    deadline: datetime


class SecondCallFound(RunEvent):
    """The provider has another call for the same turn: both requests got through, one answer did
    not. Said again of one that could not be ended and now goes on."""

    TOPIC = "strike.run.second-call-found"
    call_id: UUID
    sid: str


class SecondCallCounts(RunEvent):
    """It has come further than the one that counted so far, which is the second one from now on; or
    it rings when the turn had been given up."""

    TOPIC = "strike.run.second-call-counts"
    call_id: UUID
    sid: str


class SecondCallEnded(RunEvent):
    """It rings no more; `reason`: why it was left, or could not be ended. That is tried once more
    at `again_at`, if it is given."""

    TOPIC = "strike.run.second-call-ended"
    call_id: UUID
    sid: str
    reason: str | None
    again_at: datetime | None


class CallRinging(RunEvent):
    TOPIC = "strike.run.call-ringing"
    call_id: UUID
    deadline: datetime


class CallAnswered(RunEvent):
    TOPIC = "strike.run.call-answered"
    call_id: UUID
    answered_by: str | None
    deadline: datetime


class CallDeadlineExtended(RunEvent):
    TOPIC = "strike.run.call-deadline-extended"
    call_id: UUID
    reason: str
    deadline: datetime


class PromptRepeated(RunEvent):
    TOPIC = "strike.run.prompt-repeated"
    call_id: UUID
    deadline: datetime


class CallAccepted(RunEvent):
    """`late`: the call had been given up when the key came."""

    TOPIC = "strike.run.call-accepted"
    call_id: UUID
    contact: Contact
    late: bool


class CallEnded(RunEvent):
    TOPIC = "strike.run.call-ended"
    call_id: UUID
    outcome: CallOutcome
    reason: str | None


class CallLeftUp(RunEvent):
    """Its link was answered, and the call itself goes on: a worker ends it."""

    TOPIC = "strike.run.call-left-up"
    call_id: UUID


class CallTakenDown(RunEvent):
    """What was left up is ended; `reason`: why it could not be, and ends by itself."""

    TOPIC = "strike.run.call-taken-down"
    call_id: UUID
    reason: str | None


class TextRequested(RunEvent):
    """The intent, stored before the provider is given the text: it is given it once."""

    TOPIC = "strike.run.text-requested"
    call_id: UUID


class TextSent(RunEvent):
    TOPIC = "strike.run.text-sent"
    call_id: UUID
    sid: str


class TextFailed(RunEvent):
    TOPIC = "strike.run.text-failed"
    call_id: UUID
    reason: str


class PagerRunExhausted(RunEvent):
    TOPIC = "strike.run.exhausted"
    eco_id: UUID
    calls: int


class ListRungAgain(RunEvent):
    """The pause after EXHAUSTED is over: a new run goes through the list."""

    TOPIC = "strike.run.list-rung-again"
    next_run_id: UUID


class RingingAgainDropped(RunEvent):
    """The pause is over, and ringing again is no longer needed."""

    TOPIC = "strike.run.ringing-again-dropped"
    reason: str


class PagerRunCancelled(RunEvent):
    TOPIC = "strike.run.cancelled"
    reason: str


# What the deadline worker has to do --------------------------------------------------------


@dataclass(frozen=True)
class PlaceNext:
    """Ring this person now."""

    contact: Contact


@dataclass(frozen=True)
class PlaceAgain:
    """The provider refused this call for a passing reason; give it to it once more."""

    call: Call


@dataclass(frozen=True)
class ResolveUnknown:
    """Ask the provider whether it has this call, before placing it again."""

    call: Call


@dataclass(frozen=True)
class ReadBack:
    """A deadline passed: fetch the call's true state from the provider, and act on it."""

    call: Call


@dataclass(frozen=True)
class HangUp:
    """The run is over but this call is still up."""

    call: Call


@dataclass(frozen=True)
class TakeDown:
    """This call was answered by its link: end it, before anybody else is rung."""

    call: Call


@dataclass(frozen=True)
class EndSecond:
    """The provider has this for a call that has rung already: end it, so that it does not ring."""

    call: Call
    sid: str


@dataclass(frozen=True)
class RingListAgain:
    """Nobody accepted, the list asks to be rung again, and the pause is over."""


Step = (
    PlaceNext
    | PlaceAgain
    | ResolveUnknown
    | ReadBack
    | HangUp
    | TakeDown
    | EndSecond
    | RingListAgain
)

RESOLVE_AFTER = timedelta(seconds=MOST_PLACING_SECONDS)
"""How long the process that stored an intent has for placing it."""

LOOK_AGAIN_AFTER = timedelta(seconds=2)
"""After which a call that the provider does not have is looked for again: 10 s after the intent, as
the specification has it, it is placed again."""

MAX_EXTENSIONS = 4
"""How many times a deadline may be put off because the provider queues or cannot be asked."""

MAX_PLACEMENTS = 3
"""How many times the provider is given one call that it refuses for passing reasons."""

MAX_ENDINGS = 3
"""How many times the provider is asked to end second calls of one turn while it is out of reach."""

MAX_ATTEMPTS = 10
"""How many intents one call may have: nobody waits for ever for a worker that keeps its claim."""

TEXT_WITHIN = timedelta(minutes=2)
"""How long after a call was requested its text is still worth sending."""

LINK_LASTS = timedelta(days=7)
"""How long after a call was requested the link in its text can be used."""

_PROGRESS = (CallState.REQUESTED, CallState.PLACED, CallState.RINGING, CallState.ANSWERED)
"""How far a call that lives can have come, in this order."""


class PagerRun(Aggregate):
    """A ring-down; `calls` in the order in which they were requested."""

    TOPIC = "strike.PagerRun"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = super().__deepcopy__(memo)
        copied.calls = {call_id: copy(call) for call_id, call in self.calls.items()}
        return copied

    # What is true --------------------------------------------------------------------------

    @singledispatchmethod
    def evolve(self, event: Any) -> None:
        raise NotImplementedError(f"PagerRun does not know {type(event).__name__}.")

    @evolve.register
    def _(self, event: PagerRunStarted) -> None:
        self.eco_id = event.eco_id
        self.noc_id = event.noc_id
        self.osp_id = event.osp_id
        self.plan = event.plan
        self.briefing = event.briefing
        self.state = RunState.RUNNING
        self.calls: dict[UUID, Call] = {}
        self.extensions = 0
        self.accepted_by: Contact | None = None
        self.ready_at = self.second_at = event.timestamp
        self.ring_again_at: datetime | None = None
        self.started_at = event.timestamp
        self.ended_at: datetime | None = None
        self.correlation_id = event.correlation_id

    @evolve.register
    def _(self, event: CallRequested) -> None:
        self.extensions = 0
        self.calls[event.call_id] = Call(
            id=event.call_id,
            number=len(self.calls) + 1,
            contact=event.contact,
            requested_at=event.timestamp,
            asked_at=event.timestamp,
            deadline=event.deadline,
        )

    @evolve.register
    def _(self, event: CallRetried) -> None:
        call = self.calls[event.call_id]
        call.attempt, call.is_refused = event.attempt, False
        call.asked_at, call.deadline = event.timestamp, event.deadline

    @evolve.register
    def _(self, event: CallRefused) -> None:
        call = self.calls[event.call_id]
        call.is_refused, call.deadline = True, event.deadline
        call.reason = event.reason

    @evolve.register
    def _(self, event: PlacementGivenUp) -> None:
        self.calls[event.call_id].given_up += (event.attempt,)

    @evolve.register
    def _(self, event: CallNotFound) -> None:
        call = self.calls[event.call_id]
        call.not_found, call.deadline = event.attempt, event.deadline

    @evolve.register
    def _(self, event: CallPlaced) -> None:
        call = self.calls[event.call_id]
        call.sid = event.sid
        if call.state is CallState.REQUESTED:
            call.state, call.deadline = CallState.PLACED, event.deadline

    @evolve.register
    def _(self, event: SecondCallFound) -> None:
        self._note_second(event.call_id, event.sid, SecondState.OPEN)

    @evolve.register
    def _(self, event: SecondCallCounts) -> None:
        call = self.calls[event.call_id]
        if call.sid is not None:
            self._note_second(call.id, call.sid, SecondState.OPEN)
        call.sid, call.came_late = event.sid, not call.is_live
        call.seconds = tuple(one for one in call.seconds if one.sid != event.sid)

    @evolve.register
    def _(self, event: SecondCallEnded) -> None:
        state = SecondState.ENDED if event.reason is None else SecondState.LEFT
        if event.again_at is not None:
            state, self.second_at = SecondState.OPEN, event.again_at
            self.calls[event.call_id].second_tries += 1
        self._note_second(event.call_id, event.sid, state)

    def _note_second(self, call_id: UUID, sid: str, state: SecondState) -> None:
        call = self.calls[call_id]
        others = (one for one in call.seconds if one.sid != sid)
        call.seconds = (*others, SecondCall(sid, state))

    @evolve.register
    def _(self, event: CallRinging) -> None:
        call = self.calls[event.call_id]
        call.state, call.deadline = CallState.RINGING, event.deadline
        call.ringing_at = event.timestamp

    @evolve.register
    def _(self, event: CallAnswered) -> None:
        call = self.calls[event.call_id]
        call.state, call.deadline = CallState.ANSWERED, event.deadline
        call.answered_at = event.timestamp
        call.answered_by = event.answered_by
        call.prompts = 1

    @evolve.register
    def _(self, event: CallDeadlineExtended) -> None:
        self.extensions += 1
        call = self.calls[event.call_id]
        call.deadline = self.ready_at = event.deadline
        call.reason = event.reason

    @evolve.register
    def _(self, event: PromptRepeated) -> None:
        call = self.calls[event.call_id]
        call.prompts += 1
        call.deadline = event.deadline

    @evolve.register
    def _(self, event: CallAccepted) -> None:
        call = self.calls[event.call_id]
        call.state, call.outcome = CallState.ENDED, CallOutcome.ACCEPTED
        call.ended_at = self.ended_at = event.timestamp
        self.state = RunState.ACCEPTED
        self.accepted_by = event.contact
        self.ready_at = event.timestamp
        self.ring_again_at = None
        self.extensions = 0

    @evolve.register
    def _(self, event: CallEnded) -> None:
        call = self.calls[event.call_id]
        call.state, call.outcome = CallState.ENDED, event.outcome
        call.reason, call.ended_at = event.reason, event.timestamp
        self.ready_at = event.timestamp

    @evolve.register
    def _(self, event: CallLeftUp) -> None:
        self.calls[event.call_id].is_left_up = True
        self.ready_at = event.timestamp

    @evolve.register
    def _(self, event: CallTakenDown) -> None:
        self.calls[event.call_id].is_left_up = False
        self.ready_at = event.timestamp

    @evolve.register
    def _(self, event: TextRequested) -> None:
        self.calls[event.call_id].text = TextState.REQUESTED

    @evolve.register
    def _(self, event: TextSent) -> None:
        self.calls[event.call_id].text = TextState.SENT

    @evolve.register
    def _(self, event: TextFailed) -> None:
        self.calls[event.call_id].text = TextState.FAILED

    @evolve.register
    def _(self, event: PagerRunExhausted) -> None:
        self.state = RunState.EXHAUSTED
        self.ended_at = event.timestamp
        again = self.plan.ring_again
        if again is not None and again.times > 0:
            self.ring_again_at = event.timestamp + timedelta(minutes=again.after_minutes)

    @evolve.register
    def _(self, event: ListRungAgain) -> None:
        self.ring_again_at = None

    @evolve.register
    def _(self, event: RingingAgainDropped) -> None:
        self.ring_again_at = None

    @evolve.register
    def _(self, event: PagerRunCancelled) -> None:
        self.state = RunState.CANCELLED
        self.ready_at = self.ended_at = event.timestamp
        self.extensions = 0

    @property
    def live_call(self) -> Call | None:
        return next((call for call in self.calls.values() if call.is_live), None)

    @property
    def left_up(self) -> Call | None:
        """A call that was answered by its link and is to be ended."""
        return next((call for call in self.calls.values() if call.is_left_up), None)

    @property
    def second_due(self) -> EndSecond | None:
        """What the provider has besides a call, and is to be ended.

        Not while nothing of that turn has rung: then the second one may be what rings.
        """
        return next(
            (
                EndSecond(call, one.sid)
                for call in self.calls.values()
                for one in call.seconds
                if one.state is SecondState.OPEN and (self.is_settled or call.has_rung)
            ),
            None,
        )

    @property
    def is_settled(self) -> bool:
        """Whether nobody of it is to be reached any more."""
        return self.state in (RunState.ACCEPTED, RunState.CANCELLED)

    @property
    def next_contact(self) -> Contact | None:
        """Who is rung next; None when the list is through."""
        made = len(self.calls)
        if made >= self.plan.total_calls:
            return None
        return self.plan.contacts[made % len(self.plan.contacts)]

    @property
    def is_through(self) -> bool:
        """Nobody is being rung, and nobody on the list is left to be rung."""
        return self.live_call is None and self.next_contact is None

    @property
    def can_wait(self) -> bool:
        """Whether the present deadline can be put off once more."""
        return self.extensions < MAX_EXTENSIONS

    @property
    def due_at(self) -> datetime | None:
        """When a worker has to look at this run; None if never again."""
        at = self._calls_due_at
        if self.second_due is None:
            return at
        return self.second_at if at is None else min(at, self.second_at)

    @property
    def _calls_due_at(self) -> datetime | None:
        """The same, but for second calls."""
        call = self.live_call
        if self.left_up:
            return self.ready_at
        if call is None:
            return self.ready_at if self.state is RunState.RUNNING else self.ring_again_at
        # Even of a run that is over: whoever is just placing this call gets the time to say so.
        is_being_placed = call.sid is None
        return call.deadline if self.state is RunState.RUNNING or is_being_placed else self.ready_at

    def due_step(self, now: datetime) -> Step | None:
        """What a worker has to do at `now`, decided from what is known, never from guesses."""
        second, due_at = self.second_due, self._calls_due_at
        if second is not None and self.second_at <= now:
            return second
        if due_at is None or due_at > now:
            return None
        if left_up := self.left_up:
            return TakeDown(left_up)
        call = self.live_call
        is_running = self.state is RunState.RUNNING
        if call is None:
            if not is_running:
                return RingListAgain()
            return PlaceNext(self.next_contact) if self.next_contact else None
        if call.sid is None:
            return PlaceAgain(call) if call.is_refused and is_running else ResolveUnknown(call)
        return ReadBack(call) if is_running else HangUp(call)

    def call(self, call_id: UUID) -> Call:
        """The call of that id; `NotFound` if this run never requested it."""
        try:
            return self.calls[call_id]
        except KeyError:
            raise NotFound("call") from None

    # What may be asked ---------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        run_id: UUID,
        stamp: Stamp,
        *,
        eco_id: UUID,
        noc_id: UUID,
        osp_id: UUID,
        plan: RunPlan,
        briefing: Briefing,
    ) -> PagerRun:
        if not plan.contacts:
            raise InvalidTransition("A list with nobody on it cannot be rung.")
        return cls.begin(
            PagerRunStarted,
            run_id,
            stamp,
            eco_id=eco_id,
            noc_id=noc_id,
            osp_id=osp_id,
            plan=plan,
            briefing=briefing,
        )

    def request_call(self, stamp: Stamp) -> Call:
        """Store the intent to ring the next contact. One call at a time."""
        contact = self.next_contact
        if self.state is not RunState.RUNNING or self.live_call or contact is None:
            raise InvalidTransition("Nobody is to be rung now.")
        call_id = uuid5(self.id, f"call/{len(self.calls) + 1}")
        self.emit(
            CallRequested,
            stamp,
            call_id=call_id,
            contact=contact,
            deadline=stamp.at + RESOLVE_AFTER,
        )
        return self.calls[call_id]

    def call_refused(self, call_id: UUID, reason: str, stamp: Stamp, *, can_retry: bool) -> None:
        """The provider did not take the call: again in a second or two, or on to the next."""
        call = self.call(call_id)
        if call.state is not CallState.REQUESTED:
            return
        if not can_retry or call.is_used_up or self.state is not RunState.RUNNING:
            self.call_ended(call_id, CallOutcome.FAILED, stamp, reason)
            return
        deadline = stamp.at + timedelta(seconds=call.placements)
        self.emit(CallRefused, stamp, call_id=call_id, reason=reason, deadline=deadline)

    def retry_call(self, call_id: UUID, reason: str, stamp: Stamp) -> Call:
        """Fence off whoever tried before, and give the call to the provider once more."""
        call = self.call(call_id)
        if call.state is not CallState.REQUESTED or self.state is not RunState.RUNNING:
            raise InvalidTransition("This call is not waiting to be placed.")
        self.emit(
            CallRetried,
            stamp,
            call_id=call_id,
            attempt=call.attempt + 1,
            reason=reason,
            deadline=stamp.at + RESOLVE_AFTER,
        )
        return call

    def give_up_placement(self, call_id: UUID, attempt: int, stamp: Stamp) -> None:
        """That attempt was left alone before the provider was asked: it does not count."""
        call = self.call(call_id)
        if call.state is CallState.REQUESTED and attempt not in call.given_up:
            self.emit(PlacementGivenUp, stamp, call_id=call_id, attempt=attempt)

    def call_not_found(self, call_id: UUID, attempt: int, stamp: Stamp) -> None:
        """The provider has none that is surely this. Said once an attempt: it is asked again."""
        call = self.call(call_id)
        if call.state is CallState.REQUESTED and call.attempt == attempt != call.not_found:
            deadline = stamp.at + LOOK_AGAIN_AFTER
            self.emit(CallNotFound, stamp, call_id=call_id, attempt=attempt, deadline=deadline)

    def call_placed(self, call_id: UUID, sid: str, stamp: Stamp) -> None:
        """The provider's id for the call. Known already, or learnt from a webhook: no news."""
        call = self.call(call_id)
        if call.sid is None:
            seconds = self.plan.answer_seconds + self.plan.queue_seconds
            deadline = stamp.at + timedelta(seconds=seconds)
            self.emit(CallPlaced, stamp, call_id=call_id, sid=sid, deadline=deadline)

    def call_told(
        self, call_id: UUID, sid: str, stamp: Stamp, come_to: CallState | None = None
    ) -> None:
        """The provider told of a call under that id, which has `come_to` so far; None: to its end.

        Of two for one turn, the one that comes first to ringing counts, and the other is ended. In
        a run that is settled none is to ring. No-op for the one that counts, and for one that is
        over.
        """
        call = self.call(call_id)
        known = call.second(sid)
        if call.is_live or (come_to is None and known is None):
            self.call_placed(call_id, sid, stamp)
        if sid == call.sid or come_to is None or known is SecondState.ENDED:
            return
        is_answered = come_to is CallState.ANSWERED
        if known is None or (known is SecondState.LEFT and not is_answered):
            self.emit(SecondCallFound, stamp, call_id=call_id, sid=sid)
        if self.is_settled or (call.has_rung and not call.is_live):
            return
        before = call.state if call.is_live else CallState.PLACED
        if _PROGRESS.index(come_to) > _PROGRESS.index(before):
            self.emit(SecondCallCounts, stamp, call_id=call_id, sid=sid)

    def second_call_ended(
        self,
        call_id: UUID,
        sid: str,
        stamp: Stamp,
        reason: str | None = None,
        *,
        can_retry: bool = False,
    ) -> None:
        """It rings no more; with a `reason` it was left, or could not be ended, which is tried
        again a few times if it `can_retry`. No-op if that is known."""
        call = self.call(call_id)
        if call.second(sid) is not SecondState.OPEN:
            return
        is_tried = can_retry and call.second_tries + 1 < MAX_ENDINGS
        again_at = stamp.at + LOOK_AGAIN_AFTER if is_tried else None
        told = {"call_id": call_id, "sid": sid, "reason": reason, "again_at": again_at}
        self.emit(SecondCallEnded, stamp, **told)

    def call_ringing(self, call_id: UUID, stamp: Stamp) -> None:
        """The answer clock starts here and not at the request, because providers queue."""
        if self.call(call_id).state in (CallState.REQUESTED, CallState.PLACED):
            deadline = stamp.at + timedelta(seconds=self.plan.answer_seconds)
            self.emit(CallRinging, stamp, call_id=call_id, deadline=deadline)

    def call_answered(self, call_id: UUID, stamp: Stamp, answered_by: str | None = None) -> None:
        """Somebody or something picked up. That accepts nothing."""
        before = (CallState.REQUESTED, CallState.PLACED, CallState.RINGING)
        if self.call(call_id).state in before:
            self.emit(
                CallAnswered,
                stamp,
                call_id=call_id,
                answered_by=answered_by,
                deadline=self._key_deadline(stamp),
            )

    def repeat_prompt(self, call_id: UUID, stamp: Stamp) -> None:
        """Key 9, or the first silence: the prompt once more."""
        if self.call(call_id).is_live:
            self.emit(PromptRepeated, stamp, call_id=call_id, deadline=self._key_deadline(stamp))

    def _key_deadline(self, stamp: Stamp) -> datetime:
        # The prompt itself takes time to be heard before the waiting for a key begins.
        return stamp.at + timedelta(seconds=2 * self.plan.key_seconds)

    def wait_longer(self, call_id: UUID, reason: str, stamp: Stamp) -> None:
        """At the deadline the provider still queues the call, or cannot be asked about it.

        Put the deadline off, but not for ever: a run that waits is a page that is lost.
        """
        if not self.call(call_id).is_live:
            return
        if not self.can_wait:
            self.call_ended(call_id, CallOutcome.FAILED, stamp, reason)
            return
        deadline = stamp.at + timedelta(seconds=min(self.plan.queue_seconds, 10))
        self.emit(CallDeadlineExtended, stamp, call_id=call_id, reason=reason, deadline=deadline)

    def accept(self, call_id: UUID, stamp: Stamp) -> bool:
        """A key press accepts; also on a call given up before, while nobody else has it.

        Whether the ECO still needs somebody is for the ECO to say, also after the run was
        cancelled. Returns whether it came late, that is after the call had been given up.
        """
        call = self.call(call_id)
        if self.accepted_by:
            raise InvalidTransition(f"{self.accepted_by.name} has it.")
        late = not call.is_live or self.state is not RunState.RUNNING
        self.emit(CallAccepted, stamp, call_id=call_id, contact=call.contact, late=late)
        return late

    def call_ended(
        self, call_id: UUID, outcome: CallOutcome, stamp: Stamp, reason: str | None = None
    ) -> None:
        """A call came to its end; the last one of the list without a yes exhausts the run."""
        if not self.call(call_id).is_live:
            return
        self.emit(CallEnded, stamp, call_id=call_id, outcome=outcome, reason=reason)
        if self.state is RunState.RUNNING and self.next_contact is None:
            self.emit(PagerRunExhausted, stamp, eco_id=self.eco_id, calls=len(self.calls))

    def leave_up(self, call_id: UUID, stamp: Stamp) -> None:
        """The link of a live call is answered: what the provider has of it is to be ended."""
        call = self.call(call_id)
        if call.is_live and call.sid is not None and not call.is_left_up:
            self.emit(CallLeftUp, stamp, call_id=call_id)

    def call_taken_down(self, call_id: UUID, stamp: Stamp, reason: str | None = None) -> None:
        """It was ended; with a `reason` it could not be, and rings until its time is over."""
        if self.call(call_id).is_left_up:
            self.emit(CallTakenDown, stamp, call_id=call_id, reason=reason)

    def texts_due(self, now: datetime) -> list[Call]:
        """Calls whose person also gets a text, and for whom none was tried yet.

        The call comes first: none beside one that nobody has given to the provider.
        """
        if self.is_settled:
            return []
        return [
            call
            for call in self.calls.values()
            if call.text is None
            and call.placements
            and call.contact.phone in self.plan.texted
            and now - call.requested_at < TEXT_WITHIN
        ]

    def request_text(self, call_id: UUID, stamp: Stamp) -> bool:
        """Store the intent to send a call's text; False if it is not due, or not any more."""
        is_due = any(call.id == call_id for call in self.texts_due(stamp.at))
        if is_due:
            self.emit(TextRequested, stamp, call_id=call_id)
        return is_due

    def text_sent(self, call_id: UUID, sid: str, stamp: Stamp) -> None:
        if self.call(call_id).text is TextState.REQUESTED:
            self.emit(TextSent, stamp, call_id=call_id, sid=sid)

    def text_failed(self, call_id: UUID, reason: str, stamp: Stamp) -> None:
        """It was refused, or did not arrive. Said once, and changes nothing else."""
        if self.call(call_id).text in (TextState.REQUESTED, TextState.SENT):
            self.emit(TextFailed, stamp, call_id=call_id, reason=reason)

    def settle_ringing_again(
        self, stamp: Stamp, *, next_run_id: UUID | None = None, reason: str = ""
    ) -> None:
        """What came of the pause: another run, or none and why. No-op if nothing is open."""
        if self.ring_again_at is None:
            return
        if next_run_id is not None:
            self.emit(ListRungAgain, stamp, next_run_id=next_run_id)
        else:
            self.emit(RingingAgainDropped, stamp, reason=reason)

    def cancel(self, reason: str, stamp: Stamp) -> None:
        """Ring nobody else. A live call is ended by the worker. No-op once the run is over."""
        if self.state is RunState.RUNNING:
            self.emit(PagerRunCancelled, stamp, reason=reason)
