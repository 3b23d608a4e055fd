"""The crew desk: tasks made once, followed to their confirmed end, whatever Render does."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from strike_domain import (
    EcoStatus,
    PagingState,
    RenderState,
    TaskState,
    Unavailable,
)
from strike_domain.field_tasks import Polled, TaskSnapshot
from strike_domain.field_work import MAX_TASKING_ATTEMPTS, Look
from strike_domain.ports import Tasked, WorkOrder
from tests.unit.given import ANA, OPERATOR, OSP, Night, at, tasks

DONE, AT_WORK, PLANNED = TaskState.COMPLETED, TaskState.RELEASED, TaskState.BLUEPRINTED
HOUR = 3_600
DOWN = Unavailable("503 from Render")


class PaperCrew:
    """Field work on paper: answers with what it is told."""

    def __init__(self) -> None:
        self.made: list[UUID] = []
        self.polls: list[str | None] = []
        self.snapshot = tasks(PLANNED)
        self.seconds = 30
        self.fault: Unavailable | None = None
        self.meanwhile: Callable[[], object] | None = None

    def create(self, order: WorkOrder) -> Tasked:
        self._may_fail()
        self.made.append(order.eco_id)
        return Tasked("project", f"subsector-{order.job_number}", "task")

    def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
        self._may_fail()
        self.polls.append(etag)
        now = self.snapshot.fingerprint
        changed: TaskSnapshot | None = self.snapshot if now != etag else None
        return Polled(snapshot=changed, etag=now, at=at())

    def interval(self, osp_id: UUID) -> timedelta:
        return timedelta(seconds=self.seconds)

    def grace(self, osp_id: UUID) -> timedelta:
        return timedelta(hours=24)

    def inactivity(self, osp_id: UUID) -> timedelta:
        return timedelta(hours=72)

    def _may_fail(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        if self.fault:
            raise self.fault


class FieldNight(Night):
    """A night with a contractor who works with Render; nobody needs to be rung."""

    def __init__(self, crew: PaperCrew | None = None) -> None:
        self.crew = crew or PaperCrew()
        super().__init__(ANA, field_work=self.crew)
        self.strike.directory.render_osps.add(OSP)

    def reports(self, *states: TaskState) -> None:
        """The field says this, and the next poll hears it."""
        self.crew.snapshot = tasks(*states)
        self.after(self.crew.seconds)

    def field_events(self) -> Sequence[str]:
        field = ("Render", "Field", "Work", "Eco")
        return [name for name in self.happened() if name.startswith(field)][1:]

    @property
    def look(self) -> Look:
        return self.strike._looks[self.eco_id]


@pytest.fixture
def night() -> FieldNight:
    return FieldNight().create()


def test_the_tasks_are_made_once_and_then_polled(night: FieldNight) -> None:
    night.after(120)
    assert night.crew.made == [night.eco_id]
    night.eco_is(render_state=RenderState.TASKED)
    assert night.eco.subsector_id == "subsector-26-0001"
    assert len(night.crew.polls) == 5


def test_an_unchanged_answer_stores_nothing(night: FieldNight) -> None:
    night.after(3600)
    assert night.field_events() == ["RenderTasked", "FieldTasksChanged"]
    assert night.crew.polls[1:] == [night.crew.snapshot.fingerprint] * (len(night.crew.polls) - 1)


def test_the_work_is_followed_from_start_to_close(night: FieldNight) -> None:
    night.crew.seconds = 600
    night.reports(AT_WORK)
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    night.reports(DONE)
    night.eco_is(status=EcoStatus.COMPLETED)
    night.after(23 * HOUR)
    night.eco_is(status=EcoStatus.COMPLETED)
    night.after(HOUR)
    night.eco_is(status=EcoStatus.CLOSED)
    polls = len(night.crew.polls)
    night.after(HOUR)
    assert len(night.crew.polls) == polls
    assert night.look.due_at is None


def test_a_late_clone_in_the_grace_period_reactivates(night: FieldNight) -> None:
    night.crew.seconds = 600
    night.reports(DONE)
    night.after(23 * HOUR)
    night.reports(DONE, PLANNED)
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    night.after(10 * HOUR)
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    night.reports(DONE, DONE)
    night.eco_is(status=EcoStatus.COMPLETED)


def test_a_clone_seen_at_the_very_end_of_the_grace_period_is_not_closed_over(
    night: FieldNight,
) -> None:
    night.crew.seconds = 600
    night.reports(DONE)
    assert night.eco.closes_at is not None
    night.after((night.eco.closes_at - night.clock.now()).total_seconds() - 1)
    night.crew.snapshot = tasks(DONE, AT_WORK)
    night.after(1)
    night.eco_is(status=EcoStatus.IN_PROGRESS)


def test_silence_makes_it_stale_once_and_the_next_change_clears_it(night: FieldNight) -> None:
    night.crew.seconds = 600
    night.reports(AT_WORK)
    night.after(100 * HOUR)
    assert night.eco.stale
    assert night.field_events().count("EcoWentStale") == 1
    night.reports(TaskState.JEOPARDY)
    assert not night.eco.stale


def test_a_task_that_disappears_is_removed_from_the_count_and_shown(night: FieldNight) -> None:
    night.reports(AT_WORK, PLANNED)
    night.reports(AT_WORK)
    assert night.eco.tasks is not None and night.eco.tasks.summary == "1 crew at work"
    assert night.field_events()[-1] == "FieldTasksChanged"


# Render fails -------------------------------------------------------------------------------


def down() -> FieldNight:
    crew = PaperCrew()
    crew.fault = DOWN
    return FieldNight(crew).create()


def test_a_failing_render_is_tried_again_a_bounded_number_of_times_and_then_said() -> None:
    night = down()
    waits = []
    while night.look.due_at is not None:
        waits.append((night.look.due_at - night.clock.now()).total_seconds())
        night.after(waits[-1])
    assert waits == [2, 4, 8, 16] and len(waits) == MAX_TASKING_ATTEMPTS - 1
    night.eco_is(render_state=RenderState.FAILED)
    assert night.field_events() == ["RenderTaskingFailed"]


def test_a_render_that_comes_back_in_time_gets_its_tasks() -> None:
    night = down()
    night.crew.fault = None
    night.after(2)
    night.eco_is(render_state=RenderState.TASKED)


def test_a_refusal_for_good_is_not_tried_again() -> None:
    crew = PaperCrew()
    crew.fault = Unavailable("403", can_retry=False)
    night = FieldNight(crew).create()
    night.eco_is(render_state=RenderState.FAILED)
    assert night.look == Look(due_at=None, attempts=1, error="403")


def test_a_failing_render_does_not_stop_paging() -> None:
    night = down()
    night.phone(ANA).rings().presses("1").hears("is yours")
    night.eco_is(paging_state=PagingState.ACCEPTED)


def test_a_failing_telephone_does_not_stop_the_field_work() -> None:
    night = FieldNight()
    night.switchboard.is_reachable = False
    night.create().after(60)
    night.eco_is(render_state=RenderState.TASKED)


def test_a_poll_that_fails_completes_and_closes_nothing(night: FieldNight) -> None:
    night.crew.seconds = 600
    night.reports(DONE)
    night.crew.fault = DOWN
    night.after(48 * HOUR)
    night.eco_is(status=EcoStatus.COMPLETED)
    assert night.look.error == "503 from Render"
    night.crew.fault = None
    night.after(300)
    night.eco_is(status=EcoStatus.CLOSED)
    assert night.look.due_at is None


def test_polls_that_fail_come_less_often_but_never_seldom(night: FieldNight) -> None:
    night.crew.fault = DOWN
    night.after(2 * HOUR)
    assert night.look.due_at is not None
    assert night.look.due_at - night.clock.now() <= timedelta(minutes=5)


def test_the_etag_outlives_a_poll_that_failed(night: FieldNight) -> None:
    night.crew.fault = DOWN
    night.after(60)
    night.crew.fault = None
    night.after(120)
    assert None not in night.crew.polls[1:]


# The end ------------------------------------------------------------------------------------


def test_a_cancelled_eco_is_not_looked_after_any_more(night: FieldNight) -> None:
    night.cancel()
    night.after(60)
    assert night.look.due_at is None
    assert night.strike.desk is not None
    assert night.strike.desk.look_after(night.eco_id, Look(due_at=at())).due_at is None


def test_a_cancellation_while_the_tasks_are_made_wins() -> None:
    night = FieldNight()
    night.crew.meanwhile = lambda: night.strike.callouts.cancel_eco(night.eco_id, "Over.", OPERATOR)
    night.create()
    night.eco_is(render_state=RenderState.PENDING)
    assert night.look.due_at is None


def test_a_cancellation_while_the_field_is_asked_wins(night: FieldNight) -> None:
    night.crew.snapshot = tasks(DONE)
    night.crew.meanwhile = lambda: night.strike.callouts.cancel_eco(night.eco_id, "Over.", OPERATOR)
    night.after(60)
    night.eco_is(status=EcoStatus.CANCELLED)
    assert night.field_events()[-1] == "EcoCancelled"


def test_an_eco_completed_by_hand_is_closed_after_its_grace_period() -> None:
    night = Night(ANA, field_work=PaperCrew()).create()
    closes_at = complete(night, timedelta(hours=1))
    desk = night.strike.desk
    assert desk is not None
    look = desk.look_after(night.eco_id, Look(due_at=at()))
    assert look.due_at == closes_at
    night.clock.advance(HOUR)
    assert desk.look_after(night.eco_id, look).due_at is None
    night.eco_is(status=EcoStatus.CLOSED)


def complete(night: Night, grace: timedelta) -> datetime | None:
    stamp = night.strike.callouts.stamp(OPERATOR)
    night.strike.log.change_eco(night.eco_id, lambda eco: eco.complete_by_hand(grace, stamp))
    return night.eco.closes_at


def test_time_goes_on_where_field_tasks_are_wanted_but_nobody_can_make_them() -> None:
    night = Night(ANA)
    night.strike.directory.render_osps.add(OSP)
    night.create().after(120)
    night.eco_is(render_state=RenderState.PENDING)
