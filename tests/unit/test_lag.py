"""How far a replica is behind: by positions, so that nothing ages while nothing happens."""

from __future__ import annotations

from math import inf

from strike_adapters.postgres.lag import AHEAD_SECONDS, MOST_MARKS, Lag


def level(position: int = 10) -> Lag:
    lag = Lag()
    lag.primary_is_at(position, 0.0)
    lag.replica_is_at(position, 0.0)
    return lag


def test_an_idle_primary_is_not_a_replica_that_is_behind() -> None:
    assert level().seconds(now=1_000_000.0) == 0.0


def test_it_is_behind_since_the_primary_had_what_it_lacks() -> None:
    lag = level()
    lag.primary_is_at(11, 100.0)
    lag.primary_is_at(12, 103.0)
    assert lag.seconds(now=104.0) == 4.0
    lag.replica_is_at(11, 104.0)
    assert lag.seconds(now=104.0) == 1.0
    lag.replica_is_at(12, 105.0)
    assert lag.seconds(now=200.0) == 0.0


def test_what_it_lacks_at_the_first_look_it_may_have_lacked_for_hours() -> None:
    lag = Lag()
    lag.primary_is_at(10, 0.0)
    lag.replica_is_at(9, 0.0)
    lag.primary_is_at(11, 0.01)
    assert lag.seconds(now=0.1) == inf
    lag.replica_is_at(10, 0.2)
    assert lag.seconds(now=0.2) < 1.0


def test_nothing_is_known_before_the_primary_has_been_heard_of() -> None:
    lag = Lag()
    lag.replica_is_at(9, 0.0)
    assert not lag.is_known


def test_one_that_is_dead_for_days_takes_no_memory_and_is_never_thought_near() -> None:
    lag = level()
    for number in range(MOST_MARKS * 3):
        lag.primary_is_at(11 + number, 1.0 + number)
    now = 1.0 + MOST_MARKS * 3
    assert len(lag._marks) <= MOST_MARKS
    lag.replica_is_at(11 + MOST_MARKS, now)
    assert lag.seconds(now) >= now - 1.0 - MOST_MARKS


def test_one_with_positions_that_the_primary_never_had_is_of_another_log() -> None:
    lag = level()
    lag.replica_is_at(99, 1.0)
    assert not lag.is_ahead(now=1.1)  # It may have heard of it before we did.
    assert lag.is_ahead(now=1.1 + AHEAD_SECONDS)


def test_one_that_is_ahead_from_the_beginning_is_not_believed_for_a_moment() -> None:
    lag = Lag()
    lag.primary_is_at(10, 0.0)
    lag.replica_is_at(99, 0.0)
    assert lag.is_ahead(now=0.0)
    lag.primary_is_at(100, 0.1)
    lag.replica_is_at(100, 0.1)
    assert not lag.is_ahead(now=0.1)


def test_a_backup_that_was_put_back_has_to_reach_the_replica_anew() -> None:
    lag = level(position=50)
    lag.primary_is_at(20, 1.0)
    lag.replica_is_at(50, 1.0)
    assert lag.is_ahead(now=1.0 + 2 * AHEAD_SECONDS)
