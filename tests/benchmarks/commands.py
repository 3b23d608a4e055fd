"""How many commands a second become durable? Saves and createECO, beside what the disk allows.

`tox -e commands` (or `python -m tests.benchmarks.commands --rounds 9 --seconds 1.5`). An embedded
PostgreSQL with fsync on. The limit is taken in the same run: a single-row INSERT and its commit, by
threads with a connection each. Beside it the library's recorder, ours, and the command `createECO`
as the edge gives it: with a directory in memory, with that in PostgreSQL, which also gives the job
number, and with a client's reference. Then the same command from two processes, as a deployment
has several, beside two processes that INSERT. All ways take turns, in random order, and each is
compared with the others of its own round; what is shown are medians.

Each process that saves is held on one core, as docs/deployment.md has it, and so are those that
INSERT; `--free` lets the system move them about. The database may use every core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median, quantiles
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.store import store_env
from strike_domain import Callouts, Directory, MemoryDirectory, StrikeLog
from tests.benchmarks.given import LINK, OPERATOR, RealTime, an_order, held_on, hold, prepared
from tests.benchmarks.machine import cpu

CALLERS = (1, 16, 64)
CONNECTIONS = (1, 16)

STATE = b"x" * 480
"""As large as the event of an ECO that is created."""

STOCK = {"APPLICATION_RECORDER_TOPIC": "eventsourcing.postgres:PostgresApplicationRecorder"}

INSERT = """
INSERT INTO strike_events (originator_id, originator_version, topic, state)
VALUES (%s, %s, %s, %s)
"""

RAW, LIBRARY, OURS = "INSERT and commit", "library: save", "save"
OLD_COMMAND, COMMAND = "library: createECO", "createECO"
REFERRED = "createECO with reference"
"""The client's own reference, by which a repeated order is found: it is looked for first."""
SETTLED = "createECO, directory in PostgreSQL"
OLD_SETTLED = "library: createECO, directory in PostgreSQL"
RAW_PAIR, PAIR = "INSERT by 2 processes", "createECO by 2 processes"

OLD = {
    OURS: LIBRARY,
    COMMAND: OLD_COMMAND,
    REFERRED: OLD_COMMAND,
    SETTLED: OLD_SETTLED,
}
"""The same with the library's recorder."""

Work = Callable[[int], object]
"""One save, done by the caller with this number."""

SPAWN = multiprocessing.get_context("spawn")


Runs = Callable[[float], "Figures"]
"""Runs a way for so many seconds."""


class Way(NamedTuple):
    name: str
    callers: int


class Figures(NamedTuple):
    """Of one round: saves a second, µs of CPU of this process for each, ms that a caller waited."""

    rate: float
    cpu: float
    p50: float
    p99: float


@dataclass
class Found:
    """All rounds of all ways; the same place in two lists is the same round."""

    figures: dict[Way, list[Figures]] = field(default_factory=dict)

    def rate(self, way: Way) -> float:
        return median(one.rate for one in self.figures[way])

    def ratio(self, way: Way, to: Way) -> float:
        """Of the rates, round by round."""
        pairs = zip(self.figures[way], self.figures[to], strict=True)
        return median(one.rate / other.rate for one, other in pairs)


# The ways to store something ------------------------------------------------------------------


def an_event() -> StoredEvent:
    return StoredEvent(uuid4(), 1, "strike.eco.created", STATE)


def inserting(connections: list[psycopg.Connection]) -> Work:
    def insert(number: int) -> None:
        one = an_event()
        values = (one.originator_id, one.originator_version, one.topic, one.state)
        connections[number].execute(INSERT, values, prepare=True)

    return insert


def saving(recorder: ApplicationRecorder) -> Work:
    return lambda _: recorder.insert_events([an_event()])


def in_memory() -> MemoryDirectory:
    directory = MemoryDirectory()
    directory.add(LINK)
    return directory


def creating(log: StrikeLog, directory: Directory, with_reference: bool = False) -> Work:
    callouts = Callouts(log, directory, RealTime())

    def create(_: int) -> None:
        reference = str(uuid4()) if with_reference else None
        callouts.create_eco(an_order(reference), OPERATOR)

    return create


