"""The ringer: every fault between intent, request, answer and record (specification, section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from strike_adapters.secrets import KEY_UNAVAILABLE, SecretError
from strike_domain import (
    CallOrder,
    CallOutcome,
    Contact,
    OutcomeUnknown,
    PagingState,
    ProviderCallState,
    Ringer,
    RunState,
    Unavailable,
)
from strike_domain.pager_run import CallRetried
from strike_domain.ringer import DOUBTFUL, Kept
from tests.unit.given import ANA, BEN, CEM, OPERATOR, Killed, Night

Fault = BaseException | tuple[bool, BaseException] | None

UNKNOWN = OutcomeUnknown("The answer got lost.")
LOOKED_FOR_TWICE = ("place", "find", "find", "place")
BUSY_PROVIDER = Unavailable("503")
BAD_NUMBER = Unavailable("21211: not a number", can_retry=False)


def after_effect(error: BaseException) -> tuple[bool, BaseException]:
    """The call is made, then the error is all that comes back."""
    return True, error


def ordered(*faults: Fault) -> Night:
    """A night whose first placements meet `faults`; the callout is created."""
    night = Night(ANA, BEN)
    night.switchboard.faults = list(faults)
    return night


# Refused calls ------------------------------------------------------------------------------


def test_a_call_that_cannot_be_placed_moves_on_at_once() -> None:
    night = ordered(BAD_NUMBER).create()
    night.phone(BEN).is_rung()
    assert night.outcomes == ["Ana FAILED", "Ben None"]
    assert night.calls[0].reason == "21211: not a number"


def test_a_passing_refusal_is_tried_again_a_bounded_number_of_times() -> None:
    night = ordered(BUSY_PROVIDER, BUSY_PROVIDER, BUSY_PROVIDER).create()
    assert len(night.switchboard.asked) == 1
    night.after(1)
    assert len(night.switchboard.asked) == 2
    night.after(2)
    assert night.outcomes[0] == "Ana FAILED" and night.calls[0].reason == "503"
    night.phone(BEN).is_rung()


def test_a_passing_refusal_that_passes_rings_the_same_person() -> None:
    night = ordered(BUSY_PROVIDER).create().after(1)
    night.phone(ANA).rings().presses("1").hears("is yours")
    assert night.switchboard.placed() == [ANA.phone]


def test_with_every_call_refused_the_run_is_exhausted_loudly() -> None:
    night = ordered(BAD_NUMBER, BAD_NUMBER).create()
    assert night.eco.paging_state is PagingState.EXHAUSTED


def test_a_refused_call_of_a_cancelled_run_is_not_tried_again() -> None:
    night = ordered(BUSY_PROVIDER).create()
    night.cancel().after(60)
    assert night.switchboard.placed() == []
    assert night.outcomes == ["Ana CANCELLED"]
    assert night.run.due_at is None


def test_a_refused_call_is_not_tried_again_once_an_earlier_one_was_accepted() -> None:
    night = ordered(None, BUSY_PROVIDER).create()
    ana = night.phone(ANA).rings()
    night.after(30)
    ana.presses("1").hears("is yours")
    night.after(60)
    assert night.switchboard.placed() == [ANA.phone]
    assert night.outcomes == ["Ana ACCEPTED", "Ben CANCELLED"]


def test_a_token_whose_key_does_not_answer_uses_up_nobody_of_the_list() -> None:
    """The worker that stumbles over it leaves the run to its lease; it goes on where it was."""
    night = ordered(SecretError(KEY_UNAVAILABLE, "KMS does not answer."))
    with pytest.raises(SecretError):
        night.create()
    night.after(10)
    assert night.switchboard.asked == [(each, ANA.phone) for each in LOOKED_FOR_TWICE]
    night.phone(ANA).rings().presses("1").hears("is yours")


# Lost claims ---------------------------------------------------------------------------------


def test_placements_that_were_given_up_before_any_request_do_not_count() -> None:
    night = Night(ANA, BEN)
    with night.claims_lost():
        night.create().after(42)
    assert night.calls[0].given_up == (1, 2, 3, 4, 5, 6) and night.calls[0].placements == 0
    assert "place" not in [what for what, _ in night.switchboard.asked]
    night.after(10)
    night.phone(ANA).rings().presses("1").hears("is yours")
    assert night.outcomes == ["Ana ACCEPTED"]


def test_a_call_that_never_went_out_is_not_taken_for_another_run_s_to_that_number() -> None:
    """Two callouts ring one person; of the first, nobody has told yet that the provider has it."""
    night = Night(ANA).create()
    night.strike.runs_ringing = lambda phone, since: []  # type: ignore[method-assign]
    first = night.run.id
    with night.claims_lost():
        night.create()
    night.after(8)
    assert night.run.id != first
    assert ("find", ANA.phone) not in night.switchboard.asked
    assert [call.order.run_id for call in night.switchboard.calls] == [first, night.run.id]


def test_beside_them_a_call_is_still_given_to_the_provider_three_times_at_most() -> None:
    night = ordered(UNKNOWN, UNKNOWN, UNKNOWN)
    with night.claims_lost():
        night.create()
    night.after(10)
    with night.claims_lost():
        night.after(10)
    night.after(30)
    placed = [to for what, to in night.switchboard.asked if what == "place"]
    assert placed == [ANA.phone] * 3 + [BEN.phone]
    assert night.outcomes == ["Ana FAILED", "Ben None"]
    assert night.calls[0].attempt == 5 and night.calls[0].placements == 3


def test_nobody_waits_for_ever_for_a_worker_that_keeps_its_claim() -> None:
    night = Night(ANA, BEN)
    with night.claims_lost():
        night.create().after(105)
    assert night.outcomes == ["Ana FAILED", "Ben None"]
    assert night.calls[0].reason == "The provider has no such call after 10 attempts."
    night.after(10)
    night.phone(BEN).is_rung()


def test_no_text_goes_out_beside_a_call_that_was_not_placed_yet() -> None:
    night = Night(ANA, texted=[ANA])
    with night.claims_lost():
        night.create()
    assert night.switchboard.texts == []
    night.after(10)
    assert [one.to for one in night.switchboard.texts] == [ANA.phone]


def test_what_somebody_else_has_done_with_the_call_meanwhile_stays() -> None:
    """The run was lost, and whoever has it is placing the call: it counts once, and rings once."""
    night = Night(ANA, BEN)
    with night.claims_lost():
        night.create()
    another = night.another_worker()

    def lost() -> bool:
        for seconds in (8, 2):
            night.clock.advance(seconds)
            another.work_on(night.run.id)
        return False

    night.clock.advance(10)
    night.strike.ringer.work_on(night.run.id, lost)
    assert night.switchboard.placed() == [ANA.phone]
    [call] = night.calls
    assert (call.state, call.attempt, call.given_up) == ("PLACED", 3, (1,))


# Unknown outcomes ---------------------------------------------------------------------------


def test_an_unknown_outcome_is_asked_for_and_the_call_found_is_not_placed_again() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.after(7)
    assert night.switchboard.asked == [("place", ANA.phone)]
    night.after(1)
    assert night.switchboard.asked[1] == ("find", ANA.phone)
    night.phone(ANA).rings().presses("1").hears("is yours")
    assert night.switchboard.placed() == [ANA.phone]


def test_an_unknown_outcome_without_effect_is_placed_again_after_asking() -> None:
    night = ordered(UNKNOWN).create().after(10)
    assert night.switchboard.asked == [(each, ANA.phone) for each in LOOKED_FOR_TWICE]
    night.phone(ANA).rings().presses("1").hears("is yours")


@pytest.mark.parametrize("late", [8.5, 9.99], ids=["right after", "right before the next"])
def test_a_request_that_gets_through_after_the_question_for_it_rings_once(late: float) -> None:
    """A network that was held up lets both go on at once, and nothing says in which order."""
    night = ordered(UNKNOWN).create().after(8)
    assert night.switchboard.asked[-1] == ("find", ANA.phone)
    night.after(late - 8)
    [order] = night.switchboard.orders
    night.switchboard.place(order)
    night.after(10 - late)
    assert night.switchboard.placed() == [ANA.phone]
    night.phone(ANA).rings().presses("1").hears("is yours")


def test_who_is_no_longer_needed_once_the_provider_has_answered_is_not_rung_again() -> None:
    """To say that it has no such call may take it seconds."""
    night = ordered(UNKNOWN).create()
    lagging(night, 8)
    night.switchboard.meanwhile["found"] = lambda: night.strike.callouts.cancel_eco(
        night.eco_id, "Signal is back.", OPERATOR
    )
    lagging(night, 2)
    assert night.switchboard.asked.count(("place", ANA.phone)) == 1
    assert night.outcomes == ["Ana CANCELLED"]


def test_a_call_that_comes_late_to_a_run_that_was_cancelled_is_ended() -> None:
    night = ordered(UNKNOWN).create().cancel().after(8)
    [order] = night.switchboard.orders
    night.switchboard.place(order)
    night.after(2)
    assert night.outcomes == ["Ana CANCELLED"]
    assert night.switchboard.live() == []


def test_before_a_call_counts_as_failed_it_is_looked_for_twice() -> None:
    night = ordered(UNKNOWN, UNKNOWN, UNKNOWN).create().after(29)
    *_, order = night.switchboard.orders
    night.switchboard.place(order)
    night.after(1)
    assert night.outcomes == ["Ana None"]
    night.phone(ANA).rings().presses("1").hears("is yours")


def test_between_both_looks_the_provider_may_be_out_of_reach() -> None:
    night = ordered(UNKNOWN).create().after(8)
    night.switchboard.is_reachable = False
    night.after(20)
    assert night.outcomes == ["Ana None"] and night.run.extensions == 2
    night.switchboard.is_reachable = True
    night.after(10)
    night.phone(ANA).rings().presses("1").hears("is yours")


def test_a_webhook_answers_the_unknown_before_it_is_asked() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.phone(ANA).rings().answers()
    night.after(20)
    assert ("find", ANA.phone) not in night.switchboard.asked


def test_outcomes_that_stay_unknown_do_not_keep_a_run_for_ever() -> None:
    night = ordered(UNKNOWN, UNKNOWN, UNKNOWN).create().after(40)
    assert night.outcomes[0] == "Ana FAILED"
    night.phone(BEN).is_rung()


def test_a_call_found_that_is_over_already_moves_on_at_once() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.switchboard.calls[0].state = ProviderCallState.BUSY
    night.after(10)
    assert night.outcomes == ["Ana BUSY", "Ben None"]


def test_a_call_of_another_run_to_the_same_number_is_not_taken_for_ours() -> None:
    night = Night(ANA).create()
    first = night.run.id
    night.switchboard.faults = [UNKNOWN]
    night.create().after(10)
    assert night.run.id != first
    sids = [
        run.live_call.sid
        for run in map(night.strike.log.run, (first, night.run.id))
        if run.live_call
    ]
    assert sids == ["paper-1", "paper-2"]


def test_a_call_to_a_twin_number_in_the_same_run_is_not_taken_for_ours() -> None:
    twin = Contact(name="Twin", phone=ANA.phone)
    night = Night(ANA, twin).create()
    night.switchboard.faults = [UNKNOWN]
    night.phone(ANA).rings().is_busy()
    night.after(10)
    assert night.switchboard.placed() == [ANA.phone, ANA.phone]


def test_a_ringer_that_knows_no_other_runs_still_knows_its_own_calls() -> None:
    twin = Contact(name="Twin", phone=ANA.phone)
    night = Night(ANA, twin).create()
    night.strike.ringer = Ringer(night.strike.log, night.switchboard, night.clock)
    night.switchboard.faults = [UNKNOWN]
    night.phone(ANA).rings().is_busy()
    night.after(10)
    assert night.switchboard.placed() == [ANA.phone, ANA.phone]


def test_a_provider_whose_clock_is_behind_is_understood() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.switchboard.placed_at["paper-1"] -= timedelta(seconds=4)
    night.after(10)
    assert night.calls[0].sid == "paper-1"


def test_of_two_calls_found_the_one_that_still_lives_is_ours() -> None:
    night = Night(ANA)
    night.order()
    night.strike._follow()
    place = night.switchboard.place

    def after_a_stranger(order: CallOrder) -> str:
        night.switchboard.place = place  # type: ignore[method-assign]
        place(order)
        night.switchboard.calls[0].state = ProviderCallState.BUSY
        place(order)
        raise UNKNOWN

    night.switchboard.place = after_a_stranger  # type: ignore[method-assign]
    night.strike.settle()
    night.after(10)
    assert night.calls[0].sid == "paper-2"


def test_a_cancelled_run_asks_what_became_of_its_intent_and_ends_the_call() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.cancel().after(10)
    night.phone(ANA).is_silent()
    assert night.outcomes == ["Ana CANCELLED"]


def test_a_cancelled_run_never_places_an_intent_that_the_provider_does_not_know() -> None:
    night = ordered(UNKNOWN).create()
    night.cancel().after(600)
    assert night.switchboard.placed() == []
    assert night.run.due_at is None


# A worker that dies -------------------------------------------------------------------------


def test_a_worker_that_died_before_placing_is_recovered_within_ten_seconds() -> None:
    night = ordered(Killed())
    with pytest.raises(Killed):
        night.create()
    night.strike.ringer = night.another_worker()
    night.after(10)
    night.phone(ANA).rings().presses("1").hears("is yours")
    assert night.switchboard.placed() == [ANA.phone]


def test_a_worker_that_died_after_placing_has_its_call_found_again() -> None:
    night = ordered(after_effect(Killed()))
    with pytest.raises(Killed):
        night.create()
    night.strike.ringer = night.another_worker()
    night.after(10)
    night.phone(ANA).rings().presses("1").hears("is yours")
    assert night.switchboard.placed() == [ANA.phone]


def test_a_worker_that_died_after_ending_a_call_has_the_next_one_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()

    def die() -> None:
        raise Killed

    night.switchboard.meanwhile["ended"] = die
    with pytest.raises(Killed):
        night.after(30)
    night.strike.ringer = night.another_worker()
    night.after(10)
    night.phone(BEN).is_rung()


# Two workers --------------------------------------------------------------------------------


def taken_over(night: Night, *faults: BaseException | tuple[bool, BaseException] | None) -> None:
    """While the first worker waits for the provider, a second one finds the intent stale."""
    run_id = night.strike.log.eco(night.eco_id).latest_run_id
    assert run_id is not None
    night.switchboard.faults = list(faults)
    for seconds in (8, 2):
        night.clock.advance(seconds)
        night.another_worker().work_on(run_id)


class StaleWorker:
    """A night in which the first placement is stuck until somebody else has taken over."""

    def __init__(self, *outcome_for_the_other: BaseException | None) -> None:
        self.night = Night(ANA, BEN)
        self.night.order()
        self.night.strike._follow()
        self.run_id = self.night.run.id
        board = self.night.switchboard
        place = board.place

        def stuck(order: object) -> str:
            board.place = place  # type: ignore[method-assign]
            taken_over(self.night, *outcome_for_the_other)
            return self.finish(lambda: place(order))  # type: ignore[arg-type]

        board.place = stuck  # type: ignore[method-assign]

    def finish(self, place: Callable[[], str]) -> str:
        return place()


class StaleAndRefused(StaleWorker):
    def finish(self, place: Callable[[], str]) -> str:
        raise BUSY_PROVIDER


class StaleAndForbidden(StaleWorker):
    def finish(self, place: Callable[[], str]) -> str:
        raise BAD_NUMBER


def test_a_stale_worker_ends_the_call_it_should_not_have_placed() -> None:
    stale = StaleWorker()
    stale.night.strike.ringer.work_on(stale.run_id)
    live = [call.sid for call in stale.night.switchboard.live()]
    assert live == ["paper-1"] == [call.sid for call in stale.night.calls]


def test_a_call_that_a_stale_worker_ended_is_not_taken_for_the_newer_attempt() -> None:
    stale = StaleWorker(UNKNOWN)
    night = stale.night
    night.strike.ringer.work_on(stale.run_id)
    assert night.switchboard.live() == []
    assert night.calls[0].sid is None
    night.after(10)
    assert night.outcomes == ["Ana None"]
    night.phone(ANA).rings().presses("1").hears("is yours")


def test_a_stale_worker_whose_call_cannot_be_ended_does_not_fall_over_it() -> None:
    stale = StaleWorker()
    stale.night.switchboard.meanwhile["ended"] = lambda: (_ for _ in ()).throw(BUSY_PROVIDER)
    stale.night.strike.ringer.work_on(stale.run_id)
    stale.night.phone(ANA).presses("1").hears("is yours")


@pytest.mark.parametrize("kind", [StaleAndRefused, StaleAndForbidden])
def test_what_a_stale_worker_was_refused_says_nothing_of_the_newer_attempt(
    kind: type[StaleWorker],
) -> None:
    stale = kind()
    stale.night.strike.ringer.work_on(stale.run_id)
    call = stale.night.calls[0]
    assert (call.sid, call.attempt, call.is_refused, call.outcome) == ("paper-1", 2, False, None)


@pytest.mark.parametrize("kind", [StaleAndRefused, StaleAndForbidden])
def test_a_stale_refusal_does_not_end_a_newer_attempt_that_is_still_unknown(
    kind: type[StaleWorker],
) -> None:
    stale = kind(UNKNOWN)
    stale.night.strike.ringer.work_on(stale.run_id)
    call = stale.night.calls[0]
    assert (call.attempt, call.is_refused, call.outcome) == (2, False, None)
    stale.night.after(10)
    assert stale.night.switchboard.asked[-2:] == [("find", ANA.phone), ("place", ANA.phone)]


def test_whoever_lost_the_run_while_storing_the_intent_leaves_the_phone_to_the_other() -> None:
    """The database was away for longer than the lease: when it is stored, somebody else has it."""
    night = Night(ANA, BEN)
    night.order()
    night.strike._follow()
    run_id = night.run.id

    def lost() -> bool:
        taken_over(night)
        return False

    night.strike.ringer.work_on(run_id, lost)
    assert len(night.switchboard.live()) == len(night.switchboard.placed()) == 1
    assert night.calls[0].attempt == 2


def test_an_intent_that_nobody_may_place_any_more_is_placed_when_its_deadline_has_passed() -> None:
    night = Night(ANA)
    night.order()
    night.strike._follow()
    run = night.strike.ringer.work_on(night.run.id, lambda: False)
    assert night.switchboard.placed() == []
    assert run.due_at == night.calls[0].deadline
    night.after(10)
    night.phone(ANA).rings().presses("1").hears("is yours")


@pytest.mark.parametrize("kind", ["place", "place again", "resolve", "read back"])
def test_before_every_request_that_rings_it_is_asked_whether_the_run_is_still_ours(
    kind: str,
) -> None:
    night = Night(ANA, BEN)
    faults = {"place again": BUSY_PROVIDER, "resolve": UNKNOWN}
    night.switchboard.faults = [faults[kind]] if kind in faults else []
    night.order()
    night.strike._follow()
    ringer, run_id = night.strike.ringer, night.run.id
    if kind != "place":
        ringer.work_on(run_id)
        if kind == "read back":
            night.phone(ANA).rings()
        if kind == "resolve":
            night.clock.advance(8)
            ringer.work_on(run_id)
        night.clock.advance(30)
    before = len(night.switchboard.placed())
    asked: list[str] = []

    def lost() -> bool:
        asked.append(kind)
        return False

    ringer.work_on(run_id, lost)
    assert asked and len(night.switchboard.placed()) == before


def test_a_call_that_comes_to_be_after_its_run_was_cancelled_and_settled_is_ended() -> None:
    night = Night(ANA)
    night.order()
    night.strike._follow()
    place = night.switchboard.place

    def slow(order: object) -> str:
        night.switchboard.place = place  # type: ignore[method-assign]
        night.strike.ringer = night.another_worker()
        night.cancel().after(10)
        assert night.outcomes == ["Ana CANCELLED"]
        return place(order)  # type: ignore[arg-type]

    night.switchboard.place = slow  # type: ignore[method-assign]
    night.another_worker().work_on(night.run.id)
    night.phone(ANA).is_silent()


def test_two_workers_at_once_place_one_call() -> None:
    night = Night(ANA)
    night.order()
    night.strike._follow()
    run_id = night.run.id
    other = night.another_worker()
    store = night.strike.log.store

    def beaten(*aggregates: object) -> int:
        night.strike.log.store = store  # type: ignore[method-assign]
        other.work_on(run_id)
        return store(*aggregates)  # type: ignore[arg-type]

    night.strike.log.store = beaten  # type: ignore[method-assign]
    night.strike.ringer.work_on(run_id)
    assert night.switchboard.placed() == [ANA.phone]


# The deadline -------------------------------------------------------------------------------


def test_a_call_that_the_provider_queues_is_waited_for_and_its_clock_starts_with_ringing() -> None:
    night = Night(ANA, BEN)
    night.switchboard.starts_as = ProviderCallState.QUEUED
    night.create().after(65)
    night.phone(ANA).is_rung()
    night.phone(BEN).is_silent()
    night.phone(ANA).rings()
    night.after(29)
    night.phone(ANA).is_rung()
    night.after(1)
    night.phone(ANA).is_silent()
    night.phone(BEN).is_rung()


def test_a_call_queued_for_too_long_is_ended_before_the_next_is_rung() -> None:
    night = Night(ANA, BEN)
    night.switchboard.starts_as = ProviderCallState.QUEUED
    night.create().after(110)
    night.phone(ANA).is_silent()
    night.phone(BEN).is_rung()
    assert night.outcomes == ["Ana FAILED", "Ben None"]


def test_at_the_deadline_the_old_call_is_ended_before_the_next_is_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    night.after(30)
    assert night.switchboard.asked[1:] == [("end", ANA.phone), ("place", BEN.phone)]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (ProviderCallState.BUSY, "BUSY"),
        (ProviderCallState.NO_ANSWER, "NO_ANSWER"),
        (ProviderCallState.FAILED, "FAILED"),
        (ProviderCallState.COMPLETED, "NO_ANSWER"),
        (ProviderCallState.CANCELED, "NO_ANSWER"),
    ],
)
def test_what_the_provider_did_not_report_is_read_back_at_the_deadline(
    state: ProviderCallState, outcome: str
) -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().call.state = state
    night.after(30)
    assert night.outcomes == [f"Ana {outcome}", "Ben None"]


def test_an_answered_call_in_which_no_key_comes_is_timed_out_and_ended() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().answers()
    night.after(40)
    night.phone(ANA).is_silent()
    assert night.outcomes[0] == "Ana TIMED_OUT"


def test_a_machine_that_nobody_reported_on_is_voicemail_at_the_deadline() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().voicemail()
    night.after(40)
    assert night.outcomes[0] == "Ana VOICEMAIL"


def test_a_webhook_that_comes_while_the_provider_is_asked_wins() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.switchboard.meanwhile["fetched"] = lambda: night.strike.paging.key_pressed(
        ana.call.report, "1"
    )
    night.after(30)
    assert night.outcomes == ["Ana ACCEPTED"]
    assert night.switchboard.placed() == [ANA.phone]


def test_an_answer_that_comes_while_the_provider_is_asked_is_not_overwritten() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    answered = replace(ana.call.report, state=ProviderCallState.IN_PROGRESS)
    night.switchboard.meanwhile["fetched"] = lambda: night.strike.paging.reported(answered)
    night.after(30)
    assert night.outcomes == ["Ana None"]
    night.after(40)
    assert night.outcomes[1:] == ["Ben None"]


# A provider that cannot be reached ----------------------------------------------------------


def test_a_provider_that_cannot_be_reached_does_not_hang_a_run_for_ever() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    night.switchboard.is_reachable = False
    night.after(600)
    assert night.run.state is RunState.EXHAUSTED
    assert night.outcomes == ["Ana FAILED", "Ben FAILED"]


def test_a_provider_that_cannot_be_reached_is_asked_in_moderation() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    night.switchboard.is_reachable = False
    night.after(600)
    assert len(night.switchboard.asked) < 20
    assert len(night.strike.events()) < 40


def test_an_unknown_outcome_at_a_provider_that_cannot_be_reached_moves_on() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.switchboard.is_reachable = False
    night.after(50)
    night.switchboard.is_reachable = True
    night.after(5)
    assert night.outcomes[0] == "Ana FAILED"


def test_a_key_in_a_call_given_up_for_want_of_news_is_still_welcome() -> None:
    night = ordered(after_effect(UNKNOWN)).create()
    night.switchboard.is_reachable = False
    night.after(600)
    assert night.eco.paging_state is PagingState.EXHAUSTED
    night.phone(ANA).presses("1").hears("is yours")


def test_the_hanging_up_is_tried_again_while_the_provider_cannot_be_reached() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings()
    night.switchboard.is_reachable = False
    night.cancel().after(25)
    ana.is_rung()
    night.switchboard.is_reachable = True
    night.after(10)
    ana.is_silent()
    assert night.outcomes == ["Ana CANCELLED"]


def test_waiting_used_up_before_the_cancellation_is_not_missing_for_the_hanging_up() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings()
    night.switchboard.is_reachable = False
    night.after(65)
    assert not night.run.can_wait
    night.cancel().after(5)
    night.switchboard.is_reachable = True
    night.after(10)
    ana.is_silent()


# A process that lags behind -----------------------------------------------------------------


def lagging(night: Night, seconds: float) -> None:
    """Time passes for the worker alone: nobody follows the log."""
    night.clock.advance(seconds)
    night.strike.ringer.work_on(night.run.id)


def test_nobody_is_rung_for_a_cancelled_eco_though_the_process_has_not_heard_of_it() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    night.strike.callouts.cancel_eco(night.eco_id, "Signal is back.", OPERATOR)
    lagging(night, 30)
    assert night.switchboard.placed() == [ANA.phone]
    night.phone(ANA).is_silent()
    assert night.run.state is RunState.CANCELLED


def test_nobody_is_rung_in_a_later_run_once_an_earlier_one_was_accepted() -> None:
    night = Night(ANA, BEN, CEM).create()
    early = night.phone(ANA).rings()
    night.after(210)
    night.dispatch()
    night.phone(ANA).rings()
    night.strike.paging.key_pressed(early.call.report, "1")
    lagging(night, 30)
    assert night.switchboard.placed() == [c.phone for c in (ANA, BEN, CEM, ANA)]


def test_a_visit_to_a_run_with_nothing_due_does_nothing() -> None:
    night = Night(ANA).create()
    before = night.strike.log.position()
    run = night.strike.ringer.work_on(night.run.id)
    assert night.strike.log.position() == before
    assert run.due_at is not None and run.due_at > night.clock.now()


def test_a_ringer_that_knows_of_no_others_takes_any_call_for_its_own() -> None:
    """For an embedder with one run at a time; whoever has more gives it `OtherCalls`."""
    night = ordered(after_effect(UNKNOWN)).create()
    night.strike.ringer = Ringer(night.strike.log, night.switchboard, night.clock)
    night.after(10)
    assert night.calls[0].sid == "paper-1"
    assert night.calls[0].outcome is not CallOutcome.FAILED


# What is kept in memory ---------------------------------------------------------------------


def test_a_ringer_keeps_runs_that_go_on_and_none_that_is_over() -> None:
    night = Night(ANA).create()
    kept = night.strike.ringer._kept
    assert list(kept._runs) == [night.run.id]
    night.phone(ANA).rings().presses("2")
    night.strike.ringer.work_on(night.run.id)
    assert (list(kept._runs), list(kept._ecos)) == ([], [])


def test_a_ringer_keeps_a_limited_number_of_runs_and_ecos() -> None:
    night = Night(ANA, BEN)
    night.strike.ringer._kept = Kept(night.strike.log, most=2)
    for _ in range(5):
        night.create()
    assert len(night.strike.ringer._kept._runs) == 2
    assert len(night.strike.ringer._kept._ecos) == 2
    night.after(200)
    assert night.outcomes == ["Ana NO_ANSWER", "Ben NO_ANSWER"]


def test_what_another_worker_did_meanwhile_is_read_before_anything_is_done() -> None:
    night = Night(ANA, BEN).create()
    night.after(30)
    night.clock.advance(30)
    night.another_worker().work_on(night.run.id)
    before = night.strike.log.position()
    night.strike.ringer.work_on(night.run.id)
    assert night.strike.log.position() == before


@pytest.mark.parametrize(
    "lost", [[after_effect(UNKNOWN), UNKNOWN], [UNKNOWN, after_effect(UNKNOWN)]]
)
def test_two_runs_that_get_no_answer_do_not_take_one_call_for_both(lost: list[Fault]) -> None:
    """Nobody can know whose it is. One ring too many harms less than one too few."""
    night = Night(ANA)
    night.switchboard.faults = lost
    runs = [night.create().run.id for _ in range(2)]
    assert night.switchboard.placed() == [ANA.phone]
    night.after(11)
    assert sorted(own_calls(night, runs)) == ["paper-2", "paper-3"]
    retried = [one for _, one in night.strike.events() if isinstance(one, CallRetried)]
    assert [one.reason for one in retried] == [DOUBTFUL, DOUBTFUL]


def test_a_run_without_an_answer_leaves_the_call_of_another_that_still_waits_for_its_own() -> None:
    """The other's call is there, its answer on the way: nobody has told yet whose it is."""
    night = Night(ANA)
    night.switchboard.faults = [UNKNOWN]
    first = night.create().run.id
    night.clock.advance(8)
    night.switchboard.meanwhile["placed"] = lambda: night.another_worker().work_on(first)
    second = night.create().run.id
    night.after(2)
    assert own_calls(night, [first, second]) == ["paper-2", "paper-1"]


