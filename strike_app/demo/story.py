"""`strike demo`: one callout from the cut to its end, through every real part."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from rich.console import Console

from strike_adapters.ending import ended
from strike_adapters.geojson_files import read_callout_geometry
from strike_app.clock import ScaledClock
from strike_app.demo.operator import Operator
from strike_app.demo.screen import Screen, timeline
from strike_app.demo.spans import demo_span
from strike_app.demo.world import World, open_world
from strike_domain.errors import Rejected
from strike_domain.geometry import Location
from strike_mock.scenarios import OperatorStep, Scenario, load

SLACK_SECONDS = 30.0
"""Real seconds that a story may take longer than it says: processes start and machines are slow."""


@dataclass(frozen=True)
class Options:
    scenario: str = "happy-path"
    speed: float = 10.0
    keep: bool = False
    geojson: Path | None = None
    as_json: bool = False


def run_demo(options: Options, console: Console) -> int:
    """Run the story and return the exit status: 0 if it ended as it says, 1 if it did not.

    Raises `Rejected` for a geometry that cannot be used, `ChildFailed` if a process failed.
    """
    scenario = load(options.scenario)
    name, location = _place(options.geojson)
    with (
        console.status("Starting …") as status,
        open_world(
            scenario, options.speed, lambda what: status.update(f"Starting: {what} …")
        ) as world,
    ):
        status.stop()
        return asyncio.run(_tell(options, scenario, name, location, world, console))


def _place(file: Path | None) -> tuple[str, Location]:
    if file is None:
        return demo_span()
    found = read_callout_geometry(file)
    for one in found:
        if one.location is not None:
            return one.name, one.location
    for one in found:
        if one.error is not None:
            raise one.error
    raise Rejected("NO_GEOMETRY", f"{file} has no point and no line to call out to.", ("geojson",))


async def _tell(
    options: Options,
    scenario: Scenario,
    name: str,
    location: Location,
    world: World,
    console: Console,
) -> int:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        operator = Operator(session, world.gateway_url)
        await operator.log_in()
        osp_id, contractor, reason = await operator.choose_contractor(
            location, has_list=scenario.stakes.has_list
        )
        if not options.as_json:
            _introduce(console, scenario, name, location, f"{contractor}, list {reason}")
        eco_id, position = await operator.create(osp_id, location, f"Fibre cut: {name}"[:4000])
        changes = operator.watch(eco_id, position)
        screen = Screen(console, ScaledClock(world.speed, world.epoch))
        with screen:
            async with playing(operator, eco_id, scenario, world.speed):
                eco, ended = await follow(changes, scenario, world, screen.show)
            if eco:
                eco = await operator.look(eco_id, eco["position"])
                screen.show(eco)
        return await _conclude(options, scenario, eco, ended, world, console)


def _introduce(
    console: Console, scenario: Scenario, name: str, location: Location, contractor: str
) -> None:
    console.print(f"[bold]{scenario.title}[/bold]")
    console.print(scenario.story.strip(), style="dim")
    console.print(f"Cut: {name}, {location.describe()}", highlight=False, markup=False)
    console.print(f"Contractor: {contractor}\n", highlight=False, markup=False)


@asynccontextmanager
async def playing(
    operator: Operator, eco_id: UUID, scenario: Scenario, speed: float
) -> AsyncGenerator[None, None]:
    """Let the operator do what the scenario says while the block runs, each thing at its time."""

    async def play() -> None:
        done = 0.0
        for step in sorted(scenario.operator, key=lambda one: one.after_seconds):
            await asyncio.sleep((step.after_seconds - done) / speed)
            done = step.after_seconds
            await _do(operator, eco_id, step)

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        await ended(task)


async def _do(operator: Operator, eco_id: UUID, step: OperatorStep) -> None:
    match step.does:
        case "cancel":
            await operator.cancel(eco_id, step.text)
        case "dispatch":
            await operator.dispatch(eco_id)
        case "take_up_offer":
            await operator.take_up_offer(eco_id)
        case "note":
            await operator.note(eco_id, step.text)


async def follow(
    changes: AsyncGenerator[dict[str, Any], None],
    scenario: Scenario,
    world: World,
    show: Callable[[dict[str, Any]], None],
) -> tuple[dict[str, Any], bool]:
    """Show every change until the story has ended, or should have; the ECO, and which it was."""
    limit = time.monotonic() + scenario.ending.within_seconds / world.speed + SLACK_SECONDS
    eco: dict[str, Any] = {}
    try:
        while time.monotonic() < limit:
            async with asyncio.timeout(limit - time.monotonic()):
                eco = await anext(changes)
            show(eco)
            world.check()
            if not differences(scenario, eco):
                return eco, True
    except TimeoutError:
        pass
    finally:
        await changes.aclose()
    return eco, False


def differences(scenario: Scenario, eco: dict[str, Any]) -> list[str]:
    """In what the ECO is not as the story ends; empty if in nothing."""
    ending = scenario.ending
    wanted: dict[str, object] = {
        "status": ending.status,
        "pagingState": ending.paging,
        "renderState": ending.render,
        "stale": ending.stale,
    }
    wrong = [
        f"{key} is {eco.get(key)}, not {value}"
        for key, value in wanted.items()
        if eco.get(key) != value
    ]
    calls = [call for run in eco.get("pagerRuns", ()) for call in run["calls"]]
    accepted = [call["phone"] for call in calls if call["outcome"] == "ACCEPTED"]
    if ending.accepted_by and not any(one.endswith(ending.accepted_by) for one in accepted):
        wrong.append(f"nobody whose number ends in {ending.accepted_by} accepted")
    kinds = {one["kind"] for one in eco.get("timeline", ())}
    return wrong + [f"{kind} is missing" for kind in ending.happened if kind not in kinds]


async def _conclude(
    options: Options,
    scenario: Scenario,
    eco: dict[str, Any],
    ended: bool,
    world: World,
    console: Console,
) -> int:
    if options.as_json:
        result = {"scenario": scenario.name, "ended_as_told": ended, "eco": eco}
        Console().out(json.dumps(result, indent=2), highlight=False)
        return 0 if ended else 1
    console.print()
    if eco:
        console.print(timeline(eco))
    _verdict(scenario, eco, ended, console)
    url = f"{world.gateway_url}/graphql"
    if options.keep:
        console.print(f"\nEverything keeps running. The console: {world.gateway_url}/")
        console.print(f"GraphiQL: {url} (log in as anyone)")
        console.print(f"Phones and field tasks, to play by hand: {world.mock_url}/_mock/")
        console.print(f"Database: psql {world.database_url!r}", highlight=False)
        console.print("Ctrl-C ends it.")
        while True:
            world.check()
            await asyncio.sleep(1)
    console.print("\nWith --keep it stays up, with the web console, for you to explore.")
    return 0 if ended else 1


def _verdict(scenario: Scenario, eco: dict[str, Any], ended: bool, console: Console) -> None:
    if ended:
        console.print(f"\n[green]The story ended as told[/green]: {scenario.name}.")
        return
    wrong = "; ".join(differences(scenario, eco)) or "nothing was heard of it"
    console.print(f"\n[red]The story did not end as told[/red]: {wrong}.")
