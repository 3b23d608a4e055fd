"""A server that writes and one that stands by, behind one address that leads to the first.

What Patroni does with its load balancer, as small as can be. There is no election: the test itself
says when the one that writes dies.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from strike_adapters.embedded import EmbeddedServer, embedded_standby
from strike_adapters.embedded.locks import is_free
from strike_adapters.embedded.sockets import SOCKET_NAME
from tests.faults.network import Network
from tests.integration.stored import eventually

LINK = "database"


@dataclass(frozen=True)
class Failover:
    """Monotonic times: the primary was killed, gone, the standby took writes under its address."""

    sent: float
    gone: float
    done: float


class Pair:
    """`network` has a link LINK, or gets one: the address of whichever server writes."""

    def __init__(self, primary: EmbeddedServer, network: Network) -> None:
        self.primary = primary
        self.standby: EmbeddedServer | None = None
        self._network, self._stack = network, ExitStack()
        if LINK not in network.links:
            network.to_socket(LINK, str(primary.socket_directory / SOCKET_NAME))

    def url(self, database: str = "strike") -> str:
        """The same before and after a failover."""
        port = self._network.links[LINK].port
        return f"postgresql://postgres@127.0.0.1:{port}/{database}"

    def stand_by(self, *, synchronous: bool = True) -> None:
        """A new standby of the one that writes. If synchronous, what is acknowledged is on both."""
        folder = Path(tempfile.mkdtemp(prefix="strike-standby-"))
        self._stack.callback(shutil.rmtree, folder)
        self.standby = self._stack.enter_context(embedded_standby(self.primary, folder))
        if synchronous:
            _ask(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
            _ask(self.primary, "SELECT pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        eventually(lambda: self._sender("sync_state") == wanted, 60)

    def wait_until_alike(self) -> None:
        """Until the standby shows all that was committed on the primary so far, durably or not."""
        written = _ask(self.primary, "SELECT pg_current_wal_insert_lsn()")
        shown = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        standby = self.standby
        assert standby is not None
        eventually(lambda: _ask(standby, shown))

    def hold(self) -> None:
        """Until a failover the standby gets nothing: what would send it stands still."""
        os.kill(self._sender("pid"), signal.SIGSTOP)

    def fail_over(self) -> Failover:
        """Kill the one that writes, all of it at once; the other one writes from now on.

        Until there is a new standby, what is acknowledged is on one server.
        """
        assert self.standby is not None
        sent = time.monotonic()
        _kill(self.primary)
        gone = time.monotonic()
        self.primary, self.standby = self.standby, None
        assert _ask(self.primary, "SELECT pg_promote(true, 60)") is True
        self._network.lead_to_socket(LINK, str(self.primary.socket_directory / SOCKET_NAME))
        return Failover(sent, gone, time.monotonic())

    def close(self) -> None:
        self._stack.close()

    def _sender(self, column: str) -> Any:
        return _ask(self.primary, f"SELECT max({column}) FROM pg_stat_replication")  # noqa: S608


@contextmanager
def pair_of(primary: EmbeddedServer, network: Network) -> Iterator[Pair]:
    pair = Pair(primary, network)
    try:
        yield pair
    finally:
        pair.close()


def _kill(server: EmbeddedServer) -> None:
    """As a machine dies: the first process and all that it has started, at once."""
    started = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in (server.pid, *map(int, started)):
        # Some of them, such as those that vacuum, end by themselves.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_free(server.directory / "postgresql" / "server.lock"), 60)


def _ask(server: EmbeddedServer, statement: str) -> Any:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
