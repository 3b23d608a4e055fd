"""What has come together the pager answers in few transactions, as if each came alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import IntegrityError, Notification
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_adapters.postgres.catch_up import TOGETHER, Answering
from strike_adapters.postgres.follower_states import EventFailed
from strike_domain.pager_process import PagerProcess
from tests.unit.given import ANA, OPERATOR, Night


class Coming:
    """What a subscription has fetched of the log: all of it at once."""

    def __init__(self, notifications: Sequence[Notification]) -> None:
        self._notifications = [*notifications]
        self._notifications_index = 0

    def __iter__(self) -> Coming:
        return self

    def __next__(self) -> Notification:
        if self._notifications_index == len(self._notifications):
            raise StopIteration
        self._notifications_index += 1
        return self._notifications[self._notifications_index - 1]


def reached(night: Night) -> int:
    return night.strike.process.recorder.max_tracking_id(night.strike.log.name) or 0


def answer(night: Night, *, one_by_one: bool = False) -> None:
    """Let the pager answer whatever is in the log, and what comes of that."""
    log, process = night.strike.log, night.strike.process
    answering = Answering(SimpleNamespace(name=log.name, mapper=log.mapper), process)
    while reached(night) < log.position():
        new = log.recorder.select_notifications(reached(night) + 1, 1_000)
        for some in [[one] for one in new] if one_by_one else [new]:
            answering.run(Coming(some))  # type: ignore[arg-type]


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each transaction of the pager answers, from now on."""
    counted: list[int] = []
    process_events = PagerProcess.process_events

    def count(self: Any, events: Sequence[Any], tracking: Any) -> None:
        process_events(self, events, tracking)
        counted.append(len(events))

    monkeypatch.setattr(PagerProcess, "process_events", count)
    return counted


def test_callouts_that_come_together_are_answered_in_one_transaction(commits: list[int]) -> None:
    night = Night(ANA)
    orders = [night.order() for _ in range(TOGETHER)]
    answer(night)
    assert {night.strike.log.eco(one).paging_state for one in orders} == {"RUNNING"}
    assert commits[0] == TOGETHER
    assert night.happened().count("PagerRunStarted") == TOGETHER


def test_there_are_never_too_many_in_one(commits: list[int]) -> None:
    night = Night(ANA)
    for _ in range(2 * TOGETHER + 1):
        night.order()
    answer(night)
    assert commits[:3] == [TOGETHER, TOGETHER, 1]


def test_two_events_of_one_callout_are_answered_one_after_the_other(commits: list[int]) -> None:
    """The second is answered by what the first was answered with: here the run that is to end."""
    night = Night(ANA)
    first = night.order()
    answer(night)
    commits.clear()
    night.strike.callouts.cancel_eco(first, "Signal is back.", OPERATOR)
    second = night.order()
    night.strike.callouts.cancel_eco(second, "Signal is back.", OPERATOR)
    answer(night)
    assert commits[:2] == [2, 1]
    assert night.strike.log.run(run_of(night, first)).state == "CANCELLED"
    assert not night.strike.log.eco(second).runs


def run_of(night: Night, eco_id: UUID) -> UUID:
    run_id = night.strike.log.eco(eco_id).latest_run_id
    assert run_id is not None
    return run_id


def test_what_asks_for_no_answer_is_passed_over_with_the_others(commits: list[int]) -> None:
    night = Night(ANA)
    for _ in range(3):
        eco_id = night.order()
        for number in range(5):
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
    end = night.strike.log.position()
    log = night.strike.log
    answering = Answering(SimpleNamespace(name=log.name, mapper=log.mapper), night.strike.process)
    answering.run(Coming(log.recorder.select_notifications(1, 1_000)))  # type: ignore[arg-type]
    assert commits == [3] and reached(night) == end


def test_one_that_fails_is_found_and_stops_none_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(ANA)
    orders = [night.order() for _ in range(5)]
    policy = night.strike.process.policy

    def fail(event: Any, processing: Any) -> None:
        if event.originator_id == orders[2]:
            raise RuntimeError("a digger")
        policy(event, processing)

    monkeypatch.setattr(night.strike.process, "policy", fail)
    with pytest.raises(EventFailed) as failed:
        answer(night)
    assert failed.value.position == 3 and reached(night) == 2
    assert [len(night.strike.log.eco(one).runs) for one in orders] == [1, 1, 0, 0, 0]
    monkeypatch.undo()
    answer(night)
    assert [len(night.strike.log.eco(one).runs) for one in orders] == [1, 1, 1, 1, 1]


def test_one_that_cannot_be_read_is_found_and_stops_none_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    night = Night(ANA)
    orders = [night.order() for _ in range(3)]
    mapper = night.strike.log.mapper
    read = mapper.to_domain_event

    def fail(stored: Any) -> Any:
        if stored.originator_id == orders[1]:
            raise ValueError("of a newer version")
        return read(stored)

    monkeypatch.setattr(mapper, "to_domain_event", fail)
    with pytest.raises(EventFailed) as failed:
        answer(night)
    assert failed.value.position == 2 and reached(night) == 1
    monkeypatch.undo()
    answer(night)
    assert [len(night.strike.log.eco(one).runs) for one in orders] == [1, 1, 1]


def test_a_command_that_is_faster_with_one_of_them_loses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    night = Night(ANA)
    orders = [night.order() for _ in range(4)]
    insert, tries = night.strike.process.recorder.insert_events, Counter[str]()

    def beaten(events: Sequence[Any], **given: Any) -> Any:
        tries["all"] += 1
        if tries["all"] == 1:
            night.strike.callouts.add_note(orders[1], "Hurry.", OPERATOR)
            raise IntegrityError("another command was faster")
        return insert(events, **given)

    monkeypatch.setattr(night.strike.process.recorder, "insert_events", beaten)
    answer(night)
    assert [len(night.strike.log.eco(one).runs) for one in orders] == [1, 1, 1, 1]
    assert night.happened().count("PagerRunStarted") == 4


STEPS = st.lists(
    st.tuples(st.sampled_from(["order", "cancel", "note", "dispatch"]), st.integers(0, 5)),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sets(st.integers(0, 40)))
def test_together_comes_to_the_same_as_one_by_one(
    steps: list[tuple[str, int]], answered_after: set[int]
) -> None:
    told = []
    for one_by_one in (False, True):
        night = Night(ANA)
        orders: list[UUID] = []
        for number, (what, which) in enumerate(steps):
            _do(night, orders, what, which)
            if number in answered_after:
                answer(night, one_by_one=one_by_one)
        answer(night, one_by_one=one_by_one)
        told.append([_of(night, one) for one in orders])
    assert told[0] == told[1]


def _do(night: Night, orders: list[UUID], what: str, which: int) -> None:
    if what == "order" or which >= len(orders):
        orders.append(night.order())
        return
    eco = night.strike.log.eco(orders[which])
    if not eco.is_active:
        return
    if what == "cancel":
        night.strike.callouts.cancel_eco(eco.id, "Signal is back.", OPERATOR)
    elif what == "note":
        night.strike.callouts.add_note(eco.id, "Hurry.", OPERATOR)
    elif eco.paging_state not in ("RUNNING", "ACCEPTED"):
        night.strike.paging.dispatch(eco.id, OPERATOR)


def _of(night: Night, eco_id: UUID) -> tuple[Any, ...]:
    """What became of a callout, and the topics of what happened to it and its runs."""
    log = night.strike.log
    eco = log.eco(eco_id)
    return (
        eco.status,
        eco.paging_state,
        [type(one.event).__name__ for one in log.histories([eco_id])[eco_id]],
    )
