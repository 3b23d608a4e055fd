"""Two API nodes on one database behind a balancer that sends each connection to another one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from strike_adapters.embedded import embedded_postgres
from strike_app.bootstrap import Strike, open_strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID, Outside, seed
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain.actors import Actor, Role, Scope, Side
from tests.balancer import Balancer, balanced
from tests.integration.stored import Running, eventually, rows
from tests.integration.streamed import CHANGES, Stream

ADMIN = Actor(name="user:admin", tenant_id=NOC_ID, side=Side.NOC, role=Role.ADMIN)

ORDER = {
    "ospId": str(CONTRACTORS[0].id),
    "location": {"type": "Point", "coordinates": [-105.27, 40.01]},
    "jobType": "FNOL",
    "description": "Cable cut",
}
CREATE = """
mutation ($input: CreateEcoInput!) {
  createEco(input: $input) { ... on EcoChanged { position eco { id } } ... on Problem { code } }
}
"""
NOTE = """
mutation ($id: UUID!, $text: String!, $key: String) {
  addNote(ecoId: $id, text: $text, idempotencyKey: $key) {
    ... on EcoChanged { position } ... on Problem { code }
  }
}
"""
ONE = "query ($id: UUID!, $p: Position) { eco(id: $id, waitFor: $p) { id } }"
TIMELINE = "query ($id: UUID!, $p: Position) { ecoTimeline(ecoId: $id, waitFor: $p) { line } }"

DRAIN_SECONDS = 4.0

NO_TLS = ssl.create_default_context()
"""Not used by anybody. Each client would make one of its own, which takes longer than to ask."""


@dataclass
class Node:
    """One `strike serve`, which may be about to start."""

    process: subprocess.Popen[bytes]
    told: Path

    @property
    def url(self) -> str:
        eventually(self.told.exists, 60)
        return str(json.loads(self.told.read_text())["url"])


@contextmanager
def node(folder: Path, name: str, env: dict[str, str]) -> Iterator[Node]:
    told = folder / f"{name}.json"
    command = [sys.executable, "-m", "strike_app", "serve", "--no-followers"]
    environment = {**os.environ, **env}
    with subprocess.Popen([*command, "--ready-file", str(told)], env=environment) as process:
        try:
            yield Node(process, told)
        finally:
            process.kill()


@dataclass
class Nodes:
    """Two `strike serve`, and a third one that may be ended."""

    strike: Strike
    headers: dict[str, str]
    urls: list[str]
    third: Node

    def ask(self, url: str, query: str, **variables: Any) -> dict[str, Any]:
        """The one answer of a document, by a connection of its own."""
        body = {"query": query, "variables": variables}
        answer = httpx.post(
            f"{url}/graphql", json=body, headers=self.headers, timeout=30, verify=NO_TLS
        )
        told = answer.json()
        assert answer.status_code == 200, told
        assert "errors" not in told, told
        (found,) = told["data"].values()
        return dict(found) if isinstance(found, dict) else {"rows": found}

    def create(self, url: str, **more: str) -> dict[str, Any]:
        return self.ask(url, CREATE, input=ORDER | more)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    with ExitStack() as stack:
        server = stack.enter_context(embedded_postgres(folder / "data"))
        server.ensure_database("strike")
        url, key = server.url("strike"), folder / "key"
        settings = Settings(database_url=url, secrets_key_file=key)
        strike = stack.enter_context(open_strike(settings))
        env = {
            "STRIKE_DATABASE_URL": url,
            "STRIKE_SECRETS_KEY_FILE": str(key),
            "STRIKE_OIDC_SIGNER": "arn:of-nobody",
            "STRIKE_PORT": "0",
            "STRIKE_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "STRIKE_RATE_PER_USER": "1000000/minute",
            "STRIKE_RATE_PER_TENANT": "1000000/minute",
        }
        # To start takes each of them seconds: they do it side by side, and beside what follows.
        names = ("first", "second", "third")
        first, second, third = (stack.enter_context(node(folder, one, env)) for one in names)
        outside = Outside("http://render.invalid", f"AC{7:032d}", "token", "strike", "secret")
        seed(strike.directory, strike.accounts, outside)
        secret, scopes = new_secret(), frozenset({Scope.CALLOUT, Scope.READ})
        strike.administration().create_token("t", Role.OPERATOR, scopes, 1, secret, ADMIN)
        headers = {"Authorization": f"Bearer {secret.get_secret_value()}"}
        stack.enter_context(Running(*strike.followers()))
        yield Nodes(strike, headers, [first.url, second.url], third)


@pytest.fixture
def balancer(nodes: Nodes) -> Iterator[Balancer]:
    with balanced([port_of(url) for url in nodes.urls]) as found:
        yield found


def port_of(url: str) -> int:
    return httpx.URL(url).port or 0


def test_what_one_node_has_written_the_other_one_reads(nodes: Nodes, balancer: Balancer) -> None:
    first, second = nodes.urls
    for here, there in ((first, second), (second, first)):
        created = nodes.create(here)
        found = nodes.ask(there, ONE, id=created["eco"]["id"], p=created["position"])
        assert found["id"] == created["eco"]["id"]
    either = f"http://127.0.0.1:{balancer.port}"
    for _ in range(6):
        created = nodes.create(either)
        assert nodes.ask(either, ONE, id=created["eco"]["id"], p=created["position"])


def test_a_command_that_comes_to_both_is_done_once(nodes: Nodes) -> None:
    with ThreadPoolExecutor(8) as many:
        asked = [
            many.submit(nodes.create, url, clientReference="the same") for url in nodes.urls * 4
        ]
        created = [one.result() for one in asked]
        (eco_id,) = {one["eco"]["id"] for one in created}
        noted = [
            many.submit(nodes.ask, url, NOTE, id=eco_id, text="once", key="k") for url in nodes.urls
        ]
        position = max(one.result()["position"] for one in noted)
    told = nodes.ask(nodes.urls[0], TIMELINE, id=eco_id, p=position)["rows"]
    assert sum("once" in one["line"] for one in told) == 1


async def test_a_stream_goes_on_at_the_other_node_with_nothing_missed_or_repeated(
    nodes: Nodes,
) -> None:
    eco_id = nodes.create(nodes.urls[0])["eco"]["id"]
    start = nodes.ask(nodes.urls[0], NOTE, id=eco_id, text="start")["position"]
    stop = threading.Event()

    def write() -> int:
        last = 0
        for number in range(40):
            url = nodes.urls[number % 2]
            last = nodes.ask(url, NOTE, id=eco_id, text=f"{number}")["position"]
        stop.set()
        return last

    writing = asyncio.create_task(asyncio.to_thread(write))
    seen: list[int] = []
    last_id, turn = str(start), 0
    async with aiohttp.ClientSession() as session:
        while not (writing.done() and seen and seen[-1] >= writing.result()):
            turn += 1
            url = nodes.urls[turn % 2]
            headers = {**nodes.headers, "Accept": "text/event-stream", "Last-Event-ID": last_id}
            body = {"query": CHANGES}
            async with session.post(f"{url}/graphql", json=body, headers=headers) as response:
                stream = Stream(response)
                for _ in range(3):
                    seen.append((await stream.change())["position"])
                    if writing.done() and seen[-1] >= writing.result():
                        break
                assert stream.last_id is not None
                last_id = stream.last_id
    lines = "SELECT position FROM eco_timeline WHERE position > %s ORDER BY position"
    wanted = [one["position"] for one in rows(nodes.strike.url, lines, start)]
    assert seen == wanted[: len(seen)]
    assert len(seen) >= 40
    assert turn > 10


def test_a_node_that_ends_says_so_first_and_no_request_is_cut(nodes: Nodes) -> None:
    failed: list[str] = []
    done = {"before": 0, "after": 0}
    phase, end = ["before"], threading.Event()

    def go_on_asking(url: str) -> None:
        while not end.is_set():
            now = phase[0]
            try:
                created = nodes.create(url)
                nodes.ask(url, ONE, id=created["eco"]["id"], p=created["position"])
                done[now] += 1
            except (httpx.HTTPError, AssertionError) as error:
                failed.append(repr(error))

    process, third = nodes.third.process, nodes.third.url
    other, there = nodes.urls[0], port_of(third)
    with balanced([there, port_of(other)]) as balancer, ThreadPoolExecutor(4) as many:
        eventually(lambda: balancer.is_ready(there) and balancer.is_ready(port_of(other)))
        url = f"http://127.0.0.1:{balancer.port}"
        try:
            for _ in range(4):
                many.submit(go_on_asking, url)
            eventually(lambda: done["before"] >= 8)
            process.send_signal(signal.SIGTERM)
            stopping = eventually(lambda: not_ready(third))
            assert stopping is not None
            assert stopping["reasons"] == ["the process is stopping"]
            assert nodes.create(third)["eco"]["id"]  # It still takes what comes.
            assert process.wait(30) == 0
            phase[0] = "after"
            eventually(lambda: done["after"] >= 8)
        finally:
            end.set()
    assert failed == []


def not_ready(url: str) -> dict[str, Any] | None:
    answer = httpx.get(f"{url}/readyz", verify=NO_TLS)
    return dict(answer.json()) if answer.status_code == 503 else None
