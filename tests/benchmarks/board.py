"""How does a board with 2,000 open callouts stand 20 changes a second?

`tox -e board` (or `python -m tests.benchmarks.board --ecos 2000 --rate 20 --seconds 30`). A real
browser through the login gateway, server, followers and database each a process of its own; the
changes are commands given by this process. No phone rings.

Measured are tasks of the page's thread above 50 ms, as `PerformanceObserver` tells them, and what
each of its tasks took of the processor (on a machine with other work, tasks wait); the time
from a change's commit to its words on the page, bytes over the wire, how far a row moves that
nothing happens to while somebody reads on, whether focus stays, the page's memory, and what the
server and the database do for one open board.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from strike_app.demo.world import World, open_world
from strike_mock.scenarios import load
from tests.benchmarks.creating import EMAIL
from tests.benchmarks.machine import busy
from tests.console.busy_night import Night, Told, night_at
from tests.console.conftest import CHROMIUM, DESKTOP
from tests.console.person import Person
from tests.integration.stored import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

LONG_WANTED = 100.0
"""Milliseconds that no task of the page may take while changes come."""

SEEN, SPARED = slice(0, 35), 40
"""Rows that changes are made of, and the row that nothing happens to."""

WATCH = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.longTasks.push([one.startTime, one.duration]);
  }).observe({ type: "longtask", buffered: true });
}"""

FOLLOW = """(spared) => {
  window.seenAt = {};
  window.tops = [];
  window.focusLost = 0;
  const find = (node) => {
    for (const [, number] of (node.textContent ?? "").matchAll(/change (\\d+)/g))
      window.seenAt[number] ??= Date.now();
  };
  new MutationObserver((records) => {
    for (const one of records) one.addedNodes.forEach(find);
  }).observe(document.getElementById("ecos"), { childList: true, subtree: true });
  const row = document.getElementById(`eco-${spared}`);
  row.scrollIntoView({ block: "center" });
  row.querySelector("a").focus({ preventScroll: true });
  setInterval(() => {
    const now = document.getElementById(`eco-${spared}`);
    window.tops.push(now ? now.getBoundingClientRect().top : NaN);
    if (document.activeElement?.closest("tr") !== now) window.focusLost += 1;
  }, 50);
}"""

FOUND = "() => ({ tasks: longTasks, seen: seenAt, tops, lost: focusLost, now: performance.now() })"


