"""How punctual is the deadline worker while thousands of phones ring at once?

`tox -e ringing` (or `python -m tests.benchmarks.ringing --runs 5000 --seconds 60`). Every phone
rings for 30 s, and nobody answers: at each deadline the worker reads the call back, ends it, stores
that, stores the next intent, places the call and stores its id. PostgreSQL is real (embedded, fsync
on) and on the same cores; the provider answers at once, so that what is measured is ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

import psycopg
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.due import Worker
from strike_adapters.postgres.due_work import pager_work
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.pager_process_state import TABLE, row_of
from strike_adapters.postgres.views.rows import Upsert
from strike_app.clock import ScaledClock
from strike_domain import (
    CallOrder,
    Contact,
    Eco,
    JobType,
    PagerList,
    PagerRun,
    ProviderCall,
    ProviderCallState,
    Ringer,
    Stamp,
    StrikeLog,
    parse_location,
)
from strike_domain.pager_run import RunPlan
from strike_domain.routing import start_run
from tests.benchmarks.machine import cpu, memory

RINGS = 30
"""Seconds that each phone rings."""

PLACE = parse_location({"type": "Point", "coordinates": [-105.27, 40.01]})


class Instant:
    """A provider on which nobody answers, and that answers us at once."""

    def __init__(self) -> None:
        self.placed = 0

    def place(self, order: CallOrder) -> str:
        self.placed += 1
        return f"CA{uuid4().hex}"

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        return ()

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        return ProviderCall(sid, "", ProviderCallState.NO_ANSWER)

    def end(self, noc_id: UUID, sid: str) -> None: ...


class Punctuality:
    """Collects how late each due row was begun, and how late it was done; in seconds."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.done: list[float] = []
        self.failures = 0

    def handled(self, table: str, late_seconds: float, took_seconds: float) -> None:
        self.begun.append(late_seconds)
        self.done.append(late_seconds + took_seconds)

    def failed(self, table: str) -> None:
        self.failures += 1


# The worker, a process of its own -----------------------------------------------------------


def work(url: str, threads: int) -> None:
    """Work until standard input ends; then print the figures as JSON."""
    seen, telephone, stop = Punctuality(), Instant(), threading.Event()
    clock = ScaledClock(1.0, None)
    # A pool that grows and shrinks connects all the time; this one keeps what its threads need.
    with StrikeLog(store_env(url, pool_size=threads, max_overflow=4)) as log, open_pool(url):
        ringer = Ringer(log, telephone, clock)
        worker = Worker(pager_work(ringer), url, clock, threads=threads, watcher=seen)
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        first = memory()
        sys.stdin.readline()
        seen.begun.clear()
        seen.done.clear()
        began, placed = cpu(), telephone.placed
        sys.stdin.readline()
        used, placed = cpu() - began, telephone.placed - placed
        stop.set()
        thread.join()
    figures = {
        "begun": seen.begun,
        "done": seen.done,
        "failures": seen.failures,
        "cpu": used,
        "placed": placed,
        "memory": [first, memory()],
    }
    sys.stdout.write(json.dumps(figures))


# The night ----------------------------------------------------------------------------------


def fill(url: str, runs: int, *, ends: bool = False) -> None:
    """`runs` runs whose first phone rings, with deadlines spread evenly over the next 30 s.

    `ends`: there is nobody else on the list, so that each run is over at its first deadline.
    """
    people = tuple(Contact(name=f"Tech {n}", phone=f"+1303555{n:04d}") for n in range(1, 4))
    rounds, people = (1, people[:1]) if ends else (10, people)
    crew = PagerList(id=uuid4(), osp_id=uuid4(), name="crew", contacts=people, rounds=rounds)
    plan = RunPlan.snapshot(crew, queue_seconds=0)
    with StrikeLog(store_env(url)) as log, psycopg.connect(url) as connection:
        start = datetime.now(UTC) + timedelta(seconds=max(5, runs / 300))
        for first in track(
            range(0, runs, 100), "Letting phones ring", console=Console(stderr=True)
        ):
            batch = range(first, min(first + 100, runs))
            ringing = [
                _ringing(plan, start - timedelta(seconds=RINGS * (1 - n / runs))) for n in batch
            ]
            log.save(*(one for pair in ringing for one in pair))
            for _, run in ringing:
                row = row_of(run)
                connection.execute(Upsert(TABLE, "run_id", row).statement(), row)
        connection.commit()


