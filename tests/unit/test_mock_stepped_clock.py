"""Time that can be stopped, stepped and skipped, and otherwise is what two processes agree on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from strike_mock.clock import ScaledClock, SteppedClock

FAST = 100_000.0
"""So fast that hours of simulated time are some hundredths of a real second."""


def test_untouched_it_agrees_with_a_scaled_clock() -> None:
    epoch = datetime.now(UTC) - timedelta(hours=1)
    stepped, scaled = SteppedClock(7, epoch), ScaledClock(7, epoch)
    assert abs((stepped.now() - scaled.now()).total_seconds()) < 1


@pytest.mark.parametrize("speed", [0, -1])
def test_time_does_not_stand_still_or_go_back_by_its_speed(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        SteppedClock(speed)
    with pytest.raises(ValueError, match="above 0"):
        SteppedClock(1).set_speed(speed)


async def test_sleepers_wake_in_order_of_their_times() -> None:
    clock, woken = SteppedClock(FAST, datetime.now(UTC)), list[int]()
    await asyncio.gather(*(_sleep(clock, hours, woken) for hours in (3, 1, 2)))
    assert woken == [1, 2, 3]


async def test_paused_nobody_wakes_and_a_step_goes_on_to_the_next() -> None:
    clock, woken = SteppedClock(FAST, datetime.now(UTC), paused=True), list[int]()
    start = clock.now()
    sleepers = [asyncio.create_task(_sleep(clock, hours, woken)) for hours in (2, 1)]
    await asyncio.sleep(0)
    assert clock.now() == start and clock.paused
    assert await clock.step() == start + timedelta(hours=1)
    assert woken == [1]
    assert await clock.step() == start + timedelta(hours=2)
    assert woken == [1, 2]
    await asyncio.gather(*sleepers)
    assert await clock.step() == start + timedelta(hours=2), "Nothing is due: time stands still."


async def test_skipping_wakes_whoever_is_due_and_nobody_else() -> None:
    clock, woken = SteppedClock(1, datetime.now(UTC), paused=True), list[int]()
    start = clock.now()
    sleepers = [asyncio.create_task(_sleep(clock, hours, woken)) for hours in (1, 2, 9)]
    await asyncio.sleep(0)
    await clock.skip(3 * 3600)
    assert woken == [1, 2]
    assert clock.now() == start + timedelta(hours=3)
    assert clock.paused
    await clock.skip(6 * 3600)
    await asyncio.gather(*sleepers)


async def test_who_pauses_or_resumes_during_a_skip_is_heeded_after_it() -> None:
    clock = SteppedClock(1, datetime.now(UTC), paused=True)
    start = clock.now()
    sleepers = [asyncio.create_task(clock.sleep(hours * 3600)) for hours in (1, 2)]
    await asyncio.sleep(0)
    skipping = asyncio.create_task(clock.skip(3 * 3600))
    await sleepers[0]
    clock.resume()
    assert clock.now() == start + timedelta(hours=1), "It does not run off during the skip."
    await skipping
    assert not clock.paused
    passed = clock.now() - start
    assert timedelta(hours=3) <= passed < timedelta(hours=3, minutes=1)


async def test_two_skips_at_once_are_one_after_the_other() -> None:
    clock, woken = SteppedClock(1, datetime.now(UTC), paused=True), list[int]()
    start = clock.now()
    sleepers = [asyncio.create_task(_sleep(clock, hours, woken)) for hours in (1, 2, 3)]
    await asyncio.sleep(0)
    await asyncio.gather(clock.skip(2 * 3600), clock.skip(2 * 3600))
    assert clock.now() == start + timedelta(hours=4) and clock.paused
    assert woken == [1, 2, 3]
    await asyncio.gather(*sleepers)


async def test_a_skip_that_is_given_up_leaves_the_clock_going() -> None:
    clock, woken = SteppedClock(FAST, datetime.now(UTC)), list[int]()
    sleepers = [asyncio.create_task(_sleep(clock, hours, woken)) for hours in (50, 51)]
    await asyncio.sleep(0)
    skipping = asyncio.create_task(clock.skip(99 * 3600))
    await sleepers[0]
    skipping.cancel()
    await asyncio.wait_for(sleepers[1], 30)
    assert woken == [50, 51] and not clock.paused


async def test_whoever_falls_asleep_during_a_skip_wakes_during_it_if_due() -> None:
    clock = SteppedClock(1, datetime.now(UTC), paused=True)
    start, seen = clock.now(), list[float]()

    async def twice() -> None:
        for hours in (1, 1.5):
            await clock.sleep(hours * 3600)
            seen.append((clock.now() - start).total_seconds() / 3600)

    sleeper = asyncio.create_task(twice())
    await asyncio.sleep(0)
    await clock.skip(3 * 3600)
    await sleeper
    assert seen == [1, 2.5]


async def test_resumed_it_goes_on_from_where_it_stood() -> None:
    clock, woken = SteppedClock(FAST, datetime.now(UTC), paused=True), list[int]()
    start = clock.now()
    sleeper = asyncio.create_task(_sleep(clock, 1, woken))
    await asyncio.sleep(0)
    clock.resume()
    await sleeper
    assert woken == [1] and clock.now() >= start + timedelta(hours=1)


async def test_a_faster_clock_wakes_sleepers_sooner() -> None:
    clock, woken = SteppedClock(0.001, datetime.now(UTC)), list[int]()
    sleeper = asyncio.create_task(_sleep(clock, 1, woken))
    await asyncio.sleep(0)
    clock.set_speed(FAST)
    await asyncio.wait_for(sleeper, 10)
    assert woken == [1]


async def test_whoever_gave_up_sleeping_is_not_waited_for() -> None:
    clock = SteppedClock(1, datetime.now(UTC), paused=True)
    start = clock.now()
    sleeper = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)
    assert await clock.step() == start


async def _sleep(clock: SteppedClock, hours: int, woken: list[int]) -> None:
    await clock.sleep(hours * 3600)
    woken.append(hours)
