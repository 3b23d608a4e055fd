"""The crew desk: tasks made once, followed to their confirmed end, whatever Render does."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from strike_domain import (
    Actor,
    EcoStatus,
    FieldTerms,
    Forbidden,
    InvalidTransition,
    NotFound,
    PagingState,
    Rejected,
    RenderState,
    Role,
    Side,
    TaskState,
    Unavailable,
)
from strike_domain.field_tasks import Polled, TaskSnapshot
from strike_domain.field_work import MAX_TASKING_ATTEMPTS, Look, next_poll
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
        self.tag: str | None = None
        self.snapshot = tasks(PLANNED)
        self.fault: Unavailable | None = None
        self.meanwhile: Callable[[], object] | None = None

    def create(self, order: WorkOrder) -> Tasked:
        self._may_fail()
        self.made.append(order.eco_id)
        return Tasked("project", f"subsector-{order.job_number}", "task")

    def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
        self._may_fail()
        self.polls.append(etag)
        now = self.tag or self.snapshot.fingerprint
        changed: TaskSnapshot | None = self.snapshot if now != etag else None
        return Polled(snapshot=changed, etag=now, at=at())

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

    def every(self, seconds: float) -> None:
        """So seldom is the field asked."""
        self.strike.directory.terms[OSP] = FieldTerms(interval=timedelta(seconds=seconds))

    def reports(self, *states: TaskState) -> None:
        """The field says this, and the next poll hears it."""
        self.crew.snapshot = tasks(*states)
        self.after(self.strike.directory.field_terms(OSP).interval.total_seconds())

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
    tag = night.crew.snapshot.fingerprint
    assert set(night.crew.polls) == {None, tag}


def test_everything_is_read_again_now_and_then_though_nothing_is_said_to_have_changed(
    night: FieldNight,
) -> None:
    night.after(3600)
    in_full = night.crew.polls.count(None)
    assert 5 <= in_full <= 7
    assert len(night.crew.polls) - in_full > 100


def test_a_tag_that_is_kept_by_mistake_does_not_hide_the_work(night: FieldNight) -> None:
    night.after(60)
    night.crew.tag = night.crew.polls[-1]
    night.reports(DONE)
    night.eco_is(status=EcoStatus.OPEN)
    night.after(660)
    night.eco_is(status=EcoStatus.COMPLETED)


def test_the_work_is_followed_from_start_to_close(night: FieldNight) -> None:
    night.every(600)
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
    night.every(600)
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
    night.every(600)
    night.reports(DONE)
    assert night.eco.closes_at is not None
    night.after((night.eco.closes_at - night.clock.now()).total_seconds() - 1)
    night.crew.snapshot = tasks(DONE, AT_WORK)
    night.after(1)
    night.eco_is(status=EcoStatus.IN_PROGRESS)


def test_an_answer_that_was_asked_for_before_the_grace_period_ended_closes_nothing(
    night: FieldNight,
) -> None:
    night.every(600)
    night.reports(DONE)
    assert night.eco.closes_at is not None
    left = (night.eco.closes_at - night.clock.now()).total_seconds()
    night.strike.clock.advance(left - 1)
    night.crew.meanwhile = lambda: night.clock.advance(2)
    night.strike.settle()
    night.eco_is(status=EcoStatus.COMPLETED)
    night.after(1)
    night.eco_is(status=EcoStatus.CLOSED)


def test_nothing_is_completed_by_an_empty_answer(night: FieldNight) -> None:
    night.reports(AT_WORK)
    night.reports()
    night.eco_is(status=EcoStatus.IN_PROGRESS)


def test_an_empty_answer_in_the_grace_period_reactivates(night: FieldNight) -> None:
    night.reports(DONE)
    night.reports()
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    night.after(24 * HOUR)
    night.eco_is(status=EcoStatus.IN_PROGRESS)


def test_news_that_is_older_than_what_is_known_changes_nothing(night: FieldNight) -> None:
    """A worker slept with an answer in its hand, and another one has asked since."""
    night.reports(AT_WORK)
    desk = night.strike.desk
    assert desk is not None
    old = night.look

    def another_asks() -> None:
        night.clock.advance(5)
        night.crew.snapshot = tasks(AT_WORK, PLANNED)
        desk.look_after(night.eco_id, replace(old, etag=None, following=None))
        night.crew.snapshot = tasks(DONE)

    night.crew.meanwhile = another_asks
    desk.look_after(night.eco_id, old)
    assert night.eco.tasks == tasks(AT_WORK, PLANNED)
    night.eco_is(status=EcoStatus.IN_PROGRESS)


def test_many_callouts_are_not_asked_about_at_the_same_moment() -> None:
    every = timedelta(seconds=30)
    moments = [next_poll(uuid4(), every, at()) - at() for _ in range(600)]
    assert all(timedelta() < one <= every for one in moments)
    parts = Counter(one // timedelta(seconds=5) for one in moments)
    assert all(60 < parts[n] < 140 for n in range(6))


def test_a_callout_keeps_its_moment_however_late_it_was_asked_about() -> None:
    eco_id, every = uuid4(), timedelta(seconds=30)
    first = next_poll(eco_id, every, at())
    assert next_poll(eco_id, every, first) == first + every
    assert next_poll(eco_id, every, first + every / 2) == first + every
    assert next_poll(eco_id, every, first + 7.5 * every) == first + 8 * every


def test_silence_makes_it_stale_once_and_the_next_change_clears_it(night: FieldNight) -> None:
    night.every(600)
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
    while night.eco.render_state is RenderState.PENDING:
        assert night.look.due_at is not None
        waits.append((night.look.due_at - night.clock.now()).total_seconds())
        night.after(waits[-1])
    assert len(waits) == MAX_TASKING_ATTEMPTS - 1
    for least, wait in zip([2, 4, 8, 16], waits, strict=True):
        assert least <= wait <= 1.25 * least
    night.eco_is(render_state=RenderState.FAILED)
    assert night.field_events() == ["RenderTaskingFailed"]


def test_a_render_that_comes_back_in_time_gets_its_tasks() -> None:
    night = down()
    night.crew.fault = None
    night.after(3)
    night.eco_is(render_state=RenderState.TASKED)


def test_a_refusal_for_good_is_not_tried_again() -> None:
    crew = PaperCrew()
    crew.fault = Unavailable("403", can_retry=False)
    night = FieldNight(crew).create()
    night.eco_is(render_state=RenderState.FAILED)
    assert (night.look.attempts, night.look.error) == (1, "403")


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
    night.every(600)
    night.reports(DONE)
    night.crew.fault = DOWN
    night.after(48 * HOUR)
    night.eco_is(status=EcoStatus.COMPLETED)
    assert night.look.error == "503 from Render"
    night.crew.fault = None
    night.after(300 + 600)
    night.eco_is(status=EcoStatus.CLOSED)
    assert night.look.due_at is None


def test_polls_that_fail_come_less_often_but_never_seldom(night: FieldNight) -> None:
    night.crew.fault = DOWN
    night.after(2 * HOUR)
    assert night.look.due_at is not None
    assert night.look.due_at - night.clock.now() <= timedelta(minutes=5, seconds=30)


def test_the_etag_outlives_a_poll_that_failed(night: FieldNight) -> None:
    night.crew.fault = DOWN
    night.after(60)
    night.crew.fault = None
    night.after(120)
    assert None not in night.crew.polls[1:]


def test_a_vanished_subsector_is_told_and_completes_nothing(night: FieldNight) -> None:
    night.reports(AT_WORK)
    night.crew.fault = Unavailable("Render does not know it.", "RENDER_NOT_FOUND", can_retry=False)
    night.after(120)
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    assert night.eco.field_problem is not None
    assert night.eco.field_problem.code == "RENDER_NOT_FOUND"
    night.after(HOUR)
    assert night.field_events().count("FieldTasksUnreadable") == 1
    night.crew.fault = None
    night.after(400)
    night.eco_is(field_problem=None)
    assert night.field_events()[-1] == "FieldTasksReadable"


def test_nothing_has_changed_is_an_answer_that_ends_the_trouble(night: FieldNight) -> None:
    night.after(60)
    night.crew.fault = Unavailable("Render does not know it.", "RENDER_NOT_FOUND", can_retry=False)
    night.after(61)
    assert night.eco.field_problem is not None
    night.crew.fault = None
    night.after(40)
    assert night.crew.polls[-1] is not None
    night.eco_is(field_problem=None)
    assert (night.look.attempts, night.look.error, night.look.failing_since) == (0, None, None)


def test_an_outage_is_told_when_it_lasts_and_not_before(night: FieldNight) -> None:
    night.crew.fault = DOWN
    since = night.clock.now()
    night.after(9 * 60)
    night.eco_is(field_problem=None)
    night.after(7 * 60)
    assert night.eco.field_problem is not None
    assert night.eco.field_problem.since - since <= timedelta(seconds=30)
    night.after(HOUR)
    assert night.field_events().count("FieldTasksUnreadable") == 1


def test_a_pause_that_render_asks_for_is_kept(night: FieldNight) -> None:
    night.crew.fault = Unavailable("429", retry_after=200)
    night.after(31)
    assert night.look.due_at is not None
    assert night.look.due_at - night.clock.now() >= timedelta(seconds=169)


def test_silence_is_silence_although_nobody_can_ask(night: FieldNight) -> None:
    night.every(600)
    night.reports(AT_WORK)
    night.crew.fault = DOWN
    night.after(73 * HOUR)
    assert night.eco.stale


# Asked for again ----------------------------------------------------------------------------


def test_field_tasks_that_had_failed_are_made_when_somebody_asks_for_them() -> None:
    night = down()
    night.after(60)
    night.eco_is(render_state=RenderState.FAILED)
    night.crew.fault = None
    night.strike.callouts.retry_field_tasks(night.eco_id, OPERATOR)
    night.after(60)
    night.eco_is(render_state=RenderState.TASKED)
    assert night.field_events()[:3] == [
        "RenderTaskingFailed",
        "RenderTaskingRequested",
        "RenderTasked",
    ]


def test_a_contractor_who_gets_render_later_gets_the_tasks_later() -> None:
    night = Night(ANA, field_work=PaperCrew()).create()
    with pytest.raises(Rejected, match="RENDER_NOT_CONFIGURED at ecoId"):
        night.strike.callouts.retry_field_tasks(night.eco_id, OPERATOR)
    night.strike.directory.render_osps.add(OSP)
    night.strike.callouts.retry_field_tasks(night.eco_id, OPERATOR)
    night.after(60)
    night.eco_is(render_state=RenderState.TASKED)


@pytest.mark.parametrize("fault", [None, DOWN], ids=["made", "being made"])
def test_tasks_that_exist_or_are_being_made_are_not_asked_for_again(
    fault: Unavailable | None,
) -> None:
    crew = PaperCrew()
    crew.fault = fault
    night = FieldNight(crew).create()
    with pytest.raises(InvalidTransition):
        night.strike.callouts.retry_field_tasks(night.eco_id, OPERATOR)


# By hand ------------------------------------------------------------------------------------

CREW_LEAD = Actor(name="lead@osp", tenant_id=OSP, side=Side.OSP, role=Role.OPERATOR)


def by_hand() -> Night:
    return Night(ANA, field_work=PaperCrew()).create()


def test_without_render_people_say_how_it_stands_by_the_same_rules() -> None:
    night = by_hand()
    callouts, eco_id = night.strike.callouts, night.eco_id
    callouts.start_work(eco_id, CREW_LEAD)
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    callouts.complete_eco(eco_id, CREW_LEAD)
    night.after(23 * HOUR)
    callouts.reopen_eco(eco_id, OPERATOR)
    night.after(24 * HOUR)
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    callouts.complete_eco(eco_id, OPERATOR)
    night.after(24 * HOUR - 1)
    night.eco_is(status=EcoStatus.COMPLETED)
    night.after(1)
    night.eco_is(status=EcoStatus.CLOSED)


def test_without_render_silence_makes_it_stale_and_a_word_clears_it() -> None:
    night = by_hand()
    night.after(72 * HOUR)
    assert night.eco.stale
    night.strike.callouts.start_work(night.eco_id, CREW_LEAD)
    assert not night.eco.stale
    night.after(71 * HOUR)
    assert not night.eco.stale
    night.after(HOUR)
    assert night.eco.stale
    night.strike.callouts.complete_eco(night.eco_id, CREW_LEAD)
    night.after(24 * HOUR)
    night.eco_is(status=EcoStatus.CLOSED, stale=False)


def test_where_the_tasks_could_not_be_made_people_say_how_it_stands() -> None:
    night = down()
    night.after(60)
    night.strike.callouts.complete_eco(night.eco_id, CREW_LEAD)
    night.after(24 * HOUR)
    night.eco_is(status=EcoStatus.CLOSED)


@pytest.mark.parametrize("command", ["start_work", "complete_eco", "reopen_eco"])
def test_where_field_tasks_say_it_nobody_else_does(night: FieldNight, command: str) -> None:
    position = night.strike.log.position()
    with pytest.raises(InvalidTransition, match="Field tasks decide"):
        getattr(night.strike.callouts, command)(night.eco_id, CREW_LEAD)
    assert night.strike.log.position() == position


@pytest.mark.parametrize(
    "command", ["start_work", "complete_eco", "reopen_eco", "retry_field_tasks"]
)
def test_strangers_and_onlookers_say_nothing_of_the_work(command: str) -> None:
    night = by_hand()
    say = getattr(night.strike.callouts, command)
    with pytest.raises(NotFound):
        say(night.eco_id, CREW_LEAD.model_copy(update={"tenant_id": uuid4()}))
    with pytest.raises(Forbidden):
        say(night.eco_id, CREW_LEAD.model_copy(update={"role": Role.VIEWER}))


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
