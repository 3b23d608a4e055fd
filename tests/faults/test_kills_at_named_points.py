"""The worker is killed by SIGKILL between intent, request, answer and record; no page is lost.

PostgreSQL, the processes, HTTP and the mock's Twilio are real; time is moved by hand. The long
form, `tox -e kills`, kills 210 times: `STRIKE_KILLS=14 pytest tests/faults -k named`. With
`STRIKE_KILL_LEASE=9`, the default of a worker, it measures how long a dead one's work lies.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.pager_process_state import TABLE, row_of
from strike_adapters.postgres.views.rows import Upsert
from strike_adapters.postgres.views.view import DUE
from strike_domain import (
    Actor,
    CallReport,
    CallState,
    Contact,
    Eco,
    JobType,
    MemoryDirectory,
    PagerList,
    PagerRun,
    Paging,
    ProviderCallState,
    Role,
    Router,
    RunState,
    Side,
    Stamp,
    StrikeLog,
    parse_location,
)
from strike_mock.testing import ScriptedStrike
from tests.contracts.mocks import ThreadedMock, running_mock
from tests.contracts.stages import NOC, OSP
from tests.faults.dying import POINTS, START, SharedClock, work

ROUNDS = int(os.environ.get("STRIKE_KILLS", "1"))
"""How often the worker is killed at each point."""

LEASE = float(os.environ.get("STRIKE_KILL_LEASE", "2"))

TAKEOVER = 10.0
"""Seconds in which another worker must have taken over (specification, section 4)."""

PLACE = parse_location({"type": "Point", "coordinates": [-105.27, 40.01]})
PEOPLE = tuple(Contact(name=f"Tech {n}", phone=f"+1512555020{n}") for n in (7, 8))
OPERATOR = Actor(name="nina", tenant_id=NOC, side=Side.NOC, role=Role.OPERATOR)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.dying"])


class Stage:
    """One database, one provider, one clock, and workers that come and go."""

    def __init__(self, url: str, mock: ThreadedMock, log: StrikeLog) -> None:
        self.url, self.mock, self.log = url, mock, log
        self.offset = PROCESSES.Value("d", 0.0)
        self.clock = SharedClock(self.offset)
        directory = MemoryDirectory()
        people = PagerList(id=uuid4(), osp_id=OSP, name="nights", contacts=PEOPLE)
        directory.add(people)
        self.paging = Paging(log, Router(directory), directory, self.clock)
        self.workers: list[BaseProcess] = []
        self.lay_for: list[float] = []

    def start_worker(self, point: str = "", nth: int = 1) -> BaseProcess:
        words = (self.url, self.mock.url, self.offset, LEASE, point, nth)
        worker = PROCESSES.Process(target=work, args=words, daemon=True)
        worker.start()
        self.workers.append(worker)
        return worker

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.join()
        self.workers.clear()

    def dispatch(self) -> UUID:
        """A callout whose list is to be rung from now on."""
        cause = uuid4()
        stamp = Stamp(
            at=self.clock.now(), actor="t", tenant_id=NOC, correlation_id=cause, causation_id=cause
        )
        eco = Eco.create(
            uuid4(),
            stamp,
            noc_id=NOC,
            osp_id=OSP,
            location=PLACE,
            job_type=JobType.FNOL,
            description="A cut.",
            job_number="26-0001",
        )
        self.log.store(eco)
        dispatched = self.paging.dispatch(eco.id, OPERATOR).aggregate
        assert dispatched.latest_run_id is not None
        self._tell_workers(self.log.run(dispatched.latest_run_id))
        return dispatched.latest_run_id

    def _tell_workers(self, run: PagerRun) -> None:
        """What the follower of the workers' table does."""
        row = row_of(run)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(Upsert(TABLE, "run_id", row).statement(), row)
            connection.execute(f"NOTIFY {DUE}")

    def advance(self, seconds: float) -> None:
        self.mock.advance(seconds)
        with self.offset.get_lock():
            self.offset.value += seconds
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"NOTIFY {DUE}")

    def goes_on(self, run: PagerRun) -> None:
        """Nothing is due: the phone begins to ring, or time passes until the next deadline."""
        call = run.live_call
        if call is not None and call.state is CallState.PLACED:
            self.advance(1)  # The provider itself lets it ring for 35 s, and we for 30 from now.
            report = CallReport(run.id, call.id, str(call.sid), ProviderCallState.RINGING)
            self.paging.reported(report)
            self._tell_workers(self.log.run(run.id))
        elif run.due_at is not None:
            self.advance(max(0.0, self.clock.seconds_until(run.due_at)) + 0.001)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with embedded_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def stage(postgres: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[Stage]:
    postgres.ensure_database("kills")
    url = postgres.url("kills")
    prepare(url)
    with running_mock(courier=ScriptedStrike()) as mock, StrikeLog(store_env(url)) as log:
        assert mock.clock.now() == START
        stage = Stage(url, mock, log)
        yield stage
        stage.stop_workers()
        if times := stage.lay_for:
            said = f"work lay for {sum(times) / len(times):.1f} s, {max(times):.1f} s at the most"
            request.config.get_terminal_writer().line(f"\n{len(times)} kills: {said}")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_worker_killed_at_a_named_point_loses_no_page(
    stage: Stage, point: str, number: int
) -> None:
    run_id = stage.dispatch()
    # Every point is passed for each of two people; but the second intent goes with the first end.
    nth = 1 if "intent" in point else 1 + number % 2
    victim = stage.start_worker(point, nth)
    died_at = lay_for = 0.0
    before = 0
    end = time.monotonic() + 60
    while (run := stage.log.run(run_id)).state is RunState.RUNNING:
        assert time.monotonic() < end, f"It hangs: {run.calls}"
        if victim.exitcode is not None and not died_at:
            died_at = time.monotonic()
            before = run.version
            stage.start_worker()
        if died_at and not lay_for and run.version > before:
            lay_for = time.monotonic() - died_at
        is_due = run.due_at is not None and run.due_at <= stage.clock.now()
        is_at_rest = not _is_at_work(stage, run_id) and stage.log.run(run_id).version == run.version
        if is_due or not is_at_rest:
            time.sleep(0.01)
            continue
        stage.goes_on(run)
    victim.join(5)  # Where its last deed ended the run, nothing is left for anybody else.
    died_at = died_at or float(victim.exitcode is not None)
    stage.stop_workers()
    told = [(call.state, call.outcome, call.reason, call.attempt) for call in run.calls.values()]
    assert died_at, f"Nobody ever came to the point {point!r}: {told}"
    assert victim.exitcode == -9
    _assert_nobody_was_left_out(stage, run)
    assert lay_for <= TAKEOVER
    stage.lay_for.append(lay_for)


def _is_at_work(stage: Stage, run_id: UUID) -> bool:
    """Whether a worker that lives has the row, also on a machine so slow that its lease is over.

    Time must not pass meanwhile: a request under way would look like one that was lost.
    """
    query = f"SELECT claimed_by FROM {TABLE} WHERE run_id = %s AND claimed_by IS NOT NULL"  # noqa: S608
    with psycopg.connect(stage.url) as connection:
        row = connection.execute(query, (run_id,)).fetchone()
    pid = int(row[0].split(":")[1]) if row else 0
    return any(one.pid == pid and one.exitcode is None for one in stage.workers)


def _assert_nobody_was_left_out(stage: Stage, run: PagerRun) -> None:
    assert run.state is RunState.EXHAUSTED
    assert [call.contact for call in run.calls.values()] == list(PEOPLE)
    placed = stage.mock.do(lambda: list(stage.mock.mock.exchange.book.all()))
    ours = [call for call in placed if str(run.id) in str(call.request.url)]
    assert all(call.status.is_final for call in ours), "A phone rings on."
    times = Counter(urlsplit(str(call.request.url)).path.split("/")[-1] for call in ours)
    assert times == {str(call_id): 1 for call_id in run.calls}, "Rung twice, or never."
    # An attempt that was not the first was made only after the provider had been asked.
    asked = [one.path for one in stage.mock.mock.journal.entries if one.method == "GET"]
    if any(call.attempt > 1 for call in run.calls.values()):
        assert any(path.endswith("/Calls.json") for path in asked)
