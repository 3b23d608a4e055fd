"""Two calls for one turn: the provider took both requests, and lost its answers (decision 23)."""

from collections.abc import Callable
from uuid import UUID

import pytest

from strike_domain import CallOutcome, CallState, OutcomeUnknown, PagingState, ProviderCallState
from strike_domain.events import SecondCallCounts, SecondCallEnded, SecondCallFound
from strike_domain.memory import PaperCall
from strike_domain.pager_run import Call, EndSecond, PagerRun, ReadBack, SecondCall, SecondState
from strike_domain.ringer import ANSWERED
from strike_domain.timeline import Teller
from tests.unit.given import ANA, BEN, Night, at, given_run, names, stamp

QUEUED, RINGING = ProviderCallState.QUEUED, ProviderCallState.RINGING
PICKED_UP = ProviderCallState.IN_PROGRESS
LOST = (True, OutcomeUnknown("The answer got lost."))

Command = Callable[[PagerRun], object]


def told(sid: str, come_to: CallState | None, turn: int = 1) -> Command:
    """The provider tells of a call of that turn."""
    return lambda run: run.call_told(list(run.calls)[turn - 1], sid, stamp(), come_to)


def requested(run: PagerRun) -> None:
    run.request_call(stamp())


def ended(outcome: CallOutcome) -> Command:
    return lambda run: run.call_ended(list(run.calls)[-1], outcome, stamp())


INITIATED = told("CA2", CallState.PLACED)
PLACED = told("CA1", CallState.PLACED)


def rings(sid: str) -> Command:
    def ring(run: PagerRun) -> None:
        told(sid, CallState.RINGING)(run)
        run.call_ringing(next(iter(run.calls)), stamp())

    return ring


def call_of(run: PagerRun) -> Call:
    return next(iter(run.calls.values()))


# The run -------------------------------------------------------------------------------------


def test_while_nothing_has_rung_a_second_call_is_known_and_left() -> None:
    """Which of the two the provider rings first, nobody knows."""
    run = given_run(requested, PLACED)
    INITIATED(run)
    assert names(run) == ["SecondCallFound"]
    assert call_of(run).sids == {"CA1", "CA2"} and run.second_due is None


def test_once_the_other_rings_it_is_to_be_ended() -> None:
    run = given_run(requested, PLACED, INITIATED, rings("CA1"))
    assert run.due_at is not None and run.due_at <= stamp().at
    due = run.second_due
    assert due is not None and (due.call.sid, due.sid) == ("CA1", "CA2")


def test_what_rings_first_counts_and_the_other_is_to_be_ended() -> None:
    run = given_run(requested, PLACED)
    rings("CA2")(run)
    assert names(run) == ["SecondCallFound", "SecondCallCounts", "CallRinging"]
    due = run.second_due
    assert due is not None and (due.call.sid, due.sid) == ("CA2", "CA1")


def test_what_somebody_picks_up_counts_before_what_only_rings() -> None:
    run = given_run(requested, PLACED, rings("CA1"))
    told("CA2", CallState.ANSWERED)(run)
    assert names(run) == ["SecondCallFound", "SecondCallCounts"]
    assert call_of(run).sid == "CA2"


def test_neither_takes_over_from_one_that_has_come_as_far() -> None:
    for come_to in (CallState.PLACED, CallState.RINGING):
        run = given_run(requested, PLACED, rings("CA1"))
        told("CA2", come_to)(run)
        assert names(run) == ["SecondCallFound"]
        assert call_of(run).sid == "CA1"


def test_the_end_of_a_call_that_nobody_knew_says_nothing() -> None:
    run = given_run(requested, PLACED)
    told("CA2", None)(run)
    assert names(run) == []


def test_what_is_told_of_a_second_call_again_is_no_news() -> None:
    run = given_run(requested, PLACED, rings("CA1"), INITIATED)
    INITIATED(run)
    rings("CA2")(run)
    assert names(run) == []
    run.second_call_ended(call_of(run).id, "CA2", stamp())
    run.second_call_ended(call_of(run).id, "CA2", stamp())
    rings("CA2")(run)
    assert names(run) == ["SecondCallEnded"] and run.second_due is None


def test_what_could_not_be_ended_is_tried_again_when_it_goes_on() -> None:
    run = given_run(requested, PLACED, rings("CA1"), INITIATED)
    run.second_call_ended(call_of(run).id, "CA2", stamp(), "503")
    assert run.second_due is None
    rings("CA2")(run)
    assert names(run) == ["SecondCallEnded", "SecondCallFound"] and run.second_due is not None


def test_it_is_tried_three_times_while_everything_else_goes_on() -> None:
    run = given_run(requested, PLACED, rings("CA1"), INITIATED)
    for seconds in (0, 2, 4):
        assert isinstance(run.due_step(at(seconds)), EndSecond)
        run.second_call_ended(call_of(run).id, "CA2", stamp(seconds), "503", can_retry=True)
        assert run.due_step(at(seconds + 1)) is None
    assert run.second_due is None and run.due_at == call_of(run).deadline
    run = given_run(requested, PLACED, rings("CA1"), INITIATED)
    run.second_call_ended(call_of(run).id, "CA2", stamp(29), "503", can_retry=True)
    assert isinstance(run.due_step(at(30)), ReadBack)


