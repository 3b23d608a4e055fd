"""A real streaming replica of the tests' server: paused, cut off, stopped and started again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from strike_adapters.embedded import EmbeddedServer, embedded_standby
from tests.faults.network import Network
from tests.integration.stored import eventually


class Standby:
    """The replica, reached by a network of its own at `url(database)`."""

    def __init__(self, primary: EmbeddedServer, folder: Path, network: Network) -> None:
        self._primary, self._folder, self._network = primary, folder, network
        self._stack = ExitStack()
        self._server: EmbeddedServer | None = None
        self.start()
        assert self._server is not None
        socket = self._server.socket_directory / ".s.PGSQL.5432"
        self._port: int = network.to_socket("replica", str(socket))

    def start(self) -> None:
        standby = embedded_standby(self._primary, self._folder)
        self._server = self._stack.enter_context(standby)

    def stop(self) -> None:
        self._stack.close()

    def url(self, of: str) -> str:
        """Where the replica has the database of that URL."""
        return f"postgresql://postgres@127.0.0.1:{self._port}{urlsplit(of).path}"

    def hang(self) -> None:
        """From now on nothing comes through, and no connection breaks."""
        self._network.hold("replica")

    def go_on(self) -> None:
        self._network.release("replica")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile what comes from the primary is not applied: the replica stays as it is."""
        self._ask("SELECT pg_wal_replay_pause()")
        eventually(lambda: self._ask("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self._ask("SELECT pg_wal_replay_resume()")

    def _ask(self, query: str) -> Any:
        assert self._server is not None
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


@contextmanager
def standing_by(primary: EmbeddedServer) -> Iterator[Standby]:
    """A replica of that server. In a short path: its socket is to be where it was after a start."""
    folder, network = Path(tempfile.mkdtemp(prefix="strike-standby-")), Network()
    try:
        standby = Standby(primary, folder, network)
        try:
            yield standby
        finally:
            standby.go_on()
            standby.stop()
    finally:
        network.close()
        shutil.rmtree(folder)