@contextmanager
def ways(url: str, cores: Sequence[int | None]) -> Iterator[dict[Way, Runs]]:
    """Every way with its number of callers: what runs it for so many seconds.

    `cores`: on which the first and the second process are held; None is on none.
    """
    hold(cores[0])
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(url, autocommit=True))
            for _ in range(max(CONNECTIONS))
        ]
        stock = stack.enter_context(StrikeLog(store_env(url) | STOCK))
        ours = stack.enter_context(StrikeLog(store_env(url)))
        settled = PostgresDirectory(stack.enter_context(open_pool(url)))
        works = {Way(RAW, number): inserting(connections) for number in CONNECTIONS}
        for number in CALLERS:
            works[Way(LIBRARY, number)] = saving(stock.recorder)
            works[Way(OURS, number)] = saving(ours.recorder)
            works[Way(OLD_COMMAND, number)] = creating(stock, in_memory())
            works[Way(OLD_SETTLED, number)] = creating(stock, settled)
            works[Way(COMMAND, number)] = creating(ours, in_memory())
            works[Way(REFERRED, number)] = creating(ours, in_memory(), with_reference=True)
            works[Way(SETTLED, number)] = creating(ours, settled)
        found: dict[Way, Runs] = {
            way: partial(run, work, way.callers) for way, work in works.items()
        }
        for name, callers in ((RAW_PAIR, 16), (PAIR, 16), (PAIR, 64)):
            found[Way(name, callers)] = stack.enter_context(
                two_processes(url, name, callers // 2, cores)
            )
        yield found


def serve(url: str, name: str, callers: int, core: int | None, orders: Any) -> None:
    """A process that runs its way whenever told, for so many seconds, and answers its figures."""
    hold(core)
    with ExitStack() as stack:
        if name == RAW_PAIR:
            work = inserting(
                [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(callers)]
            )
        else:
            log = stack.enter_context(StrikeLog(store_env(url)))
            work = creating(log, in_memory())
        for seconds in iter(orders.recv, None):
            orders.send(run(work, callers, seconds))


@contextmanager
def two_processes(url: str, name: str, callers: int, cores: Sequence[int | None]) -> Iterator[Runs]:
    """Two of them at the same time, with so many callers each."""
    pipes = [SPAWN.Pipe() for _ in range(2)]
    processes = [
        SPAWN.Process(target=serve, args=(url, name, callers, core, there))
        for core, (_, there) in zip(cores, pipes, strict=True)
    ]
    for one in processes:
        one.start()

    def both(seconds: float) -> Figures:
        for here, _ in pipes:
            here.send(seconds)
        found: list[Figures] = [here.recv() for here, _ in pipes]
        rate = sum(one.rate for one in found)
        used = sum(one.rate * one.cpu for one in found) / rate
        return Figures(rate, used, max(one.p50 for one in found), max(one.p99 for one in found))

    try:
        yield both
        for here, _ in pipes:
            here.send(None)
    finally:
        for one in processes:
            one.join(20)


# Measuring ------------------------------------------------------------------------------------


def run(work: Work, callers: int, seconds: float) -> Figures:
    """Let `callers` threads work as fast as they can."""
    waited: list[list[float]] = [[] for _ in range(callers)]
    go, stop = threading.Event(), threading.Event()

    def call(number: int) -> None:
        work(number)
        go.wait()
        while not stop.is_set():
            started = time.perf_counter()
            work(number)
            waited[number].append(time.perf_counter() - started)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for one in threads:
        one.start()
    used, started = cpu(), time.perf_counter()
    go.set()
    time.sleep(seconds)
    stop.set()
    for one in threads:
        one.join()
    took, used = time.perf_counter() - started, cpu() - used
    every = [1e3 * one for some in waited for one in some]
    cuts = quantiles(every, n=100)
    return Figures(len(every) / took, 1e6 * used / len(every), cuts[49], cuts[98])


def measure(url: str, rounds: int, seconds: float, cores: Sequence[int | None]) -> Found:
    found = Found()
    with ways(url, cores) as works:
        turns = [*works] * rounds
        for place in range(0, len(turns), len(works)):
            turns[place : place + len(works)] = random.sample([*works], len(works))
        for way in track(turns, console=Console(stderr=True)):
            found.figures.setdefault(way, []).append(works[way](seconds))
    return found


# The figures ----------------------------------------------------------------------------------


def show(found: Found, rounds: int, seconds: float) -> None:
    console = Console(width=100)
    table = Table(title=f"Durable saves, medians of {rounds} rounds of {seconds:g} s")
    for heading in (
        "",
        "callers",
        "a second",
        "CPU µs",
        "p50 ms",
        "p99 ms",
        "of INSERTs",
        "of library",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    order = [*dict.fromkeys((RAW, *OLD.values(), *OLD, RAW_PAIR, PAIR))]
    for way in sorted(found.figures, key=lambda way: (order.index(way.name), way.callers)):
        table.add_row(*_row(found, way))
    console.print(table)
    console.print("of INSERTs: by 16 connections; of library: of the same with its recorder")
    for name in (OURS, COMMAND, SETTLED, PAIR):
        for line in verdicts(found, name):
            console.print(line)
    limit = max(Way(RAW, 16), Way(RAW_PAIR, 16), key=found.rate)
    ratio = found.ratio(Way(PAIR, 64), limit)
    console.print(f"{PAIR}, 2 x 32 callers: {ratio:.2f} of {limit.name}, the faster way to INSERT")


def _row(found: Found, way: Way) -> list[str]:
    figures = found.figures[way]
    old = OLD.get(way.name)
    return [
        way.name,
        str(way.callers),
        f"{found.rate(way):,.0f}",
        f"{median(one.cpu for one in figures):.0f}",
        f"{median(one.p50 for one in figures):.2f}",
        f"{median(one.p99 for one in figures):.2f}",
        f"{found.ratio(way, Way(RAW, 16)):.2f}",
        f"{found.ratio(way, Way(old, way.callers)):.2f}" if old else "",
    ]


def verdicts(found: Found, name: str) -> Iterator[str]:
    """What was wanted, and whether it is so."""
    wanted = [(64, Way(RAW, 16), 1.0), (16, Way(RAW, 16), 0.6)]
    if name in OLD:
        wanted.append((1, Way(OLD[name], 1), 1.0))
    for callers, limit, least in wanted:
        ratio = found.ratio(Way(name, callers), limit)
        word = "OK" if ratio >= least else "NOT"
        beside = f"{limit.name} by {limit.callers}"
        yield f"{word}: {name} by {callers}: {ratio:.2f} of {beside} (at least {least})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each way in each round")
    parser.add_argument("--free", action="store_true", help="hold no process on a core")
    chosen = parser.parse_args()
    cores = held_on(2, free=chosen.free)
    with prepared() as (_, url):
        found = measure(url, chosen.rounds, chosen.seconds, cores)
        show(found, chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()