@dataclass
class Wire:
    """Bytes that came to the page since `clear`, and how many answers, by what they are for."""

    bytes: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    _names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, person: Person) -> Wire:
        wire = cls()
        session = person.context.new_cdp_session(person.page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", wire._sent)
        session.on("Network.dataReceived", wire._came)
        return wire

    def clear(self) -> None:
        self.bytes.clear()
        self.answers.clear()

    def _sent(self, event: dict[str, Any]) -> None:
        name = urlsplit(event["request"]["url"]).path.split("/", 3)[-1]
        self._names[event["requestId"]] = name
        self.answers[name] += 1

    def _came(self, event: dict[str, Any]) -> None:
        size = event["encodedDataLength"] or event["dataLength"]
        self.bytes[self._names.get(event["requestId"], "?")] += size


@dataclass
class Spent:
    """What one part of the run took: seconds of CPU of server and of the whole machine."""

    server: float
    machine: float

    @classmethod
    def so_far(cls, world: World) -> Spent:
        pid = world.children["server"].pid
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        server = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return cls(server, busy())

    def since(self, before: Spent) -> Spent:
        return Spent(self.server - before.server, self.machine - before.machine)


LOOKS, LOOKED_SECONDS = 50, 12.0
"""So many are made in so long, at the most; the database counts a little late what was done."""


def transactions(world: World) -> int:
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def cost_of_a_look(world: World, person: Person, ids: list[UUID]) -> tuple[float, float]:
    """Transactions, and ms of the server's CPU, of one look while nothing else happens."""
    has = ".".join(str(one)[:8] for one in ids[:100])
    shown = ".".join(str(one) for one in ids[SEEN][:10])
    address = person.page.url.replace("/board?", "/board/changes?")
    counted = []
    for looks in (0, LOOKS):
        before, spent = transactions(world), Spent.so_far(world)
        began = time.monotonic()
        for _ in range(looks):
            assert person.page.request.get(f"{address}&shown={shown}&has={has}").ok
        left = LOOKED_SECONDS + began - time.monotonic()
        person.page.wait_for_timeout(1e3 * max(0.0, left))
        counted.append((transactions(world) - before, Spent.so_far(world).since(spent).server))
    (idle, idle_cpu), (busy_ones, busy_cpu) = counted
    return (busy_ones - idle) / LOOKS, 1e3 * (busy_cpu - idle_cpu) / LOOKS


def cpu_of_tasks(trace: bytes) -> list[float]:
    """Milliseconds of CPU of each task of the page's thread, from a trace of the browser."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    tasks: dict[tuple[int, int], list[float]] = {}
    for one in events:
        thread = (one["pid"], one["tid"])
        if thread in mains and one["name"].endswith("RunTask"):
            tasks.setdefault(thread, []).append(one.get("tdur", 0) / 1e3)
    return max(tasks.values(), key=sum, default=[])


@dataclass
class Run:
    """What was found of one view of the board."""

    told: Told
    loading: list[float]
    tasks: list[float]
    cpu: list[float]
    delays: list[float]
    moved: float
    focus_lost: int
    wire: Wire
    heap: tuple[float, float]
    nodes: tuple[int, int]
    spent: Spent
    look: tuple[float, float]


def shown_in(world: World) -> int:
    """How many callouts the read models have."""
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT least((SELECT count(*) FROM eco_views), (SELECT count(*) FROM eco_map))"
        ).fetchone()
    return int(row[0]) if row else 0


def is_known(world: World) -> bool:
    """Whether a login is believed: the first one may be late for the gateway's keys."""
    with httpx.Client(base_url=world.gateway_url, timeout=30) as client:
        client.post("/login", json={"email": EMAIL})
        return client.get("/").status_code < 400


def memory_of(person: Person) -> tuple[float, int]:
    """MiB of the page's heap after a collection, and its DOM nodes."""
    session = person.context.new_cdp_session(person.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    values = {one["name"]: one["value"] for one in found}
    return values["JSHeapUsedSize"] / 2**20, int(values["Nodes"])


def in_background(page: Page | None, night: Night, ids: list[UUID], wanted: Any) -> Told:
    """The changes, while the browser goes on."""
    told: list[Told] = []

    def work() -> None:
        spared = ids[SPARED]
        told.append(night.go_on(ids[SEEN], spared, wanted.rate, wanted.seconds))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        if page:
            page.wait_for_timeout(100)
        else:
            thread.join(0.1)
    return told[0]


def measure(world: World, person: Person, night: Night, view: str, wanted: Any) -> Run:
    page = person.page
    wire = Wire.of(person)
    page.add_init_script(f"({WATCH})()")
    person.go(f"board?view={view}")
    page.locator("#ecos tbody tr").first.wait_for()
    page.wait_for_load_state("load")
    page.wait_for_timeout(3_000)
    for _ in range(wanted.more):
        rows = page.locator("#ecos tbody tr[data-row]").count()
        page.locator("tr.more button").click()
        page.wait_for_function(
            "(rows) => document.querySelectorAll('#ecos tbody tr[data-row]').length > rows",
            arg=rows,
        )
    ids = [
        UUID(one.removeprefix("eco-"))
        for one in page.evaluate(
            "() => [...document.querySelectorAll('tr[data-row]')].map(r => r.id)"
        )
    ]
    page.evaluate(FOLLOW, str(ids[SPARED]))
    page.wait_for_timeout(1_000)
    before, memory = Spent.so_far(world), memory_of(person)
    began = page.evaluate("() => performance.now()")
    page.evaluate("() => { tops.length = 0; focusLost = 0; }")
    wire.clear()
    assert page.context.browser
    page.context.browser.start_tracing(page=page, categories=["toplevel"])
    told = in_background(page, night, ids, wanted)
    page.wait_for_timeout(2_500)
    cpu = cpu_of_tasks(page.context.browser.stop_tracing())
    spent = Spent.so_far(world).since(before)
    found = page.evaluate(FOUND)
    after = memory_of(person)
    delays = [
        1e3 * (float(at) / 1e3 - told.committed[int(number)])
        for number, at in found["seen"].items()
        if int(number) in told.committed
    ]
    return Run(
        told=told,
        loading=[length for start, length in found["tasks"] if start < began],
        tasks=[length for start, length in found["tasks"] if start >= began],
        cpu=cpu,
        delays=delays,
        moved=max(found["tops"]) - min(found["tops"]),
        focus_lost=found["lost"],
        wire=wire,
        heap=(memory[0], after[0]),
        nodes=(memory[1], after[1]),
        spent=spent,
        look=cost_of_a_look(world, person, ids),
    )


@contextmanager
def operator(world: World) -> Iterator[Person]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        person = Person.open(browser, world.gateway_url, DESKTOP)
        person.log_in(EMAIL)
        yield person
        browser.close()


def shown(times: list[float]) -> str:
    if not times:
        return "none"
    p99 = quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else times[0]
    return f"{len(times)}: p50 {median(times):.0f}, p99 {p99:.0f}, most {max(times):.0f}"


def show(console: Console, view: str, run: Run, alone: Spent, seconds: float) -> None:
    table = Table(title=f"The board, {view}", show_header=False)
    table.add_row(
        "changes; the latest was begun too late by",
        f"{len(run.told.committed)}; {1e3 * run.told.late:.0f} ms",
    )
    table.add_row("tasks above 50 ms while the page was loaded, ms", shown(run.loading))
    table.add_row("tasks above 50 ms while changes came, ms", shown(run.tasks))
    table.add_row("of the processor, the longest task, ms", f"{max(run.cpu, default=0):.0f}")
    table.add_row("page's thread, ms of CPU a second", f"{sum(run.cpu) / seconds:.0f}")
    table.add_row("from the commit to the page, ms", shown(run.delays))
    table.add_row("the row that nothing happened to moved by, px", f"{run.moved:.1f}")
    table.add_row("looks at which the focus was elsewhere", str(run.focus_lost))
    table.add_row(
        "kB a second over the wire", f"{sum(run.wire.bytes.values()) / seconds / 1e3:.1f}"
    )
    for name, count in run.wire.answers.most_common(4):
        table.add_row(f"  {name}", f"{count} answers, {run.wire.bytes[name] / 1e3:.0f} kB")
    table.add_row("page's heap before and after, MiB", f"{run.heap[0]:.1f}, {run.heap[1]:.1f}")
    table.add_row("page's nodes before and after", f"{run.nodes[0]}, {run.nodes[1]}")
    table.add_row("one look of ten changed rows: transactions", f"{run.look[0]:.1f}")
    table.add_row("one look of ten changed rows: server's CPU, ms", f"{run.look[1]:.1f}")
    more = 1e3 * (run.spent.server - alone.server) / seconds
    table.add_row("server's CPU for the open board, ms a second", f"{more:.0f}")
    table.add_row("cores of the machine that were busy", f"{run.spent.machine / seconds:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ecos", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--more", type=int, default=0, help="times that Show more is pressed")
    parser.add_argument("--views", nargs="*", default=["table", "map"])
    wanted = parser.parse_args()
    console = Console(width=120)
    with open_world(load("second-accepts"), 1.0) as world:
        world.children["worker"].stop()
        with night_at(world.database_url) as night:
            night.open(wanted.ecos)
            eventually(lambda: shown_in(world) >= wanted.ecos, seconds=120)
            eventually(lambda: is_known(world), seconds=60)
            before = Spent.so_far(world)
            in_background(None, night, night.ecos, wanted)
            alone = Spent.so_far(world).since(before)
            for view in wanted.views:
                with operator(world) as person:
                    run = measure(world, person, night, view, wanted)
                    assert person.faults == [], person.faults
                show(console, view, run, alone, wanted.seconds)
                for what, times in (("", run.tasks), (" of CPU", run.cpu)):
                    worst = max(times, default=0.0)
                    word = "OK" if worst < LONG_WANTED else "NOT"
                    console.print(
                        f"{word}: longest task {worst:.0f} ms{what} (less than {LONG_WANTED:g})"
                    )


if __name__ == "__main__":
    main()
