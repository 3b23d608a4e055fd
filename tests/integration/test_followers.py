"""Followers: kept running, one at a time, whatever fails or dies around them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, Tracking

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.embedded.sockets import accepts
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.due import Worker
from strike_adapters.postgres.due_work import pager_work
from strike_adapters.postgres.follower_states import LOCK_SPACE, PAGER
from strike_adapters.postgres.followers import Follower
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_domain import ManualClock, PagerProcess, Router
from strike_domain.pager_run import PagerRunStarted
from tests.integration.stored import (
    Running,
    Stands,
    StoredNight,
    end_connections,
    end_connections_when,
    eventually,
    execute,
    rows,
    stored_night,
    table,
)
from tests.unit.given import ANA, OPERATOR, START


@pytest.fixture
def night(database_url: str) -> Iterator[StoredNight]:
    with stored_night(database_url) as night:
        yield night


def follower(name: str, night: StoredNight) -> Follower:
    return Follower(name, night.url, Router(PostgresDirectory(night.pool)), night.clock)


def reached(night: StoredNight, *names: str) -> bool:
    """Whether these views have taken in the whole log."""
    return all(position(night.url, name) == night.strike.log.position() for name in names)


def position(url: str, name: str) -> int:
    """How far the follower is; 0 at the beginning."""
    table_name = "strike_tracking" if name == PAGER else f"{name}_tracking"
    query = f"SELECT notification_id AS id FROM {table_name} WHERE application_name = 'strike'"  # noqa: S608
    return sum(one["id"] for one in rows(url, query))


def holders(url: str) -> list[int]:
    """Processes of the server that hold a follower's lock."""
    query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted"
    return [one["pid"] for one in rows(url, query, LOCK_SPACE)]


def test_a_follower_started_again_goes_on_where_it_stood(night: StoredNight) -> None:
    night.create()
    with Running(follower("eco_timeline", night)):
        eventually(lambda: reached(night, "eco_timeline"))
    night.cancel()
    assert not reached(night, "eco_timeline")
    with Running(follower("eco_timeline", night)):
        eventually(lambda: reached(night, "eco_timeline"))
    told = [one["position"] for one in table(night.url, "eco_timeline")]
    assert told == [one for one, _ in night.strike.events()]


def test_an_event_that_fails_stops_only_its_own_follower_until_the_cause_is_gone(
    night: StoredNight,
) -> None:
    with Running(follower("eco_views", night), follower("eco_timeline", night)):
        night.order()
        eventually(lambda: reached(night, "eco_views", "eco_timeline"))
        execute(night.url, "ALTER TABLE eco_views RENAME TO lost")
        night.order()
        eventually(lambda: reached(night, "eco_timeline"))
        assert not reached(night, "eco_views")
        execute(night.url, "ALTER TABLE lost RENAME TO eco_views")
        eventually(lambda: reached(night, "eco_views"))
    assert len(table(night.url, "eco_views")) == 2


