"""Processes die by SIGKILL in the middle of a callout; nobody is rung twice, nobody left out.

Every part is real: PostgreSQL, the HTTP server, the mock over HTTP, one process each. More stories
with kills at random moments: `STRIKE_FAULT_SEEDS=50 pytest tests/faults`, or `tox -e faults`.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import UUID

import aiohttp
import httpx
import psycopg
import pytest

from strike_app.demo.operator import Operator
from strike_app.demo.spans import demo_span
from strike_app.demo.story import differences
from strike_app.demo.world import World, open_world
from strike_mock.scenarios import Scenario, load

SPEED = 20.0
LEASE = {"STRIKE_LEASE_SECONDS": "1"}
STORY_SECONDS = 90.0

KILLS = 8
"""Of one story, at the most: where a start takes longer than kills lie apart, nothing would end."""

Watcher = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize("victim", ["worker", "follower"])
def test_a_process_killed_at_every_turn_changes_nothing_in_the_story(victim: str) -> None:
    # In this story the crew waits: a dead worker costs minutes of simulated time, in which another
    # crew would have finished the job, and the paging would rightly have been cancelled.
    turns = [
        "strike.run.started",
        "strike.run.call-requested",
        "strike.eco.render-tasked",
        "strike.run.call-ringing",
        "strike.run.call-ended",
    ]
    with open_world(load("pager-timeout"), SPEED, more_env=LEASE) as world:
        kills = 0

        def kill_at_turns(eco: dict[str, Any]) -> None:
            nonlocal kills
            seen = {one["kind"] for one in eco["timeline"]}
            if seen.intersection(turns):
                kills += 1
                _kill_and_start(world, victim)
            # While a follower was dead, several turns came at once: they are one kill.
            turns[:] = [one for one in turns if one not in seen]

        eco = _tell(world, load("pager-timeout"), kill_at_turns)
        assert kills >= 2
        _assert_each_was_rung_once(world, eco, people=3)


@pytest.mark.parametrize("victim", ["worker", "follower"])
def test_a_process_killed_while_a_phone_rings_does_not_keep_the_next_from_accepting(
    victim: str,
) -> None:
    with open_world(load("second-accepts"), SPEED / 2, more_env=LEASE) as world:
        kills: list[str] = []

        def kill_once(eco: dict[str, Any]) -> None:
            if not kills and eco["timeline"][-1]["kind"] == "strike.run.call-ringing":
                kills.append(victim)
                _kill_and_start(world, victim)

        eco = _tell(world, load("second-accepts"), kill_once)
        assert kills
        _assert_each_was_rung_once(world, eco, people=2)


@pytest.mark.parametrize("seed", range(int(os.environ.get("STRIKE_FAULT_SEEDS", "2"))))
def test_kills_at_random_moments_change_nothing_in_the_story(seed: int) -> None:
    chance = random.Random(seed)
    scenario = chance.choice(["render-failure", "pager-timeout"])
    people = 1 if scenario == "render-failure" else 3
    with open_world(load(scenario), SPEED, more_env=LEASE) as world:
        over = threading.Event()
        killer = threading.Thread(target=_kill_at_random, args=(world, chance, over))
        killer.start()
        try:
            eco = _tell(world, load(scenario), lambda _: None)
        finally:
            over.set()
            killer.join()
        _assert_each_was_rung_once(world, eco, people)


def test_psql_shows_who_is_being_rung_and_until_when() -> None:
    rows: list[dict[str, Any]] = []
    with open_world(load("pager-timeout"), SPEED) as world:

        def look(eco: dict[str, Any]) -> None:
            kinds = [one["kind"] for one in eco["timeline"]]
            if not rows and kinds[-1] == "strike.run.call-ringing":
                rows.append(_psql_row(world, UUID(eco["id"])))

        _tell(world, load("pager-timeout"), look)
    (row,) = rows
    assert row["state"] == "RUNNING"
    assert row["contact_name"] in ("Ana Reyes", "Ben Okafor", "Carla Diaz")
    assert row["call_state"] == "RINGING"
    assert row["call_sid"].startswith("CA")
    assert row["deadline"] is not None


def _psql_row(world: World, eco_id: UUID) -> dict[str, Any]:
    with psycopg.connect(world.database_url, row_factory=psycopg.rows.dict_row) as connection:
        row = connection.execute(
            "SELECT * FROM pager_process_state WHERE eco_id = %s", (eco_id,)
        ).fetchone()
    assert row is not None
    return row


def _kill_at_random(world: World, chance: random.Random, over: threading.Event) -> None:
    for _ in range(KILLS):
        if over.wait(chance.uniform(0.2, 2.5)):
            return
        _kill_and_start(world, chance.choice(["worker", "follower"]))


def _kill_and_start(world: World, name: str) -> None:
    child = world.children[name]
    child.kill()
    child.start()


def _tell(world: World, scenario: Scenario, watcher: Watcher) -> dict[str, Any]:
    """Create the callout and follow it to the story's end; `watcher` sees every state."""
    return asyncio.run(_tell_async(world, scenario, watcher))


async def _tell_async(world: World, scenario: Scenario, watcher: Watcher) -> dict[str, Any]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        operator = Operator(session, world.gateway_url)
        await operator.log_in()
        _, place = demo_span()
        osp_id, *_ = await operator.choose_contractor(place)
        eco_id, position = await operator.create(osp_id, place, "A cut in a test")
        changes = operator.watch(eco_id, position)
        async with asyncio.timeout(STORY_SECONDS):
            return await _follow(changes, scenario, watcher)


async def _follow(
    changes: AsyncGenerator[dict[str, Any], None], scenario: Scenario, watcher: Watcher
) -> dict[str, Any]:
    async for eco in changes:
        await asyncio.to_thread(watcher, eco)
        if not differences(scenario, eco):
            await changes.aclose()
            return eco
    raise AssertionError("The subscription ended before the story.")


def _assert_each_was_rung_once(world: World, eco: dict[str, Any], people: int) -> None:
    placed = httpx.get(f"{world.mock_url}/_mock/calls").json()["calls"]
    by_number = Counter(call["to"][-2:] for call in placed)
    assert by_number == {f"{rank:02d}": 1 for rank in range(1, people + 1)}, by_number
    (run,) = eco["pagerRuns"]
    assert len(run["calls"]) == people
