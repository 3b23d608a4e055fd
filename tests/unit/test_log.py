"""The log: one order, saves that race, saves whose answer got lost (specification, section 8)."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import IntegrityError

from strike_domain import (
    Conflict,
    Eco,
    InvalidTransition,
    NotFound,
    PagerRun,
    StrikeLog,
    memory_env,
)
from strike_domain.log import MAX_ATTEMPTS, while_others_are_faster
from tests.unit.given import given_eco, stamp


class InterruptedLog(StrikeLog):
    """A log in which something can happen just before or just after a save."""

    before: Callable[[], object] | None = None
    lost = False

    def save(self, *objs: Any, **kwargs: Any) -> Any:
        before, self.before = self.before, None
        if before:
            before()
        recordings = super().save(*objs, **kwargs)
        if self.lost:
            # What a library that tries again after a lost connection then meets.
            self.lost = False
            raise IntegrityError("duplicate key")
        return recordings


def new_eco(log: StrikeLog) -> Eco:
    given = given_eco()
    eco = Eco.create(
        uuid4(),
        stamp(),
        noc_id=given.noc_id,
        osp_id=given.osp_id,
        location=given.location,
        job_type=given.job_type,
        description="x",
        job_number="26-0001",
    )
    log.store(eco)
    return eco


@pytest.fixture
def log() -> InterruptedLog:
    return InterruptedLog(memory_env())


def test_an_empty_log_stands_at_zero_and_storing_nothing_leaves_it_there(log: StrikeLog) -> None:
    assert log.position() == 0
    assert log.store() == 0


def test_the_position_of_a_save_is_that_of_its_last_event(log: StrikeLog) -> None:
    eco = new_eco(log)
    assert log.position() == 1
    eco.add_note("a", stamp())
    eco.add_note("b", stamp())
    assert log.store(eco) == 3 == log.position()


def test_what_is_not_there_is_not_found(log: StrikeLog) -> None:
    for load in (log.eco, log.run):
        with pytest.raises(NotFound):
            load(uuid4())


def test_an_eco_is_no_run(log: StrikeLog) -> None:
    with pytest.raises(NotFound):
        log.run(new_eco(log).id)


def test_an_aggregate_can_be_read_as_it_was(log: StrikeLog) -> None:
    eco = new_eco(log)
    log.change_eco(eco.id, lambda e: e.cancel("x", stamp()))
    assert log.eco(eco.id, version=1).is_active
    assert not log.eco(eco.id).is_active


def test_of_two_saves_at_once_the_second_fails_and_stores_nothing(log: StrikeLog) -> None:
    eco = new_eco(log)
    one, two = log.eco(eco.id), log.eco(eco.id)
    one.add_note("one", stamp())
    two.add_note("two", stamp())
    log.store(one)
    with pytest.raises(IntegrityError):
        log.store(two)
    assert log.position() == 2


def test_two_aggregates_are_saved_together_or_not_at_all(log: StrikeLog) -> None:
    first, second = new_eco(log), new_eco(log)
    stale = log.eco(first.id)
    first.add_note("faster", stamp())
    log.store(first)
    stale.add_note("x", stamp())
    second.add_note("x", stamp())
    before = log.position()
    with pytest.raises(IntegrityError):
        log.store(second, stale)
    assert log.position() == before


def test_a_command_that_was_beaten_is_given_again_on_the_newest_state(log: InterruptedLog) -> None:
    eco = new_eco(log)
    log.before = lambda: log.change_eco(eco.id, lambda e: e.add_note("faster", stamp()))
    receipt = log.change_eco(eco.id, lambda e: e.add_note("slower", stamp()))
    assert receipt.position == 3
    assert receipt.aggregate.version == 3


def test_a_command_that_no_longer_makes_sense_is_refused_in_the_end(log: InterruptedLog) -> None:
    eco = new_eco(log)
    log.before = lambda: log.change_eco(eco.id, lambda e: e.cancel("faster", stamp()))
    with pytest.raises(InvalidTransition):
        log.change_eco(eco.id, lambda e: e.cancel("slower", stamp()))
    assert log.position() == 2


def test_a_save_whose_answer_got_lost_is_recognised_by_its_event_ids(log: InterruptedLog) -> None:
    eco = new_eco(log)
    log.lost = True
    receipt = log.change_eco(eco.id, lambda e: e.add_note("once", stamp()))
    assert receipt.position == 2 == log.position()


def test_a_save_whose_answer_got_lost_is_not_taken_for_that_of_another(log: InterruptedLog) -> None:
    eco = new_eco(log)
    one, two = log.eco(eco.id), log.eco(eco.id)
    for each in (one, two):
        each.add_note("the same words", stamp())
    log.store(one)
    with pytest.raises(IntegrityError):
        log.store(two)


def test_whoever_is_beaten_again_and_again_gives_up_with_a_conflict() -> None:
    attempts = []

    def beaten() -> None:
        attempts.append(1)
        raise IntegrityError

    with pytest.raises(Conflict):
        while_others_are_faster(beaten)
    assert len(attempts) == MAX_ATTEMPTS


def test_logs_of_one_name_in_memory_are_one_log_and_others_are_not() -> None:
    env = memory_env()
    one, same, other = StrikeLog(env), StrikeLog(env), StrikeLog(memory_env())
    eco = new_eco(one)
    assert same.eco(eco.id) == one.eco(eco.id)
    assert other.position() == 0


def test_the_same_attempt_at_the_same_place_has_the_same_event_id() -> None:
    one, two = stamp(), stamp()
    eco = given_eco()
    assert one.fields(eco.id, 2) == one.fields(eco.id, 2)
    ids = {s.fields(eco.id, v)["event_id"] for s in (one, two) for v in (2, 3)}
    assert len(ids) == 4


def test_an_aggregate_that_does_not_know_an_event_says_so() -> None:
    for kind in (Eco, PagerRun):
        with pytest.raises(NotImplementedError, match="does not know str"):
            kind.evolve(object.__new__(kind), "an event")
