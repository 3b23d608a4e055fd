"""What every task system owes its users, the fake as well as Render."""

from uuid import uuid4

import pytest

from strike_domain.errors import Unavailable
from strike_domain.field_tasks import FieldTask, Polled, TaskState
from strike_domain.ports import Tasked
from tests.contracts.stages import OSP, OTHER_OSP, FieldWorkStage, work_order


class TestFieldWork:
    @pytest.fixture(autouse=True)
    def _stage(self, field_work_stage: FieldWorkStage) -> None:
        self.stage = field_work_stage
        self.field_work = field_work_stage.field_work

    def tasked(self) -> Tasked:
        return self.field_work.create(work_order())

    def poll(self, tasked: Tasked, etag: str | None = None) -> Polled:
        return self.field_work.poll(OSP, tasked.subsector_id, etag)

    def tasks(self, tasked: Tasked) -> dict[str, FieldTask]:
        snapshot = self.poll(tasked).snapshot
        assert snapshot is not None
        return {task.id: task for task in snapshot.tasks}

    def test_a_new_callout_has_one_planned_task(self) -> None:
        tasked = self.tasked()
        tasks = self.tasks(tasked)
        assert list(tasks) == [tasked.task_id]
        assert tasks[tasked.task_id].state is TaskState.BLUEPRINTED
        assert tasks[tasked.task_id].cloned_from is None
        assert "26-0001" in tasks[tasked.task_id].name

    def test_the_same_callout_again_makes_nothing_twice(self) -> None:
        eco_id = uuid4()
        first = self.field_work.create(work_order(eco_id))
        assert self.field_work.create(work_order(eco_id)) == first
        assert list(self.tasks(first)) == [first.task_id]

    def test_a_repeat_leaves_tasks_in_the_state_they_are_in(self) -> None:
        eco_id = uuid4()
        tasked = self.field_work.create(work_order(eco_id))
        self.stage.move(tasked, tasked.task_id, TaskState.RELEASED)
        self.field_work.create(work_order(eco_id))
        assert self.tasks(tasked)[tasked.task_id].state is TaskState.RELEASED

    def test_two_callouts_share_no_tasks(self) -> None:
        one, two = self.tasked(), self.tasked()
        assert one.subsector_id != two.subsector_id
        assert not self.tasks(one).keys() & self.tasks(two).keys()

    @pytest.mark.parametrize("state", TaskState)
    def test_every_state_is_reported_as_it_is(self, state: TaskState) -> None:
        tasked = self.tasked()
        self.stage.move(tasked, tasked.task_id, state)
        assert self.tasks(tasked)[tasked.task_id].state is state

    def test_a_clone_names_the_task_it_was_made_from(self) -> None:
        tasked = self.tasked()
        clone = self.stage.clone(tasked)
        assert self.tasks(tasked)[clone].cloned_from == tasked.task_id

    def test_a_removed_task_is_gone_from_the_next_answer(self) -> None:
        tasked = self.tasked()
        clone = self.stage.clone(tasked)
        self.stage.remove(tasked, tasked.task_id)
        assert list(self.tasks(tasked)) == [clone]

    def test_a_subsector_may_have_no_tasks(self) -> None:
        tasked = self.tasked()
        self.stage.remove(tasked, tasked.task_id)
        assert self.tasks(tasked) == {}

    def test_three_hundred_tasks_are_all_read(self) -> None:
        tasked = self.tasked()
        made = {self.stage.clone(tasked) for _ in range(300)}
        assert self.tasks(tasked).keys() == made | {tasked.task_id}

    def test_nothing_changed_is_said_without_a_snapshot(self) -> None:
        tasked = self.tasked()
        etag = self.poll(tasked).etag
        assert etag is not None
        again = self.poll(tasked, etag)
        assert again.snapshot is None and again.etag == etag

    def test_a_change_is_seen_with_the_old_tag(self) -> None:
        tasked = self.tasked()
        etag = self.poll(tasked).etag
        self.stage.move(tasked, tasked.task_id, TaskState.ALLOCATED)
        changed = self.poll(tasked, etag)
        assert changed.snapshot is not None and changed.etag != etag

    def test_an_unknown_subsector_is_an_error_that_no_repeat_helps(self) -> None:
        with pytest.raises(Unavailable) as error:
            self.field_work.poll(OSP, "ss_unknown", None)
        assert not error.value.can_retry

    def test_another_company_does_not_see_the_subsector(self) -> None:
        tasked = self.tasked()
        with pytest.raises(Unavailable):
            self.field_work.poll(OTHER_OSP, tasked.subsector_id, None)

    def test_a_breakdown_is_an_error_that_a_repeat_may_help(self) -> None:
        tasked = self.tasked()
        self.stage.break_down()
        with pytest.raises(Unavailable) as polling:
            self.poll(tasked)
        with pytest.raises(Unavailable) as creating:
            self.tasked()
        assert polling.value.can_retry and creating.value.can_retry
