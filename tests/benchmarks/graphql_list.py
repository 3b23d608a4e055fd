"""How much does GraphQL cost? The list of 50 ECOs with 15 fields, beside the same rows as JSON.

`tox -e graphql` (or `python -m tests.benchmarks.graphql_list --rounds 7 --seconds 2`). An embedded
PostgreSQL, the server in a process of its own as `strike serve` runs it, asked over HTTP by eight
connections of this process. The limit is taken in the same run: an aiohttp handler of the same
server with the same statement, which writes the same columns by orjson, without login and with it.
All ways take turns in random order, and each is compared with the limit of its own round; what is
shown are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import psycopg
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.follower_states import position_of
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.people import (
    save_link,
    save_membership,
    save_tenant,
    save_user,
)
from strike_adapters.postgres.prepare import prepare
from strike_domain.actors import Role
from strike_mock.clock import VirtualClock
from strike_mock.identity import IdentitySigner
from strike_mock.settings import Person
from tests.benchmarks.graphql_served import ROWS, SIGNER, Given, serve
from tests.benchmarks.rebuild import following
from tests.benchmarks.streams import write_log
from tests.integration.stored import LINKS, TENANTS
from tests.unit.given import NOC

ASKERS = 8
EMAIL = "nina@noc.example"

LIST = f"""
query List {{
  ecos(first: {ROWS}) {{
    edges {{
      node {{
        id jobNumber jobType status pagingState renderState priority stale description location
        responderName listName createdAt updatedAt position
      }}
    }}
  }}
}}
"""
ONE = """
query One($id: UUID!) {
  eco(id: $id) {
    id jobNumber status pagingState
    timeline { position at kind line actor }
    pagerRuns { id state listName calls { number contactName phone state outcome } }
  }
}
"""

LIMIT = "plain JSON, no login"

console = Console()


class Way(NamedTuple):
    name: str
    path: str
    query: str = ""


WAYS = (
    Way(LIMIT, "/plain"),
    Way("plain JSON with login", "/plain-with-login"),
    Way("login alone", "/login"),
    Way("list by graphql-core", "/core", LIST),
    Way("list compiled", "/graphql", LIST),
    Way("one ECO by graphql-core", "/core", ONE),
    Way("one ECO compiled", "/graphql", ONE),
)


class Figures(NamedTuple):
    """Of one round: requests a second, µs of the server's CPU for each, ms that one waited."""

    rate: float
    cpu: float
    waits: list[float]


class Server(NamedTuple):
    url: str
    pid: int
    headers: dict[str, str]
    eco_id: str


def fill(url: str, events: int) -> str:
    """Companies, somebody who logs in, and read models of so many events; an ECO with calls."""
    with open_pool(url) as pool:
        for tenant in TENANTS:
            save_tenant(pool, tenant)
        for link in LINKS:
            save_link(pool, link)
        save_membership(pool, save_user(pool, NOC, EMAIL, "Nina"), NOC, Role.OPERATOR)
    write_log(url, events)
    with psycopg.connect(url, autocommit=True) as connection:
        for view in VIEWS:
            with following(url, view.name):
                while position_of(connection, view.name) < events:
                    time.sleep(0.05)
        connection.execute("VACUUM ANALYZE")
        found = connection.execute(
            "SELECT r.eco_id FROM pager_run_views r JOIN pager_calls c USING (run_id)"
            " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchone()
    assert found is not None
    return str(found[0])


@contextmanager
def served(url: str, folder: Path, eco_id: str) -> Iterator[Server]:
    """The server in a process of its own."""
    signer = IdentitySigner(VirtualClock(), signer=SIGNER, issuer="iss", client="strike")
    here, there = multiprocessing.Pipe()
    given = Given(url, signer.public_key(UUID(signer.kid)) or "", folder / "key")
    child = multiprocessing.get_context("spawn").Process(target=serve, args=(given, there))
    child.start()
    there.close()
    try:
        port = here.recv()
        token = signer.sign(Person(sub=EMAIL, email=EMAIL, name="Nina"))
        headers = {"x-amzn-oidc-data": token, "X-Tenant-ID": str(NOC)}
        assert child.pid is not None
        yield Server(f"http://127.0.0.1:{port}", child.pid, headers, eco_id)
    finally:
        child.terminate()
        child.join()


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def ask(server: Server, way: Way, seconds: float) -> Figures:
    """Eight who ask again as soon as they are answered."""
    body = json.dumps({"query": way.query, "variables": {"id": server.eco_id}}).encode()
    headers = {**server.headers, "Content-Type": "application/json"}
    waits: list[float] = []

    async def one(session: aiohttp.ClientSession, until: float) -> None:
        answer = b""
        while (began := time.perf_counter()) < until:
            async with session.post(server.url + way.path, data=body) as response:
                answer = await response.read()
                assert response.status == 200, answer
            waits.append((time.perf_counter() - began) * 1e3)
        if way.query:
            assert "errors" not in json.loads(answer), answer

    async with aiohttp.ClientSession(headers=headers) as session:
        await one(session, time.perf_counter() + 0.1)
        waits.clear()
        worked, began = cpu_of(server.pid), time.perf_counter()
        await asyncio.gather(*(one(session, began + seconds) for _ in range(ASKERS)))
        took, worked = time.perf_counter() - began, cpu_of(server.pid) - worked
    return Figures(len(waits) / took, worked / len(waits) * 1e6, waits)


async def compare(server: Server, rounds: int, seconds: float) -> dict[Way, list[Figures]]:
    found: dict[Way, list[Figures]] = defaultdict(list)
    for _ in range(rounds):
        for way in random.sample(WAYS, len(WAYS)):
            found[way].append(await ask(server, way, seconds))
    return found


def show(found: dict[Way, list[Figures]]) -> None:
    table = Table(title=f"{ROWS} rows of 15 fields, {ASKERS} askers, medians of rounds")
    for heading in ("way", "requests/s", "of the limit", "CPU us", "of the limit", "p50 ms", "p99"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    limit = next(rounds for way, rounds in found.items() if way.name == LIMIT)
    for way in WAYS:
        table.add_row(*_row(way, found[way], limit))
    console.print(table)


def _row(way: Way, rounds: list[Figures], limit: list[Figures]) -> tuple[str, ...]:
    pairs = list(zip(rounds, limit, strict=True))
    waits = quantiles([one for each in rounds for one in each.waits], n=100)
    return (
        way.name,
        f"{median(one.rate for one in rounds):,.0f}",
        f"{median(one.rate / best.rate for one, best in pairs):.2f}",
        f"{median(one.cpu for one in rounds):,.0f}",
        f"{median(one.cpu / best.cpu for one, best in pairs):.2f}",
        f"{waits[49]:.1f}",
        f"{waits[98]:.1f}",
    )


def main() -> None:
    parser: Any = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=4_000, help="of the log that is read")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each way in each round")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres(Path(folder) / "data") as postgres,
    ):
        postgres.ensure_database("graphql")
        url = postgres.url("graphql")
        prepare(url)
        with served(url, Path(folder), fill(url, options.events)) as server:
            show(asyncio.run(compare(server, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
