"""What does a request cost whom, with one, two and three API nodes, with a replica and without?

`tox -e nodes` (or `python -m tests.benchmarks.nodes --nodes 1 2 3 --seconds 20 --askers 24`). An
embedded PostgreSQL and a streaming standby of it, followers, a worker and the mock, and the nodes
as `strike serve` behind HAProxy, if it is installed; else behind the tests' own balancer, which is
slower. Askers of this process ask first for lists and single ECOs alone, then with so many
createECOs among them (`--creates`), and after some of those wait for the row.

All of it shares the cores of this machine, so requests a second say little; what a request takes
of each part's CPU says what that part needs on a machine of its own. What each takes while nobody
asks is measured first and left out. From both phases follows what one createECO takes, and all that
follows from it until its run has ended. Field tasks are another worker's (`tox -e polling`).
`strike_app/sizing/figures.py` has the figures that the sizing rule goes by.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import httpx
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import EmbeddedServer, embedded_postgres, embedded_standby
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import open_strike
from strike_app.demo.children import Child
from strike_app.demo.outside import new_credentials
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_app.demo.world import _env, _free_port, _mock, _seed
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain.actors import Actor, Role, Scope, Side
from strike_domain.callouts import EcoOrder
from strike_mock.scenarios import load
from tests.integration.stored import eventually, is_caught_up, rows

ADMIN = Actor(name="user:admin", tenant_id=NOC_ID, side=Side.NOC, role=Role.ADMIN)
PLACE = {"type": "Point", "coordinates": [-105.27, 40.01]}
SCENARIO = "happy-path"
SPEED = 6.0
"""Simulated seconds in a real one: a run is over soon."""

ECOS = 100
"""That there are before anybody asks: the lists are full pages."""

IDLE_SECONDS = 5.0

REST_SECONDS = 300

RUNNING = "SELECT 1 FROM pager_run_views WHERE state = 'RUNNING' LIMIT 1"

WAITED_FOR = 0.2
"""So many of the created ECOs somebody waits to see."""

LIST = """
query { ecos(first: 50) { edges { node {
  id jobNumber jobType status pagingState renderState priority stale description location
  responderName listName createdAt updatedAt position
} } } }
"""
ONE = """
query ($id: UUID!) { eco(id: $id) {
  id jobNumber status pagingState
  timeline { position at kind line actor }
  pagerRuns { id state listName calls { number contactName phone state outcome } }
} }
"""
CREATE = """
mutation ($input: CreateEcoInput!) {
  createEco(input: $input) { ... on EcoChanged { position eco { id } } ... on Problem { code } }
}
"""
SEEN = "query ($id: UUID!, $p: Position) { eco(id: $id, waitFor: $p) { id } }"
ORDER: dict[str, Any] = {
    "ospId": str(CONTRACTORS[0].id),
    "location": PLACE,
    "jobType": "FNOL",
    "description": "Cable cut by an excavator",
}

HAPROXY = """
global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend strike
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 500ms
{servers}
"""

PARTS = ("API nodes", "balancer", "primary", "replica", "followers", "worker")

console = Console()


@dataclass
class World:
    """What stays while nodes come and go."""

    folder: Path
    env: dict[str, str]
    headers: dict[str, str]
    primary: EmbeddedServer
    standby: EmbeddedServer
    children: dict[str, Child]
    eco_ids: list[str]

    def cpu(self, nodes: Sequence[Child], balancer: int) -> dict[str, float]:
        """Seconds of CPU that each part has used so far."""
        of_nodes = sum(tree_cpu(one.pid or 0) for one in nodes)
        of_children = (tree_cpu(self.children[name].pid or 0) for name in ("follower", "worker"))
        databases = tree_cpu(self.primary.pid), tree_cpu(self.standby.pid)
        return dict(
            zip(PARTS, (of_nodes, tree_cpu(balancer), *databases, *of_children), strict=True)
        )

    def come_to_rest(self) -> None:
        """Until nobody is rung any more, and every follower has all.

        Seldom asked: each look is a connection, which is dearer than what is measured.
        """
        url, end = self.env["STRIKE_DATABASE_URL"], time.monotonic() + REST_SECONDS
        while not (is_caught_up(url) and not rows(url, RUNNING)):
            assert time.monotonic() < end
            time.sleep(1)


@dataclass
class Phase:
    """What was asked, how long each took (ms), and what it took of whom (seconds of CPU)."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    creates: int = 0
    used: dict[str, float] = field(default_factory=dict)

    def each(self, part: str) -> float:
        """Milliseconds of CPU a request."""
        return self.used[part] / len(self.waits) * 1e3


def tree_cpu(pid: int) -> float:
    """Seconds of CPU of a process, of its children that live, and of those that have ended."""
    own = _ticks(pid, ended=True)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (own + sum(_ticks(int(one)) for one in children)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, *, ended: bool = False) -> int:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0
    return sum(map(int, words[11:15] if ended else words[11:13]))


