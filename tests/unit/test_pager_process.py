"""The pager process: answers events with events, each exactly once (specification, section 8)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, Tracking

from strike_domain import (
    NoRoute,
    PagerProcess,
    PagingPolicy,
    PagingState,
    Responder,
    Route,
    Router,
    RunState,
    TaskState,
)
from strike_domain.log import MAX_ATTEMPTS
from strike_domain.pager_process import ANSWERED
from tests.unit.given import ANA, BEN, OPERATOR, Night, stamp, tasks


class InterruptedRouter(Router):
    """Lets something else happen while the process decides; a number of times."""

    def __init__(self, router: Router, happens: Callable[[], object], times: int = 1) -> None:
        self._router = router
        self._happens = happens
        self._times = times

    def reading_once(self, places: Any = ()) -> Any:
        return self

    def route(self, osp_id: UUID, location: Any) -> Route | NoRoute:
        if self._times:
            self._times -= 1
            self._happens()
        return self._router.route(osp_id, location)


def interrupt(night: Night, happens: Callable[[], object], times: int = 1) -> None:
    process = night.strike.process
    process._router = InterruptedRouter(process._router, happens, times)


def follow_one(night: Night) -> None:
    """Let the process do one event only."""
    process = night.strike.process
    last = process.recorder.max_tracking_id(night.strike.log.name) or 0
    position, event = night.strike.events(after=last)[0]
    process.process_event(event, Tracking(night.strike.log.name, position))


def test_a_new_eco_gets_a_run_in_the_same_transaction_as_its_tracking() -> None:
    night = Night(ANA)
    night.order()
    follow_one(night)
    assert night.happened() == ["EcoCreated", "PagerRunStarted", "PagerDispatched"]
    assert night.strike.process.recorder.max_tracking_id(night.strike.log.name) == 1
    assert night.run.eco_id == night.eco_id
    assert night.run.correlation_id == night.eco.correlation_id


def test_the_events_of_the_process_name_their_cause() -> None:
    night = Night(ANA)
    night.order()
    follow_one(night)
    created, *others = [event for _, event in night.strike.events()]
    assert {event.causation_id for event in others} == {created.event_id}  # type: ignore[attr-defined]
    assert {event.actor for event in others} == {"strike:pager"}  # type: ignore[attr-defined]


def test_an_event_seen_twice_is_done_once() -> None:
    night = Night(ANA)
    night.order()
    follow_one(night)
    before = night.happened()
    position, event = night.strike.events()[0]
    with pytest.raises(IntegrityError):
        night.strike.process.process_event(event, Tracking(night.strike.log.name, position))
    assert night.happened() == before


def test_two_processes_on_one_log_do_each_event_once() -> None:
    night = Night(ANA)
    night.order()
    strike = night.strike
    other = PagerProcess(Router(strike.directory), night.clock, strike.process.env)
    position, event = strike.events()[0]
    tracking = Tracking(strike.log.name, position)
    interrupt(night, lambda: other.process_event(event, tracking))
    with pytest.raises(IntegrityError):
        strike.process.process_event(event, tracking)
    assert night.happened().count("PagerRunStarted") == 1


def test_a_command_that_is_faster_is_no_reason_to_stop() -> None:
    night = Night(ANA)
    night.order()
    note = lambda: night.strike.callouts.add_note(night.eco_id, "Hurry.", OPERATOR)  # noqa: E731
    interrupt(night, note, times=MAX_ATTEMPTS - 1)
    night.strike.settle()
    assert night.eco.paging_state is PagingState.RUNNING
    assert night.happened().count("NoteAdded") == MAX_ATTEMPTS - 1


def test_commands_that_are_faster_for_ever_are_reported_and_nothing_is_lost() -> None:
    night = Night(ANA)
    night.order()
    note = lambda: night.strike.callouts.add_note(night.eco_id, "Hurry.", OPERATOR)  # noqa: E731
    interrupt(night, note, times=MAX_ATTEMPTS)
    with pytest.raises(IntegrityError):
        night.strike.settle()
    night.strike.settle()
    assert night.eco.paging_state is PagingState.RUNNING


def test_an_eco_cancelled_while_the_process_decides_is_not_paged() -> None:
    night = Night(ANA)
    night.order()
    interrupt(night, lambda: night.strike.callouts.cancel_eco(night.eco_id, "Over.", OPERATOR))
    night.strike.settle()
    assert night.eco.runs == () and night.switchboard.asked == []


def test_an_eco_dispatched_by_hand_while_the_process_decides_gets_one_run() -> None:
    night = Night(ANA)
    night.order()
    interrupt(night, lambda: night.strike.paging.dispatch(night.eco_id, OPERATOR))
    night.strike.settle()
    assert len(night.eco.runs) == 1
    assert night.switchboard.placed() == [ANA.phone]


def test_an_eco_cancelled_before_the_process_saw_it_is_not_paged() -> None:
    night = Night(ANA)
    night.order()
    night.cancel()
    assert night.eco.runs == ()


def test_a_manual_policy_starts_nothing() -> None:
    night = Night(ANA, policy=PagingPolicy.MANUAL).create()
    assert night.happened() == ["EcoCreated"]


def test_an_exhaustion_heard_of_after_the_acceptance_changes_nothing() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings()
    night.clock.advance(30)
    night.strike.ringer.work_on(night.run.id)
    assert night.run.state is RunState.EXHAUSTED
    night.strike.paging.key_pressed(ana.call.report, "1")
    night.strike.settle()
    assert night.eco.paging_state is PagingState.ACCEPTED
    assert "PagingExhausted" not in night.happened()


def test_an_exhaustion_heard_of_after_the_cancellation_changes_nothing() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings()
    night.clock.advance(30)
    night.strike.ringer.work_on(night.run.id)
    night.cancel()
    assert night.eco.paging_state is PagingState.CANCELLED


@pytest.mark.parametrize("end", ["cancelled", "completed"])
def test_the_run_ends_with_the_eco(end: str) -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    if end == "cancelled":
        night.cancel()
    else:
        report_tasks(night, TaskState.COMPLETED)
        night.strike.settle()
    assert night.run.state is RunState.CANCELLED
    night.phone(ANA).is_silent()


def report_tasks(night: Night, *states: TaskState) -> None:
    snapshot = tasks(*states)
    night.strike.log.change_eco(
        night.eco_id, lambda eco: eco.record_tasks(snapshot, timedelta(1), stamp())
    )


def test_a_process_that_lags_does_not_cancel_a_run_dispatched_after_the_reactivation() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    report_tasks(night, TaskState.COMPLETED)
    report_tasks(night, TaskState.RELEASED)
    night.strike.paging.dispatch(night.eco_id, OPERATOR)
    night.strike.settle()
    first, second = (night.strike.log.run(run_id) for run_id in night.eco.runs)
    assert (first.state, second.state) == (RunState.CANCELLED, RunState.RUNNING)
    night.phone(ANA).rings().presses("1").hears("is yours")


def test_a_process_that_lags_does_not_cancel_a_run_dispatched_after_an_acceptance() -> None:
    night = Night(ANA).create().after(90)
    late = night.phone(ANA).call
    night.dispatch()
    night.strike.paging.key_pressed(late.report, "1")
    night.strike.paging.dispatch(night.eco_id, OPERATOR)
    night.strike.settle()
    states = [night.strike.log.run(run_id).state for run_id in night.eco.runs]
    assert states == [RunState.ACCEPTED, RunState.CANCELLED, RunState.RUNNING]


def test_an_acceptance_outside_a_run_cancels_the_run_that_is_going_on() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings()
    somebody = Responder(name="Zoe", run_id=uuid4(), call_id=uuid4())
    night.strike.log.change_eco(night.eco_id, lambda eco: eco.assign_responder(somebody, stamp()))
    night.strike.settle()
    assert night.run.state is RunState.CANCELLED
    night.phone(ANA).is_silent()


def test_following_the_whole_log_again_in_a_new_process_rings_nobody() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("1")
    before, asked = night.happened(), list(night.switchboard.asked)
    strike = night.strike
    strike.process = PagerProcess(Router(strike.directory), night.clock, strike.process.env)
    night.after(3600)
    assert night.happened() == before
    assert night.switchboard.asked == asked


def test_the_topics_that_may_be_answered_are_those_that_the_policy_names() -> None:
    repr(PagerProcess.policy)  # It learns the types of its methods when it is first looked at.
    named = set(vars(PagerProcess)["policy"].dispatcher.registry) - {object}
    assert {one.TOPIC for one in named} == ANSWERED
    assert all(PagerProcess.may_answer(topic) for topic in ANSWERED)
    assert not PagerProcess.may_answer("strike.eco.note-added")
    assert PagerProcess.may_answer("strike.eco.of-a-newer-version")