def test_a_call_that_everybody_else_has_accounted_for_is_its_own() -> None:
    night = Night(ANA)
    night.switchboard.faults = [after_effect(UNKNOWN)]
    first = night.create().run.id
    second = night.create().run.id
    night.after(11)
    assert own_calls(night, [first, second]) == ["paper-1", "paper-2"]


def test_what_another_run_was_given_again_may_be_there_twice() -> None:
    """Its first attempt is the call that nobody accounts for."""
    night = Night(ANA)
    night.switchboard.faults = [after_effect(UNKNOWN), UNKNOWN, UNKNOWN]
    runs = [night.create().run.id for _ in range(2)]
    night.after(4)
    runs.append(night.create().run.id)
    night.after(11)
    assert sorted(own_calls(night, runs)) == ["paper-2", "paper-3", "paper-4"]


@pytest.mark.parametrize(("later", "expected"), [(9, "paper-3"), (11, "paper-2")])
def test_a_call_that_was_lost_long_before_leaves_no_doubt(later: float, expected: str) -> None:
    """It was given to the provider again after 10 s. What comes 20 s after that is not its."""
    night = Night(ANA)
    night.switchboard.faults = [UNKNOWN]
    first = night.create().run.id
    night.after(10)
    assert own_calls(night, [first]) == ["paper-1"]
    night.after(10)
    night.clock.advance(later)
    night.switchboard.faults = [after_effect(UNKNOWN)]
    second = night.create().run.id
    night.after(11)
    assert own_calls(night, [first, second]) == ["paper-1", expected]