def test_a_follower_that_has_got_on_since_its_last_failure_is_soon_started_again(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures that lie far apart do not add up to long waits."""
    waits: list[float] = []
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda seconds=None: waits.append(seconds))
    one = follower("eco_views", night)

    def get_on_then_fail(_: threading.Event) -> bool:
        night.order()
        with one._following(stop) as follow:
            eventually(lambda: follow() and reached(night, "eco_views"))
        if len(waits) == 2:
            stop.set()
        raise psycopg.OperationalError("The database is away for a moment.")

    monkeypatch.setattr(one, "_follow_once", get_on_then_fail)
    one.run(stop)
    assert waits == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (OperationalError("away"), [0.5, 1, 2, 2, 2, 2, 2, 2]),
        (psycopg.OperationalError("away"), [0.5, 1, 2, 2, 2, 2, 2, 2]),
        (ValueError("an event"), [0.5, 1, 2, 4, 8, 16, 30, 30]),
    ],
)
def test_a_database_that_was_away_for_long_is_not_waited_for_long_once_it_is_back(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch, error: Exception, waits: list[float]
) -> None:
    one, stop = follower("eco_views", night), threading.Event()
    waited: list[float] = []

    def wait(_: threading.Event, seconds: float, position: int | None) -> None:
        waited.append(seconds)
        if len(waited) == len(waits):
            stop.set()

    def fail(_: threading.Event) -> None:
        raise error

    monkeypatch.setattr(one, "_follow_once", fail)
    monkeypatch.setattr(one, "_wait", wait)
    one.run(stop)
    assert waited == waits


def test_a_follower_goes_on_when_its_connections_are_ended(night: StoredNight) -> None:
    names = ("eco_views", PAGER)
    with Running(*(follower(name, night) for name in names)):
        night.order()
        eventually(lambda: night.eco.paging_state == "RUNNING" and reached(night, *names))
        end_connections_when(2, night.url, "query LIKE 'LISTEN %%'")
        night.order()
        eventually(lambda: night.eco.paging_state == "RUNNING" and reached(night, *names))
        end_connections_when(4, night.url, "true")
        night.order()
        eventually(lambda: night.eco.paging_state == "RUNNING" and reached(night, *names))


def test_of_two_with_one_name_one_is_active_and_the_other_takes_over(night: StoredNight) -> None:
    with Running(follower("eco_views", night)):
        night.order()
        eventually(lambda: reached(night, "eco_views"))
        (first,) = holders(night.url)
        with Running(follower("eco_views", night)):
            night.order()
            eventually(lambda: reached(night, "eco_views"))
            assert holders(night.url) == [first]
            end_connections(night.url, "pid = %s", first)
            night.order()
            eventually(lambda: reached(night, "eco_views"), 5)
            eventually(lambda: len(holders(night.url)) == 1)


FOLLOW = """
import sys, threading
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.followers import Follower
from strike_domain import Router, SystemClock
pool = open_pool(sys.argv[2])
one = Follower(sys.argv[1], sys.argv[2], Router(PostgresDirectory(pool)), SystemClock())
one.run(threading.Event())
"""


@contextmanager
def following(name: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", FOLLOW, name, url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_process_is_replaced_within_five_seconds(night: StoredNight) -> None:
    with following(PAGER, night.url) as first, following(PAGER, night.url):
        night.order()
        eventually(lambda: night.eco.paging_state == "RUNNING")
        (holder,) = holders(night.url)
        first.kill()
        night.order()
        eventually(lambda: night.eco.paging_state == "RUNNING", 5)
        assert len(holders(night.url)) == 1 and holder
    assert runs_per_eco(night) == [1, 1]


def runs_per_eco(night: StoredNight) -> list[int]:
    started = [one for _, one in night.strike.events() if isinstance(one, PagerRunStarted)]
    return sorted(Counter(one.eco_id for one in started).values())


def test_two_pagers_that_both_think_it_is_their_turn_start_one_run_for_one_eco(
    night: StoredNight,
) -> None:
    """Without the lock: position and events are one transaction, so one of the two loses."""
    ecos = [night.order() for _ in range(12)]
    events = night.strike.events()
    ready = threading.Barrier(2)

    def page() -> int:
        router = Router(PostgresDirectory(night.pool))
        lost = 0
        with PagerProcess(router, night.clock, store_env(night.url)) as pager:
            for at, event in events:
                ready.wait(10)
                try:
                    pager.process_event(event, Tracking("strike", at))
                except IntegrityError:
                    lost += 1
        return lost

    with ThreadPoolExecutor(2) as threads:
        pagers = [threads.submit(page) for _ in range(2)]
    assert sum(one.result() for one in pagers) == len(ecos)
    assert runs_per_eco(night) == [1] * len(ecos)


def test_pagers_that_keep_losing_their_turn_start_one_run_for_one_eco(night: StoredNight) -> None:
    with Running(follower(PAGER, night), follower(PAGER, night)):
        for _ in range(4):
            for _ in range(5):
                night.order()
            eventually(lambda: holders(night.url))
            end_connections(night.url, "pid = ANY(%s)", holders(night.url))
        eventually(lambda: night.eco.paging_state == "RUNNING" and reached(night, PAGER), 15)
    assert runs_per_eco(night) == [1] * 20


def test_a_person_who_changes_the_eco_at_the_same_time_does_not_stop_the_pager(
    night: StoredNight,
) -> None:
    night.order()
    ((at, event),) = night.strike.events()
    meddled = False

    class MeddledWith(PagerProcess):
        name = PagerProcess.name

        def policy(self, domain_event: Any, processing_event: Any) -> None:
            nonlocal meddled
            super().policy(domain_event, processing_event)
            if not meddled:
                meddled = True
                night.strike.callouts.add_note(night.eco_id, "Hurry.", OPERATOR)

    router = Router(PostgresDirectory(night.pool))
    with MeddledWith(router, night.clock, store_env(night.url)) as pager:
        pager.process_event(event, Tracking("strike", at))
    assert meddled and night.eco.paging_state == "RUNNING"


# The database itself ---------------------------------------------------------------------------


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """One that may be killed."""
    with embedded_postgres(tmp_path) as server:
        server.ensure_database("strike")
        prepare(server.url("strike"))
        yield server


def test_followers_and_workers_outlive_a_crash_of_the_database(own_server: EmbeddedServer) -> None:
    with stored_night(own_server.url("strike")) as night:
        clock = Stands(ManualClock(START))
        night.strike.clock = night.clock
        worker = Worker(pager_work(night.strike.ringer), night.url, clock)
        names = (PAGER, "eco_views", "pager_process_state")
        with Running(worker, *(follower(name, night) for name in names)):
            night.order()
            eventually(lambda: night.switchboard.placed() == [ANA.phone])
            os.kill(own_server.pid, signal.SIGKILL)
            # A killed process lives on for a moment, and whoever asks just then joins it.
            eventually(lambda: not accepts(own_server.socket_directory))
            with embedded_postgres(own_server.directory) as again:
                assert again.url("strike") == night.url
                night.order()
                eventually(lambda: night.switchboard.placed() == [ANA.phone] * 2, 20)
                eventually(lambda: reached(night, *names))
