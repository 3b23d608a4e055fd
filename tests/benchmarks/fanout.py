"""What does it cost the database to tell ever more processes of each change?

`tox -e fanout` (or `python -m tests.benchmarks.fanout --readers 1 4 16 --seconds 10`). A hundred
notes a second are written; K processes hear of them and hand each to those of their clients who
follow its NOC. Once they are what an API node is (LISTEN, and a read of the change for each tenant
that somebody follows), once edges that follow `strike publish` by way of NATS JetStream and ask the
database nothing. Clients are in the process: what it takes to send is the same for both, and
measured by `tox -e subscriptions`. Everything runs on the same cores, each part a process of its
own, whose CPU is taken; latencies are from the command's acknowledgement to the client. Of the
primary's CPU that of the connections of those who are told (nodes, or the publisher) stands alone:
the rest is the writing and the read models, and differs by how much a busy machine lets them batch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from uuid import UUID

import nats
import structlog
from nats.aio.msg import Msg
from nats.js.api import DeliverPolicy
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import Queries, open_async_pool
from strike_app.bootstrap import Strike, open_strike
from strike_app.demo.children import Child as Part
from strike_app.following.buffers import Buffer
from strike_app.following.feeds import Feeds
from strike_domain import Actor
from tests.benchmarks import subscriptions
from tests.benchmarks.machine import busy, cpu
from tests.benchmarks.nodes import tree_cpu
from tests.benchmarks.subscription_clients import say
from tests.benchmarks.subscriptions import Child, fill, settings_for, write
from tests.integration.nats_server import NatsServer, nats_server
from tests.integration.stored import rows

HERE = "tests.benchmarks.fanout"

OF_EACH = 2
"""Clients of each process that follow the same NOC."""

TOLD = "told"

SETTLE_SECONDS = 20.0
"""In which the last change must have come to everybody; what has not is lost."""

PARTS = ("primary", "for who is told", "followers", "publisher", "nats-server", "readers")

Ecos = Sequence[tuple[UUID, Actor]]

err = Console(stderr=True)


# A process that is told ----------------------------------------------------------------------


class Clients:
    """Those who follow, `OF_EACH` a NOC; each takes what comes to it as a task of its own."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []
        self.again = 0
        """What came once more, and was dropped."""

    def take(self, position: int) -> None:
        self.seen.append((position, time.time()))

    async def answer(self) -> None:
        """For each line that comes in: how many deliveries by now, or all, and what was used."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            told = {"cpu": cpu(), "count": len(self.seen), "again": self.again}
            if line.strip() == "all":
                told["seen"], self.seen = self.seen, []  # type: ignore[assignment]
                self.again = 0
            say(told)


async def edge(url: str, tenants: Sequence[UUID]) -> None:
    """Follow the stream, each event once, and hand it to those who follow its NOC."""
    clients, last = Clients(), 0
    queues: dict[str, list[asyncio.Queue[int]]] = defaultdict(list)

    async def follow(queue: asyncio.Queue[int]) -> None:
        while True:
            clients.take(await queue.get())

    async def told(message: Msg) -> None:
        nonlocal last
        position = int(json.loads(message.data)["position"])
        if position <= last:
            clients.again += 1
            return
        last = position
        for queue in queues[message.subject.split(".")[2]]:
            queue.put_nowait(position)

    following = []
    for tenant in tenants:
        for _ in range(OF_EACH):
            queue: asyncio.Queue[int] = asyncio.Queue()
            queues[str(tenant)].append(queue)
            following.append(asyncio.create_task(follow(queue)))
    stream = (await nats.connect(url)).jetstream()
    new = DeliverPolicy.NEW
    await stream.subscribe("strike.noc.>", cb=told, ordered_consumer=True, deliver_policy=new)
    say({"following": len(following)})
    await clients.answer()


async def node(url: str, tenants: Sequence[UUID]) -> None:
    """What an API node does: one LISTEN, and a read of what changed for each tenant."""
    clients, changes = Clients(), Changes(url)
    pool, walled = open_async_pool(url, size=2), open_async_pool(url, size=4, for_tenants=True)
    await pool.open()
    await walled.open()
    feeds = Feeds(changes, Queries(pool, walled, changes, 5.0).lines)
    changes.listeners.append(feeds)
    await changes.start()
    ready = asyncio.Semaphore(0)

    async def follow(tenant: UUID) -> None:
        async with feeds.of(tenant) as feed:
            buffer = Buffer(feed.last)
            assert feed.attach(buffer)
            ready.release()
            while True:
                clients.take((await buffer.next()).position)

    following = [asyncio.create_task(follow(one)) for one in tenants for _ in range(OF_EACH)]
    for _ in following:
        await ready.acquire()
    say({"following": len(following)})
    await clients.answer()


# The run -------------------------------------------------------------------------------------


@dataclass
class World:
    """What stays while readers come and go."""

    folder: Path
    url: str
    primary: EmbeddedServer
    followers: Child
    strike: Strike
    ecos: Ecos

    @property
    def told_url(self) -> str:
        """For those who are told: their connections are known by their name."""
        return f"{self.url}&application_name={TOLD}"

    def for_told(self) -> float:
        """Seconds of CPU that the primary has used for their connections."""
        pids = rows(self.url, "SELECT pid FROM pg_stat_activity WHERE application_name = %s", TOLD)
        return sum(tree_cpu(one["pid"]) for one in pids)

    @property
    def tenants(self) -> dict[UUID, None]:
        return {boss.tenant_id: None for _, boss in self.ecos if boss.tenant_id}


@dataclass
class Found:
    """Of one run: seconds of CPU of each part, and what became of each delivery."""

    readers: int
    changes: int
    seconds: float = 0.0
    machine: float = 0.0
    used: dict[str, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    lost: int = 0
    twice: int = 0
    again: int = 0


@contextmanager
def publishing(world: World) -> Iterator[tuple[NatsServer, Part]]:
    """A NATS server, and `strike publish` to it, which has published what there is."""
    folder = Path(tempfile.mkdtemp(dir=world.folder))
    with nats_server(folder) as server:
        env = {"STRIKE_DATABASE_URL": world.told_url, "STRIKE_NATS_URL": server.url}
        publisher = Part("publisher", ["strike_app", "publish"], folder, env)
        publisher.start()
        try:
            publisher.wait_ready()
            yield server, publisher
        finally:
            publisher.stop()


@contextmanager
def reading(kind: str, url: str, world: World, count: int) -> Iterator[list[Child]]:
    """So many processes that are told, each of which follows every NOC."""
    file = world.folder / "tenants.json"
    file.write_text(json.dumps([str(one) for one in world.tenants]))
    with ExitStack() as stack:
        readers = []
        for _ in range(count):
            readers.append(Child(HERE, f"--{kind}", url, "--tenants", str(file)))
            stack.callback(readers[-1].kill)
        for one in readers:
            assert one.hear()["following"] == OF_EACH * len(world.tenants)
        yield readers


def measure(
    world: World, readers: Sequence[Child], used: Callable[[], dict[str, float]], run: Run
) -> Found:
    """Write for so long, and wait until everybody has been told."""
    write(world.strike, world.ecos, run.rate, 2)
    _settle(readers)
    for one in readers:
        one.say("all")
        one.hear()
    before, machine, begun = used(), busy(), time.monotonic()
    acknowledged = write(world.strike, world.ecos, run.rate, run.seconds)
    _settle(readers, OF_EACH * len(acknowledged))
    after, machine, took = used(), busy() - machine, time.monotonic() - begun
    found = Found(len(readers), len(acknowledged), took, machine)
    found.used = {part: after[part] - before[part] for part in after}
    for one in readers:
        one.say("all")
        told = one.hear()
        times = Counter(position for position, _ in told["seen"])
        found.lost += sum(max(0, OF_EACH - times[at]) for at in acknowledged)
        found.twice += sum(max(0, times[at] - OF_EACH) for at in acknowledged)
        found.again += told["again"]
        late = ((at - acknowledged.get(position, at)) for position, at in told["seen"])
        found.late += [max(0.0, each) for each in late]
    return found


def _settle(readers: Sequence[Child], wanted: int = 0) -> None:
    """Until everybody has so many, or nothing more comes; it is asked seldom, as that takes CPU."""
    end, before = time.monotonic() + SETTLE_SECONDS, -1
    while time.monotonic() < end:
        counts = [one.ask()["count"] for one in readers]
        if sum(counts) == before if not wanted else min(counts, default=wanted) >= wanted:
            return
        before = sum(counts)
        time.sleep(1)


@dataclass(frozen=True)
class Run:
    """What is asked for."""

    readers: Sequence[int]
    rate: float
    seconds: float


def compare(world: World, run: Run) -> dict[str, list[Found]]:
    """Nobody; API nodes; edges behind the stream."""

    def used(readers: Sequence[Child], **others: int) -> dict[str, float]:
        told = {"primary": tree_cpu(world.primary.pid), "for who is told": world.for_told()}
        told["followers"] = tree_cpu(world.followers.pid)
        told |= {name: tree_cpu(pid) for name, pid in others.items()}
        return told | {"readers": sum(one.ask()["cpu"] for one in readers)}

    err.print("Nobody")
    found = {"nobody": [measure(world, (), lambda: used(()), run)], "API nodes": [], "edges": []}
    for count in run.readers:
        err.print(f"{count} nodes")
        with reading("node", world.told_url, world, count) as nodes:
            found["API nodes"].append(
                measure(world, nodes, lambda nodes=nodes: used(nodes), run)  # type: ignore[misc]
            )
    for count in run.readers:
        err.print(f"{count} edges")
        with (
            publishing(world) as (server, publisher),
            reading("edge", server.url, world, count) as edges,
        ):
            pids = {"publisher": publisher.pid or 0, "nats-server": server.pid}
            found["edges"].append(
                measure(world, edges, lambda e=edges, p=pids: used(e, **p), run)  # type: ignore[misc]
            )
    return found


def show(found: dict[str, list[Found]], run: Run) -> None:
    costs = Table(title=f"ms of CPU a change, {run.rate:g} changes a second for {run.seconds:g} s")
    speeds = Table(title="From a command's acknowledgement to a client of a process")
    for heading in ("told", "processes", *PARTS[:-1], "a process", "machine, cores"):
        costs.add_column(heading, justify="left" if heading == "told" else "right")
    for heading in ("told", "processes", "deliveries", "p50", "p99", "most", "lost", "twice"):
        speeds.add_column(heading, justify="left" if heading == "told" else "right")
    for name, runs in found.items():
        for one in runs:
            each = {part: f"{1e3 * used / one.changes:.2f}" for part, used in one.used.items()}
            apiece = 1e3 * one.used["readers"] / one.changes / max(1, one.readers)
            costs.add_row(
                name,
                str(one.readers),
                *(each.get(part, "") for part in PARTS[:-1]),
                f"{apiece:.2f}" if one.readers else "",
                f"{one.machine / one.seconds:.2f}",
            )
            if len(one.late) > 1:
                cuts = quantiles(one.late, n=100)
                times = (f"{1e3 * value:,.1f} ms" for value in (cuts[49], cuts[98], max(one.late)))
                told = f"{len(one.late):,}"
                speeds.add_row(name, str(one.readers), told, *times, str(one.lost), str(one.twice))
    console = Console(width=120)
    console.print(costs, speeds)
    again = sum(one.again for runs in found.values() for one in runs)
    console.print(f"Events that the stream told again, and edges dropped by position: {again}")


def _run(run: Run) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        primary = stack.enter_context(embedded_postgres(folder / "pg"))
        primary.ensure_database("bench")
        url = primary.url("bench")
        prepare(url)
        strike = stack.enter_context(open_strike(settings_for(url, folder)))
        arguments = ("--follow", url, "--folder", str(folder))
        followers = stack.enter_context(subscriptions.child(*arguments))
        ecos, _ = fill(strike)
        followers.hear()
        show(compare(World(folder, url, primary, followers, strike, ecos), run), run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    for hidden in ("--edge", "--node", "--tenants"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(30)
    structlog.configure(
        wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    if chosen.tenants:
        tenants = [UUID(one) for one in json.loads(Path(chosen.tenants).read_text())]
        program = edge if chosen.edge else node
        asyncio.run(program(chosen.edge or chosen.node, tenants))
    else:
        _run(Run(chosen.readers, chosen.rate, chosen.seconds))


if __name__ == "__main__":
    main()
