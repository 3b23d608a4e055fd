"""The auditor finds every page in danger, repairs what it can, and withholds the heartbeat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from strike_adapters.heartbeat import HttpHeartbeat
from strike_adapters.postgres import auditor as auditing
from strike_adapters.postgres.auditor import Auditor, Finding
from strike_adapters.postgres.due import Worker
from strike_adapters.postgres.due_work import pager_work
from strike_adapters.postgres.followers import Follower
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_adapters.postgres.views.pager_process_state import PagerProcessState, row_of
from strike_domain import RunState
from tests.integration.stored import (
    Running,
    Stands,
    StoredNight,
    end_connections,
    eventually,
    execute,
    follow,
    rows,
    stored_night,
)
from tests.unit.given import ANA

LATE = auditing.GRACE + 1


class Monitor:
    """An outside monitor; deaf while told to be."""

    def __init__(self) -> None:
        self.beats = 0
        self.hears = True

    def beat(self) -> bool:
        self.beats += self.hears
        return self.hears


class Watch:
    """An auditor on a night, that looks when told to."""

    def __init__(self, night: StoredNight) -> None:
        self.night, self.url = night, night.url
        self.clock = Stands(night.clock)
        self.monitor = Monitor()
        self.stop = threading.Event()
        self.begun = 0
        self.auditor = self.another()

    def another(self, grace: float = auditing.GRACE) -> Auditor:
        return Auditor(
            self.url,
            self.night.strike.log,
            self.clock,
            lambda name: Follower(name, self.url, self.night.strike.process._router, self.clock),
            self.monitor,
            every=0.05,
            grace=grace,
        )

    def look(self, auditor: Auditor | None = None, *, stands_in: bool = False) -> list[Finding]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            return (auditor or self.auditor).look(connection, self.stop if stands_in else None)

    def codes(self, auditor: Auditor | None = None) -> list[str]:
        return [one.code for one in self.look(auditor)]

    def open(self) -> list[str]:
        found = rows(self.url, "SELECT code FROM audit_findings WHERE cleared_at IS NULL")
        return [one["code"] for one in found]

    def row(self) -> dict[str, Any]:
        (row,) = rows(self.url, "SELECT * FROM pager_process_state")
        return row

    def caught_up(self) -> None:
        follow(self.url, PagerProcessState, EcoViews)


@pytest.fixture
def watch(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(auditing, "BEAT_EVERY", 0)
    with stored_night(database_url) as night:
        watch = Watch(night)
        night.create()
        watch.caught_up()
        watch.begun = night.run.version
        yield watch
        watch.stop.set()


def test_while_every_run_has_a_deadline_ahead_all_is_well(watch: Watch) -> None:
    assert watch.codes() == []
    assert watch.monitor.beats == 1
    (audit,) = rows(watch.url, "SELECT * FROM audits")
    assert (audit["findings"], audit["heartbeat_at"] is not None) == (0, True)


def test_a_run_that_no_worker_takes_is_overdue_and_the_heartbeat_is_withheld(
    watch: Watch,
) -> None:
    watch.clock.manual.advance_to(watch.night.run.due_at)  # type: ignore[arg-type]
    watch.clock.manual.advance(auditing.GRACE - 1)
    assert watch.codes() == []
    watch.clock.manual.advance(2)
    beats = watch.monitor.beats
    (finding,) = watch.look()
    assert (finding.code, finding.subject) == ("OVERDUE", str(watch.night.run.id))
    assert watch.monitor.beats == beats
    assert watch.open() == ["OVERDUE"]
    with Running(Worker(pager_work(watch.night.strike.ringer), watch.url, watch.clock)):
        eventually(lambda: watch.codes() == [])
    assert watch.open() == []
    assert watch.monitor.beats > beats
    (kept,) = rows(watch.url, "SELECT * FROM audit_findings")
    assert kept["cleared_at"] is not None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE pager_process_state SET deadline = NULL",
        "UPDATE pager_process_state SET deadline = NULL, state = 'CANCELLED'",
        "DELETE FROM pager_process_state",
    ],
)
def test_a_row_that_would_never_come_due_is_set_right_by_the_log(watch: Watch, damage: str) -> None:
    due_at = watch.row()["deadline"]
    execute(watch.url, damage)
    # Seen from later, but before the run itself is late.
    execute(watch.url, "UPDATE eco_views SET updated_at = updated_at - interval '1 minute'")
    (finding,) = watch.look()
    assert (finding.code, finding.repaired) == ("WRONG_ROW", True)
    assert (watch.row()["state"], watch.row()["deadline"]) == ("RUNNING", due_at)
    assert watch.monitor.beats == 0
    assert watch.codes() == []
    with Running(Worker(pager_work(watch.night.strike.ringer), watch.url, watch.clock)):
        watch.clock.manual.advance(120)
        eventually(lambda: watch.night.run.version > watch.begun)


def test_a_row_that_the_auditor_has_set_is_whole(watch: Watch) -> None:
    """The follower, when it comes, finds that version there and leaves the row as it is."""
    phone = watch.night.phone(ANA).is_rung()
    watch.caught_up()
    assert watch.row()["contact_name"] == ANA.name
    phone.answers().presses("1")
    hasty = watch.another(grace=0)
    watch.look(hasty)
    assert "FOLLOWER_BEHIND" in watch.codes(hasty)
    found = watch.row()
    assert found["state"] == "ACCEPTED"
    expected = row_of(watch.night.run)
    assert {name: found[name] for name in expected} == expected
    watch.caught_up()
    assert watch.row() == found


def test_what_a_follower_has_not_told_the_workers_the_auditor_tells_them(watch: Watch) -> None:
    execute(watch.url, "DELETE FROM pager_process_state")
    execute(watch.url, "UPDATE pager_process_state_tracking SET notification_id = 1")
    hasty = watch.another(grace=0)
    watch.look(hasty)
    (finding,) = [one for one in watch.look(hasty) if one.subject == "pager_process_state"]
    assert finding.code == "FOLLOWER_BEHIND"
    assert watch.row()["deadline"] == watch.night.run.due_at


@pytest.mark.parametrize("follower", ["pager", "pager_process_state"])
def test_a_follower_that_nobody_runs_is_run_by_the_auditor(watch: Watch, follower: str) -> None:
    watch.night.order()  # Nobody follows the log from here on.
    hasty = watch.another(grace=0)
    watch.look(hasty, stands_in=True)
    watch.look(hasty, stands_in=True)
    eventually(lambda: watch.night.eco.latest_run_id)
    eventually(lambda: len(rows(watch.url, "SELECT FROM pager_process_state")) == 2)
    watch.stop.set()
    for thread in hasty._stand_ins.values():
        thread.join()
    assert "pager" in hasty._stand_ins


def test_a_row_of_a_newer_version_is_left_alone_and_told_if_nobody_does_it(watch: Watch) -> None:
    execute(watch.url, "UPDATE pager_process_state SET format = 99")
    watch.clock.manual.advance(600)
    with Running(Worker(pager_work(watch.night.strike.ringer), watch.url, watch.clock)):
        reads = watch.clock.reads
        assert not threading.Event().wait(0.5)
        assert watch.clock.reads < reads + 20, "The worker spins."
    assert len(watch.night.calls) == 1
    assert watch.codes() == ["TOO_NEW"]
    execute(watch.url, "UPDATE pager_process_state SET format = 2")
    with Running(Worker(pager_work(watch.night.strike.ringer), watch.url, watch.clock)):
        eventually(lambda: watch.night.run.version > watch.begun)


def test_a_run_that_workers_try_in_vain_is_stuck(watch: Watch) -> None:
    claim = "UPDATE pager_process_state SET claimed_until = clock_timestamp() + interval '1 hour'"
    execute(watch.url, claim)
    watch.clock.manual.advance_to(watch.night.run.due_at)  # type: ignore[arg-type]
    watch.clock.manual.advance(auditing.STUCK - 1)
    assert watch.codes() == []
    watch.clock.manual.advance(2)
    assert watch.codes() == ["STUCK"]


def test_a_monitor_that_does_not_hear_is_told_again(watch: Watch) -> None:
    watch.monitor.hears = False
    watch.look()
    watch.monitor.hears = True
    watch.look()
    assert watch.monitor.beats == 1


def test_runs_that_are_over_are_nobody_s_concern(watch: Watch) -> None:
    watch.night.phone(ANA).rings().presses("1")
    assert watch.night.run.state is RunState.ACCEPTED
    watch.night.after(60)
    watch.caught_up()
    watch.clock.manual.advance(86_400)
    assert watch.codes() == []


def test_one_auditor_is_at_it_and_another_takes_over(watch: Watch) -> None:
    first, second = watch.another(), watch.another()
    second.name = "second"
    stop = threading.Event()
    running = threading.Thread(target=first.run, args=(stop,))
    running.start()
    eventually(lambda: rows(watch.url, "SELECT FROM audits"))
    with Running(second):
        assert not threading.Event().wait(0.3)
        assert len(rows(watch.url, "SELECT FROM audits")) == 1
        stop.set()
        running.join()
        eventually(lambda: rows(watch.url, "SELECT FROM audits WHERE auditor = 'second'"))


def test_the_auditor_outlives_the_database_and_says_nothing_is_well_meanwhile(
    watch: Watch,
) -> None:
    with Running(watch.auditor):
        eventually(lambda: watch.monitor.beats)
        end_connections(watch.url)
        beats = watch.monitor.beats
        eventually(lambda: watch.monitor.beats > beats)


# The heartbeat itself -----------------------------------------------------------------------


@pytest.mark.parametrize(("status", "is_heard"), [(200, True), (404, False), (500, False)])
def test_a_heartbeat_is_heard_if_the_monitor_says_so(status: int, is_heard: bool) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status)

    url = "https://monitor.example/ping/1"
    assert HttpHeartbeat(url, httpx.MockTransport(answer)).beat() is is_heard
    assert asked == [url]


def test_a_monitor_that_is_away_is_no_exception() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    assert not HttpHeartbeat("https://monitor.example", httpx.MockTransport(answer)).beat()
