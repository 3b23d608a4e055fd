"""The ECO: every transition, and every one that is refused (specification, section 3)."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from strike_domain import (
    Eco,
    EcoStatus,
    InvalidTransition,
    PagingState,
    Priority,
    Rejected,
    RenderState,
    Responder,
    TaskState,
    parse_location,
)
from strike_domain.eco import MAX_TEXT, checked_text
from tests.unit.given import LIST, at, given_eco, names, stamp, tasks

GRACE = timedelta(hours=24)
AFTER_GRACE = GRACE.total_seconds()
RUN = UUID(int=0x40)
DONE, AT_WORK, PLANNED = TaskState.COMPLETED, TaskState.RELEASED, TaskState.BLUEPRINTED

Command = Callable[[Eco], object]


def reported(*states: TaskState, after: float = 0) -> Command:
    return lambda eco: eco.record_tasks(tasks(*states), GRACE, stamp(after))


def dispatched(run_id: UUID = RUN) -> Command:
    return lambda eco: eco.dispatch_pager(run_id, LIST, "nights", "the default list", stamp())


def accepted(name: str = "Ana", late: bool = False) -> Command:
    responder = Responder(name=name, run_id=RUN, call_id=uuid4())
    return lambda eco: eco.assign_responder(responder, stamp(), late=late)


def cancelled(eco: Eco) -> None:
    eco.cancel("Signal is back.", stamp())


def closed(eco: Eco) -> None:
    eco.close(stamp(AFTER_GRACE))


def exhausted(eco: Eco) -> None:
    eco.exhaust_paging(RUN, 2, stamp())


def unroutable(eco: Eco) -> None:
    eco.report_unroutable("No region covers the place.", stamp())


def completed_by_hand(eco: Eco) -> None:
    eco.complete_by_hand(GRACE, stamp())


def amended(eco: Eco) -> None:
    eco.amend(stamp(), description="Two cables.")


def went_stale(eco: Eco) -> None:
    eco.go_stale(timedelta(hours=72), stamp(72 * 3600))


OPEN: tuple[Command, ...] = ()
IN_PROGRESS: tuple[Command, ...] = (reported(AT_WORK),)
COMPLETED: tuple[Command, ...] = (reported(DONE),)
CLOSED: tuple[Command, ...] = (*COMPLETED, closed)
CANCELLED: tuple[Command, ...] = (cancelled,)

STATUSES = {
    EcoStatus.OPEN: OPEN,
    EcoStatus.IN_PROGRESS: IN_PROGRESS,
    EcoStatus.COMPLETED: COMPLETED,
    EcoStatus.CLOSED: CLOSED,
    EcoStatus.CANCELLED: CANCELLED,
}


@pytest.mark.parametrize("status", EcoStatus)
def test_each_status_is_reached_by_its_events(status: EcoStatus) -> None:
    assert given_eco(*STATUSES[status]).status is status


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        (cancelled, {EcoStatus.OPEN, EcoStatus.IN_PROGRESS}),
        (closed, {EcoStatus.COMPLETED}),
        (completed_by_hand, {EcoStatus.OPEN, EcoStatus.IN_PROGRESS}),
        (dispatched(), {EcoStatus.OPEN, EcoStatus.IN_PROGRESS}),
        (unroutable, {EcoStatus.OPEN, EcoStatus.IN_PROGRESS}),
        (accepted(), {EcoStatus.OPEN, EcoStatus.IN_PROGRESS}),
        (amended, {EcoStatus.OPEN, EcoStatus.IN_PROGRESS, EcoStatus.COMPLETED}),
    ],
    ids=["cancel", "close", "complete by hand", "dispatch", "unroutable", "accept", "amend"],
)
@pytest.mark.parametrize("status", EcoStatus)
def test_what_a_status_does_not_allow_is_refused_and_nothing_is_stored(
    status: EcoStatus, command: Command, allowed: set[EcoStatus]
) -> None:
    eco = given_eco(*STATUSES[status])
    if status in allowed:
        command(eco)
        assert names(eco)
    else:
        with pytest.raises(InvalidTransition):
            command(eco)
        assert names(eco) == []


# Work ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [TaskState.RELEASED, TaskState.JEOPARDY])
def test_work_starts_when_the_first_task_is_released_or_at_risk(state: TaskState) -> None:
    eco = given_eco()
    reported(PLANNED, state)(eco)
    assert names(eco) == ["FieldTasksChanged", "WorkStarted"]
    assert eco.status is EcoStatus.IN_PROGRESS


@pytest.mark.parametrize(
    "state", [TaskState.BLUEPRINTED, TaskState.ALLOCATED, TaskState.RELEASABLE]
)
def test_a_task_that_waits_starts_nothing(state: TaskState) -> None:
    eco = given_eco()
    reported(state)(eco)
    assert names(eco) == ["FieldTasksChanged"]
    assert eco.status is EcoStatus.OPEN


def test_a_first_answer_with_everything_done_starts_and_completes() -> None:
    eco = given_eco()
    reported(DONE)(eco)
    assert names(eco) == ["FieldTasksChanged", "WorkStarted", "EcoCompleted"]


def test_all_tasks_done_completes_softly_until_the_grace_period_ends() -> None:
    eco = given_eco(*IN_PROGRESS)
    reported(DONE, DONE, after=60)(eco)
    assert names(eco) == ["FieldTasksChanged", "EcoCompleted"]
    assert eco.status is EcoStatus.COMPLETED
    assert eco.closes_at == at(60) + GRACE
    assert eco.completed_at == at(60)


def test_one_task_not_done_is_not_completion() -> None:
    eco = given_eco(*IN_PROGRESS)
    reported(DONE, TaskState.JEOPARDY)(eco)
    assert names(eco) == ["FieldTasksChanged"]


def test_no_tasks_is_not_completion() -> None:
    eco = given_eco(*IN_PROGRESS)
    reported()(eco)
    assert names(eco) == ["FieldTasksChanged"]
    assert eco.status is EcoStatus.IN_PROGRESS
    assert eco.tasks is not None and eco.tasks.summary == "no tasks"


def test_an_unchanged_answer_stores_nothing() -> None:
    eco = given_eco(*IN_PROGRESS)
    reported(AT_WORK)(eco)
    assert names(eco) == []


@pytest.mark.parametrize(
    "states", [(DONE, PLANNED), (AT_WORK,), (DONE, TaskState.JEOPARDY)], ids=str
)
def test_a_new_cloned_or_reopened_task_in_the_grace_period_reactivates(
    states: tuple[TaskState, ...],
) -> None:
    eco = given_eco(*COMPLETED)
    reported(*states)(eco)
    assert names(eco) == ["FieldTasksChanged", "EcoReactivated"]
    assert (eco.status, eco.closes_at, eco.completed_at) == (EcoStatus.IN_PROGRESS, None, None)


def test_a_clone_that_is_done_already_leaves_it_completed() -> None:
    eco = given_eco(*COMPLETED)
    reported(DONE, DONE)(eco)
    assert names(eco) == ["FieldTasksChanged"]
    assert eco.status is EcoStatus.COMPLETED


def test_a_reactivated_eco_completes_again_with_a_grace_period_of_its_own() -> None:
    eco = given_eco(*COMPLETED, reported(DONE, PLANNED))
    reported(DONE, DONE, after=500)(eco)
    assert names(eco) == ["FieldTasksChanged", "EcoCompleted"]
    assert eco.closes_at == at(500) + GRACE


@pytest.mark.parametrize("ended", [CLOSED, CANCELLED], ids=["closed", "cancelled"])
def test_what_the_field_says_after_the_end_stores_nothing(ended: tuple[Command, ...]) -> None:
    eco = given_eco(*ended)
    reported(AT_WORK, PLANNED)(eco)
    assert names(eco) == []


def test_the_grace_period_must_be_over_before_it_is_closed() -> None:
    eco = given_eco(*COMPLETED)
    with pytest.raises(InvalidTransition, match="grace"):
        eco.close(stamp(AFTER_GRACE - 1))
    assert names(eco) == []
    eco.close(stamp(AFTER_GRACE))
    assert names(eco) == ["EcoClosed"]


# By hand ------------------------------------------------------------------------------------


def test_an_eco_without_render_may_be_completed_by_hand() -> None:
    eco = given_eco()
    completed_by_hand(eco)
    assert names(eco) == ["WorkStarted", "EcoCompleted"]
    assert eco.pending_events[-1].by_hand  # type: ignore[attr-defined]


@pytest.mark.parametrize("tasked", [True, False])
def test_with_render_the_field_tasks_decide_and_not_a_hand(tasked: bool) -> None:
    eco = given_eco(has_render=True)
    if tasked:
        eco.record_tasking("p", "s", "t", stamp())
    eco.collect_events()
    with pytest.raises(InvalidTransition):
        completed_by_hand(eco)
    assert names(eco) == []


# Stale --------------------------------------------------------------------------------------


def test_silence_for_the_whole_ttl_makes_it_stale_once() -> None:
    eco = given_eco(*IN_PROGRESS)
    eco.go_stale(timedelta(hours=72), stamp(72 * 3600 - 1))
    assert names(eco) == []
    went_stale(eco)
    went_stale(eco)
    assert names(eco) == ["EcoWentStale"]
    assert eco.stale


def test_the_next_change_clears_the_stale_flag_and_the_clock_starts_anew() -> None:
    eco = given_eco(*IN_PROGRESS, went_stale, reported(TaskState.JEOPARDY, after=73 * 3600))
    assert not eco.stale
    went_stale(eco)
    assert names(eco) == []


@pytest.mark.parametrize(
    "ended", [COMPLETED, CLOSED, CANCELLED], ids=["completed", "closed", "cancelled"]
)
def test_only_unfinished_work_goes_stale(ended: tuple[Command, ...]) -> None:
    eco = given_eco(*ended)
    went_stale(eco)
    assert names(eco) == []


def test_cancelling_clears_the_stale_flag() -> None:
    assert not given_eco(*IN_PROGRESS, went_stale, cancelled).stale


# Render -------------------------------------------------------------------------------------


def test_tasks_made_in_render_are_recorded_once() -> None:
    eco = given_eco(has_render=True)
    assert eco.render_state is RenderState.PENDING
    eco.record_tasking("p", "s", "t", stamp())
    eco.record_tasking("p", "s", "t", stamp())
    assert names(eco) == ["RenderTasked"]
    assert (eco.render_state, eco.subsector_id) == (RenderState.TASKED, "s")


def test_a_failure_to_make_them_is_recorded_once_and_may_be_made_good() -> None:
    eco = given_eco(has_render=True)
    eco.record_tasking_failure("503", 5, stamp())
    eco.record_tasking_failure("503", 6, stamp())
    eco.record_tasking("p", "s", "t", stamp())
    assert names(eco) == ["RenderTaskingFailed", "RenderTasked"]


@pytest.mark.parametrize("ended", [CLOSED, CANCELLED], ids=["closed", "cancelled"])
def test_tasks_made_too_late_are_not_recorded(ended: tuple[Command, ...]) -> None:
    eco = given_eco(*ended, has_render=True)
    eco.record_tasking("p", "s", "t", stamp())
    eco.record_tasking_failure("503", 5, stamp())
    assert names(eco) == []


def test_a_failing_render_says_nothing_about_paging() -> None:
    eco = given_eco(dispatched(), has_render=True)
    eco.record_tasking_failure("503", 5, stamp())
    assert (eco.paging_state, eco.status) == (PagingState.RUNNING, EcoStatus.OPEN)


# Paging, as the ECO knows it ----------------------------------------------------------------


def test_a_dispatch_is_refused_while_people_are_being_rung() -> None:
    eco = given_eco(dispatched())
    with pytest.raises(InvalidTransition):
        dispatched(uuid4())(eco)
    assert names(eco) == []


@pytest.mark.parametrize("ended", [exhausted, accepted()], ids=["exhausted", "accepted"])
def test_a_dispatch_is_possible_after_a_run_ended(ended: Command) -> None:
    eco = given_eco(dispatched(), ended)
    dispatched(uuid4())(eco)
    assert eco.paging_state is PagingState.RUNNING
    assert len(eco.runs) == 2
    assert eco.needs_responder


def test_a_dispatch_is_possible_after_nobody_could_be_rung() -> None:
    assert given_eco(unroutable, dispatched()).paging_state is PagingState.RUNNING


def test_two_tries_of_one_dispatch_name_the_same_run_and_the_next_one_another() -> None:
    eco = given_eco()
    first = eco.next_run_id()
    assert first == eco.next_run_id()
    dispatched(first)(eco)
    assert eco.next_run_id() != first


def test_the_first_acceptance_wins() -> None:
    eco = given_eco(dispatched(), accepted("Ana"))
    with pytest.raises(InvalidTransition, match="Ana has it"):
        accepted("Ben")(eco)
    assert names(eco) == []
    assert eco.responder is not None and eco.responder.name == "Ana"


def test_a_late_acceptance_after_exhaustion_is_taken() -> None:
    eco = given_eco(dispatched(), exhausted)
    accepted(late=True)(eco)
    assert names(eco) == ["ResponderAssigned"]
    assert eco.paging_state is PagingState.ACCEPTED


@pytest.mark.parametrize(
    "before",
    [
        (),
        (dispatched(), accepted()),
        (dispatched(), exhausted),
        (dispatched(), exhausted, dispatched(uuid4())),
        (dispatched(), cancelled),
        (dispatched(), reported(DONE)),
    ],
    ids=["never run", "accepted", "exhausted already", "newer run", "cancelled", "completed"],
)
def test_exhaustion_of_a_run_that_no_longer_matters_stores_nothing(
    before: tuple[Command, ...],
) -> None:
    eco = given_eco(*before)
    exhausted(eco)
    assert names(eco) == []


@pytest.mark.parametrize("end", [cancelled, reported(DONE)], ids=["cancelled", "completed"])
def test_paging_ends_with_the_eco(end: Command) -> None:
    assert given_eco(dispatched(), end).paging_state is PagingState.CANCELLED


@pytest.mark.parametrize("end", [cancelled, reported(DONE)], ids=["cancelled", "completed"])
def test_what_paging_came_to_outlives_the_end_of_the_eco(end: Command) -> None:
    assert given_eco(dispatched(), accepted(), end).paging_state is PagingState.ACCEPTED
    assert given_eco(dispatched(), exhausted, end).paging_state is PagingState.EXHAUSTED


# Text and amendments ------------------------------------------------------------------------


def test_an_amendment_stores_only_what_changed() -> None:
    eco = given_eco()
    eco.amend(stamp(), description=f" {eco.description} ", priority=Priority.HIGH)
    assert names(eco) == ["EcoAmended"]
    event = eco.pending_events[0]
    assert (event.description, event.location, event.priority) == (None, None, Priority.HIGH)  # type: ignore[attr-defined]


def test_an_amendment_that_changes_nothing_stores_nothing() -> None:
    eco = given_eco()
    eco.amend(stamp(), description=eco.description, location=eco.location, priority=eco.priority)
    eco.amend(stamp())
    assert names(eco) == []


def test_description_location_and_priority_can_be_amended() -> None:
    elsewhere = parse_location({"type": "Point", "coordinates": [-104.99, 39.74]})
    eco = given_eco(
        lambda e: e.amend(stamp(), description="x", location=elsewhere, priority=Priority.LOW)
    )
    assert (eco.description, eco.location, eco.priority) == ("x", elsewhere, Priority.LOW)


@pytest.mark.parametrize("status", EcoStatus)
def test_a_note_may_be_added_in_every_status(status: EcoStatus) -> None:
    eco = given_eco(*STATUSES[status])
    eco.add_note(" The crew left at six. ", stamp())
    assert names(eco) == ["NoteAdded"]
    assert eco.pending_events[0].text == "The crew left at six."  # type: ignore[attr-defined]
    assert eco.status is status


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "NOTE_EMPTY"),
        (" \n\t", "NOTE_EMPTY"),
        ("x" * (MAX_TEXT + 1), "NOTE_TOO_LONG"),
        ("a\x00b", "NOTE_INVALID"),
        ("half \ud83d of a face", "NOTE_INVALID"),
    ],
    ids=["empty", "blank", "too long", "NUL", "surrogate"],
)
def test_text_that_cannot_be_kept_is_rejected_with_code_and_path(text: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        checked_text(text, "note")
    assert (refused.value.code, refused.value.path) == (code, ("note",))


def test_text_of_the_greatest_length_is_kept_and_its_edges_are_trimmed() -> None:
    assert checked_text(" " + "é" * MAX_TEXT + "\n", "note") == "é" * MAX_TEXT


def test_a_reason_and_a_note_are_checked_too() -> None:
    eco = given_eco()
    with pytest.raises(Rejected, match="REASON_EMPTY"):
        eco.cancel(" ", stamp())
    with pytest.raises(Rejected, match="TEXT_TOO_LONG"):
        eco.add_note("x" * (MAX_TEXT + 1), stamp())
    with pytest.raises(Rejected, match="DESCRIPTION_EMPTY"):
        eco.amend(stamp(), description="")
    assert names(eco) == []
