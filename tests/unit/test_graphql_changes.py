"""Who waits is woken by what concerns them, and by a look when the telling was lost."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from strike_adapters.postgres.changes import FOLLOWED, Changes
from strike_adapters.postgres.views.view import Change, announcement

ECO, OTHER = uuid4(), uuid4()


@pytest.fixture
def changes() -> Changes:
    return Changes("postgresql://nowhere")


def _told(view: str, position: int, eco_id: UUID | None = None) -> str:
    return announcement(view, position, Change(eco_id=eco_id))


async def test_a_change_wakes_those_who_watch_that_eco_or_everything(changes: Changes) -> None:
    with changes.watch(ECO) as mine, changes.watch(OTHER) as other, changes.watch() as everything:
        changes.take(_told("eco_views", 1, ECO))
        assert await mine.wait(0)
        assert await everything.wait(0)
        assert not await other.wait(0)


async def test_many_changes_are_one_wake_up(changes: Changes) -> None:
    with changes.watch(ECO) as watch:
        for position in range(1, 50):
            changes.take(_told("eco_timeline", position, ECO))
        assert await watch.wait(0)
        assert not await watch.wait(0)


async def test_who_has_gone_is_forgotten(changes: Changes) -> None:
    with changes.watch(ECO) as watch:
        pass
    changes.take(_told("eco_views", 1, ECO))
    assert not await watch.wait(0)


def test_reached_is_what_the_slowest_read_model_has(changes: Changes) -> None:
    assert changes.reached() == 0
    for position, view in enumerate(FOLLOWED, 5):
        changes.take(_told(view, position))
    assert changes.reached() == 5
    changes.take(_told("pager_process_state", 1))
    assert changes.reached() == 5


async def test_a_look_wakes_everybody_only_if_something_was_not_told(changes: Changes) -> None:
    for view in FOLLOWED:
        changes.take(_told(view, 5))
    with changes.watch(ECO) as watch:
        changes.take_look(dict.fromkeys(FOLLOWED, 5))
        assert not await watch.wait(0)
        changes.take_look({**dict.fromkeys(FOLLOWED, 5), "eco_timeline": 6})
        assert await watch.wait(0)


def test_a_look_corrects_what_a_restored_database_no_longer_has(changes: Changes) -> None:
    for view in FOLLOWED:
        changes.take(_told(view, 900))
    changes.take_look(dict.fromkeys(FOLLOWED, 3))
    assert changes.reached() == 3


async def test_the_feed_tries_again_when_the_database_is_away(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = asyncio.Event()
    count = 0

    async def fail() -> None:
        nonlocal count
        count += 1
        if count == 3:
            tries.set()
        raise OSError if count == 1 else TimeoutError

    monkeypatch.setattr("strike_adapters.postgres.changes.RECONNECT", 0)
    monkeypatch.setattr(changes, "_listen", fail)
    await changes.start()
    async with asyncio.timeout(5):
        await tries.wait()
    await changes.stop()