@contextmanager
def opened() -> Iterator[World]:
    """Databases, mock, followers and a worker, with some ECOs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strike-nodes-")))
        primary = stack.enter_context(embedded_postgres(folder / "primary"))
        primary.ensure_database("strike")
        url, key = primary.url("strike"), folder / "key"
        prepare(url)
        standby = stack.enter_context(embedded_standby(primary, folder / "standby"))
        outside, scenario, epoch = new_credentials(), load(SCENARIO), datetime.now(UTC)
        mock = _mock(folder, SCENARIO, SPEED, epoch, outside)
        stack.callback(mock.stop)
        mock.start()
        facts = mock.wait_ready()
        _seed(url, key, replace(outside, mock_url=facts["url"]), scenario)
        env = _env(url, key, facts, SPEED, epoch)
        env |= {
            "STRIKE_RATE_PER_USER": "9999999/minute",
            "STRIKE_RATE_PER_TENANT": "9999999/minute",
        }
        children = {
            "follower": Child("follower", ["strike_app", "follow"], folder, env),
            "worker": Child("worker", ["strike_app", "work", "paging"], folder, env),
        }
        for child in children.values():
            stack.callback(child.stop)
            child.start()
        for child in children.values():
            child.wait_ready()
        token, eco_ids = _fill(url, key)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        yield World(folder, env, headers, primary, standby, children, eco_ids)


def _fill(url: str, key: Path) -> tuple[str, list[str]]:
    secret, scopes = new_secret(), frozenset({Scope.CALLOUT, Scope.READ})
    with open_strike(Settings(database_url=url, secrets_key_file=key)) as strike:
        strike.administration().create_token("t", Role.OPERATOR, scopes, 1, secret, ADMIN)
        callouts = strike.callouts()
        order = EcoOrder(
            osp_id=CONTRACTORS[0].id,
            location=PLACE,
            job_type="FNOL",
            description="Cable cut by an excavator",
        )
        made = [callouts.create_eco(order, ADMIN) for _ in range(ECOS)]
    return secret.get_secret_value(), [str(one.aggregate.id) for one in made]


@contextmanager
def serving(
    world: World, count: int, *, with_replica: bool
) -> Iterator[tuple[list[Child], int, str]]:
    """So many nodes and what stands before them: the nodes, the balancer's pid, its address."""
    nodes, ports = [], [_free_port() for _ in range(count)]
    with ExitStack() as stack:
        for number, port in enumerate(ports, 1):
            env = world.env | {"STRIKE_PORT": str(port)}
            if with_replica:
                env["STRIKE_READ_DATABASE_URL"] = world.standby.url("strike")
            command = ["strike_app", "serve", "--no-followers"]
            node = Child(f"api-{number}", command, world.folder, env)
            stack.callback(node.stop)
            node.start()
            nodes.append(node)
        for node in nodes:
            node.wait_ready()
        if with_replica:
            for port in ports:
                eventually(lambda port=port: _replica_of(port) == "ok", 30)  # type: ignore[misc]
        # Where webhooks are sent, too.
        port = int(world.env["STRIKE_PORT"])
        balancer = stack.enter_context(balancing(world.folder, port, ports))
        yield nodes, balancer, f"http://127.0.0.1:{port}"


def _replica_of(port: int) -> str:
    told = httpx.get(f"http://127.0.0.1:{port}/readyz").json()
    return str(told["dependencies"].get("replica"))


@contextmanager
def balancing(folder: Path, port: int, nodes: Sequence[int]) -> Iterator[int]:
    """HAProxy, or the tests' own balancer; its process id."""
    if program := shutil.which("haproxy"):
        servers = "\n".join(f"  server api-{one} 127.0.0.1:{one}" for one in nodes)
        config = folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port, servers=servers))
        command = [program, "-db", "-q", "-f", str(config)]
    else:
        command = [sys.executable, "-m", "tests.balancer", str(port), *map(str, nodes)]
    with subprocess.Popen(command) as process:
        try:
            eventually(lambda: _answers(port), 30)
            yield process.pid
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


# Askers ---------------------------------------------------------------------------------------


