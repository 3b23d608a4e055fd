"""How long does a change take to reach all who follow it, while two thousand do?

`tox -e subscriptions` (or `python -m tests.benchmarks.subscriptions --clients 2000 --seconds 20`).
A hundred tenants in an embedded PostgreSQL; half of the clients follow a tenant's changes, half a
single ECO; half of each over WebSockets, half over server-sent events. One server process, one of
followers, and the clients in processes of their own, all on the same cores. A hundred notes a
second are written, and for each delivery the time from the command's acknowledgement is taken.
Before it, in the same run and to as many clients: a plain aiohttp server that sends as many bytes
as often over WebSockets, and knows nothing: the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

import structlog
from aiohttp import web
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.changes import FOLLOWED, POSITIONS
from strike_adapters.postgres.fold import BRIEFLY, seldom_collecting
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import Strike, open_services, open_strike
from strike_app.following import Following
from strike_app.server import create_app
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain import Actor, EcoOrder, Link, LinkStatus, Role, Side, Tenant
from strike_domain.actors import Scope
from strike_domain.log import LOG_NAME
from strike_mock.settings import DEFAULT_SIGNER
from tests.benchmarks.machine import busy, cpu, memory
from tests.benchmarks.subscription_clients import raise_limits, say

PAIRS = 50
"""A NOC and an OSP each."""

ECOS = 5
"""Of each pair."""

CLIENT_PROCESSES = 2
FIELDS = "id jobNumber status pagingState renderState priority description updatedAt position"
OF_TENANT = f"subscription {{ ecosChanged {{ position at kind line eco {{ {FIELDS} }} }} }}"
OF_ECO = f"subscription ($id: UUID!) {{ ecoChanged(ecoId: $id) {{ {FIELDS} }} }}"
PLACE = {"type": "Point", "coordinates": [-105.27, 40.01]}
PLAIN_BYTES = 500
HERE = "tests.benchmarks.subscriptions"
CLIENTS = "tests.benchmarks.subscription_clients"

err = Console(stderr=True)


def settings_for(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=url,
        secrets_key_file=folder / "key",
        oidc_signer=DEFAULT_SIGNER,
        rate_per_user="1000000/minute",
        rate_per_tenant="1000000/minute",
        streams_per_user=10_000,
        streams_per_tenant=10_000,
    )


# Processes of the server's side -------------------------------------------------------------


async def serve(app: web.Application, count: Callable[[], int]) -> None:
    """Serve, print the port, and for each line that comes in what it uses and who follows."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4_096).start()
    say({"port": runner.addresses[0][1]})
    with seldom_collecting(BRIEFLY):
        while await asyncio.to_thread(sys.stdin.readline):
            say({"cpu": cpu(), "memory": memory(), "open": count()})
    await runner.cleanup()


def strike_server(url: str, folder: Path) -> None:
    settings = settings_for(url, folder)
    with open_strike(settings) as strike:
        services = open_services(strike, settings)
        asyncio.run(serve(create_app(services), lambda: _followers(services.following)))
    os._exit(0)


def _followers(following: Following) -> int:
    feeds = [one.feed for one in following._feeds._running.values()]
    return sum(len(group) for feed in feeds for group in feed._followers.values())


def follow(url: str, folder: Path) -> None:
    stop = threading.Event()
    with open_strike(settings_for(url, folder)) as strike, seldom_collecting():
        for one in strike.followers(FOLLOWED):
            threading.Thread(target=one.run, args=(stop,), daemon=True).start()
        say({"following": True})
        sys.stdin.readline()
        os._exit(0)


