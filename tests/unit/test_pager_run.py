"""The pager run as an aggregate: what it stores, what it refuses, what it has due."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_adapters.postgres.views.pager_process_state import (
    FORMAT,
    FORMAT_OF_GIVEN_UP,
    FORMAT_OF_MOST,
    FORMAT_OF_NOT_FOUND,
    row_of,
)
from strike_domain import CallOutcome, CallState, InvalidTransition, NotFound, PagerRun, RunState
from strike_domain.pager_run import (
    MAX_EXTENSIONS,
    MAX_PLACEMENTS,
    RESOLVE_AFTER,
    HangUp,
    PlaceAgain,
    PlaceNext,
    ReadBack,
    ResolveUnknown,
)
from tests.unit.given import ANA, BEN, at, given_run, names, replayed, stamp

Command = Callable[[PagerRun], object]


def requested(run: PagerRun) -> None:
    run.request_call(stamp())


def newest(run: PagerRun) -> UUID:
    return list(run.calls)[-1]


def placed(run: PagerRun) -> None:
    run.call_placed(newest(run), f"CA{len(run.calls)}", stamp())


def ringing(run: PagerRun) -> None:
    run.call_ringing(newest(run), stamp())


def answered(run: PagerRun) -> None:
    run.call_answered(newest(run), stamp())


def ended(outcome: CallOutcome) -> Command:
    return lambda run: run.call_ended(newest(run), outcome, stamp())


def refused(run: PagerRun) -> None:
    run.call_refused(newest(run), "503", stamp(), can_retry=True)


def cancelled(run: PagerRun) -> None:
    run.cancel("The ECO was cancelled.", stamp())


def accepted(run: PagerRun) -> None:
    run.accept(newest(run), stamp())


DECLINED = ended(CallOutcome.DECLINED)
BOTH_DECLINED = (requested, placed, DECLINED, requested, placed, DECLINED)


def test_an_empty_list_cannot_be_rung() -> None:
    with pytest.raises(InvalidTransition):
        given_run(contacts=())


def test_a_started_run_is_due_at_once_for_the_first_contact() -> None:
    run = given_run()
    assert run.due_at == at()
    assert run.due_step(at()) == PlaceNext(ANA)
    assert run.due_step(at(-1)) is None


def test_the_intent_is_stored_before_anybody_is_rung() -> None:
    run = given_run()
    call = run.request_call(stamp())
    assert names(run) == ["CallRequested"]
    assert (call.state, call.sid, call.number) == (CallState.REQUESTED, None, 1)
    assert run.due_at == at() + RESOLVE_AFTER


def test_one_call_at_a_time() -> None:
    run = given_run(requested)
    with pytest.raises(InvalidTransition):
        requested(run)
    assert names(run) == []


@pytest.mark.parametrize(
    "over",
    [(cancelled,), (requested, placed, accepted), BOTH_DECLINED],
    ids=["cancelled", "accepted", "exhausted"],
)
def test_nobody_is_rung_in_a_run_that_is_over(over: tuple[Command, ...]) -> None:
    run = given_run(*over)
    with pytest.raises(InvalidTransition):
        requested(run)
    assert names(run) == []
    assert run.due_at is None and run.due_step(at(10_000)) is None


def test_an_intent_without_a_result_is_asked_for() -> None:
    run = given_run(requested)
    assert run.due_step(at(7)) is None
    assert isinstance(run.due_step(at(8)), ResolveUnknown)


def test_a_call_that_the_provider_does_not_have_is_looked_for_once_more() -> None:
    run = given_run(requested)
    [call] = run.calls.values()
    for _ in range(2):
        run.call_not_found(call.id, 1, stamp(8))
    assert names(run) == ["CallNotFound"] and call.is_missing
    assert run.due_step(at(9)) is None
    assert isinstance(run.due_step(at(10)), ResolveUnknown)
    run.retry_call(call.id, "again", stamp(10))
    assert not call.is_missing
    run.call_not_found(call.id, 1, stamp(18))
    assert names(run)[1:] == ["CallRetried"], "Of an earlier attempt it says nothing any more."


def test_a_call_of_which_a_webhook_has_told_is_not_missing() -> None:
    run = given_run(requested, placed)
    run.call_not_found(newest(run), 1, stamp(8))
    assert names(run) == []


def test_an_attempt_of_which_nothing_went_out_is_looked_for_once() -> None:
    run = given_run(requested)
    run.give_up_placement(newest(run), 1, stamp())
    assert run.calls[newest(run)].is_missing


def test_a_refusal_that_may_pass_is_tried_again_a_little_later_each_time() -> None:
    run = given_run(requested)
    refused(run)
    assert run.due_at == at(1)
    assert isinstance(run.due_step(at(1)), PlaceAgain)
    run.retry_call(newest(run), "again", stamp(1))
    run.call_refused(newest(run), "503", stamp(1), can_retry=True)
    assert run.due_at == at(3)


def test_a_refusal_that_stays_ends_the_call_with_the_reason() -> None:
    run = given_run(requested)
    for _ in range(MAX_PLACEMENTS - 1):
        refused(run)
        run.retry_call(newest(run), "again", stamp())
    refused(run)
    call = run.call(newest(run))
    assert (call.outcome, call.reason) == (CallOutcome.FAILED, "503")


def test_a_refusal_for_good_ends_the_call_at_once() -> None:
    run = given_run(requested)
    run.call_refused(newest(run), "21211", stamp(), can_retry=False)
    assert names(run) == ["CallEnded"]
    assert run.due_step(at()) == PlaceNext(BEN)


def test_a_refusal_of_a_call_that_the_provider_has_after_all_says_nothing() -> None:
    run = given_run(requested, placed)
    refused(run)
    assert names(run) == []


@pytest.mark.parametrize("over", [cancelled, None], ids=["cancelled", "placed"])
def test_only_a_call_that_waits_to_be_placed_is_placed_again(over: Command | None) -> None:
    run = given_run(requested, over or placed)
    with pytest.raises(InvalidTransition):
        run.retry_call(newest(run), "again", stamp())
    assert names(run) == []


def test_the_answer_clock_starts_with_the_ringing_and_has_a_backstop_from_the_request() -> None:
    run = given_run(requested, placed)
    assert run.due_at == at(60)
    run.call_ringing(newest(run), stamp(50))
    assert run.due_at == at(80)
    assert isinstance(run.due_step(at(80)), ReadBack)


def test_the_call_id_learnt_twice_is_no_news() -> None:
    run = given_run(requested, placed)
    run.call_placed(newest(run), "another", stamp())
    assert names(run) == []
    assert run.call(newest(run)).sid == "CA1"


def test_the_call_id_learnt_after_the_answer_leaves_the_deadline_alone() -> None:
    run = given_run(requested, answered)
    due = run.due_at
    run.call_placed(newest(run), "CA1", stamp(5))
    assert run.due_at == due and run.call(newest(run)).state is CallState.ANSWERED


@pytest.mark.parametrize("late", [ringing, answered], ids=["ringing", "answered"])
def test_an_answer_is_not_undone_by_what_is_reported_late(late: Command) -> None:
    run = given_run(requested, placed, ringing, answered)
    late(run)
    assert names(run) == []


@pytest.mark.parametrize(
    "late", [ringing, answered, ended(CallOutcome.BUSY)], ids=["ringing", "answered", "busy"]
)
def test_the_end_of_a_call_is_final_for_every_report(late: Command) -> None:
    run = given_run(requested, placed, DECLINED)
    late(run)
    assert names(run) == []


def test_the_last_end_without_a_yes_exhausts_the_run() -> None:
    run = given_run(*BOTH_DECLINED[:-1])
    DECLINED(run)
    assert names(run) == ["CallEnded", "PagerRunExhausted"]
    assert (run.state, run.next_contact, run.due_at) == (RunState.EXHAUSTED, None, None)


def test_an_acceptance_ends_the_run() -> None:
    run = given_run(requested, placed, answered)
    assert run.accept(newest(run), stamp()) is False
    assert names(run) == ["CallAccepted"]
    assert (run.state, run.accepted_by) == (RunState.ACCEPTED, ANA)


def test_a_late_acceptance_says_that_it_is_late_and_leaves_the_other_call_to_be_hung_up() -> None:
    run = given_run(requested, placed, ended(CallOutcome.NO_ANSWER), requested, placed)
    first = next(iter(run.calls))
    assert run.accept(first, stamp()) is True
    assert isinstance(run.due_step(at()), HangUp)


def test_an_acceptance_in_a_run_that_was_cancelled_is_late_even_in_a_live_call() -> None:
    run = given_run(requested, placed, answered, cancelled)
    assert run.accept(newest(run), stamp()) is True


def test_the_second_acceptance_is_refused_and_nothing_is_stored() -> None:
    run = given_run(requested, placed, ended(CallOutcome.NO_ANSWER), requested, placed, accepted)
    with pytest.raises(InvalidTransition, match="Ben has it"):
        run.accept(next(iter(run.calls)), stamp())
    assert names(run) == []


def test_a_cancelled_run_has_its_live_call_hung_up() -> None:
    run = given_run(requested, placed, ringing)
    cancelled(run)
    assert names(run) == ["PagerRunCancelled"]
    assert isinstance(run.due_step(at()), HangUp)


def test_whoever_is_placing_a_call_of_a_cancelled_run_gets_the_time_to_say_so() -> None:
    run = given_run(requested, cancelled)
    assert run.due_at == at() + RESOLVE_AFTER
    assert isinstance(run.due_step(at(10)), ResolveUnknown)


def test_a_refused_call_of_a_cancelled_run_is_never_placed_again() -> None:
    run = given_run(requested, refused, cancelled)
    assert isinstance(run.due_step(at(10)), ResolveUnknown)


@pytest.mark.parametrize(
    "over",
    [(cancelled,), (requested, placed, accepted), BOTH_DECLINED],
    ids=["cancelled", "accepted", "exhausted"],
)
def test_cancelling_a_run_that_is_over_stores_nothing(over: tuple[Command, ...]) -> None:
    run = given_run(*over)
    cancelled(run)
    assert names(run) == []


def test_waiting_longer_has_an_end() -> None:
    run = given_run(requested, placed)
    for number in range(MAX_EXTENSIONS):
        run.wait_longer(newest(run), "The provider has it queued.", stamp(number))
    assert not run.can_wait
    run.wait_longer(newest(run), "The provider has it queued.", stamp(9))
    assert names(run) == ["CallDeadlineExtended"] * MAX_EXTENSIONS + ["CallEnded"]


def test_each_call_has_its_own_patience() -> None:
    run = given_run(requested, placed, lambda r: r.wait_longer(newest(r), "x", stamp()))
    assert run.extensions == 1
    DECLINED(run)
    requested(run)
    assert run.extensions == 0


def test_a_prompt_repeated_in_a_call_that_is_over_stores_nothing() -> None:
    run = given_run(requested, placed, DECLINED)
    run.repeat_prompt(newest(run), stamp())
    run.wait_longer(newest(run), "x", stamp())
    assert names(run) == []


def test_a_call_that_was_never_requested_is_not_found() -> None:
    run = given_run(requested)
    for command in (run.call_ringing, run.call_answered, run.accept, run.repeat_prompt):
        with pytest.raises(NotFound):
            command(uuid4(), stamp())
    assert names(run) == []


COME_TO = (CallState.PLACED, CallState.RINGING, CallState.ANSWERED, None)
COMMANDS = st.sampled_from(
    ["told", "told", "second ended", "second left"]
    + [
        "request",
        "placed",
        "ringing",
        "answered",
        "repeat",
        "wait",
        "refused",
        "forbidden",
        "retry",
    ]
    + ["accept", "cancel", *CallOutcome]
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(COMMANDS, st.integers(0, 3), st.integers(0, 70)), max_size=25))
def test_whatever_happens_a_running_run_has_something_due_and_its_events_tell_it_all(
    story: list[tuple[str, int, int]],
) -> None:
    run = given_run(rounds=2)
    now = 0
    for command, which, seconds in story:
        now += seconds
        _do(run, command, which, now)
        _check(run, now)
    events = list(run.pending_events)
    again = given_run_like(run, events)
    assert again == run


def given_run_like(run: PagerRun, events: Sequence[object]) -> PagerRun:
    """The same run, from what is stored of it."""
    run._pending_events.clear()
    fresh = replayed_start(run)
    for event in events:
        fresh = event.mutate(fresh)  # type: ignore[attr-defined]
    return fresh


def replayed_start(run: PagerRun) -> PagerRun:
    start = PagerRun.start(
        run.id,
        stamp(),
        eco_id=run.eco_id,
        noc_id=run.noc_id,
        osp_id=run.osp_id,
        plan=run.plan,
        briefing=run.briefing,
    )
    fresh = replayed(start)
    fresh.correlation_id = run.correlation_id
    return fresh


def _do(run: PagerRun, command: str, which: int, now: int) -> None:
    when = stamp(now)
    call_id = list(run.calls)[which % len(run.calls)] if run.calls else uuid4()
    simple: dict[str, Callable[[], object]] = {
        "request": lambda: run.request_call(when),
        "placed": lambda: run.call_placed(call_id, f"CA{call_id}", when),
        "told": lambda: run.call_told(call_id, f"CA{which}", when, COME_TO[now % 4]),
        "second ended": lambda: run.second_call_ended(call_id, f"CA{which}", when),
        "second left": lambda: run.second_call_ended(
            call_id, f"CA{which}", when, "x", can_retry=bool(now % 2)
        ),
        "ringing": lambda: run.call_ringing(call_id, when),
        "answered": lambda: run.call_answered(call_id, when),
        "repeat": lambda: run.repeat_prompt(call_id, when),
        "wait": lambda: run.wait_longer(call_id, "x", when),
        "refused": lambda: run.call_refused(call_id, "x", when, can_retry=True),
        "forbidden": lambda: run.call_refused(call_id, "x", when, can_retry=False),
        "retry": lambda: run.retry_call(call_id, "x", when),
        "accept": lambda: run.accept(call_id, when),
        "cancel": lambda: run.cancel("x", when),
    }
    before = run.version
    try:
        if command in simple:
            simple[command]()
        else:
            run.call_ended(call_id, CallOutcome(command), when)
    except (InvalidTransition, NotFound):
        assert run.version == before


def _check(run: PagerRun, now: int) -> None:
    live = [call for call in run.calls.values() if call.is_live]
    assert len(live) <= 1
    if run.state is RunState.RUNNING:
        assert run.due_at is not None
        assert run.due_at <= at(now) + timedelta(seconds=61)
        assert run.due_step(run.due_at) is not None
    if run.due_at is None:
        assert not live and run.state is not RunState.RUNNING


def test_only_a_run_that_an_older_worker_cannot_read_is_kept_from_it() -> None:
    run = given_run(lambda run: run.request_call(stamp()))
    [call] = run.calls.values()
    assert row_of(run)["format"] == FORMAT_OF_MOST < FORMAT
    run.give_up_placement(call.id, call.attempt, stamp())
    assert row_of(run)["format"] == FORMAT_OF_GIVEN_UP < FORMAT
    run.call_not_found(call.id, call.attempt, stamp())
    run.retry_call(call.id, "again", stamp())
    assert row_of(run)["format"] == FORMAT_OF_NOT_FOUND < FORMAT
    for sid in ("CA1", "CA2"):
        run.call_told(call.id, sid, stamp(), CallState.PLACED)
    assert row_of(run)["format"] == FORMAT


def test_an_attempt_is_given_up_once() -> None:
    run = given_run(lambda run: run.request_call(stamp()))
    [call] = run.calls.values()
    for _ in range(2):
        run.give_up_placement(call.id, 1, stamp())
    assert names(run) == ["PlacementGivenUp"] and call.placements == 0
    run.retry_call(call.id, "again", stamp())
    run.call_placed(call.id, "CA1", stamp())
    run.give_up_placement(call.id, 2, stamp())
    assert call.given_up == (1,), "The provider has it."
