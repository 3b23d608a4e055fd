"""How long does it take to load an aggregate of a thousand events?

`tox -e loads` (or `python -m tests.benchmarks.loads --events 1000`). An ECO in an embedded
PostgreSQL; loaded by an application that has never seen it, and by one that has it in mind. The
limit is taken in the same run: the same rows selected, and their JSON decoded by orjson. Garbage is
looked for as seldom as a server does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import orjson
import psycopg
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.fold import BRIEFLY, seldom_collecting
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_domain import Eco, StrikeLog
from tests.unit.given import new_eco, stamp

WANTED = 5.0
"""Milliseconds for 1,000 events."""

SELECT = """
SELECT originator_version, topic, state FROM strike_events
WHERE originator_id = %s ORDER BY originator_version
"""

AFRESH, KEPT = "load, never seen before", "load, kept in mind: reads what is new"
LIMIT = "limit: the rows selected, their JSON decoded"


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def an_eco_with(log: StrikeLog, events: int) -> Eco:
    eco = new_eco()
    for number in range(1, events):
        eco.add_note(f"Note {number}: the crew is still looking for the break.", stamp())
    log.store(eco)
    return eco


def measure(url: str, events: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way, in turns."""
    found: dict[str, list[float]] = {LIMIT: [], AFRESH: [], KEPT: []}
    with StrikeLog(store_env(url)) as log, psycopg.connect(url, autocommit=True) as connection:
        eco = an_eco_with(log, events)

        def decode() -> None:
            for row in connection.execute(SELECT, (eco.id,), prepare=True, binary=True):
                orjson.loads(row[2])

        def afresh() -> None:
            # An earlier version is always read from the beginning: this is the last one.
            assert log.eco(eco.id, events).version == events

        ways: dict[str, Callable[[], object]] = {
            LIMIT: decode,
            AFRESH: afresh,
            KEPT: lambda: log.eco(eco.id),
        }
        for way in ways.values():
            way()
        with seldom_collecting(BRIEFLY):
            for _ in range(rounds):
                for name, way in ways.items():
                    found[name].append(timed(way))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=200)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("bench")
        prepare(server.url("bench"))
        found = measure(server.url("bench"), chosen.events, chosen.rounds)
    console = Console(width=100)
    table = Table(title=f"An ECO with {chosen.events:,} events, {chosen.rounds} rounds in turns")
    for heading in ("", "p50 ms", "p99 ms", "least ms", "of the limit"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, times in found.items():
        ratio = median(one / other for one, other in zip(times, found[LIMIT], strict=True))
        p99 = quantiles(times, n=100)[98]
        table.add_row(
            name, f"{median(times):.2f}", f"{p99:.2f}", f"{min(times):.2f}", f"{ratio:.2f}"
        )
    console.print(table)
    for name in (AFRESH, KEPT):
        word = "OK" if median(found[name]) < WANTED else "NOT"
        console.print(f"{word}: {name}: {median(found[name]):.2f} ms (less than {WANTED:g})")


if __name__ == "__main__":
    main()
