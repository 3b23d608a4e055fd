"""The database ends without a farewell, and those who talk with it live on: what they know may be
more than what is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.fold import Fold, Read
from strike_adapters.postgres.followers import VIEWS, open_view
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.view import View
from strike_domain import StrikeLog
from tests.integration.stored import eventually, stored_night, table
from tests.unit.given import NOC, OPERATOR, OSP, START

ROUNDS = 4


class Server:
    """A database server of its own, ended by SIGKILL and started again on what is left."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        server = stack.enter_context(embedded_postgres(folder))
        server.ensure_database("strike")
        self.url = server.url("strike")
        prepare(self.url)

    def end_hard(self) -> None:
        file = self._folder / "postgresql" / "cluster" / "postmaster.pid"
        pid = int(file.read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.002)
        self._stack.enter_context(embedded_postgres(self._folder))

    def lose_a_backend(self) -> None:
        """The server lives on, without what was in its memory."""
        with psycopg.connect(self.url) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
        eventually(self._answers)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url) as connection:
            return connection.execute("SELECT true").fetchone() == (True,)
        return False


@contextmanager
def opened(folder: Path) -> Iterator[Server]:
    with ExitStack() as stack:
        yield Server(folder, stack)


@pytest.mark.slow
def test_a_job_number_is_given_once_also_by_a_server_that_comes_back(tmp_path: Path) -> None:
    """Who has taken the first may still be about to store it."""
    with opened(tmp_path) as server:
        with stored_night(server.url):
            pass
        given = []
        for _ in range(ROUNDS):
            with open_pool(server.url) as pool:
                directory = PostgresDirectory(pool)
                given += [directory.open_job(NOC, OSP, START).job_number for _ in range(3)]
                server.end_hard()
        assert len(set(given)) == 3 * ROUNDS, given


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "refused"),
    [(Server.end_hard, "another server"), (Server.lose_a_backend, "no longer")],
    ids=["server", "backend"],
)
def test_a_view_that_lived_through_it_skips_nothing(
    tmp_path: Path, end: Callable[[Server], None], refused: str
) -> None:
    """It may have been told of rows and positions that are gone.

    A server that is started anew is another one, to which it stores nothing more. One that has lost
    a backend is the same, and its memory is gone all the same.
    """
    with opened(tmp_path) as server, stored_night(server.url) as night, ExitStack() as stack:
        eco_id = night.order()
        env = store_env(server.url, pool_size=1)
        log = stack.enter_context(StrikeLog(env))

        def opened_anew() -> View:
            view = open_view(VIEWS[1], log, env)
            stack.enter_context(view.view.datastore)
            return view

        view, lost = opened_anew(), 0
        _take(view, log, 0)
        for number in range(ROUNDS):
            after = view.view.max_tracking_id("strike") or 0
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
            reached = _take(view, log, after)
            end(server)
            night.strike.callouts.add_note(eco_id, f"More {number}", OPERATOR)
            fresh = opened_anew()
            stored = fresh.view.max_tracking_id("strike") or 0
            lost += stored < reached
            if stored < reached or end is Server.end_hard:
                with pytest.raises(OperationalError, match=refused):
                    _take(view, log, reached)
            view = fresh
            _take(view, log, stored)
        lines = [row["position"] for row in table(server.url, "eco_timeline")]
        assert lines == [position for position, _ in night.strike.events()]
        assert lost, "Otherwise nothing is proved: a commit that waits for no disk gets lost."


def _take(view: object, log: StrikeLog, after: int) -> int:
    reads: list[Read] = [
        *Fold(log).read(log.recorder.select_notifications(after, 500, inclusive_of_start=False))
    ]
    view.process_batch(reads, after)  # type: ignore[attr-defined]
    return reads[-1].position
