"""Which process dies when, by a seed; and how long commands waited for it."""

from __future__ import annotations

import random
import signal
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.table import Table

from tests.faults.outage_notes import Note, read
from tests.faults.outage_world import EACH, KINDS, World

MOST_PAUSE = 1.5
"""Seconds that the database stays away at the most before it is started again."""

PATIENCE = 120.0
"""Seconds after which a command must be acknowledged again, on a slow machine with many at work."""


@dataclass(frozen=True)
class Fault:
    """What was done, to whom. From `sent` to `gone` its end was under way; monotonic times."""

    kind: str
    victim: str
    sent: float
    gone: float


def schedule(seed: int, kills: int, restarts: int) -> list[str]:
    """Kinds of faults in the order in which they come: all kinds of processes equally often."""
    chance = random.Random(seed)
    processes = [KINDS[number % len(KINDS)] for number in range(kills)]
    databases = [("database, SIGQUIT", "database, SIGKILL")[n % 2] for n in range(restarts)]
    faults = [*processes, *databases]
    chance.shuffle(faults)
    return faults


def afflict(world: World, seed: int, faults: list[str]) -> Iterator[Fault]:
    """Let the faults happen one after the other, each once commands are acknowledged again."""
    chance = random.Random(seed)
    for kind in faults:
        fault = _restart(world, kind, chance) if "database" in kind else _kill(world, kind, chance)
        wait_for_an_answer(world, fault)
        yield fault
        time.sleep(chance.uniform(0.2, 1.5))


def _kill(world: World, kind: str, chance: random.Random) -> Fault:
    name = _ready(world, kind, chance)
    child = world.children[name]
    sent = time.monotonic()
    child.kill()
    gone = time.monotonic()
    child.start()
    return Fault(kind, name, sent, gone)


def _ready(world: World, kind: str, chance: random.Random) -> str:
    """One of that kind that is at work: one that only starts has nothing to lose."""
    names = [f"{kind}-{number}" for number in range(1, EACH + 1)]
    world.wait_ready(*names)
    return chance.choice([name for name in names if world.children[name].is_ready])


def _restart(world: World, kind: str, chance: random.Random) -> Fault:
    how = signal.SIGQUIT if "SIGQUIT" in kind else signal.SIGKILL
    sent, gone = world.restart_database(how, chance.uniform(0, MOST_PAUSE))
    return Fault(kind, "database", sent, gone)


def wait_for_an_answer(world: World, fault: Fault) -> None:
    end = time.monotonic() + PATIENCE
    while _first(_acknowledged(world), fault) is None:
        world.supervise()
        assert time.monotonic() < end, f"No command was acknowledged for {PATIENCE:g} s: {fault}"
        time.sleep(0.05)


def _acknowledged(world: World) -> list[Note]:
    notes = [note for path in world.notes() for note in read(path)]
    return [note for note in notes if note.what == "acknowledged"]


def _first(notes: Iterable[Note], fault: Fault) -> float | None:
    """Seconds until the first of these that was begun after the fault was answered after it."""
    late = [one.at for one in notes if one.began >= fault.sent and one.at >= fault.gone]
    return min(late) - fault.sent if late else None


def figures(faults: list[Fault], notes: list[Note]) -> Table:
    """How long until a command was acknowledged again: by anybody, and by the killed one itself.

    In place of a follower, which acknowledges nothing: until something new was seen in its view.
    """
    done = [one for one in notes if one.what == "acknowledged"]
    seen = [one for one in notes if one.what == "seen"]
    table = Table(title="Seconds until a command was acknowledged again")
    for name in ("fault", "times", "anybody: p50", "most", "itself: p50", "most"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for kind in sorted({one.kind for one in faults}):
        same = [one for one in faults if one.kind == kind]
        anybody = [_first(done, one) for one in same]
        itself: list[float | None] = []
        if kind in ("server", "writer"):
            itself = [_first([n for n in done if n.by == one.victim], one) for one in same]
        elif kind == "follower":
            itself = [_first(seen, one) for one in same]
        table.add_row(kind, str(len(same)), *_middle_and_most(anybody), *_middle_and_most(itself))
    return table


def _middle_and_most(seconds: Iterable[float | None]) -> tuple[str, str]:
    known = [one for one in seconds if one is not None]
    return (f"{statistics.median(known):.2f}", f"{max(known):.2f}") if known else ("", "")
