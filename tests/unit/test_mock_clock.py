"""Simulated time passes only when told to, in order, and nothing waits for the wall."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from strike_mock.clock import ScaledClock, VirtualClock, first_of

pytestmark = pytest.mark.asyncio


async def test_a_virtual_clock_stands_still_until_it_is_advanced() -> None:
    clock = VirtualClock()
    start = clock.now()
    sleeper = asyncio.ensure_future(clock.sleep(10))
    await clock.settle()
    assert clock.now() == start
    assert not sleeper.done()
    await clock.advance(9.999)
    assert not sleeper.done()
    await clock.advance(0.001)
    assert sleeper.done()
    assert clock.now() == start + timedelta(seconds=10)


async def test_sleepers_wake_in_order_of_time_and_see_their_own_time() -> None:
    clock, seen = VirtualClock(), []
    start = clock.now()

    async def wake(after: float) -> None:
        await clock.sleep(after)
        seen.append((clock.now() - start).total_seconds())
        if after == 2:
            await clock.sleep(0.5)
            seen.append((clock.now() - start).total_seconds())

    tasks = [asyncio.ensure_future(wake(after)) for after in (3, 1, 2)]
    await clock.advance(60)
    await asyncio.gather(*tasks)
    assert seen == [1, 2, 2.5, 3]


async def test_a_day_of_grace_passes_at_once() -> None:
    clock = VirtualClock()
    sleeper = asyncio.ensure_future(clock.sleep(24 * 3600))
    await clock.advance(24 * 3600)
    assert sleeper.done()


async def test_a_cancelled_sleeper_holds_nothing_up() -> None:
    clock = VirtualClock()
    sleeper = asyncio.ensure_future(clock.sleep(5))
    await clock.settle()
    sleeper.cancel()
    await clock.advance(10)
    assert sleeper.cancelled()


async def test_the_first_to_end_wins_and_the_others_are_cancelled() -> None:
    clock = VirtualClock()

    async def after(seconds: float) -> float:
        await clock.sleep(seconds)
        return seconds

    race = asyncio.ensure_future(first_of(after(5), after(3)))
    await clock.advance(4)
    assert race.done()
    assert race.result() == 3


async def test_two_scaled_clocks_with_one_epoch_agree() -> None:
    epoch = datetime.now(UTC) - timedelta(seconds=100)
    one, other = ScaledClock(20, epoch), ScaledClock(20, epoch)
    assert abs(one.now() - other.now()) < timedelta(seconds=5)
    assert one.now() - epoch >= timedelta(seconds=2000)


async def test_a_speed_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(0)