def test_what_somebody_had_answered_is_left_for_good() -> None:
    run = given_run(requested, PLACED, rings("CA1"), INITIATED)
    run.second_call_ended(call_of(run).id, "CA2", stamp(), ANSWERED)
    run.call_answered(call_of(run).id, stamp())
    told("CA2", CallState.ANSWERED)(run)
    assert "SecondCallFound" not in names(run) and run.second_due is None


@pytest.mark.parametrize("outcome", [CallOutcome.FAILED, CallOutcome.BUSY])
def test_whoever_was_not_reached_keeps_the_second_call(outcome: CallOutcome) -> None:
    run = given_run(requested, PLACED, INITIATED, ended(outcome))
    assert run.second_due is None


@pytest.mark.parametrize("outcome", [CallOutcome.FAILED, CallOutcome.BUSY])
def test_the_first_that_rings_after_all_is_the_last(outcome: CallOutcome) -> None:
    """A turn was given up with three calls in the provider's queue."""
    run = given_run(requested, PLACED, ended(outcome))
    rings("CA2")(run)
    told("CA3", CallState.PLACED)(run)
    assert names(run) == ["SecondCallFound", "SecondCallCounts", "SecondCallFound"]
    call = call_of(run)
    assert (call.sid, call.outcome, call.came_late) == ("CA2", outcome, True)
    assert call.sids == {"CA1", "CA2", "CA3"} and run.second_due is not None


def test_a_settled_run_keeps_none() -> None:
    run = given_run(requested, PLACED, INITIATED, ended(CallOutcome.FAILED), requested)
    run.call_placed(list(run.calls)[1], "CA3", stamp())
    run.accept(list(run.calls)[1], stamp())
    due = run.second_due
    assert due is not None and due.sid == "CA2" and run.due_at is not None


def test_while_a_settled_run_hangs_up_its_call_no_other_takes_its_place() -> None:
    """That one would be left ringing."""
    run = given_run(requested, PLACED, lambda run: run.cancel("x", stamp()))
    rings("CA2")(run)
    assert "SecondCallCounts" not in names(run) and call_of(run).sid == "CA1"
    due = run.second_due
    assert due is not None and due.sid == "CA2"


def test_a_call_that_comes_to_a_run_that_was_cancelled_is_ended_and_is_not_its_call() -> None:
    run = given_run(requested, lambda run: run.cancel("x", stamp()), ended(CallOutcome.CANCELLED))
    told("CA1", CallState.PLACED)(run)
    assert names(run) == ["SecondCallFound"] and call_of(run).sid is None
    assert run.second_due is not None


def test_of_a_call_that_was_given_up_the_end_alone_still_tells_the_id() -> None:
    run = given_run(requested, ended(CallOutcome.FAILED))
    told("CA1", None)(run)
    assert names(run) == ["CallPlaced"]


def test_the_log_tells_it_all() -> None:
    happened = [requested, PLACED, INITIATED, rings("CA2")]
    run = given_run(*happened)
    run.second_call_ended(call_of(run).id, "CA1", stamp())
    assert call_of(run).seconds == (SecondCall("CA1", SecondState.ENDED),)


# The ringer ----------------------------------------------------------------------------------


def congested() -> Night:
    """Ana is rung for two callouts, and the provider has two calls queued for each: its answer to
    the first request got lost. The second ones count; of the newest callout's, see `FIRST`."""
    night = Night(ANA, BEN)
    night.switchboard.faults = [LOST, LOST]
    night.switchboard.starts_as = QUEUED
    for _ in range(2):
        night.create()
    night.after(11)
    assert [one.order.to for one in night.switchboard.calls] == [ANA.phone] * 4
    assert state(night, FIRST) is state(night, SECOND) is QUEUED
    assert night.calls[0].sid == call(night, SECOND).sid
    return night


FIRST, SECOND = 0, 1
"""Of the two calls that the provider has for the newest run."""


def call(night: Night, which: int) -> PaperCall:
    return [one for one in night.switchboard.calls if one.order.run_id == night.run.id][which]


def tell(night: Night, which: int, state: ProviderCallState) -> None:
    """That call comes so far, and the provider says so."""
    call(night, which).state = state
    night.strike.paging.reported(call(night, which).report)
    night.strike.settle()


def state(night: Night, which: int) -> ProviderCallState:
    return call(night, which).state


def press(night: Night, which: int) -> str:
    """Somebody picks that call up and presses 1; what they hear."""
    call(night, which).state = PICKED_UP
    return " ".join(night.strike.paging.key_pressed(call(night, which).report, "1").sentences)


