"""A task is ended for good, also one whose cancellation gets lost on the way."""

from __future__ import annotations

import asyncio

import pytest

from strike_adapters import ending
from strike_adapters.ending import ended


async def going_on(losses: int) -> None:
    """Waits for ever; that many cancellations get lost, as within `asyncio.wait_for`."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not losses:
                raise
            losses -= 1


@pytest.mark.parametrize("losses", [0, 1, 3])
async def test_a_cancellation_that_gets_lost_is_repeated(
    losses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.01)
    task = asyncio.create_task(going_on(losses))
    await asyncio.sleep(0)
    await asyncio.wait_for(ended(task), 10)
    assert task.cancelled()


async def test_what_a_task_ended_with_by_itself_is_raised() -> None:
    async def failing() -> None:
        raise ValueError("broken")

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    with pytest.raises(ValueError, match="broken"):
        await ended(task)


async def test_a_task_that_had_ended_is_nothing_to_wait_for() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await ended(task)