def test_a_call_that_was_asked_for_long_ago_may_have_been_given_to_the_provider_just_now() -> None:
    """Nobody worked for minutes; then it was given to it again, and the answer got lost."""
    night = Night(ANA)
    night.switchboard.faults = [UNKNOWN, after_effect(UNKNOWN), UNKNOWN]
    first = night.create().run.id
    night.clock.advance(600)
    night.after(2)
    assert night.switchboard.placed() == [ANA.phone]
    second = night.create().run.id
    night.after(11)
    assert sorted(own_calls(night, [first, second])) == ["paper-2", "paper-3"]


def test_a_call_of_an_earlier_turn_of_the_same_person_is_not_taken_for_this_one() -> None:
    """The turn before was given up with its last request under way, which gets through now."""
    night = Night(ANA, rounds=2)
    night.switchboard.faults = [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]
    night.create().after(31)
    assert night.outcomes == ["Ana FAILED", "Ana None"]
    night.switchboard.place(night.switchboard.orders[0])
    night.after(10)
    assert [call.sid for call in night.calls] == [None, "paper-2"]


def own_calls(night: Night, runs: Sequence[UUID]) -> list[str]:
    """What the provider has for the only call of each run, and was placed for it."""
    calls = [one for run_id in runs for one in night.strike.log.run(run_id).calls.values()]
    placed = [night.switchboard._call(str(call.sid)) for call in calls]
    assert [one.order.run_id for one in placed] == runs
    return [one.sid for one in placed]


def test_a_phone_that_was_queued_and_of_which_nobody_told_that_it_rings_gets_its_time() -> None:
    """The provider queued it for 45 s, and its callback was lost: by then it had rung for 15 s."""
    night = Night(ANA, BEN)
    night.switchboard.starts_as = ProviderCallState.QUEUED
    night.create()
    night.after(45)
    night.phone(ANA).call.state = ProviderCallState.RINGING
    night.after(16)
    assert night.switchboard.placed() == [ANA.phone]
    night.phone(ANA).presses("1").hears("is yours")


def test_such_a_phone_is_given_up_when_its_own_time_is_over() -> None:
    night = Night(ANA, BEN).create()
    night.after(60)
    night.phone(ANA).is_rung()
    night.after(30)
    assert night.calls[0].outcome is CallOutcome.NO_ANSWER
    night.phone(BEN).is_rung()
