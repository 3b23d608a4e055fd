"""A chaos day: the whole of Strike under load while everything about it misbehaves, by a seed.

    python -m tests.faults.chaos --seed 1 --minutes 10 --report chaos.md

Servers, followers, workers, the mock and two writers are processes of their own, reached by links
that are cut, stalled and slowed; processes are killed, the database ends without a farewell, Twilio
and Render refuse, delay, lose and repeat. In the end everything comes to rest, and must be as if
nothing had been the matter; the exit status is 1 if anything is not. `tox -e chaos` takes three
seeds. SIGTERM and Ctrl-C end all of it.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from strike_app.processes import ended_in_order
from strike_mock.scenarios import Crew, FaultRule, load
from tests.faults.network import Network
from tests.faults.outage_checks import Doubles
from tests.faults.outage_clients import Clients
from tests.faults.outage_ending import ending_of
from tests.faults.outage_faults import Fault, afflict, figures
from tests.faults.outage_notes import Note
from tests.faults.outage_world import KINDS, SCENARIO, World, outage_world

LINKS = ("database", "outside", "webhooks")

TROUBLES = {
    "Twilio refuses half of what is asked": FaultRule(edge="twilio.*", kind="refuse", share=0.5),
    "Twilio takes calls and loses the answer": FaultRule(
        edge="twilio.calls.create", kind="lose_answer", share=0.5
    ),
    "Twilio is slow": FaultRule(edge="twilio.*", kind="delay", seconds=(2.0, 12.0)),
    "webhooks come late, in any order": FaultRule(
        edge="webhook.status", kind="delay", seconds=(0.5, 30.0)
    ),
    "webhooks come twice": FaultRule(edge="webhook.*", kind="double"),
    "webhooks get lost": FaultRule(edge="webhook.status", kind="lose", share=0.6),
    "webhooks are forged": FaultRule(edge="webhook.status", kind="corrupt", share=0.5),
    "Render refuses": FaultRule(edge="render.*", kind="refuse", share=0.7),
    "Render hangs": FaultRule(edge="render.*", kind="hang", seconds=(5.0, 30.0), share=0.5),
}
"""What Twilio and Render do wrong for some seconds."""


@dataclass
class Day:
    """What was done, and what came of it."""

    seed: int
    seconds: float
    done: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    calls: int = 0
    events: int = 0
    doubles: Doubles | None = None
    problems: list[str] = field(default_factory=list)


def live(seed: int, seconds: float, tell: Callable[[float, str], None]) -> Day:
    """A day of so many seconds. `tell`: how much of it is over, and what happens."""
    day, network = Day(seed, seconds), Network()
    try:
        tell(0.0, "everything starts")
        with outage_world(network) as world:
            end = ending_of(
                world,
                lambda: _under_load(day, world, network, tell),
                lambda said: tell(1.0, said),
                are_answers_lost=True,
            )
        day.notes, day.problems = end.notes, end.problems
        day.calls, day.events, day.doubles = len(end.placed), len(end.seen), end.doubles
    finally:
        network.close()
    return day


def _under_load(
    day: Day, world: World, network: Network, tell: Callable[[float, str], None]
) -> None:
    chance, began = random.Random(day.seed), time.monotonic()
    clients = world.folder / "clients.notes"
    with Clients(world.servers, world.token, clients, day.seed):
        while (over := time.monotonic() - began) < day.seconds:
            what = chance.choices(("process", "database", "network", "outside"), (5, 1, 3, 3))[0]
            for said in _misbehave(day, world, network, what, chance):
                day.done[said] += 1
                tell(over / day.seconds, said)
            time.sleep(chance.uniform(0.2, 1.5))
        _outside(world, ())
        world.wait_ready()
    world.stop("writer")


def _misbehave(
    day: Day, world: World, network: Network, what: str, chance: random.Random
) -> Iterator[str]:
    match what:
        case "process":
            kind = chance.choice(KINDS)
            yield f"a {kind} is killed"
            day.faults += afflict(world, chance.randrange(10**6), [kind])
        case "database":
            how = chance.choice(("database, SIGQUIT", "database, SIGKILL"))
            yield f"the {how.replace(', ', ' ends by ')}"
            day.faults += afflict(world, chance.randrange(10**6), [how])
        case "network":
            link, how = chance.choice(LINKS), chance.choice(("cut", "stall", "slow"))
            seconds = chance.uniform(0.2, 4.0)
            yield f"network: {link}, {how}"
            network.afflict(link, how, seconds)
        case _:
            said = chance.choice([*TROUBLES])
            yield said
            _outside(world, (TROUBLES[said],))
            time.sleep(chance.uniform(1.0, 5.0))
            _outside(world, ())


def _outside(world: World, faults: Sequence[FaultRule]) -> None:
    """What is wrong with Twilio and Render from now on; the story stays what it is."""
    scenario = load(SCENARIO).model_copy(update={"crew": Crew(), "faults": tuple(faults)})
    told = {"scenario": scenario.model_dump(mode="json")}
    httpx.post(f"{world.mock_url}/_mock/scenario", json=told).raise_for_status()


# The report -----------------------------------------------------------------------------------


def report(day: Day, console: Console) -> None:
    """What misbehaved, what was done all the same, and whether anything was lost."""
    table = Table(title=f"Seed {day.seed}: what misbehaved in {day.seconds:.0f} s under load")
    table.add_column("what")
    table.add_column("times", justify="right")
    for what, times in sorted(day.done.items()):
        table.add_row(what, str(times))
    console.print(table)
    console.print(figures(day.faults, day.notes))
    done = [one for one in day.notes if one.what == "acknowledged"]
    unanswered = Counter(one.why for one in day.notes if one.what == "failed")
    console.print(
        f"{len(done):,} commands acknowledged, {day.calls:,} calls, {day.events:,} events; "
        f"answers without a result: {dict(unanswered)}"
    )
    if day.doubles is not None:
        console.print(
            f"{len(day.doubles.ended) + len(day.doubles.rang)} turns were placed more than once: "
            f"{len(day.doubles.ended)} rang once, {len(day.doubles.rang)} more often"
        )
    for one in day.problems[:50]:
        console.print(f"WRONG: {one}", style="bold red", markup=False)
    if not day.problems:
        console.print("Nothing was lost, no command twice, every view equals a fresh rebuild.")


def _watched(seed: int, seconds: float, console: Console) -> Day:
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=1.0)

        def tell(over: float, said: str) -> None:
            progress.update(task, completed=over, description=said)

        return live(seed, seconds, tell)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one day for each")
    parser.add_argument("--minutes", type=float, default=10.0, help="of load and trouble, each day")
    parser.add_argument("--report", type=Path, help="a file for the report, as text")
    chosen = parser.parse_args(arguments)
    console, days = Console(), []
    with ended_in_order(signal.SIGTERM, signal.SIGINT):
        for seed in chosen.seed:
            days.append(_watched(seed, 60 * chosen.minutes, console))
            report(days[-1], console)
    if chosen.report:
        with chosen.report.open("w") as file:
            for day in days:
                report(day, Console(file=file, width=100))
    return int(any(day.problems for day in days))


if __name__ == "__main__":
    sys.exit(main())
