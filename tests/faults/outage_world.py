"""The world that outages happen to: its own database server, the mock, two of each of Strike's."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.registry import PostgresRegistry
from strike_adapters.secrets import SecretBox, load_or_create_key
from strike_app.admin.desk import admin_of
from strike_app.demo.children import Child, ChildFailed
from strike_app.demo.outside import new_credentials
from strike_app.demo.seed import NOC_ID, NOCS
from strike_app.demo.world import _env, _mock, _seed
from strike_app.tokens import new_secret
from strike_domain import Link, LinkStatus, PagingPolicy, Role, Side, SystemClock, Tenant
from strike_domain.actors import Scope
from strike_domain.administration import Administration
from strike_mock.scenarios import Crew, load
from tests.faults.network import Network
from tests.faults.outage_writer import NOC_ID as WRITERS_NOC_ID
from tests.faults.outage_writer import QUIET_OSP

SCENARIO = "second-accepts"

SPEED = 6.0
"""Simulated seconds in a real one. A request takes real time: faster, slow ones would look lost."""

KINDS = ("server", "follower", "worker", "writer")

EACH = 2
"""Processes of each kind."""

START_SECONDS = 300.0
"""In which a process must be at work, also where it had to be started again."""

SETTINGS = {
    "STRIKE_LEASE_SECONDS": "5",
    "STRIKE_RATE_PER_USER": "1000000/minute",
    "STRIKE_RATE_PER_TENANT": "1000000/minute",
}


@dataclass(frozen=True)
class World:
    """Where everything is. `children` by name: "server-1", "writer-2" and so on."""

    folder: Path
    database: EmbeddedServer
    url: str
    mock_url: str
    servers: dict[str, str]
    token: SecretStr
    children: dict[str, Child]
    network: Network | None = None

    def of(self, kind: str) -> list[Child]:
        return [child for name, child in self.children.items() if name.startswith(kind)]

    def notes(self) -> list[Path]:
        return sorted(self.folder.glob("*.notes"))

    def stop(self, kind: str) -> None:
        for child in self.of(kind):
            child.stop()

    def supervise(self) -> None:
        """Start again what has ended by itself, as it does when it starts without a database."""
        for child in self.children.values():
            try:
                child.check()
            except ChildFailed:
                child.kill()
                child.start()

    def wait_ready(self, *names: str) -> None:
        """Until one of these is at work; without names, until all are."""
        end = time.monotonic() + START_SECONDS
        many = any if names else all
        while not many(self.children[name].is_ready for name in names or self.children):
            assert time.monotonic() < end, f"Not ready in {START_SECONDS:g} s: {names}"
            self.supervise()
            time.sleep(0.05)

    def restart_database(self, how: signal.Signals, pause: float) -> tuple[float, float]:
        """End the database without a farewell and start it on the same data after `pause` seconds.

        When the signal went out, and when the old server was gone. SIGQUIT is what
        `pg_ctl -m immediate stop` sends; after SIGKILL its backends find that they are alone, and
        the new server waits for the last of them.
        """
        pid, sent = _postmaster(self.folder), time.monotonic()
        os.kill(pid, how)
        while _is_alive(pid):
            time.sleep(0.002)
        gone = time.monotonic()
        time.sleep(pause)
        with embedded_postgres(self.folder) as again:
            assert again.url("strike") == self.url
        return sent, gone


def _postmaster(folder: Path) -> int:
    file = folder / "postgresql" / "cluster" / "postmaster.pid"
    return int(file.read_text().splitlines()[0])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def outage_world(
    network: Network | None = None,
    sources: Mapping[int, Path] | None = None,
    each: int = EACH,
) -> Iterator[World]:
    """Start everything; at the end stop what is left of it, and remove its files.

    With a `network` Strike's processes reach the database, Twilio and Render by its links, and are
    reached by them. `sources`: where the code of the processes of a number is, if not here. `each`:
    processes of each kind. With STRIKE_OUTAGE_LOGS set to a folder, logs and notes are kept there.
    """
    folder = Path(tempfile.mkdtemp(prefix="strike-outages-"))
    try:
        with ExitStack() as stack:
            yield _open(stack, folder, network, sources or {}, each)
        assert (left := processes_of(folder)) == [], left
    finally:
        if logs := os.environ.get("STRIKE_OUTAGE_LOGS"):
            for file in (*folder.glob("*.log"), *folder.glob("*.notes")):
                shutil.copy(file, logs)
        shutil.rmtree(folder, ignore_errors=True)


def _open(
    stack: ExitStack,
    folder: Path,
    network: Network | None,
    sources: Mapping[int, Path],
    each: int,
) -> World:
    scenario, epoch, outside = load(SCENARIO), datetime.now(UTC), new_credentials()
    database = stack.enter_context(embedded_postgres(folder))
    database.ensure_database("strike")
    url = database.url("strike")
    prepare(url)
    mock = _mock(folder, scenario.name, SPEED, epoch, outside)
    _start(stack, mock)
    facts = mock.wait_ready()
    # In this story the crew waits: what it does while followers lie would end paging, rightly.
    whole = {"scenario": scenario.model_copy(update={"crew": Crew()}).model_dump(mode="json")}
    httpx.post(f"{facts['url']}/_mock/scenario", json=whole).raise_for_status()
    key_file = folder / "secrets.key"
    _seed(url, key_file, replace(outside, mock_url=facts["url"]), scenario)
    token = _settle_in(url, key_file)
    seen_url, seen_mock = (url, facts["url"]) if network is None else _linked(network, url, facts)
    children, servers = {"mock": mock}, {}
    for number in range(1, each + 1):
        env = _env(seen_url, key_file, facts, SPEED, epoch) | SETTINGS
        env["STRIKE_TWILIO_BASE_URL"] = seen_mock
        if source := sources.get(number):
            env |= {"PYTHONPATH": str(source), "PYTHONSAFEPATH": "1"}
        servers[f"server-{number}"] = here = env["STRIKE_PUBLIC_URL"]
        # Twilio calls one address, as it would behind a load balancer that knows of no outage.
        public = {"STRIKE_PUBLIC_URL": _public(network, servers["server-1"])}
        port = {"STRIKE_PORT": here.rpartition(":")[2]}
        for kind, command in (
            ("server", ["strike_app", "serve", "--no-followers"]),
            ("follower", ["strike_app", "follow"]),
            ("worker", ["strike_app", "work"]),
            ("writer", ["tests.faults.outage_writer", str(folder / f"writer-{number}.notes")]),
        ):
            name = f"{kind}-{number}"
            more = [name] if kind == "writer" else []
            children[name] = Child(name, [*command, *more], folder, env | public | port)
            _start(stack, children[name])
    for child in children.values():
        child.wait_ready()
    return World(folder, database, url, facts["url"], servers, token, children, network)


def _linked(network: Network, url: str, facts: dict[str, str]) -> tuple[str, str]:
    """Where database and mock are for Strike's processes."""
    parts = conninfo_to_dict(url)
    socket = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
    database = network.to_socket("database", socket)
    outside = network.to_port("outside", urlsplit(facts["url"]).port or 0)
    user, name = parts["user"], parts["dbname"]
    return f"postgresql://{user}@127.0.0.1:{database}/{name}", f"http://127.0.0.1:{outside}"