class Plain:
    """Sends to about as many clients a change as Strike does, as often."""

    def __init__(self, changes: float, readers: int) -> None:
        self._sockets: list[web.WebSocketResponse] = []
        self._changes, self._readers = changes, readers

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/graphql", self._open)
        app.on_startup.append(self._start)
        return app

    def count(self) -> int:
        return len(self._sockets)

    async def _start(self, app: web.Application) -> None:
        app[web.AppKey("task", asyncio.Task[None])] = asyncio.create_task(self._send())

    async def _open(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def _send(self) -> None:
        while True:
            await asyncio.sleep(1 / self._changes)
            if len(self._sockets) < self._readers:
                continue
            now = b'{"position":%d,"x":"' % time.time_ns()
            body = (now + b"x" * (PLAIN_BYTES - len(now) - 2) + b'"}').decode()
            for socket in random.sample(self._sockets, self._readers):
                if not socket.closed:
                    await socket.send_str(body)


# The run ------------------------------------------------------------------------------------


class Child:
    """A process with which lines are exchanged."""

    def __init__(self, module: str, *arguments: str) -> None:
        command, pipe = [sys.executable, "-m", module, *arguments], subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def say(self, text: str = "") -> None:
        assert self._process.stdin
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def ask(self) -> Any:
        self.say()
        return self.hear()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def child(*arguments: str) -> Iterator[Child]:
    started = Child(HERE, *arguments)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def clients(port: int, wanted: Sequence[dict[str, Any]], folder: Path) -> Iterator[list[Child]]:
    """All of them, open."""
    started = []
    try:
        for number in range(CLIENT_PROCESSES):
            file = folder / f"clients-{uuid4()}.json"
            file.write_text(json.dumps(wanted[number::CLIENT_PROCESSES]))
            started.append(Child(CLIENTS, str(port), str(file)))
        err.print(f"Opening {len(wanted):,} streams")
        for one in started:
            one.hear()
        yield started
    finally:
        for one in started:
            one.kill()


def fill(strike: Strike) -> tuple[list[tuple[UUID, Actor]], list[dict[str, str]]]:
    """The pairs and their ECOs; who writes to each ECO; a token of each tenant."""
    ecos: list[tuple[UUID, Actor]] = []
    tokens = []
    do, callouts = strike.administration(), strike.callouts()
    for number in track(range(PAIRS), "Filling", console=err):
        noc = Tenant(id=uuid4(), name=f"NOC {number}", side=Side.NOC)
        osp = Tenant(id=uuid4(), name=f"OSP {number}", side=Side.OSP)
        for one in (noc, osp):
            save_tenant(strike.pool, one)
            boss = Actor(name="user:b", tenant_id=one.id, side=one.side, role=Role.ADMIN)
            secret = new_secret()
            do.create_token("bench", Role.VIEWER, frozenset({Scope.READ}), 1, secret, boss)
            tokens.append({"tenant": str(one.id), "token": secret.get_secret_value()})
        save_link(strike.pool, Link(noc_id=noc.id, osp_id=osp.id, status=LinkStatus.ACTIVE))
        boss = Actor(name="user:b", tenant_id=noc.id, side=Side.NOC, role=Role.ADMIN)
        order = EcoOrder(
            osp_id=osp.id, location=PLACE, job_type="FNOL", description="Cut by a digger."
        )
        ecos += [(callouts.create_eco(order, boss).aggregate.id, boss) for _ in range(ECOS)]
    return ecos, tokens


def wanted_of(
    count: int, ecos: Sequence[tuple[UUID, Actor]], tokens: Sequence[dict[str, str]]
) -> list[dict[str, Any]]:
    """What each client asks for: a tenant's changes, or one ECO's, over either transport."""
    by_tenant = {one["tenant"]: one["token"] for one in tokens}
    wanted: list[dict[str, Any]] = []
    for number in range(count):
        kind = "websocket" if number // 2 % 2 else "sse"
        if number % 2:
            token, payload = tokens[number // 2 % len(tokens)]["token"], {"query": OF_TENANT}
        else:
            eco_id, boss = ecos[number // 2 % len(ecos)]
            token = by_tenant[str(boss.tenant_id)]
            payload = {"query": OF_ECO, "variables": {"id": str(eco_id)}}  # type: ignore[dict-item]
        wanted.append({"kind": kind, "token": token, "payload": payload})
    return wanted


def write(
    strike: Strike, ecos: Sequence[tuple[UUID, Actor]], rate: float, seconds: float
) -> dict[int, float]:
    """Write notes at an even pace; when each position was acknowledged."""
    callouts, acknowledged = strike.callouts(), dict[int, float]()

    def note(number: int) -> None:
        eco_id, boss = ecos[number * 7 % len(ecos)]
        stored = callouts.add_note(eco_id, f"Note {number} at {datetime.now(UTC)}", boss)
        acknowledged[stored.position] = time.time()

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            threads.submit(note, number)
    done = time.monotonic()
    _until_followed(strike, max(acknowledged))
    behind = time.monotonic() - done
    err.print(f"Written in {done - begun:.1f} s; the read models were {behind:.1f} s behind")
    return acknowledged


def _until_followed(strike: Strike, position: int) -> None:
    """On a machine that has much else to do, the read models may be far behind."""
    for _ in range(600):
        with strike.pool.connection() as connection:
            found = connection.execute(POSITIONS.encode(), {"log": LOG_NAME}).fetchall()
        if min(one["position"] for one in found) >= position:
            return
        time.sleep(0.1)


def measured(server: Child, readers: Sequence[Child], run: Any) -> dict[str, Any]:
    """What the server and the clients used and saw while `run` ran."""
    err.print("Measuring")
    for one in readers:
        one.say()
    before, machine, begun = server.ask(), busy(), time.monotonic()
    acknowledged = run()
    time.sleep(3)
    after, machine, took = server.ask(), busy() - machine, time.monotonic() - begun
    for one in readers:
        one.say()
    told = [one.hear() for one in readers]
    seen = [each for one in told for each in one["seen"]]
    return {
        "acknowledged": acknowledged,
        "seen": seen,
        "cpu": (after["cpu"] - before["cpu"]) / took,
        "each_delivery": (after["cpu"] - before["cpu"]) / max(1, len(seen)),
        "clients": sum(one["cpu"] for one in told) / took,
        "machine": machine / took,
        "memory": after["memory"],
        "lost": sum(one["lost"] for one in told),
    }


def plain(count: int, rate: float, readers: int, seconds: float, folder: Path) -> dict[str, Any]:
    wanted = [{"kind": "plain", "token": "", "payload": {}}] * count
    with child("--plain", "--rate", str(rate), "--readers", str(readers)) as server:
        port = server.hear()["port"]
        empty = server.ask()["memory"]
        with clients(port, wanted, folder) as opened:
            found = measured(server, opened, lambda: time.sleep(seconds))
    found["late"] = [at - sent / 1e9 for sent, at in found["seen"]]
    return found | {"each": (found["memory"] - empty) * 1024 / count}


def strikes(count: int, rate: float, seconds: float, folder: Path) -> dict[str, Any]:
    with embedded_postgres(folder / "pg") as postgres:
        postgres.ensure_database("bench")
        url = postgres.url("bench")
        prepare(url)
        with (
            open_strike(settings_for(url, folder)) as strike,
            child("--follow", url, "--folder", str(folder)) as following,
            child("--server", url, "--folder", str(folder)) as server,
        ):
            ecos, tokens = fill(strike)
            port = server.hear()["port"]
            following.hear()
            time.sleep(3)
            wanted = wanted_of(count, ecos, tokens)
            with clients(port, wanted[:20], folder) as warm:
                measured(server, warm, lambda: write(strike, ecos, rate, 2))
            time.sleep(2)
            empty = server.ask()["memory"]
            with clients(port, wanted, folder) as opened:
                while server.ask()["open"] < count:
                    time.sleep(0.5)
                write(strike, ecos, rate, 3)
                found = measured(server, opened, lambda: write(strike, ecos, rate, seconds))
    at = found["acknowledged"]
    found["late"] = [seen - at[position] for position, seen in found["seen"] if position in at]
    return found | {"each": (found["memory"] - empty) * 1024 / count}


def show(title: str, found: dict[str, dict[str, Any]], seconds: float) -> None:
    table = Table(title=title)
    for heading in (
        "",
        "deliveries/s",
        "p50",
        "p99",
        "most",
        "server",
        "a delivery",
        "all",
        "a client",
        "lost",
    ):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, one in found.items():
        if len(one["late"]) < 2:
            table.add_row(name, "nothing arrived in time", *[""] * 7, str(one["lost"]))
            continue
        cuts = quantiles(one["late"], n=100)
        latencies = (f"{value * 1000:,.1f} ms" for value in (cuts[49], cuts[98], max(one["late"])))
        table.add_row(
            name,
            f"{len(one['late']) / seconds:,.0f}",
            *latencies,
            f"{one['cpu']:.2f} cores",
            f"{one['each_delivery'] * 1e6:,.0f} µs",
            f"{one['machine']:.2f} cores",
            f"{one['each']:.0f} KiB",
            str(one["lost"]),
        )
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    for name in ("--server", "--follow", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--readers", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    raise_limits()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(
        wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    if chosen.server:
        strike_server(chosen.server, Path(chosen.folder))
    elif chosen.follow:
        follow(chosen.follow, Path(chosen.folder))
    elif chosen.plain:
        plain_server = Plain(chosen.rate, chosen.readers)
        asyncio.run(serve(plain_server.app(), plain_server.count))
    else:
        _run(chosen.clients, chosen.rate, chosen.seconds)


def _run(count: int, rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = strikes(count, rate, seconds, Path(folder))
        told = len(found["late"]) / max(1, len(found["acknowledged"]))
        limit = plain(count, rate, max(1, round(told)), seconds, Path(folder))
    title = f"{count:,} clients, {rate:g} changes a second, {told:.1f} told of each"
    show(title, {"Strike": found, "plain aiohttp, WebSockets": limit}, seconds)


if __name__ == "__main__":
    main()