def _ringing(plan: RunPlan, at: datetime) -> tuple[Eco, PagerRun]:
    cause = uuid4()
    stamp = Stamp(at=at, actor="bench", tenant_id=None, correlation_id=cause, causation_id=cause)
    eco = Eco.create(
        uuid4(),
        stamp,
        noc_id=uuid4(),
        osp_id=uuid4(),
        location=PLACE,
        job_type=JobType.FNOL,
        description="A digger went through the cable.",
        job_number="26-0001",
    )
    run = start_run(eco, plan, "a benchmark", stamp)
    call = run.request_call(stamp)
    run.call_placed(call.id, f"CA{uuid4().hex}", stamp)
    return eco, run


@contextmanager
def workers(url: str, count: int, threads: int) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.benchmarks.ringing", "--worker", url]
    command += ["--threads", str(threads)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    yield started
    for one in started:
        one.kill()


def finish(runs: int, threads: int) -> list[float]:
    """Memory of one worker in MiB after each `runs` runs that ended, five times."""
    clock, telephone = ScaledClock(1.0, None), Instant()
    figures = []
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("bench")
        url = server.url("bench")
        prepare(url)
        with StrikeLog(store_env(url, pool_size=threads)) as log:
            ringer = Ringer(log, telephone, clock)
            for _ in range(5):
                fill(url, runs, ends=True)
                stop, seen = threading.Event(), Punctuality()
                worker = Worker(pager_work(ringer), url, clock, threads=threads, watcher=seen)
                thread = threading.Thread(target=worker.run, args=(stop,))
                thread.start()
                while len(seen.begun) < runs:
                    time.sleep(0.5)
                stop.set()
                thread.join()
                figures.append(memory())
    return figures


def measure(runs: int, seconds: float, processes: int, threads: int) -> dict[str, Any]:
    """One night; the first 30 s, in which the caches fill, are not measured."""
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("bench")
        url = server.url("bench")
        prepare(url)
        fill(url, runs)
        with workers(url, processes, threads) as started:
            for pause in (RINGS, seconds):
                for _ in track(range(int(pause)), "Ringing", console=Console(stderr=True)):
                    time.sleep(1)
                for one in started:
                    assert one.stdin is not None
                    one.stdin.write("\n")
                    one.stdin.flush()
            parts = [json.loads(one.communicate()[0]) for one in started]
    return {
        "runs": runs,
        "seconds": seconds,
        "workers": processes,
        "threads": threads,
        "begun": [late for one in parts for late in one["begun"]],
        "done": [late for one in parts for late in one["done"]],
        "failures": sum(one["failures"] for one in parts),
        "cpu": sum(one["cpu"] for one in parts),
        "placed": sum(one["placed"] for one in parts),
        "memory": [one["memory"] for one in parts],
    }


def show(found: dict[str, Any]) -> None:
    table = Table(title=f"{found['runs']:,} phones ring at once, {found['seconds']:g} s")
    for heading in ("", "p50", "p99", "most"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, what in (("begun", "deadline to work begun"), ("done", "to the next phone ringing")):
        cuts = quantiles(found[name], n=100)
        figures = (cuts[49], cuts[98], max(found[name]))
        table.add_row(what, *(f"{one * 1000:,.0f} ms" for one in figures))
    console = Console()
    console.print(table)
    rate = len(found["begun"]) / found["seconds"]
    console.print(f"Deadlines handled: {rate:.0f} a second; failures: {found['failures']}")
    console.print(
        f"CPU of {found['workers']} workers: {found['cpu'] / found['seconds']:.2f} cores, "
        f"{1000 * found['cpu'] / max(1, len(found['begun'])):.1f} ms a deadline"
    )
    grown = ", ".join(f"{first:.0f} to {last:.0f} MiB" for first, last in found["memory"])
    console.print(f"Memory: {grown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--finish", action="store_true", help="memory, as RUNS runs end five times")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        work(chosen.worker, chosen.threads)
        return
    if chosen.finish:
        figures = ", ".join(f"{one:.0f}" for one in finish(chosen.runs, chosen.threads))
        Console().print(f"MiB after each {chosen.runs:,} runs that ended: {figures}")
        return
    found = measure(chosen.runs, chosen.seconds, chosen.workers, chosen.threads)
    if chosen.json:
        sys.stdout.write(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
