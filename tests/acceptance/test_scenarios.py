"""Each scenario over real HTTP, with a process for each part, ends as its file says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest

from strike_app.demo.operator import Operator
from strike_app.demo.spans import demo_span
from strike_app.demo.story import differences, follow, playing
from strike_app.demo.world import World, open_world
from strike_mock.scenarios import Scenario, load, names

SPEED = 20.0

IN_THE_SPECIFICATION = {
    "happy-path",
    "second-accepts",
    "all-decline",
    "pager-timeout",
    "voicemail",
    "busy-then-accept",
    "late-accept",
    "render-failure",
    "render-flaky",
    "late-clone",
    "reopened-task",
    "goes-stale",
    "cancel-mid-call",
    "webhook-storm",
    "twilio-down",
    "no-list",
}


def test_every_scenario_of_the_specification_ships() -> None:
    assert set(names()) >= IN_THE_SPECIFICATION


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(load("no-list"), SPEED) as opened:
        yield opened


@pytest.mark.parametrize("name", names())
def test_it_ends_as_told(name: str, world: World) -> None:
    scenario = load(name)
    world.stage(scenario)
    eco = asyncio.run(_tell(world, scenario))
    assert differences(scenario, eco) == []
    _assert_nobody_was_called_twice_at_once(world, eco)


async def _tell(world: World, scenario: Scenario) -> dict[str, Any]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        operator = Operator(session, world.gateway_url)
        await operator.log_in()
        _, place = demo_span()
        has_list = scenario.stakes.has_list
        osp_id, *_ = await operator.choose_contractor(place, has_list=has_list)
        eco_id, position = await operator.create(osp_id, place, f"Story {scenario.name}")
        changes = operator.watch(eco_id, position)
        async with playing(operator, eco_id, scenario, world.speed):
            eco, _ = await follow(changes, scenario, world, lambda _: None)
        return eco


def _assert_nobody_was_called_twice_at_once(world: World, eco: dict[str, Any]) -> None:
    """As Twilio saw it: one call for each that Strike tells of, unless it is said why not."""
    placed = httpx.get(f"{world.mock_url}/_mock/calls").json()["calls"]
    calls = [call for run in eco["pagerRuns"] for call in run["calls"]]
    ours = [one for one in placed if one["times"]["created"] >= eco["timeline"][0]["at"]]
    assert len(ours) <= len(calls)
