"""The life of one server: claimed, joined, started, stopped by the last."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from strike_adapters.embedded.accounts import Account, choose_account
from strike_adapters.embedded.errors import EmbeddedPostgresError, failure, one_tree
from strike_adapters.embedded.locks import (
    is_free,
    lock_alone,
    lock_shared,
    locked_alone,
    open_lock,
    unlock,
)
from strike_adapters.embedded.postmaster import Postmaster, postmaster_file, read_postmaster
from strike_adapters.embedded.programs import copy_data, create_data, spawn_server
from strike_adapters.embedded.server import EmbeddedServer
from strike_adapters.embedded.sockets import (
    SOCKET_NAME,
    accepts,
    discard_socket_folder,
    make_socket_folder,
)

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.005
_LOG_BYTES = 10_000_000


@dataclass(frozen=True)
class Cluster:
    """The files of one server under `directory`, and the steps of its life."""

    directory: Path

    @property
    def home(self) -> Path:
        """The one folder that we own; all else lies in it."""
        return self.directory / "postgresql"

    @property
    def data(self) -> Path:
        """What initdb makes."""
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        """What the server says; begun anew at a start once it has reached 10 MB."""
        return self.home / "server.log"

    def claim_home(self) -> None:
        """Make `home`, open to us alone. Raises EmbeddedPostgresError if it is another user's."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.home.stat()
        if status.st_uid != os.geteuid():
            raise EmbeddedPostgresError(
                f"{self.home} belongs to another user (uid {status.st_uid}).",
                "Run as that user, or set STRIKE_DATA_DIR to a folder of yours.",
            )
        if status.st_mode & 0o077:
            self.home.chmod(0o700)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Count as a user within the block; stop the server after it if we were the last."""
        entrant = os.getpid()
        with one_tree(self.home):
            users = open_lock(self.home / "users.lock")
        try:
            with one_tree(self.home):
                lock_shared(users)
            yield
        finally:
            # A forked child that unwinds through here shares its parent's lock: hands off.
            if os.getpid() == entrant:
                self._leave(users)
            os.close(users)

    def join(self) -> EmbeddedServer:
        """The server, ready for connections; started if it was not running."""
        deadline = time.monotonic() + _START_SECONDS
        launched = False
        with self._changing():
            while (server := self._answering()) is None:
                if self._is_down():
                    if launched:
                        raise self._failure("PostgreSQL ended while starting.")
                    self._launch()
                    launched = True
                self._pause(deadline, "PostgreSQL is not ready yet, and we wait no longer.")
        return server

    def _leave(self, users: int) -> None:
        with one_tree(self.home), self._changing():
            try:
                if lock_alone(users):
                    self._stop()
            finally:
                unlock(users)

    def _stop(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        told: Postmaster | None = None
        while not self._is_down():
            if told is None and (told := read_postmaster(self.data)) and not told.interrupt():
                return
            self._pause(deadline, "PostgreSQL has not stopped yet, and we wait no longer.")
        if told is not None:
            discard_socket_folder(told.socket_folder)

    def _answering(self) -> EmbeddedServer | None:
        found = read_postmaster(self.data)
        if found is None or not found.ready or not accepts(found.socket_folder):
            return None
        return EmbeddedServer(self.directory, found.pid, found.socket_folder)

    def _launch(self) -> None:
        account = choose_account(self.home, self.data)
        lock = open_lock(self._server_lock)
        try:
            if not lock_alone(lock):
                return
            if not self.data.exists():
                self._create(account, lock)
            self._clear_traces()
            socket_folder = make_socket_folder(self.home)
            spawn_server(account.prefix, self.data, socket_folder, self.log, lock)
        finally:
            os.close(lock)

    def _create(self, account: Account, lock: int) -> None:
        draft = self.home / "cluster.unfinished"
        shutil.rmtree(draft, ignore_errors=True)
        self._fill(account, draft, lock)
        draft.rename(self.data)
        _make_durable(self.home)

    def _fill(self, account: Account, draft: Path, lock: int) -> None:
        create_data(account.prefix, draft, lock)

    def _clear_traces(self) -> None:
        # Nobody holds server.lock, so these are left from a killed server. PostgreSQL would take
        # them for a live one if another process has got its number since.
        killed = read_postmaster(self.data)
        if killed is not None:
            discard_socket_folder(killed.socket_folder)
        socket_path = self.home / SOCKET_NAME
        for trace in (postmaster_file(self.data), socket_path, Path(f"{socket_path}.lock")):
            trace.unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.home / "server.log.1")

    @property
    def _server_lock(self) -> Path:
        return self.home / "server.lock"

    def _is_down(self) -> bool:
        return is_free(self._server_lock)

    def _changing(self) -> AbstractContextManager[None]:
        return locked_alone(self.home / "change.lock")

    def _pause(self, deadline: float, cause: str) -> None:
        if time.monotonic() > deadline:
            raise self._failure(cause)
        time.sleep(_POLL_SECONDS)

    def _failure(self, cause: str) -> EmbeddedPostgresError:
        words = self.log.read_text(errors="replace") if self.log.exists() else ""
        return failure(cause, "\n".join(words.splitlines()[-15:]))


@dataclass(frozen=True)
class StandbyCluster(Cluster):
    """A server that begins as a copy of `primary` and follows it."""

    primary: EmbeddedServer

    def _fill(self, account: Account, draft: Path, lock: int) -> None:
        copy_data(account.prefix, draft, self.primary.socket_directory, lock)


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
