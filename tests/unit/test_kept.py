"""Aggregates that are kept in mind: always as the log has them, and nobody's to change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from threading import Barrier
from typing import Any, cast
from uuid import UUID

import pytest
from pydantic import BaseModel

from strike_domain import Eco, InvalidTransition, StrikeLog, memory_env
from strike_domain.eventsourced import project
from tests.integration.stored import LongNight
from tests.integration.stories import tell_all
from tests.unit.given import new_eco, stamp

VALUES = (str, bytes, int, float, type(None), UUID, date, datetime, timedelta, Enum)


@pytest.fixture
def log() -> Iterator[StrikeLog]:
    with StrikeLog(memory_env()) as found:
        yield found


@pytest.fixture(scope="module")
def told() -> LongNight:
    night = LongNight()
    tell_all(night)
    return night


def streams(night: LongNight) -> list[UUID]:
    return [*{event.originator_id for _, event in night.strike.events()}]  # type: ignore[attr-defined]


def afresh(log: StrikeLog, aggregate_id: UUID) -> Any:
    return project(None, log.events.get(aggregate_id))


def can_change(value: Any) -> Iterator[Any]:
    """What somebody could change in `value`, all parts of it looked at."""
    if isinstance(value, tuple | frozenset):
        parts: list[Any] = [*value]
    elif isinstance(value, BaseModel) and type(value).model_config.get("frozen"):
        parts = [*value.__dict__.values()]
    elif is_dataclass(value) and cast(Any, value).__dataclass_params__.frozen:
        parts = [getattr(value, one.name) for one in fields(value)]
    else:
        parts = []
        if not isinstance(value, VALUES):
            yield value
    for part in parts:
        yield from can_change(part)


def test_a_copy_shares_nothing_that_can_change(told: LongNight) -> None:
    """All aggregates of all stories, all their values, and the calls of runs."""
    for stream in streams(told):
        original = afresh(told.strike.log, stream)
        copied = deepcopy(original)
        assert copied == original
        assert copied.pending_events is not original.pending_events
        for name, value in copied.__dict__.items():
            if value is original.__dict__[name]:
                assert [*can_change(value)] == [], name
        for call_id, call in getattr(copied, "calls", {}).items():
            assert call is not original.calls[call_id]
            assert [one for part in vars(call).values() for one in can_change(part)] == []


def test_what_is_kept_is_what_the_log_says_also_of_what_others_stored(told: LongNight) -> None:
    log = told.strike.log
    for stream in streams(told):
        for _ in range(2):
            assert log.repository.get(stream) == afresh(log, stream)


def test_another_applications_events_are_seen_at_the_next_load() -> None:
    env = memory_env()
    with StrikeLog(env) as mine, StrikeLog(env) as other:
        eco = new_eco()
        mine.store(eco)
        assert mine.eco(eco.id).version == 1
        other.change_eco(eco.id, lambda one: one.cancel("Over.", stamp()))
        assert mine.eco(eco.id) == afresh(mine, eco.id)


def test_a_change_that_was_not_stored_is_in_no_later_load(log: StrikeLog) -> None:
    eco = new_eco()
    log.store(eco)
    for _ in range(3):
        found = log.eco(eco.id)
        assert (found.version, found.pending_events) == (1, [])
        found.cancel("Never stored.", stamp())
        found.offers = found.offers + ("mine",)  # type: ignore[operator]

    def refused(one: Eco) -> None:
        one.add_note("Gone with the error.", stamp())
        raise InvalidTransition("No.")

    with pytest.raises(InvalidTransition):
        log.change_eco(eco.id, refused)
    assert log.eco(eco.id) == afresh(log, eco.id)


def test_a_load_that_fails_halfway_leaves_nothing_behind(
    log: StrikeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    eco = new_eco()
    log.store(eco)
    log.eco(eco.id)
    other = afresh(log, eco.id)
    other.cancel("Over.", stamp())
    log.store(other)
    with monkeypatch.context() as broken:
        broken.setattr(Eco, "_end_paging", lambda self: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                log.eco(eco.id)
    assert log.eco(eco.id) == afresh(log, eco.id)


def test_many_threads_that_load_change_and_spoil_see_only_what_was_stored() -> None:
    """Every load equals the log up to its own version, whoever writes meanwhile."""
    env = memory_env()
    with StrikeLog(env) as one, StrikeLog(env) as two, ThreadPoolExecutor(12) as threads:
        ecos = [new_eco() for _ in range(3)]
        for eco in ecos:
            one.store(eco)
        begin = Barrier(12)

        def work(number: int) -> int:
            log, done = (one, two)[number % 2], 0
            # Those who have begun keep the others from being started for a second and more.
            begin.wait()
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                eco_id = ecos[done % 3].id
                if number < 4:
                    log.change_eco(eco_id, lambda eco: eco.add_note("A note.", stamp()))
                else:
                    found = log.eco(eco_id)
                    assert found.pending_events == []
                    assert found == log.eco(eco_id, found.version)
                    found.add_note("Never stored.", stamp())
                done += 1
            return done

        assert all(threads.map(work, range(12)))
        for eco in ecos:
            assert one.eco(eco.id) == two.eco(eco.id) == afresh(one, eco.id)