class Askers:
    """They ask again as soon as they are answered."""

    def __init__(self, url: str, world: World, session: aiohttp.ClientSession) -> None:
        self._url, self._world, self._session = f"{url}/graphql", world, session

    async def phase(
        self,
        cpu: Callable[[], dict[str, float]],
        idle: dict[str, float],
        options: argparse.Namespace,
        creates: float,
    ) -> Phase:
        """All of them for so long; of their requests so many are createECOs."""
        seconds, many = options.seconds, options.askers
        found, before, began = Phase(), cpu(), time.perf_counter()
        until = began + seconds
        await asyncio.gather(*(self._go_on(found, until, creates) for _ in range(many)))
        found.seconds = time.perf_counter() - began
        await asyncio.to_thread(self._world.come_to_rest)
        after, took = cpu(), time.perf_counter() - began
        found.used = {part: after[part] - before[part] - idle[part] * took for part in PARTS}
        return found

    async def _go_on(self, found: Phase, until: float, creates: float) -> None:
        while time.perf_counter() < until:
            if random.random() < creates:
                await self._create(found)
            elif random.random() < 0.5:
                await self._timed(found, LIST, {})
            else:
                await self._timed(found, ONE, {"id": random.choice(self._world.eco_ids)})

    async def _create(self, found: Phase) -> None:
        made = (await self._timed(found, CREATE, {"input": ORDER}))["createEco"]
        found.creates += 1
        if random.random() < WAITED_FOR:
            began = time.perf_counter()
            asked = {"id": made["eco"]["id"], "p": made["position"]}
            assert (await self._timed(found, SEEN, asked))["eco"]
            found.seen.append((time.perf_counter() - began) * 1e3)

    async def _timed(self, found: Phase, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        began = time.perf_counter()
        async with self._session.post(self._url, json=body) as response:
            told = await response.json()
        found.waits.append((time.perf_counter() - began) * 1e3)
        assert response.status == 200 and "errors" not in told, told
        data: dict[str, Any] = told["data"]
        return data


async def idling(cpu: Callable[[], dict[str, float]], seconds: float) -> dict[str, float]:
    """Seconds of CPU that each part takes in a second in which nobody asks."""
    before, began = cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    after, took = cpu(), time.perf_counter() - began
    return {part: (after[part] - before[part]) / took for part in PARTS}


async def measure(
    world: World, url: str, cpu: Callable[[], dict[str, float]], options: argparse.Namespace
) -> tuple[Phase, Phase]:
    """Lists and single ECOs alone; then with createECOs among them."""
    connector = aiohttp.TCPConnector(limit=options.askers)
    async with aiohttp.ClientSession(headers=world.headers, connector=connector) as session:
        askers = Askers(url, world, session)
        await asyncio.to_thread(world.come_to_rest)
        warming = argparse.Namespace(seconds=1.0, askers=options.askers)
        await askers.phase(cpu, dict.fromkeys(PARTS, 0.0), warming, 0.0)
        idle = await idling(cpu, min(options.seconds, IDLE_SECONDS))
        reads = await askers.phase(cpu, idle, options, 0.0)
        mixed = await askers.phase(cpu, idle, options, options.creates)
    return reads, mixed


# What is shown --------------------------------------------------------------------------------

Found = dict[tuple[int, bool], tuple[Phase, Phase]]


def show(found: Found, creates: float) -> None:
    name = "HAProxy" if shutil.which("haproxy") else "the tests' balancer: HAProxy is not installed"
    console.print(f"Behind {name}. All parts share this machine's {os.cpu_count()} cores.")
    console.print(_speeds(found, creates))
    console.print(_costs(found, creates))


def _speeds(found: Found, creates: float) -> Table:
    table = Table(title="answers")
    for heading in (
        "nodes",
        "replica",
        "asked",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "row seen p50",
        "p99",
    ):
        table.add_column(heading, justify="right")
    for (nodes, with_replica), phases in found.items():
        for asked, phase in zip(("reads", f"{creates:.0%} creates"), phases, strict=True):
            waits, seen = quantiles(phase.waits, n=100), phase.seen
            seen_at = quantiles(seen, n=100) if len(seen) > 1 else None
            table.add_row(
                str(nodes),
                "yes" if with_replica else "no",
                asked,
                f"{len(phase.waits) / phase.seconds:,.0f}",
                f"{waits[49]:.1f}",
                f"{waits[98]:.1f}",
                f"{seen_at[49]:.1f}" if seen_at else "",
                f"{seen_at[98]:.1f}" if seen_at else "",
            )
    return table


def _costs(found: Found, creates: float) -> Table:
    table = Table(title="ms of CPU: a read; a createECO, with all that follows from it")
    for heading in ("nodes", "replica", "of", *PARTS):
        table.add_column(heading, justify="right")
    for (nodes, with_replica), (reads, mixed) in found.items():
        first = (str(nodes), "yes" if with_replica else "no")
        table.add_row(*first, "a read", *(f"{reads.each(part):.2f}" for part in PARTS))
        table.add_row(
            *first, "a createECO", *(f"{_of_create(reads, mixed, one):.2f}" for one in PARTS)
        )
    return table


def _of_create(reads: Phase, mixed: Phase, part: str) -> float:
    """What is left of the mix when its reads cost what reads alone did, in ms."""
    asked = len(mixed.waits) - mixed.creates
    return (mixed.used[part] * 1e3 - asked * reads.each(part)) / max(1, mixed.creates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    parser.add_argument("--askers", type=int, default=24, help="connections at once")
    parser.add_argument("--creates", type=float, default=0.1, help="share of createECOs")
    options = parser.parse_args()
    found: Found = {}
    with opened() as world:
        for with_replica in (False, True):
            for count in options.nodes:
                with serving(world, count, with_replica=with_replica) as (nodes, balancer, url):
                    phases = measure(world, url, lambda: world.cpu(nodes, balancer), options)
                    found[count, with_replica] = asyncio.run(phases)
    show(found, options.creates)


if __name__ == "__main__":
    main()
