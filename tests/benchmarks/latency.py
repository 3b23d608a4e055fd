"""How soon can a command's row be seen? While little goes on, and while 500 come a second.

`tox -e latency` (or `python -m tests.benchmarks.latency --rate 500 --seconds 20`). As in
production: all followers in a process of their own, the commands in another one, with the directory
in PostgreSQL, and here a third that only listens. The first two are held on a core each, as
docs/deployment.md has it for processes that are busy; `--free` lets the system move them about.
What comes a second is one callout in ten commands and notes, then callouts alone: each of those is
answered by the pager, so three events.
Commands are given at fixed times, whether the earlier ones are done or not; how late each one was
begun is counted. A follower announces how far its rows are in the transaction that writes them, so
that a listener hears of it when they can be read, without asking.

The limit, in the same run: a NOTIFY that another connection answers with a single-row upsert, its
commit and a NOTIFY, all on bare connections; while all else is quiet, and again beside each load,
as the machine's part of what a row takes then.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.fold import BRIEFLY, seldom_collecting
from strike_adapters.postgres.followers import FOLLOWER_NAMES, Follower
from strike_adapters.postgres.reading import SharedReading
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.view import CHANGES
from strike_domain import Callouts, Router, StrikeLog, SystemClock
from tests.benchmarks.given import OPERATOR, RealTime, an_order, held_on, hold, prepared
from tests.benchmarks.nodes import tree_cpu

IDLE_RATE, IDLE_WANTED, BUSY_WANTED = 20, 8.0, 25.0
"""Commands a second that count as nothing; milliseconds for 99 of 100."""

EACH = (10, 1)
HOW_MANY = {1: "each a callout", 10: "one in ten a callout, the others notes"}
"""What arrives: of so many commands one creates a callout."""

NOTED = 200
"""So many of the newest callouts get notes."""

ROWS_AND_CALLOUTS = """
SELECT (SELECT count(*) FROM eco_views),
       (SELECT count(*) FROM strike_events WHERE topic = 'strike.eco.created')
"""

VIEW = "eco_views"
CALLERS = 32
SPAWN = multiprocessing.get_context("spawn")


class Load(NamedTuple):
    """So many commands a second, for so many seconds; the rest of one in so many are notes."""

    rate: float
    seconds: float
    creates_each: int = 1


class Told(NamedTuple):
    """Of one command, in seconds of the machine's clock that all processes share."""

    due: float
    begun: float
    acknowledged: float
    position: int


# The processes --------------------------------------------------------------------------------


def follow(url: str, names: Sequence[str], core: int | None, parent: Any) -> None:
    """What `strike follow` does, until the parent says or ends: each follower in a thread."""
    hold(core)
    ended = threading.Event()
    with (
        seldom_collecting(BRIEFLY),
        open_pool(url) as pool,
        ThreadPoolExecutor(len(names)) as threads,
    ):
        router = Router(PostgresDirectory(pool))
        reading = SharedReading(url)
        for name in names:
            threads.submit(Follower(name, url, router, SystemClock(), reading).run, ended)
        parent.send("ready")
        parent.poll(None)
        ended.set()


def command(url: str, core: int | None, orders: Any) -> None:
    """Give so many commands a second for so many seconds, whenever told; answer what became."""
    hold(core)
    with ExitStack() as stack:
        log = stack.enter_context(StrikeLog(store_env(url)))
        directory = PostgresDirectory(stack.enter_context(open_pool(url)))
        threads = stack.enter_context(ThreadPoolExecutor(CALLERS))
        callouts = Callouts(log, directory, RealTime())
        made: deque[UUID] = deque(maxlen=NOTED)
        for load in iter(orders.recv, None):
            orders.send(paced(callouts, threads, load, made))


