"""How fast are read models rebuilt, and how fast does a follower catch up?

`tox -e rebuild` (or `python -m tests.benchmarks.rebuild --events 1000000`). A log of ECOs and pager
runs in an embedded PostgreSQL; the two read models of the list and the timeline are rebuilt from
it. Beside that, in the same run: what bounds it, and where the time goes. Then a follower that is
100,000 events behind, and how soon a save can be seen.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
from pydantic_core import from_json
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.fold import seldom_collecting
from strike_adapters.postgres.follower_states import position_of
from strike_adapters.postgres.followers import Follower
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.rebuild import Told, default_processes, drop_old, progress, rebuild
from strike_adapters.postgres.rebuild.fill import (
    READ_ALL,
    STRETCH,
    Filler,
    connect,
)
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_domain import Router, StrikeLog, SystemClock
from strike_domain.eco import NoteAdded
from tests.benchmarks.machine import busy, memory
from tests.benchmarks.streams import write_log
from tests.unit.given import stamp

TARGET = 40_000
"""Events a second for the two views on two cores."""

VIEWS = (EcoViews, EcoTimeline)

console = Console(width=100)


class Timed(Filler):
    """A filler that counts where its time goes; CPU of this process, and waiting for the server."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.spent = {"read": 0.0, "decode": 0.0, "fold and rows": 0.0, "write": 0.0}
        self._log.mapper.to_domain_event = self._timed(  # type: ignore[method-assign]
            "decode", self._log.mapper.to_domain_event
        )

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args)
            finally:
                self.spent[name] += time.perf_counter() - began

        return timed

    def _read(self, *args: Any) -> Any:
        return self._timed("read", super()._read)(*args)

    def _batches(self, *args: Any) -> Any:
        before = self.spent["decode"]
        found = self._timed("fold and rows", super()._batches)(*args)
        self.spent["fold and rows"] -= self.spent["decode"] - before
        return found

    def _write(self, *args: Any) -> Any:
        return self._timed("write", super()._write)(*args)


