"""The demo's world: database, mock, server, follower and worker, each a process of its own."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.prepare import prepare
from strike_adapters.secrets import SecretBox, load_or_create_key
from strike_app.demo.children import Child
from strike_app.demo.outside import mock_settings, new_credentials, write_settings
from strike_app.demo.seed import Outside, seed, set_stage
from strike_mock.scenarios import Scenario

Say = Callable[[str], None]


@dataclass(frozen=True)
class World:
    """Where everything is, and the processes by name."""

    database_url: str
    mock_url: str
    gateway_url: str
    strike_url: str
    children: dict[str, Child]
    speed: float
    epoch: datetime
    stage: Callable[[Scenario], None]
    """Prepare Strike and the mock for another scenario; stories that go on keep the old one."""

    def check(self) -> None:
        """Raise `ChildFailed` if a process has ended that should be there."""
        for child in self.children.values():
            child.check()


@contextmanager
def open_world(
    scenario: Scenario,
    speed: float,
    say: Say = lambda _: None,
    more_env: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """Start everything; at the end stop it all and drop the demo's database.

    `speed` is how many simulated seconds pass in one real second; `more_env` are further settings
    of the processes. Raises `ChildFailed`.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strike-demo-")))
        epoch = datetime.now(UTC)
        outside = new_credentials()
        mock = _mock(folder, scenario.name, speed, epoch, outside)
        _start(stack, mock, say, "Mock of Twilio, Render and the login gateway")
        say("PostgreSQL")
        url = stack.enter_context(_fresh_database())
        prepare(url)
        facts = mock.wait_ready()
        key_file = folder / "secrets.key"
        outside = replace(outside, mock_url=facts["url"])
        _seed(url, key_file, outside, scenario)
        env = {**_env(url, key_file, facts, speed, epoch), **(more_env or {})}
        strike_url = env["STRIKE_PUBLIC_URL"]
        server = Child("server", ["strike_app", "serve", "--no-followers"], folder, env)
        follower = Child("follower", ["strike_app", "follow"], folder, env)
        worker = Child("worker", ["strike_app", "work"], folder, env)
        for child in (server, follower, worker):
            _start(stack, child, say, "Server, followers and workers")
        httpx.post(f"{facts['url']}/_mock/upstream", json={"url": strike_url}).raise_for_status()
        for child in (server, follower, worker):
            child.wait_ready()
        children = {child.name: child for child in (mock, server, follower, worker)}

        def stage(next_one: Scenario) -> None:
            _seed(url, key_file, outside, next_one)
            body = {"name": next_one.name}
            httpx.post(f"{facts['url']}/_mock/scenario", json=body).raise_for_status()

        yield World(
            url, facts["url"], facts["gateway_url"], strike_url, children, speed, epoch, stage
        )


def _mock(folder: Path, scenario: str, speed: float, epoch: datetime, outside: Outside) -> Child:
    pace = {"scenario": scenario, "speed": speed, "epoch": epoch.isoformat()}
    file = folder / "mock-settings.json"
    write_settings(file, {**pace, **mock_settings(outside)})
    return Child("mock", ["strike_mock", "--settings", str(file)], folder, {})


def _start(stack: ExitStack, child: Child, say: Say, what: str) -> None:
    say(what)
    stack.callback(child.stop)
    child.start()


@contextmanager
def _fresh_database() -> Iterator[str]:
    name = f"demo_{secrets.token_hex(6)}"
    with embedded_postgres() as postgres:
        postgres.ensure_database(name)
        try:
            yield postgres.url(name)
        finally:
            postgres.drop_database(name)


def _seed(url: str, key_file: Path, outside: Outside, scenario: Scenario) -> None:
    with open_pool(url) as pool:
        directory = PostgresDirectory(pool)
        accounts = PostgresAccounts(pool, SecretBox(load_or_create_key(key_file)))
        seed(directory, accounts, outside)
        set_stage(directory, accounts, outside, scenario.stakes)


def _free_port() -> int:
    """Known beforehand, so that the workers can start beside the server that Twilio calls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _env(
    url: str, key_file: Path, mock: dict[str, Any], speed: float, epoch: datetime
) -> dict[str, str]:
    port = _free_port()
    return {
        "STRIKE_DATABASE_URL": url,
        "STRIKE_PORT": str(port),
        "STRIKE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "STRIKE_SECRETS_KEY_FILE": str(key_file),
        "STRIKE_SECRETS_PREVIOUS_KEY_FILES": "",
        "STRIKE_SECRETS_KMS_KEY": "",
        "STRIKE_SECRETS_PREVIOUS_KMS_KEYS": "",
        "STRIKE_TWILIO_BASE_URL": mock["url"],
        "STRIKE_OIDC_SIGNER": mock["signer"],
        "STRIKE_OIDC_ISSUER": mock["issuer"],
        "STRIKE_OIDC_CLIENT": mock["client"],
        "STRIKE_OIDC_KEYS": mock["kid_endpoint"],
        "STRIKE_CLOCK_SPEED": str(speed),
        "STRIKE_CLOCK_EPOCH": epoch.isoformat(),
    }