def paced(
    callouts: Callouts, threads: ThreadPoolExecutor, load: Load, made: deque[UUID]
) -> list[Told]:
    """Give the commands of a load; `made` are callouts that notes can be about."""
    rate, commands = load.rate, round(load.rate * load.seconds)
    start = time.monotonic() + 0.1
    numbers = itertools.count()

    def work(_: int) -> list[Told]:
        done = []
        while (number := next(numbers)) < commands:
            due = start + number / rate
            time.sleep(max(0, due - time.monotonic()))
            begun = time.monotonic()
            if number % load.creates_each and made:
                receipt = callouts.add_note(
                    made[number % len(made)], "They are on the way.", OPERATOR
                )
            else:
                receipt = callouts.create_eco(an_order(), OPERATOR)
                made.append(receipt.aggregate.id)
            done.append(Told(due, begun, time.monotonic(), receipt.position))
        return done

    return [one for some in threads.map(work, range(CALLERS)) for one in some]


class Listener:
    """Notes when the rows of a view could be read, and up to which position."""

    def __init__(self, url: str) -> None:
        self.positions: list[int] = [0]
        self.times: list[float] = [0.0]
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(f"LISTEN {CHANGES}".encode())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for notify in self._connection.notifies(timeout=0.2):
                now, said = time.monotonic(), json.loads(notify.payload)
                if said["view"] == VIEW and said["position"] > self.positions[-1]:
                    self.positions.append(said["position"])
                    self.times.append(now)

    def seen(self, position: int) -> float:
        """When the row of that position could be read."""
        return self.times[bisect_left(self.positions, position)]

    def wait_for(self, position: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while self.positions[-1] < position:
            assert time.monotonic() < end, f"{VIEW} is at {self.positions[-1]}, not {position}"
            time.sleep(0.05)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()


@contextmanager
def in_processes(
    url: str, parts: Sequence[Sequence[str]], *, free: bool = False
) -> Iterator[tuple[Any, Watched]]:
    """Followers in processes, commands in another: where to send orders for them."""
    cores = held_on(len(parts) + 1, free=free)
    works: list[tuple[str, Callable[..., None], tuple[Any, ...]]] = [
        (f"followers: {' '.join(names)}", follow, (url, names, core))
        for names, core in zip(parts, cores, strict=False)
    ]
    works.append(("commands", command, (url, cores[-1])))
    with ExitStack() as stack:
        ends, watched = [], {}
        for name, work, given_to in works:
            here, there = SPAWN.Pipe()
            process = SPAWN.Process(target=work, args=(*given_to, there))
            process.start()
            there.close()
            stack.callback(process.join, 20)
            stack.callback(here.send, None)
            ends.append(here)
            watched[name] = process.pid or 0
        for end in ends[:-1]:
            assert end.poll(300)
        yield ends[-1], watched


Watched = dict[str, int]
"""Processes by what they do."""


def cpu_seconds(watched: Watched) -> dict[str, float]:
    """CPU time that each has used by now."""
    return {name: tree_cpu(pid) for name, pid in watched.items()}


# The limit ------------------------------------------------------------------------------------


def bare(url: str, seconds: float) -> list[float]:
    """Milliseconds from a NOTIFY to the one that another connection gives with its row."""
    stop = threading.Event()
    with ExitStack() as stack:
        asker, answerer = (
            stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(2)
        )
        asker.execute("CREATE TABLE IF NOT EXISTS bare (id int PRIMARY KEY, value int)")
        asker.execute("LISTEN answer")
        answerer.execute("LISTEN question")

        def answer() -> None:
            while not stop.is_set():
                # A connection does nothing else as long as it is being listened to.
                for _ in [*answerer.notifies(timeout=0.2, stop_after=1)]:
                    with answerer.transaction():
                        answerer.execute(
                            "INSERT INTO bare VALUES (1, 1) "
                            "ON CONFLICT (id) DO UPDATE SET value = bare.value + 1"
                        )
                        answerer.execute("NOTIFY answer")

        thread = threading.Thread(target=answer)
        thread.start()
        times = []
        for _ in range(round(IDLE_RATE * seconds)):
            time.sleep(1 / IDLE_RATE)
            began = time.monotonic()
            asker.execute("NOTIFY question")
            for _ in asker.notifies(timeout=10, stop_after=1):
                times.append(1e3 * (time.monotonic() - began))
        stop.set()
        thread.join()
    return times


# The figures ----------------------------------------------------------------------------------


def given(listener: Listener, orders: Any, load: Load) -> list[list[float]]:
    """Milliseconds: late; from begin to acknowledgement; from there, and from due, to the row."""
    orders.send(load)
    told: list[Told] = orders.recv()
    listener.wait_for(max(one.position for one in told))
    return [
        [1e3 * (one.begun - one.due) for one in told],
        [1e3 * (one.acknowledged - one.begun) for one in told],
        [max(0.0, 1e3 * (listener.seen(one.position) - one.acknowledged)) for one in told],
        [1e3 * (listener.seen(one.position) - one.due) for one in told],
    ]


LIMIT = "the limit: a bare NOTIFY to its row"
WHAT = ("begun late", "command", "from acknowledgement to row", "from when it was due to row")


def row(times: Sequence[float]) -> tuple[str, ...]:
    cuts = quantiles(times, n=100)
    return f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{max(times):.1f}"


def show(name: str, columns: Sequence[tuple[str, Sequence[float]]]) -> None:
    table = Table(title=name)
    for heading in ("milliseconds", "p50", "p99", "most"):
        table.add_column(heading, justify="left" if heading == "milliseconds" else "right")
    for what, times in columns:
        table.add_row(what, *row(times))
    console.print(table)


def verdict(name: str, times: Sequence[float], limit: Sequence[float], wanted: float) -> None:
    p99, least = (quantiles(some, n=100)[98] for some in (times, limit))
    word = "OK" if p99 < wanted else "NOT"
    console.print(
        f"{word}: {name}: from acknowledgement to row p99 {p99:.1f} ms (under {wanted:g}), "
        f"{p99 / least:.1f} times the limit in the same seconds"
    )


console = Console(width=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500, help="commands a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(
        "--parts", nargs="*", default=(), help="followers of each process, as a+b; else all in one"
    )
    parser.add_argument("--free", action="store_true", help="hold no process on a core")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        server, url = stack.enter_context(prepared())
        alone = stack.enter_context(ProcessPoolExecutor(1, SPAWN))
        quiet = alone.submit(bare, url, chosen.seconds).result()
        show("the limit, bare connections", [(LIMIT, quiet)])
        listener = Listener(url)
        stack.callback(listener.close)
        parts = [tuple(part.split("+")) for part in chosen.parts] or [FOLLOWER_NAMES]
        orders, watched = stack.enter_context(in_processes(url, parts, free=chosen.free))
        watched["database"] = server.pid
        given(listener, orders, Load(IDLE_RATE, 2))
        idle = given(listener, orders, Load(IDLE_RATE, chosen.seconds))
        show(f"{IDLE_RATE} commands a second", [*zip(WHAT, idle, strict=True)])
        verdicts = [("idle", idle[2], quiet, IDLE_WANTED)]
        for each in EACH:
            of_what = f"{chosen.rate:g} a second, {HOW_MANY[each]}"
            before, began = cpu_seconds(watched), time.monotonic()
            beside = alone.submit(bare, url, chosen.seconds)
            busy = given(listener, orders, Load(chosen.rate, chosen.seconds, each))
            took, after = time.monotonic() - began, cpu_seconds(watched)
            show(of_what, [*zip(WHAT, busy, strict=True), (LIMIT, beside.result())])
            for name in watched:
                console.print(f"{(after[name] - before[name]) / took:5.2f} cores: {name}")
            verdicts.append((of_what, busy[2], beside.result(), BUSY_WANTED))
        with psycopg.connect(url) as connection:
            found, wanted = connection.execute(ROWS_AND_CALLOUTS).fetchone() or (0, 0)
        assert found == wanted, f"{found} rows of {wanted}"
    for one in verdicts:
        verdict(*one)


if __name__ == "__main__":
    main()
