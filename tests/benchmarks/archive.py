"""What does an archive save, and what does it cost?

`tox -e archive` (or `python -m tests.benchmarks.archive --ecos 20000`). Years of callouts as
`strike load` makes them, in an embedded PostgreSQL, twice: once with everything in the live log,
once with 90 % of the callouts archived. Both are measured in turns, so that their ratio is of one
machine.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.archive.closed import Archiving
from strike_adapters.postgres.archive.moving import Archive, Live, Moved
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.rebuild import drop_old, rebuild
from strike_adapters.postgres.store import LogRecorder, store_env
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_app.load.companies import Companies
from strike_app.load.filling import fill
from strike_app.load.telling import Wanted
from strike_domain import StrikeLog

LIVE, ARCHIVED = "everything live", "90 % archived"

SHARE, AGE = 0.9, timedelta(days=30)

CALLERS = 16

VIEWS = (EcoViews, EcoTimeline)

MIB = 2**20

console = Console(width=100)


class Side:
    """One of the two databases, opened."""

    def __init__(self, url: str, ends: ExitStack) -> None:
        self.url = url
        self.log = ends.enter_context(StrikeLog(store_env(url, pool_size=CALLERS)))
        assert isinstance(self.log.recorder, LogRecorder)
        self.archive = Archive(self.log.recorder)

    def loads(self, ecos: Sequence[tuple[UUID, int]]) -> list[float]:
        """Milliseconds for each, which nobody has in mind."""
        took = []
        for eco_id, version in ecos:
            began = time.perf_counter()
            assert self.log.eco(eco_id, version).version == version
            took.append(1e3 * (time.perf_counter() - began))
        return took

    def rebuilds(self) -> list[float]:
        """Events a second, of one rebuild."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT count(*) FROM strike_events_everything").fetchone()
        began = time.perf_counter()
        rebuild(self.url, VIEWS, lambda _: None)
        seconds = time.perf_counter() - began
        drop_old(self.url, VIEWS)
        return [int((row or (0,))[0]) / seconds]

    def saves(self, seconds: float) -> list[float]:
        """Milliseconds of each save, by all callers."""
        stop = threading.Event()

        def save() -> list[float]:
            took = []
            while not stop.is_set():
                event = StoredEvent(uuid4(), 1, "strike.test", b"x" * 300)
                began = time.perf_counter()
                self.log.recorder.insert_events([event])
                took.append(1e3 * (time.perf_counter() - began))
            return took

        with ThreadPoolExecutor(CALLERS) as threads:
            callers = [threads.submit(save) for _ in range(CALLERS)]
            stop.wait(seconds)
            stop.set()
            return [one for caller in callers for one in caller.result()]


def filled(server: EmbeddedServer, ecos: int, now: datetime) -> tuple[str, str]:
    """Two equal databases with years of callouts."""
    server.ensure_database("live")
    prepare(server.url("live"))
    wanted = Wanted(ecos, Companies(nocs=10, osps=10), 1, now)
    events = fill(server.url("live"), wanted, lambda *_: None, lambda _: None, None)
    console.print(f"{ecos:,} ECOs, {events:,} events")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE archived TEMPLATE live")
    return server.url("live"), server.url("archived")


def archive(side: Side, ecos: int, now: datetime) -> tuple[Moved, float]:
    """What was moved, in how many seconds."""
    with open_pool(side.url) as pool:
        began = time.perf_counter()
        moved = Archiving(side.log, pool).run(now - AGE, now, int(SHARE * ecos), lambda _: None)
        return moved, time.perf_counter() - began


def sampled(url: str, count: int) -> dict[str, list[tuple[UUID, int]]]:
    """ECOs with their versions: some that are archived, some that are not."""
    query = """
    SELECT eco_id, version, s.originator_id IS NOT NULL AS is_archived FROM eco_views v
    LEFT JOIN strike_events_archived_streams s ON s.originator_id = v.eco_id ORDER BY eco_id
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = connection.execute(query).fetchall()
    random.Random(1).shuffle(found)
    kinds = {"load of an ECO that stays live": False, "load of an ECO that is archived": True}
    return {
        name: [(one["eco_id"], one["version"]) for one in found if one["is_archived"] is which][
            :count
        ]
        for name, which in kinds.items()
    }


def in_turns(
    sides: dict[str, Side], rounds: int, work: Callable[[Side], Sequence[float]]
) -> dict[str, list[float]]:
    """What was measured on each, the second first in every other round."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name] += work(sides[name])
    return found


def measure(sides: dict[str, Side], rounds: int, seconds: float, samples: int) -> Table:
    table = Table(title=f"In turns, {rounds} rounds")
    for heading in ("", LIVE, ARCHIVED, "ratio"):
        table.add_column(heading, justify="right" if heading else "left")

    def add(name: str, found: dict[str, list[float]], unit: str, digits: int = 2) -> None:
        for which, pick in (("p50", median), ("p99", lambda all_: quantiles(all_, n=100)[98])):
            if len(found[LIVE]) < 100 and which == "p99":
                continue
            one, other = pick(found[LIVE]), pick(found[ARCHIVED])
            told = f"{name}, {unit}" + (f", {which}" if len(found[LIVE]) >= 100 else "")
            table.add_row(told, f"{one:,.{digits}f}", f"{other:,.{digits}f}", f"{other / one:.2f}")

    for name, ecos in sampled(sides[ARCHIVED].url, samples).items():
        if ecos:
            loaded = in_turns(sides, rounds, partial(Side.loads, ecos=ecos))
            add(name, loaded, "ms")
    add("rebuild of list and timeline", in_turns(sides, 2, Side.rebuilds), "events/s", 0)
    saved = in_turns(sides, rounds, lambda side: side.saves(seconds))
    add(f"save by {CALLERS} callers", saved, "ms")
    one, other = (len(saved[name]) / (rounds * seconds) for name in (LIVE, ARCHIVED))
    table.add_row("saves/s", f"{one:,.0f}", f"{other:,.0f}", f"{other / one:.2f}")
    return table


def sizes(found: dict[str, Live]) -> Table:
    table = Table(title="The live table with its indexes")
    for heading in ("", "events", "MiB"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, one in found.items():
        table.add_row(name, f"{one.events:,}", f"{one.bytes / MIB:,.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ecos", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0, help="of saves, each round")
    parser.add_argument("--samples", type=int, default=200, help="ECOs that are loaded each round")
    chosen = parser.parse_args()
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres(Path(folder)) as server,
        ExitStack() as ends,
    ):
        urls = filled(server, chosen.ecos, now)
        sides = {name: Side(url, ends) for name, url in zip((LIVE, ARCHIVED), urls, strict=True)}
        side = sides[ARCHIVED]
        live = {"before": side.archive.live()}
        moved, seconds = archive(side, chosen.ecos, now)
        live["archived"] = side.archive.live()
        began = time.perf_counter()
        side.archive.compact(600)
        compacting = time.perf_counter() - began
        live["archived and compacted"] = side.archive.live()
        rate, wait = moved.events / seconds, moved.seconds * 1e3
        console.print(
            f"archive run: {moved.callouts:,} callouts, {moved.events:,} events in "
            f"{seconds:,.1f} s: {rate:,.0f} events/s; a save waited {wait:,.0f} ms at the most. "
            f"compact: {compacting:,.2f} s. Months: {len(side.archive.months())}."
        )
        console.print(sizes(live))
        console.print(measure(sides, chosen.rounds, chosen.seconds, chosen.samples))


if __name__ == "__main__":
    main()
