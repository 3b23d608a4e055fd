"""`render_health`: what workers find out about each Render is what `strike render` shows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import stamina
from typer.testing import CliRunner

from strike_adapters.memory import ManualClock
from strike_adapters.postgres.due import Claim, Done, DueTable, Worker
from strike_adapters.postgres.due_work import field_work
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.render_health import RenderReporter, RenderStatus, render_status
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_adapters.postgres.views.render_poll_state import TABLE, RenderPollState
from strike_adapters.render import Pulse, RenderFieldWork, RenderInstance
from strike_adapters.render.circuit import CircuitState
from strike_app.cli import app
from strike_domain import CrewDesk, FieldTerms, RenderState, Unavailable
from strike_domain.field_tasks import Polled
from strike_domain.ports import Tasked, WorkOrder
from tests.contracts.mocks import ThreadedMock, running_mock
from tests.contracts.stages import instance
from tests.integration.stored import (
    CREWED,
    Running,
    Stands,
    StoredNight,
    eventually,
    execute,
    follow,
    rows,
    stored_night,
    write_key,
)


class Instances:
    """The instance of `CREWED`, at the mock."""

    def __init__(self, url: str) -> None:
        self.instance = instance(url, CREWED)

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        return self.instance if osp_id == CREWED else None

    def field_terms(self, osp_id: UUID) -> FieldTerms:
        return self.instance.field_terms


class FieldDay:
    """A night on PostgreSQL whose field work goes over HTTP to the mock of Render."""

    def __init__(self, night: StoredNight, mock: ThreadedMock, pool: Pool) -> None:
        self.night, self.mock, self.pool = night, mock, pool
        self.instances = Instances(mock.url)
        self.crews = RenderFieldWork(self.instances, clock=night.clock)
        desk = CrewDesk(night.strike.log, self.crews, night.clock, self.instances)
        self.worker = Worker(field_work(desk), night.url, Stands(night.clock), threads=4)
        self.reporter = RenderReporter(pool, self.crews, night.clock)

    @property
    def status(self) -> RenderStatus:
        (found,) = render_status(self.pool, self.night.clock.now())
        return found

    def goes_on(self, seconds: float) -> None:
        """Time passes, and every poll that fell due is made."""
        self.night.clock.advance(seconds)
        due = "SELECT 1 FROM render_poll_state WHERE deadline <= %s"
        eventually(lambda: not rows(self.night.url, due, self.night.clock.now()))


@contextmanager
def field_day(url: str) -> Iterator[FieldDay]:
    with stamina.set_testing(True, attempts=2), stored_night(url) as night, running_mock() as mock:
        day = FieldDay(night, mock, night.pool)
        with day.crews, Running(day.worker):
            yield day


def test_what_a_worker_finds_out_is_shown_to_people(database_url: str) -> None:
    with field_day(database_url) as day:
        for _ in range(3):
            day.night.order(osp_id=CREWED)
        follow(database_url, RenderPollState, EcoViews)
        tasked = "SELECT 1 FROM render_poll_state WHERE etag IS NOT NULL"
        eventually(lambda: len(rows(database_url, tasked)) == 3)
        day.reporter.report()
        for _ in range(2):
            day.goes_on(30)
        day.reporter.report()
        status = day.status
        assert (status.followed, status.failing, status.circuit) == (3, 0, "CLOSED")
        assert (status.polls, status.unchanged, status.failures) == (6, 6, 0)
        assert status.late == 0 and status.is_well
        assert status.token_since is not None


def test_a_render_that_is_away_is_told_with_its_error_and_is_not_well(database_url: str) -> None:
    with field_day(database_url) as day:
        day.night.order(osp_id=CREWED)
        follow(database_url, RenderPollState, EcoViews)
        tasked = "SELECT 1 FROM render_poll_state WHERE etag IS NOT NULL"
        eventually(lambda: rows(database_url, tasked))
        day.instances.instance = instance("http://127.0.0.1:9", CREWED)
        for _ in range(6):
            day.goes_on(60)
        day.reporter.report()
        status = day.status
        assert status.circuit in ("OPEN", "PROBING") and not status.is_well
        assert status.failing == 1 and "cannot be reached" in str(status.last_error)


def test_the_rates_are_those_of_the_last_minute(database_url: str) -> None:
    clock = ManualClock()

    class Crews:
        polls = 0

        def pulses(self) -> list[Pulse]:
            return [Pulse(CREWED, polls=self.polls, circuit=CircuitState.CLOSED)]

    with stored_night(database_url) as night:
        crews, told = Crews(), list[Any]()
        reporter = RenderReporter(night.pool, crews, clock, told.append)
        reporter.report()
        for _ in range(6):
            clock.advance(10)
            crews.polls += 10
            reporter.report()
        (status,) = render_status(night.pool, clock.now())
        assert status.polls == pytest.approx(60)
        clock.advance(60)
        reporter.report()
        (status,) = render_status(night.pool, clock.now())
        assert status.polls == 0
        assert len(told) == 8


def test_a_report_of_a_worker_that_is_gone_counts_no_more(database_url: str) -> None:
    with stored_night(database_url) as night:
        reporter = RenderReporter(night.pool, _Silent(), night.clock)
        reporter.report()
        assert render_status(night.pool, night.clock.now())[0].circuit == "CLOSED"
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE render_health SET reported_at = now() - interval '2 min'")
        assert render_status(night.pool, night.clock.now())[0].circuit is None


class _Silent:
    def pulses(self) -> list[Pulse]:
        return [Pulse(CREWED)]


def test_one_slow_company_takes_only_a_part_of_a_worker(database_url: str) -> None:
    """While everything of one company hangs, the other's is done, although it fell due later."""
    slow, quick = UUID(int=1), UUID(int=2)
    let_go, done, hanging, most = threading.Event(), list[UUID](), list[UUID](), [0]

    def handle(row: Claim) -> Done:
        if row["osp_id"] == slow:
            hanging.append(row["eco_id"])
            most[0] = max(most[0], len(hanging))
            let_go.wait(20)
            hanging.remove(row["eco_id"])
        done.append(row["osp_id"])
        return FINISH, {"eco_id": row["eco_id"]}

    with stored_night(database_url) as night:
        for number in range(40):
            osp = slow if number < 20 else quick
            execute(database_url, DUE_ROW, uuid4(), uuid4(), osp, night.clock.now())
        table = DueTable(TABLE, "eco_id", handle, share_by="osp_id")
        with Running(Worker(table, database_url, Stands(night.clock), threads=8)):
            eventually(lambda: done.count(quick) == 20)
            assert done.count(slow) == 0 and len(hanging) == 2
            let_go.set()
            eventually(lambda: done.count(slow) == 20)
        assert most[0] == 2


