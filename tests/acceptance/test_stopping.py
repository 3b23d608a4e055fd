"""A stop in good order, as whoever runs Strike causes it: SIGTERM to a program under way.

No request is cut and no call is lost; and what must not be so in production is no start at all.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from strike_adapters.embedded import embedded_postgres
from strike_app.bootstrap import Strike, open_strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID, Outside, seed
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain.actors import Actor, Role, Scope, Side
from strike_domain.callouts import EcoOrder
from strike_domain.events import CallPlaced
from tests.integration.nats_server import free_port
from tests.integration.stored import eventually, rows

ADMIN = Actor(name="user:admin", tenant_id=NOC_ID, side=Side.NOC, role=Role.ADMIN)
PLACE = {"type": "Point", "coordinates": [-105.27, 40.01]}
SID = f"CA{7:032d}"

CREATE = """
mutation Create($input: CreateEcoInput!) {
  createEco(input: $input) { __typename ... on EcoChanged { eco { id } } }
}
"""
WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'strike_events'::regclass"

INPUT = {
    "ospId": str(CONTRACTORS[0].id),
    "location": PLACE,
    "jobType": "FNOL",
    "description": "Cable cut",
}


@dataclass
class World:
    """A database with the demo's companies, and what a process needs to work on it."""

    strike: Strike
    url: str
    env: dict[str, str]
    folder: Path

    @contextmanager
    def process(self, *words: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
        """`strike WORDS`, with what it tells about itself once it is ready."""
        ready = self.folder / f"{words[0]}.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "strike_app", *words, "--ready-file", str(ready)]
        with subprocess.Popen(command, env={**os.environ, **self.env, **env}) as process:
            try:
                eventually(ready.exists, 60)
                yield process, json.loads(ready.read_text())
            finally:
                process.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stopping")
    with embedded_postgres(folder / "data") as server:
        server.ensure_database("strike")
        url, key = server.url("strike"), folder / "key"
        with open_strike(Settings(database_url=url, secrets_key_file=key)) as strike:
            outside = Outside("http://render.invalid", f"AC{7:032d}", "token", "strike", "secret")
            seed(strike.directory, strike.accounts, outside)
            env = {
                "STRIKE_DATABASE_URL": url,
                "STRIKE_SECRETS_KEY_FILE": str(key),
                "STRIKE_OIDC_SIGNER": "arn:of-nobody",
                "STRIKE_PORT": "0",
            }
            yield World(strike, url, env, folder)


def test_no_request_is_cut_and_new_ones_are_answered_until_the_balancer_has_noticed(
    world: World,
) -> None:
    secret = new_secret()
    scopes = frozenset({Scope.CALLOUT, Scope.READ})
    world.strike.administration().create_token("t", Role.OPERATOR, scopes, 1, secret, ADMIN)
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"}

    def post(query: str, **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return httpx.post(f"{url}/graphql", json=body, headers=headers, timeout=30)

    serving = world.process("serve", "--no-followers", STRIKE_DRAIN_SECONDS="2")
    with (
        serving as (process, facts),
        psycopg.connect(world.url) as lock,
        ThreadPoolExecutor(1) as others,
    ):
        url = facts["url"]
        told = eventually(lambda: ready(url)["dependencies"]["changes"] == "ok" and ready(url))
        assert (told["ready"], told["dependencies"]["database"]) == (True, "ok")
        lock.execute("LOCK TABLE strike_events IN EXCLUSIVE MODE")
        order = others.submit(post, CREATE, input=INPUT)
        waiting = (
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'strike_events'::regclass"
        )
        eventually(lambda: rows(world.url, waiting))
        process.send_signal(signal.SIGTERM)
        told = eventually(lambda: ready(url)["stopping"] and ready(url))
        assert (told["ready"], told["reasons"]) == (False, ["the process is stopping"])
        assert post("{ me { id } }").status_code == 200
        eventually(lambda: is_closed(url))
        # A slow database, seen from the request: whoever gives up soon would cut it off.
        lock.execute("SELECT pg_sleep(1)")
        assert not order.done()
        lock.rollback()
        answer = order.result(20)
        assert answer.json()["data"]["createEco"]["__typename"] == "EcoChanged"
        assert process.wait(20) == 0


def ready(url: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/readyz")
    body: dict[str, Any] = answer.json()
    assert answer.status_code == (200 if body["ready"] else 503)
    return body


def is_closed(url: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), 5):
            return False
    except ConnectionRefusedError:
        return True


@dataclass
class SlowTwilio:
    """Takes an order for a call and answers when it is let."""

    url: str = ""
    orders: list[str] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def twilio() -> Iterator[SlowTwilio]:
    slow = SlowTwilio()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            slow.orders.append(self.path)
            slow.came.set()
            assert slow.may_answer.wait(20)
            body = json.dumps({"sid": SID, "status": "queued"}).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest would show it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        slow.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield slow
        slow.may_answer.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def rung(world: World) -> Any:
    """An ECO whose first person is to be rung, in the workers' table; the run's id."""
    stop = threading.Event()
    followers = [
        threading.Thread(target=one.run, args=(stop,))
        for one in world.strike.followers(("pager_process_state",))
    ]
    for one in followers:
        one.start()
    order = EcoOrder(osp_id=CONTRACTORS[0].id, location=PLACE, job_type="FNOL", description="Cut")
    eco = world.strike.callouts().create_eco(order, ADMIN).aggregate
    run_id = world.strike.paging().dispatch(eco.id, ADMIN).aggregate.latest_run_id
    row = "SELECT 1 FROM pager_process_state WHERE run_id = %s"
    eventually(lambda: rows(world.url, row, run_id))
    stop.set()
    for one in followers:
        one.join()
    return run_id


def test_a_call_that_was_asked_for_is_recorded_before_the_worker_ends(
    world: World, twilio: SlowTwilio, rung: Any
) -> None:
    port = free_port()
    working = world.process(
        "work", STRIKE_TWILIO_BASE_URL=twilio.url, STRIKE_METRICS_PORT=str(port)
    )
    with working as (process, _):
        url = f"http://127.0.0.1:{port}"
        assert twilio.came.wait(30)
        assert ready(url)["ready"] is True
        process.send_signal(signal.SIGTERM)
        eventually(lambda: ready(url)["stopping"])
        twilio.may_answer.set()
        assert process.wait(20) == 0
    events: list[Any] = list(world.strike.log.events.get(rung))
    assert [one.sid for one in events if isinstance(one, CallPlaced)] == [SID]
    assert len(twilio.orders) == 1


@pytest.mark.parametrize("command", ["serve", "work", "follow"])
def test_what_is_unsafe_does_not_start_in_production(world: World, command: str) -> None:
    env = {"STRIKE_ENVIRONMENT": "production", "STRIKE_PUBLIC_URL": "http://strike.example"}
    done = subprocess.run(
        [sys.executable, "-m", "strike_app", command],
        env={**os.environ, **world.env, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("strike: STRIKE_PUBLIC_URL is http://strike.example/: ")
    assert "(PUBLIC_URL_NOT_HTTPS)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_superuser_of_the_database_does_not_start_in_production_unless_that_is_accepted(
    world: World,
) -> None:
    env = {"STRIKE_ENVIRONMENT": "production", "STRIKE_PUBLIC_URL": "https://strike.example"}
    done = subprocess.run(
        [sys.executable, "-m", "strike_app", "work"],
        env={**os.environ, **world.env, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "(DATABASE_SUPERUSER)" in done.stderr
    with world.process("work", **env, STRIKE_ACCEPTED_RISKS="DATABASE_SUPERUSER") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