def test_a_call_that_was_queued_twice_rings_once() -> None:
    night = congested()
    tell(night, FIRST, QUEUED)
    assert state(night, SECOND) is QUEUED, "Until then either may be the first to ring."
    tell(night, FIRST, RINGING)
    assert state(night, SECOND) is ProviderCallState.CANCELED
    assert night.calls[0].sid == call(night, FIRST).sid
    happened = night.happened()
    assert [one for one in happened if one.startswith("SecondCall")] == [
        "SecondCallFound",
        "SecondCallCounts",
        "SecondCallEnded",
    ]
    assert "is yours" in press(night, FIRST)
    assert night.eco.paging_state is PagingState.ACCEPTED


def test_it_rings_in_its_time_and_the_next_person_is_not_rung_meanwhile() -> None:
    """The clock of the call that counted so far had nearly run out."""
    night = congested()
    night.after(55)
    tell(night, FIRST, QUEUED)
    tell(night, FIRST, RINGING)
    night.after(29)
    assert night.outcomes == ["Ana None"]


def test_the_one_that_comes_later_is_ended_as_soon_as_it_shows_itself() -> None:
    night = congested()
    tell(night, SECOND, RINGING)
    tell(night, FIRST, QUEUED)
    assert (state(night, FIRST), state(night, SECOND)) == (ProviderCallState.CANCELED, RINGING)


def test_nobody_is_cut_off_who_has_just_picked_up() -> None:
    night = congested()
    tell(night, SECOND, RINGING)
    report = call(night, FIRST).report
    call(night, FIRST).state = PICKED_UP
    night.strike.paging.reported(report)
    night.strike.settle()
    assert state(night, FIRST) is PICKED_UP
    assert [one.state for one in night.calls[0].seconds] == [SecondState.LEFT]
    assert "is yours" in press(night, FIRST)


def test_a_provider_out_of_reach_is_asked_again_soon() -> None:
    night = congested()
    tell(night, SECOND, RINGING)
    night.switchboard.is_reachable = False
    tell(night, FIRST, QUEUED)
    night.switchboard.is_reachable = True
    night.after(2)
    assert state(night, FIRST) is ProviderCallState.CANCELED


def test_when_it_was_given_up_it_is_asked_again_once_the_phone_rings() -> None:
    night = congested()
    tell(night, SECOND, RINGING)
    night.switchboard.is_reachable = False
    tell(night, FIRST, QUEUED)
    night.after(5)
    assert [one.state for one in night.calls[0].seconds] == [SecondState.LEFT]
    night.switchboard.is_reachable = True
    tell(night, FIRST, RINGING)
    assert state(night, FIRST) is ProviderCallState.CANCELED


def test_after_the_acceptance_nothing_of_it_rings() -> None:
    night = congested()
    tell(night, SECOND, RINGING)
    assert "is yours" in press(night, SECOND)
    tell(night, FIRST, QUEUED)
    assert state(night, FIRST) is ProviderCallState.CANCELED


def test_a_call_that_nobody_waits_for_any_more_is_ended_before_it_rings() -> None:
    """The run was cancelled while the provider said that it had nothing; it came all the same."""
    night = Night(ANA)
    night.switchboard.faults = [OutcomeUnknown("No answer.")]
    night.create()
    order = night.switchboard.orders[0]
    night.cancel().after(11)
    assert night.outcomes == ["Ana CANCELLED"]
    night.switchboard.starts_as = QUEUED
    night.switchboard.place(order)
    tell(night, FIRST, QUEUED)
    assert state(night, FIRST) is ProviderCallState.CANCELED


def test_two_calls_found_that_can_only_be_this_one_s_are_both_known() -> None:
    night = Night(ANA)
    night.switchboard.starts_as = QUEUED
    night.switchboard.faults = [LOST]
    night.create()
    night.switchboard.place(night.switchboard.orders[0])
    night.after(10)
    assert night.calls[0].sids == {"paper-1", "paper-2"}
    tell(night, SECOND, RINGING)
    assert (state(night, FIRST), state(night, SECOND)) == (ProviderCallState.CANCELED, RINGING)


def test_a_second_call_that_is_known_leaves_no_doubt_to_others() -> None:
    """The third callout to Ana has to be found; of both others each call is accounted for."""
    night = congested()
    for one in list(night.switchboard.calls):
        night.strike.paging.reported(one.report)
    night.switchboard.faults = [LOST]
    night.create()
    night.after(8)
    assert night.calls[0].sid == "paper-5"


def test_each_of_it_is_told() -> None:
    night = congested()
    tell(night, FIRST, QUEUED)
    tell(night, FIRST, RINGING)
    teller, after, lines = Teller(), dict[UUID, object](), []
    for _, event in night.strike.events():
        now = after[event.originator_id] = event.mutate(after.get(event.originator_id))  # type: ignore[attr-defined]
        if isinstance(event, SecondCallFound | SecondCallCounts | SecondCallEnded):
            lines.append(teller.line(event, now))
    assert lines == [
        "The provider has a second call to Ana: only one is to ring",
        "The second call to Ana came through first: it is the one now",
        "The other call to Ana was ended",
    ]
