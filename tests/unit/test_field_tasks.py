"""Field tasks: Render's states, the words for them, and what of an answer matters (section 5)."""

import pytest

from strike_domain import FieldTask, TaskSnapshot, TaskState
from tests.unit.given import tasks

DONE, AT_WORK, PLANNED = TaskState.COMPLETED, TaskState.RELEASED, TaskState.BLUEPRINTED


@pytest.mark.parametrize(
    ("state", "words", "started"),
    [
        ("blueprinted", "planned", False),
        ("allocated", "assigned", False),
        ("releasable", "ready to start", False),
        ("released", "crew at work", True),
        ("jeopardy", "at risk", True),
        ("completed", "done", True),
    ],
)
def test_people_never_see_a_state_raw(state: str, words: str, started: bool) -> None:
    assert (TaskState(state).words, TaskState(state).has_started) == (words, started)


def test_only_all_of_at_least_one_is_complete() -> None:
    assert tasks(DONE, DONE).is_complete
    assert not tasks(DONE, AT_WORK).is_complete
    assert not tasks().is_complete


def test_one_crew_at_work_has_started_it() -> None:
    assert tasks(PLANNED, AT_WORK).has_started
    assert not tasks(PLANNED).has_started
    assert not tasks().has_started


def test_the_order_of_an_answer_means_nothing() -> None:
    one = FieldTask(id="1", name="Find", state=DONE)
    two = FieldTask(id="2", name="Splice", state=PLANNED, cloned_from="1")
    assert TaskSnapshot.of([one, two]).fingerprint == TaskSnapshot.of([two, one]).fingerprint


@pytest.mark.parametrize(
    "change", [{"id": "9"}, {"name": "Look"}, {"state": PLANNED}, {"cloned_from": "0"}], ids=str
)
def test_what_matters_changes_the_fingerprint(change: dict[str, object]) -> None:
    one = FieldTask(id="1", name="Find", state=DONE)
    other = one.model_copy(update=change)
    assert TaskSnapshot.of([one]).fingerprint != TaskSnapshot.of([other]).fingerprint


def test_a_task_that_disappears_changes_the_fingerprint() -> None:
    assert tasks(DONE, DONE).fingerprint != tasks(DONE).fingerprint != tasks().fingerprint


def test_the_summary_counts_in_words_the_most_advanced_last() -> None:
    assert tasks(AT_WORK, PLANNED, AT_WORK, DONE).summary == "1 planned, 2 crew at work, 1 done"
    assert tasks().summary == "no tasks"


def test_what_became_of_each_task_is_told_in_words() -> None:
    find = FieldTask(id="1", name="Find", state=AT_WORK)
    old = FieldTask(id="2", name="Old", state=DONE)
    before = TaskSnapshot.of([find, old, FieldTask(id="9", name="Drop", state=PLANNED)])
    now = TaskSnapshot.of(
        [
            find.model_copy(update={"state": DONE}),
            old.model_copy(update={"state": TaskState.JEOPARDY}),
            FieldTask(id="3", name="Splice", state=PLANNED, cloned_from="1"),
        ]
    )
    assert now.changes_since(before) == [
        "'Find' was crew at work, is done",
        "'Old' was reopened, at risk",
        "'Splice' is new after 'Find', planned",
        "'Drop' was removed",
    ]


def test_another_name_is_told_too() -> None:
    find = FieldTask(id="1", name="Find", state=AT_WORK)
    called = find.model_copy(update={"name": "Look"})
    assert TaskSnapshot.of([called]).changes_since(TaskSnapshot.of([find])) == [
        "'Find' is called 'Look' now"
    ]
    done = called.model_copy(update={"state": DONE})
    assert TaskSnapshot.of([done]).changes_since(TaskSnapshot.of([find])) == [
        "'Find', now 'Look', was crew at work, is done"
    ]


def test_nothing_new_is_nothing_told() -> None:
    assert tasks(DONE, PLANNED).changes_since(tasks(DONE, PLANNED)) == []