def read_and_decode(url: str, part: int, parts: int, events: int) -> None:
    """The least that any rebuild does: its stretch of the log, as JSON."""
    upto = events * (part + 1) // parts
    with psycopg.connect(url) as connection:
        for after in range(events * part // parts, upto, STRETCH):
            values = {"after": after, "until": min(upto, after + STRETCH)}
            for row in connection.execute(READ_ALL, values, binary=True):
                from_json(row[4])


def copy_rows(url: str, part: int, parts: int) -> None:
    """The rows that came of it, from one table to another by COPY, through this process."""
    where = f"mod(position, {parts}) = {part}"
    with psycopg.connect(url) as source, psycopg.connect(url) as target:
        for name in ("eco_views", "eco_timeline"):
            out = f"COPY (SELECT * FROM {name} WHERE {where}) TO STDOUT"  # noqa: S608
            with (
                source.cursor().copy(out.encode()) as rows,
                target.cursor().copy(f"COPY limit_{name} FROM STDIN".encode()) as copy,
            ):
                for row in rows:
                    copy.write(row)


def in_processes(function: Callable[..., None], *arguments: tuple[Any, ...]) -> float:
    """Seconds that it takes, in a process each; their start is not counted."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(arguments), mp_context=context) as pool:
        for one in [pool.submit(time.sleep, 0.5) for _ in arguments]:
            one.result()
        began = time.perf_counter()
        for done in [pool.submit(function, *one) for one in arguments]:
            done.result()
        return time.perf_counter() - began


class Watch:
    """Notes how a rebuild goes: seconds in each stage, and memory at each quarter."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.memory: dict[int, float] = {}
        self._stage, self._since = "begin", time.perf_counter()

    def __call__(self, told: Told) -> None:
        if told.stage != self._stage:
            now = time.perf_counter()
            self.stages[self._stage] = self.stages.get(self._stage, 0) + now - self._since
            self._stage, self._since = told.stage, now
        quarter = int(told.share * 4) * 25
        if quarter and told.stage == "reading" and quarter not in self.memory:
            self.memory[quarter] = memory() + sum(
                map(_memory_of, multiprocessing.active_children())
            )


def server_cpu(pid: int) -> float:
    """Seconds of CPU that a PostgreSQL server has used, its ended processes included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if stat.parent.name == str(pid):
            ticks += sum(map(int, words[11:15]))
        elif words[1] == str(pid):
            ticks += sum(map(int, words[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def python_cpu() -> float:
    """Seconds of CPU of this process and those that it has started and that have ended."""
    ours = [resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in ours)


def _memory_of(process: Any) -> float:
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * 4096 / 2**20


@contextmanager
def following(url: str, name: str) -> Iterator[None]:
    stop = threading.Event()
    with open_pool(url) as pool, seldom_collecting():
        one = Follower(name, url, Router(PostgresDirectory(pool)), SystemClock())
        thread = threading.Thread(target=one.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def measure_rebuild(url: str, events: int, processes: int, server: int) -> float:
    """Rebuild both views, and print it beside its limits. Events a second."""
    watch = Watch()
    began, worked, ours, theirs = time.perf_counter(), busy(), python_cpu(), server_cpu(server)
    rebuild(url, VIEWS, watch, processes=processes)
    seconds, cores = time.perf_counter() - began, busy() - worked
    ours, theirs = (python_cpu() - ours) / events, (server_cpu(server) - theirs) / events
    drop_old(url, VIEWS)
    parts = range(processes)
    reading = in_processes(read_and_decode, *((url, one, processes, events) for one in parts))
    with psycopg.connect(url) as connection:
        for view in VIEWS:
            connection.execute(f"CREATE TABLE limit_{view.name} (LIKE {view.name})")
    copying = in_processes(copy_rows, *((url, one, processes) for one in parts))
    table = Table(title=f"{events:,} events, {processes} processes")
    for heading in ("work", "seconds", "events/s", "of the rebuild"):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    lines = [
        ("eco_views and eco_timeline rebuilt, swap included", seconds),
        *((f"  {stage}", took) for stage, took in watch.stages.items() if stage != "begin"),
        ("limit: the log read and JSON decoded, nothing else", reading),
        ("limit: the rows of both by COPY, no index", copying),
    ]
    for what, took in lines:
        table.add_row(what, f"{took:.2f}", f"{events / took:,.0f}", f"{took / seconds:.0%}")
    console.print(table)
    told = ", ".join(f"{share} %: {size:.0f} MiB" for share, size in watch.memory.items())
    console.print(f"Memory of all processes at {told}")
    console.print(
        f"CPU of an event: Python {ours * 1e6:.1f} us, PostgreSQL {theirs * 1e6:.1f} us; two cores "
        f"with no other work: {2 / (ours + theirs):,.0f} events/s. Of the {cores / seconds:.2f} "
        f"cores at work this had {(ours + theirs) * events / seconds:.2f}."
    )
    return events / seconds


def measure_parts(url: str, events: int) -> None:
    """Where the time of one process goes, in a rebuild that is not finished."""
    with (
        seldom_collecting(),
        connect(url) as connection,
        StrikeLog(store_env(url, pool_size=1)) as log,
    ):
        for view in VIEWS:
            progress.begin(connection, view, parts=1)
        filler = Timed(connection, log, VIEWS)
        began = time.perf_counter()
        filler.fill(events)
        whole = time.perf_counter() - began
        progress.forget(connection, VIEWS)
    table = Table(title=f"one process alone, {events:,} events: {events / whole:,.0f} events/s")
    for heading in ("part", "microseconds an event", "share"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    others = whole - sum(filler.spent.values())
    for part, took in {**filler.spent, "commits and the rest": others}.items():
        table.add_row(part, f"{took / events * 1e6:.1f}", f"{took / whole:.0%}")
    console.print(table)


def measure_catching_up(url: str, behind: int) -> None:
    """A follower that was away while so many events came."""
    with psycopg.connect(url) as connection:
        last = max(position_of(connection, view.name) for view in VIEWS)
    write_log(url, behind, first=10_000_000)
    table = Table(title=f"a follower that is {behind:,} events behind")
    for heading in ("follower", "seconds", "events/s"):
        table.add_column(heading, justify="left" if heading == "follower" else "right")
    for view in VIEWS:
        with psycopg.connect(url, autocommit=True) as connection:
            began = time.perf_counter()
            with following(url, view.name):
                while position_of(connection, view.name) < last + behind:
                    time.sleep(0.02)
                seconds = time.perf_counter() - began
        table.add_row(view.name, f"{seconds:.2f}", f"{behind / seconds:,.0f}")
    console.print(table)


def measure_visibility(url: str, saves: int) -> None:
    """From a save that returned to the row that can be read, while nothing else goes on."""
    times: list[float] = []
    with StrikeLog(store_env(url)) as log, psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT eco_id FROM eco_views LIMIT 1").fetchone()
        eco_id = (found or (None,))[0]
        assert eco_id is not None
        with following(url, "eco_views"):
            time.sleep(1)
            for number in range(saves):
                eco = log.eco(eco_id)
                eco.emit(NoteAdded, stamp(0), text=f"Note {number}")
                position = log.store(eco)
                began = time.perf_counter()
                while position_of(connection, "eco_views") < position:
                    pass
                times.append((time.perf_counter() - began) * 1000)
                time.sleep(0.02)
    cuts = quantiles(times, n=100)
    console.print(
        f"From a save to its row, idle, {saves} saves: p50 {median(times):.1f} ms, "
        f"p99 {cuts[98]:.1f} ms, most {max(times):.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--behind", type=int, default=100_000)
    parser.add_argument("--saves", type=int, default=500)
    parser.add_argument("--processes", type=int, default=default_processes())
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("bench")
        url = server.url("bench")
        prepare(url)
        began = time.perf_counter()
        write_log(url, chosen.events)
        console.print(f"The log: {chosen.events:,} events in {time.perf_counter() - began:.1f} s")
        rate = measure_rebuild(url, chosen.events, chosen.processes, server.pid)
        measure_parts(url, min(chosen.events, 100_000))
        measure_catching_up(url, chosen.behind)
        measure_visibility(url, chosen.saves)
    verdict = "OK" if rate >= TARGET else "NOT"
    console.print(f"{verdict}: {rate:,.0f} events/s; the target is {TARGET:,}.")


if __name__ == "__main__":
    main()
