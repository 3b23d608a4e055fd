"""The database ends without a farewell, and those who talk with it live on: what they know may be
more than what is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from eventsourcing.persistence import OperationalError

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.fold import Fold, Read
from strike_adapters.postgres.followers import VIEWS, open_view
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_domain import StrikeLog
from tests.integration.stored import stored_night, table
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
def test_a_view_that_lived_through_it_skips_nothing(tmp_path: Path) -> None:
    """It may have been told of rows and positions that are gone."""
    with opened(tmp_path) as server, stored_night(server.url) as night:
        eco_id = night.order()
        env = store_env(server.url, pool_size=1)
        with StrikeLog(env) as log:
            view = open_view(VIEWS[1], log, env)
            with view.view.datastore:
                _take(view, log, 0)
                lost = 0
                for number in range(ROUNDS):
                    after = view.view.max_tracking_id("strike") or 0
                    night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
                    reached = _take(view, log, after)
                    server.end_hard()
                    night.strike.callouts.add_note(eco_id, f"More {number}", OPERATOR)
                    is_lost = (view.view.max_tracking_id("strike") or 0) < reached
                    lost += is_lost
                    if is_lost:
                        with pytest.raises(OperationalError, match="no longer"):
                            _take(view, log, reached)
                    _take(view, log, view.view.max_tracking_id("strike") or 0)
        lines = [row["position"] for row in table(server.url, "eco_timeline")]
        assert lines == [position for position, _ in night.strike.events()]
        assert lost, "Otherwise nothing is proved: a commit that waits for no disk gets lost."


def _take(view: object, log: StrikeLog, after: int) -> int:
    reads: list[Read] = [
        *Fold(log).read(log.recorder.select_notifications(after, 500, inclusive_of_start=False))
    ]
    view.process_batch(reads, after)  # type: ignore[attr-defined]
    return reads[-1].position