FINISH = b"UPDATE render_poll_state SET deadline = NULL WHERE eco_id = %(eco_id)s"

DUE_ROW = """
INSERT INTO render_poll_state (eco_id, noc_id, osp_id, render_state, status, deadline, updated_at,
                               version)
VALUES (%s, %s, %s, 'TASKED', 'OPEN', %s, now(), 1)
"""


def test_a_look_that_takes_longer_than_its_lease_is_kept_all_the_same(database_url: str) -> None:
    """Else a slow Render would be asked again and again, and its failures never counted."""
    with stored_night(database_url) as night:

        class Slow:
            asked = 0

            def create(self, order: WorkOrder) -> Tasked:
                self.asked += 1
                threading.Event().wait(0.6)
                raise Unavailable("Render took longer than 0.6 s.")

            def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
                raise AssertionError("There is nothing to poll.")

        night.order(osp_id=CREWED)
        follow(database_url, RenderPollState)
        desk = CrewDesk(night.strike.log, Slow(), night.clock, Instances("http://render.invalid"))
        table, clock = field_work(desk), Stands(night.clock)
        with Running(Worker(table, database_url, clock, threads=8, lease_seconds=0.2)):
            tried = "SELECT 1 FROM render_poll_state WHERE attempts >= 1 AND deadline > %s"
            eventually(lambda: rows(database_url, tried, night.clock.now()))


# On the command line -------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(write_key(tmp_path)))


def run(url: str, *words: str) -> Any:
    return CliRunner(env={**os.environ, "STRIKE_DATABASE_URL": url}).invoke(app, ["render", *words])


@pytest.mark.usefixtures("key")
def test_the_command_line_shows_it_and_asks_again_for_what_had_failed(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.crew.fail(Unavailable("Render refuses the client secret.", can_retry=False))
        night.create(osp_id=CREWED)
        follow(database_url, RenderPollState, EcoViews)
        shown = run(database_url, "status")
        assert shown.exit_code == 1, shown.output
        assert "Callouts without field tasks: 1" in shown.output
        (row,) = json.loads(run(database_url, "status", "--json").output)
        assert (row["untasked"], row["is_well"], row["name"]) == (1, False, "Crewed")

        asked = run(database_url, "retry", "Crewed")
        assert asked.exit_code == 0 and "made again for 26-0001" in asked.output
        night.crew.fail(None)
        night.clock.advance_to(datetime.now(UTC))
        night.after(60)
        night.eco_is(render_state=RenderState.TASKED)
        follow(database_url, RenderPollState, EcoViews)
        assert "no callout is without" in run(database_url, "retry", "Crewed").output
        assert run(database_url, "retry", "Nobody").exit_code == 1


@pytest.mark.usefixtures("key")
def test_a_retry_is_shown_with_who_asked_for_it(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.crew.fail(Unavailable("Gone.", can_retry=False))
        night.create(osp_id=CREWED)
        follow(database_url, EcoViews)
        run(database_url, "retry", "Crewed")
        last: Any = list(night.strike.log.events.get(night.eco_id))[-1]
        assert last.actor == "strike:command-line" and last.tenant_id == CREWED
