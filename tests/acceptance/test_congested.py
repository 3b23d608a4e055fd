"""A storm over real HTTP: Twilio takes the calls, loses its answers and has a long queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import httpx

from strike_app.demo.operator import Operator
from strike_app.demo.spans import demo_span
from strike_app.demo.world import open_world
from strike_mock.scenarios import Scenario, load

SPEED = 10.0

CONGESTED = Scenario.model_validate(
    {
        "name": "congested",
        "title": "Everybody is called at once",
        "story": "Three callouts for one person; the answers to two of the requests get lost.",
        "phones": [
            {
                "number": "*01",
                "who": "Accepts each",
                "rings_after": 2.0,
                "answers_after": 4.0,
                "presses": [{"key": "1", "after": 2.0}],
            }
        ],
        "timing": {"calls_per_second": 0.05},
        "faults": [{"edge": "twilio.calls.create", "kind": "lose_answer", "skip": 1, "times": 2}],
        "ending": {
            "status": "OPEN",
            "paging": "ACCEPTED",
            "render": "TASKED",
            "accepted_by": "01",
        },
    }
)


TOLD = (
    "The provider has a second call to {}: only one is to ring",
    "The second call to {} came through first: it is the one now",
    "The other call to {} was ended",
)


def test_whoever_is_queued_twice_is_rung_once() -> None:
    """The first call is dialled at once, each other 20 s after the one before. Those without an
    answer are placed again after 10 s, because either may be the other's."""
    with open_world(load("no-list"), SPEED) as world:
        body = {"scenario": CONGESTED.model_dump(mode="json")}
        httpx.post(f"{world.mock_url}/_mock/scenario", json=body).raise_for_status()
        ecos = asyncio.run(_call_out(world.gateway_url, 3))
        calls = httpx.get(f"{world.mock_url}/_mock/calls").json()["calls"]
    assert [eco["pagingState"] for eco in ecos] == ["ACCEPTED"] * 3
    rang = [one for one in calls if "ringing" in one["times"]]
    ended = [one for one in calls if one["status"] == "canceled"]
    assert (len(rang), len(ended), len(calls)) == (3, 2, 5)
    assert len({one["twiml_url"] for one in rang}) == 3, "A call for each of them."
    told = Counter(one["line"] for eco in ecos for one in eco["timeline"])
    assert [told[line.format("Ana Reyes")] for line in TOLD] == [2, 2, 2]


async def _call_out(gateway_url: str, callouts: int) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        operator = Operator(session, gateway_url)
        await operator.log_in()
        _, place = demo_span()
        osp_id, *_ = await operator.choose_contractor(place)
        made = [await operator.create(osp_id, place, f"Storm {n}") for n in range(callouts)]
        return await asyncio.gather(*(_accepted(operator, *one) for one in made))


async def _accepted(operator: Operator, eco_id: Any, position: int) -> dict[str, Any]:
    """The ECO once somebody has it and everything is told; or as it is after two minutes."""
    eco: dict[str, Any] = {}
    async with asyncio.timeout(120):
        async for eco in operator.watch(eco_id, position):
            if eco["pagingState"] in ("ACCEPTED", "EXHAUSTED"):
                break
    return eco