def _public(network: Network | None, url: str) -> str:
    """Where Twilio finds the server."""
    if network is None:
        return url
    if "webhooks" not in network.links:
        network.to_port("webhooks", urlsplit(url).port or 0)
    return f"http://127.0.0.1:{network.links['webhooks'].port}"


def _start(stack: ExitStack, child: Child) -> None:
    stack.callback(child.stop)
    child.start()


def _settle_in(url: str, key_file: Path) -> SecretStr:
    """The quiet contractor, the writers' link to it, and a token for the clients."""
    secret = new_secret()
    with open_pool(url) as pool:
        save_tenant(pool, Tenant(id=QUIET_OSP, name="Quiet Splicing", side=Side.OSP))
        link = Link(
            noc_id=WRITERS_NOC_ID,
            osp_id=QUIET_OSP,
            status=LinkStatus.ACTIVE,
            paging_policy=PagingPolicy.MANUAL,
        )
        save_link(pool, link)
        registry = PostgresRegistry(pool, SecretBox(load_or_create_key(key_file)))
        noc = Tenant(id=NOC_ID, name=NOCS[0], side=Side.NOC)
        scopes = frozenset({Scope.READ, Scope.CALLOUT})
        desk = Administration(registry, SystemClock())
        desk.create_token("outages", Role.OPERATOR, scopes, 90, secret, admin_of(noc))
    return secret


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that were started with something in `folder`."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit() and int(one.name) != os.getpid():
            try:
                command = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


class LogReader(threading.Thread):
    """Follows the log as any follower does, by the ids that come after the last that it has seen.

    The database may go away: then it goes on where it was.
    """

    def __init__(self, url: str) -> None:
        super().__init__(name="reader")
        self.seen: list[int] = []
        self._url, self._ending = url, threading.Event()

    def run(self) -> None:
        while True:
            is_last = self._ending.is_set()
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    is_last = self._follow(connection)
            except psycopg.OperationalError:
                self._ending.wait(0.1)
                continue
            if is_last:
                return

    def _follow(self, connection: psycopg.Connection) -> bool:
        query = (
            "SELECT notification_id FROM strike_events WHERE notification_id > %s "
            "ORDER BY notification_id LIMIT 500"
        )
        while True:
            is_last = self._ending.is_set()
            last = self.seen[-1] if self.seen else 0
            found = connection.execute(query, (last,)).fetchall()
            self.seen += [row[0] for row in found]
            if is_last and not found:
                return True
            if not found:
                self._ending.wait(0.02)

    def end(self) -> list[int]:
        """Read on to the end of the log; all ids that were seen."""
        self._ending.set()
        self.join()
        return self.seen
