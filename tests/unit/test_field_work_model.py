"""The truth about done: any course of tasks, failures and time, against a model of section 3.

The model hears what the field answered, and when; it decides by the specification's words alone
how the ECO has to stand. The ECO must stand so after every step, and no event may be too many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from strike_domain import (
    EcoStatus,
    FieldTask,
    FieldTerms,
    InvalidTransition,
    TaskSnapshot,
    TaskState,
    Unavailable,
)
from strike_domain.eco import EcoClosed, EcoCompleted, FieldTasksChanged
from strike_domain.field_tasks import Polled
from strike_domain.ports import Tasked, WorkOrder
from tests.unit.given import ANA, OPERATOR, OSP, Night

TERMS = FieldTerms(
    interval=timedelta(minutes=5), grace=timedelta(hours=2), inactivity=timedelta(hours=6)
)
INTERVAL = TERMS.interval.total_seconds()

LASTING = Unavailable("There is no such subsector.", "GONE", can_retry=False)
PASSING = Unavailable("503.", "FAILING")
BUSY = Unavailable("429.", "TOO_MANY", retry_after=400)

Answer = TaskSnapshot | None | Unavailable
"""All tasks; "nothing has changed"; or that it failed."""


class Crew:
    """The field: what is true there, and everything that it has answered."""

    def __init__(self) -> None:
        self.tasks: dict[str, FieldTask] = {}
        self.trouble: Unavailable | None = None
        self.lies = False
        self.answers: list[tuple[datetime, Answer]] = []
        self.night: Night
        self._tag = "none yet"

    def create(self, order: WorkOrder) -> Tasked:
        self.tasks["t1"] = FieldTask(id="t1", name="Investigate", state=TaskState.BLUEPRINTED)
        return Tasked("project", "subsector", "t1")

    def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
        now = self.night.clock.now()
        if self.trouble is not None:
            self.answers.append((now, self.trouble))
            raise self.trouble
        truth = TaskSnapshot.of(list(self.tasks.values()))
        if not self.lies:
            self._tag = truth.fingerprint
        if etag == self._tag:
            self.answers.append((now, None))
            return Polled(snapshot=None, etag=etag, at=now)
        self.answers.append((now, truth))
        return Polled(snapshot=truth, etag=self._tag, at=now)


@dataclass
class Model:
    """Section 3, in the fewest words."""

    changed_at: datetime
    status: str = "OPEN"
    stale: bool = False
    seen: TaskSnapshot | None = None
    closes_at: datetime | None = None
    changes: int = 0
    completions: int = 0
    heard: int = 0
    failures: list[datetime] = field(default_factory=list)
    problem: str | None = None

    def hear(self, at: datetime, answer: Answer) -> None:
        self.heard += 1
        if self.status in ("CLOSED", "CANCELLED"):
            return
        if isinstance(answer, Unavailable):
            self._fail(at, answer)
        else:
            self.failures, self.problem = [], None
        if isinstance(answer, TaskSnapshot):
            if answer != self.seen:
                self._change(at, answer)
            if self.status == "COMPLETED" and self.closes_at and at >= self.closes_at:
                self.status = "CLOSED"
        silent = at - self.changed_at >= TERMS.inactivity
        if self.status in ("OPEN", "IN_PROGRESS") and silent:
            self.stale = True

    def _fail(self, at: datetime, error: Unavailable) -> None:
        self.failures.append(at)
        is_lasting = not error.can_retry and len(self.failures) > 1
        is_long = at - self.failures[0] >= timedelta(minutes=10)
        if is_lasting or (is_long and self.problem is None):
            self.problem = error.code

    def _change(self, at: datetime, seen: TaskSnapshot) -> None:
        self.seen, self.changed_at, self.stale = seen, at, False
        self.changes += 1
        states = {task.state for task in seen.tasks}
        is_done = states == {TaskState.COMPLETED}
        if self.status == "OPEN" and states & {
            TaskState.RELEASED,
            TaskState.JEOPARDY,
            TaskState.COMPLETED,
        }:
            self.status = "IN_PROGRESS"
        if self.status == "COMPLETED" and not is_done:
            self.status, self.closes_at = "IN_PROGRESS", None
        elif self.status == "IN_PROGRESS" and is_done:
            self.status, self.closes_at = "COMPLETED", at + TERMS.grace
            self.completions += 1


class FieldMachine(RuleBasedStateMachine):
    """The field does what it likes, Render fails as it likes, and time passes."""

    @initialize(ids=st.randoms(use_true_random=True))
    def call_out(self, ids: Random) -> None:
        """Ids are drawn too: when the field is asked again after a failure follows from them."""
        self.crew = Crew()
        self.night = Night(ANA, field_work=self.crew)
        self.night.strike.callouts._new_id = lambda: UUID(int=ids.getrandbits(128), version=4)
        self.crew.night = self.night
        self.night.strike.directory.render_osps.add(OSP)
        self.night.strike.directory.terms[OSP] = TERMS
        self.night.create()
        self.model = Model(self.night.clock.now())
        self.count = 1

    # The field ------------------------------------------------------------------------------

    @rule(state=st.sampled_from(TaskState), cloned=st.booleans(), heard=st.booleans())
    def a_task_is_added(self, state: TaskState, cloned: bool, heard: bool) -> None:
        self.count += 1
        made = FieldTask(
            id=f"t{self.count}", name="Splice", state=state, cloned_from="t1" if cloned else None
        )
        self.crew.tasks[made.id] = made
        self._maybe_heard(heard)

    @precondition(lambda self: self.crew.tasks)
    @rule(state=st.sampled_from(TaskState), data=st.data(), heard=st.booleans())
    def a_task_moves(self, state: TaskState, data: Any, heard: bool) -> None:
        moved = data.draw(st.sampled_from(sorted(self.crew.tasks)))
        self.crew.tasks[moved] = self.crew.tasks[moved].model_copy(update={"state": state})
        self._maybe_heard(heard)

    @rule(heard=st.booleans())
    def all_is_done(self, heard: bool) -> None:
        for one in self.crew.tasks:
            done = {"state": TaskState.COMPLETED}
            self.crew.tasks[one] = self.crew.tasks[one].model_copy(update=done)
        self._maybe_heard(heard)

    @precondition(lambda self: self.crew.tasks)
    @rule(data=st.data())
    def a_task_disappears(self, data: Any) -> None:
        del self.crew.tasks[data.draw(st.sampled_from(sorted(self.crew.tasks)))]

    @rule(heard=st.booleans())
    def the_answer_is_empty(self, heard: bool) -> None:
        self.crew.tasks.clear()
        self._maybe_heard(heard)

    def _maybe_heard(self, heard: bool) -> None:
        if heard:
            self.night.after(INTERVAL)

    # Render ---------------------------------------------------------------------------------

    @rule(trouble=st.sampled_from([LASTING, PASSING, BUSY]))
    def render_fails(self, trouble: Unavailable) -> None:
        self.crew.trouble = trouble

    @rule()
    def render_is_well(self) -> None:
        self.crew.trouble = None

    @rule(lies=st.booleans())
    def its_tag_stands_still(self, lies: bool) -> None:
        self.crew.lies = lies

    # Time, and people -----------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 60, 300, 301, 900, 3_600, 7_200, 7_201, 21_600, 30_000]))
    def time_passes(self, seconds: float) -> None:
        self.night.after(seconds)

    @rule(seconds=st.sampled_from([600, 7_200, 30_000]))
    def nobody_works_for_a_while(self, seconds: float) -> None:
        """Every worker is dead; then one is there again."""
        self.night.clock.advance(seconds)
        self.night.strike.settle()

    @rule()
    def the_field_is_asked_just_before_the_end(self) -> None:
        closes_at = self.night.eco.closes_at
        if closes_at is not None:
            left = (closes_at - self.night.clock.now()).total_seconds()
            self.night.after(max(0, left - 1))

    @rule()
    def somebody_asks_for_the_tasks_again(self) -> None:
        before = self.night.strike.log.position()
        with pytest.raises(InvalidTransition):
            self.night.strike.callouts.retry_field_tasks(self.night.eco_id, OPERATOR)
        assert self.night.strike.log.position() == before

    @precondition(lambda self: self.night.eco.is_active)
    @rule(really=st.sampled_from([False, False, False, True]))
    def the_noc_cancels(self, really: bool) -> None:
        if really:
            self.night.cancel()
            self._hear()
            self.model.status, self.model.stale = "CANCELLED", False
            self.model.problem = None

    # What must hold -------------------------------------------------------------------------

    def _hear(self) -> None:
        for at, answer in self.crew.answers[self.model.heard :]:
            self.model.hear(at, answer)

    @invariant()
    def it_stands_as_the_model_says(self) -> None:
        self._hear()
        eco, model = self.night.eco, self.model
        assert eco.status == model.status
        assert eco.stale == model.stale
        assert eco.tasks == model.seen
        assert (eco.field_problem and eco.field_problem.code) == model.problem
        if eco.status is EcoStatus.COMPLETED:
            assert eco.closes_at == model.closes_at

    @invariant()
    def every_change_is_stored_once(self) -> None:
        self._hear()
        events = [event for _, event in self.night.strike.events()]
        changes = [one for one in events if isinstance(one, FieldTasksChanged)]
        assert len(changes) == self.model.changes
        completions = [one for one in events if isinstance(one, EcoCompleted)]
        assert len(completions) == self.model.completions
        for one in events:
            if isinstance(one, EcoClosed):
                assert one.timestamp >= completions[-1].timestamp + TERMS.grace

    @invariant()
    def completed_is_never_said_over_unfinished_work(self) -> None:
        if self.night.eco.status in (EcoStatus.COMPLETED, EcoStatus.CLOSED):
            full = [one for _, one in self.crew.answers if isinstance(one, TaskSnapshot)]
            assert full and full[-1].tasks
            assert all(task.state is TaskState.COMPLETED for task in full[-1].tasks)

    @invariant()
    def the_field_is_asked_often_enough(self) -> None:
        if self.night.eco.status.is_final or self.crew.trouble is not None:
            return
        look = self.night.strike._looks[self.night.eco_id]
        assert look.due_at is not None
        away = (look.due_at - self.night.clock.now()).total_seconds()
        most = INTERVAL if not look.attempts else INTERVAL + 600
        assert 0 <= away <= most


def test_any_course_of_tasks_failures_and_time_stands_as_the_model_says() -> None:
    run_state_machine_as_test(
        FieldMachine,
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
