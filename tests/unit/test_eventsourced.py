"""The layer between the library and our events."""

from __future__ import annotations

from typing import Any, cast

import pytest
from eventsourcing.domain import Aggregate as LibraryAggregate
from eventsourcing.domain import OriginatorIDError, OriginatorVersionError

from strike_domain import StrikeLog
from strike_domain.eventsourced import TOGETHER, Aggregate, AggregateEvent, project
from tests.unit.given import new_eco, stamp


def noted(notes: int) -> list[AggregateEvent]:
    """The events of an ECO that so many notes were added to."""
    eco = new_eco()
    for number in range(notes):
        eco.add_note(f"Remark {number}", stamp())
    return cast("list[AggregateEvent]", [*eco.pending_events])


def test_an_aggregate_is_unhashable_as_python_expects_of_a_mutable_object() -> None:
    # On Python 3.13 `singledispatchmethod` caches by instance and takes TypeError for "do not".
    with pytest.raises(TypeError):
        hash(object.__new__(Aggregate))


def test_the_library_still_raises_what_no_cache_expects() -> None:
    # When this fails, the work-round in `Aggregate` can go.
    with pytest.raises(NotImplementedError):
        hash(object.__new__(LibraryAggregate))


def test_a_replay_gives_what_mutating_one_by_one_gives() -> None:
    events = noted(5)
    expected = mutated(events)
    assert project(None, events) == expected
    assert project(project(None, events[:3]), events[3:]) == expected


def test_a_replay_refuses_what_mutating_refuses() -> None:
    """A gap, a repeat, an event of another aggregate, a second beginning, one that is missing."""
    events, others = noted(5), noted(5)
    one = events[:3]
    for wrong in (
        [*one, events[4]],
        [*one, events[2]],
        [*one, others[3]],
        [*one, events[0]],
        events[1:],
    ):
        with pytest.raises((OriginatorIDError, OriginatorVersionError, AssertionError)) as said:
            project(None, wrong)
        with pytest.raises(said.type):
            mutated(wrong)


def mutated(events: list[AggregateEvent]) -> Any:
    """The aggregate, one event after the other."""
    aggregate = None
    for event in events:
        aggregate = event.mutate(aggregate)
    return aggregate


def test_a_stream_is_read_whole_however_many_of_one_kind_follow_each_other() -> None:
    for notes in (TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER, 3 * TOGETHER + 7):
        log, eco = StrikeLog(), new_eco()
        for number in range(notes):
            eco.add_note(f"Remark {number}", stamp())
        written = [*eco.pending_events]
        log.store(eco)
        assert [*log.events.get(eco.id)] == written
