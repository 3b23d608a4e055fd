"""Followers, views and workers on real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from strike_adapters.memory import FakeTelephone
from strike_adapters.postgres.due import Worker
from strike_adapters.postgres.due_work import pager_work
from strike_adapters.postgres.followers import FOLLOWER_NAMES, VIEWS, Follower
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_domain.actors import Actor, Role, Side
from strike_domain.callouts import EcoOrder
from strike_domain.eventsourced import AggregateCreated, AggregateEvent
from strike_domain.paging import CallReport
from strike_domain.ringer import Ringer
from strike_domain.timeline import Teller
from tests.integration.stored import end_connections

OPERATOR = Actor(name="user:test", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)
ORDER = EcoOrder(
    osp_id=CONTRACTORS[0].id,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="Cut",
)
TABLES = {
    "eco_views": "eco_id",
    "eco_timeline": "position",
    "pager_run_views": "run_id",
    "pager_calls": "call_id",
}
REBUILT = ("eco_views", "eco_timeline", "pager_run_views")


@contextmanager
def running(*runnables: Any) -> Iterator[threading.Event]:
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in runnables]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def rows(strike: Strike, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(strike.url, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


def table(strike: Strike, name: str, key: str) -> list[dict[str, Any]]:
    """All rows in the order of their key."""
    return sorted(rows(strike, f"TABLE {name}"), key=lambda row: str(row[key]))


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Poll: another thread, or the database, must get somewhere."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.02)


def caught_up(strike: Strike, *names: str) -> bool:
    newest = strike.log.position()
    reached = [
        row["notification_id"]
        for name in names
        for row in rows(strike, f"TABLE {name}_tracking")
        if row["application_name"] == "strike"
    ]
    return len(reached) == len(names) and min(reached) >= newest


def create(strike: Strike) -> UUID:
    return strike.callouts().create_eco(ORDER, OPERATOR).aggregate.id


def worker(strike: Strike, telephone: FakeTelephone, lease: float = 9.0) -> Worker:
    ringer = Ringer(strike.log, telephone, strike.clock, strike.directory)
    return Worker(pager_work(ringer), strike.url, strike.clock, threads=4, lease_seconds=lease)


@pytest.mark.usefixtures("followers")
def test_callouts_become_rows_that_say_how_they_stand(strike: Strike) -> None:
    telephone = FakeTelephone()
    with running(worker(strike, telephone)):
        ids = [create(strike) for _ in range(3)]
        until(lambda: len(telephone.orders) == 3)
        first = telephone.orders[0]
        report = CallReport(first.run_id, first.call_id, telephone.sid_of(first.call_id))
        strike.paging().key_pressed(report, "1")
        accepted = strike.log.run(first.run_id).eco_id
        other = next(one for one in ids if one != accepted)
        strike.callouts().cancel_eco(other, "Signal is back", OPERATOR)
        names = [view.name for view in VIEWS]
        until(lambda: caught_up(strike, *names, "strike"))
    states = {row["eco_id"]: row["paging_state"] for row in rows(strike, "TABLE eco_views")}
    assert sorted(states.values()) == ["ACCEPTED", "CANCELLED", "RUNNING"]


def test_a_rebuilt_view_is_the_same_as_the_one_that_followed(strike: Strike) -> None:
    telephone = FakeTelephone()
    names = [view.name for view in VIEWS]
    with running(*strike.followers(), worker(strike, telephone)):
        create(strike)
        until(lambda: telephone.orders)
        until(lambda: caught_up(strike, *names))
    before = _contents(strike)
    with psycopg.connect(strike.url) as connection:
        for name in (*TABLES, *(f"{one}_tracking" for one in REBUILT)):
            connection.execute(f"TRUNCATE {name}".encode())
    with running(*strike.followers()):
        until(lambda: caught_up(strike, *names))
    assert _contents(strike) == before


def _contents(strike: Strike) -> dict[str, list[dict[str, Any]]]:
    return {name: table(strike, name, key) for name, key in TABLES.items()}


def test_a_failing_row_rolls_its_position_back_and_is_done_when_the_cause_is_gone(
    strike: Strike,
) -> None:
    with psycopg.connect(strike.url) as connection:
        connection.execute("ALTER TABLE eco_views ADD CONSTRAINT broken CHECK (status <> 'OPEN')")
    with running(*strike.followers()):
        create(strike)
        until(lambda: caught_up(strike, "eco_timeline"))
        assert not caught_up(strike, "eco_views")
        with psycopg.connect(strike.url) as connection:
            connection.execute("ALTER TABLE eco_views DROP CONSTRAINT broken")
        until(lambda: caught_up(strike, "eco_views"))


def test_a_lost_connection_does_not_stop_a_follower(strike: Strike) -> None:
    with running(*strike.followers()):
        create(strike)
        until(lambda: caught_up(strike, "eco_views"))
        end_connections(strike.url)
        until(lambda: _try(lambda: create(strike)))
        until(lambda: caught_up(strike, *FOLLOWER_NAMES[1:]))


def _try(command: Callable[[], object]) -> bool:
    try:
        command()
    except Exception:
        return False
    return True


def test_one_of_two_is_active_and_the_other_takes_over(strike: Strike) -> None:
    first, second = (
        Follower("eco_views", strike.url, strike.router, strike.clock) for _ in range(2)
    )
    with running(second):
        with running(first):
            create(strike)
            until(lambda: caught_up(strike, "eco_views"))
            create(strike)
        started = time.monotonic()
        create(strike)
        until(lambda: caught_up(strike, "eco_views"))
        assert time.monotonic() - started < 5
    assert len(rows(strike, "SELECT * FROM eco_views")) == 3


def test_two_workers_ring_everybody_once(strike: Strike) -> None:
    telephone = FakeTelephone()
    workers = [worker(strike, telephone) for _ in range(2)]
    with running(*strike.followers(), *workers):
        for _ in range(8):
            create(strike)
        until(lambda: len(telephone.orders) >= 8)
        until(lambda: caught_up(strike, "pager_process_state"))
    assert len({order.call_id for order in telephone.orders}) == len(telephone.orders) == 8


def test_what_a_dead_worker_had_claimed_is_taken_over_when_its_lease_is_over(
    strike: Strike,
) -> None:
    with running(*strike.followers()):
        create(strike)
        until(lambda: rows(strike, "SELECT * FROM pager_process_state"))
    with psycopg.connect(strike.url) as connection:
        connection.execute(
            "UPDATE pager_process_state SET claimed_by = 'dead', "
            "claimed_until = clock_timestamp() + interval '1 second'"
        )
    telephone = FakeTelephone()
    with running(worker(strike, telephone)):
        until(lambda: telephone.orders)


def test_paging_goes_on_while_the_followers_stand_still(strike: Strike) -> None:
    with running(*strike.followers()):
        create(strike)
        until(lambda: rows(strike, "SELECT * FROM pager_process_state"))
    telephone = FakeTelephone()
    with running(worker(strike, telephone)):
        until(lambda: len(telephone.orders) == 1)
        first = telephone.orders[0]
        report = CallReport(first.run_id, first.call_id, telephone.sid_of(first.call_id))
        strike.paging().key_pressed(report, "2")
        with psycopg.connect(strike.url) as connection:
            connection.execute("UPDATE pager_process_state SET deadline = 'epoch'")
        until(lambda: len(telephone.orders) == 2)


def test_job_numbers_are_unique_and_rise_while_many_ask(strike: Strike) -> None:
    now = strike.clock.now()
    osp_id = CONTRACTORS[0].id

    def take(_: int) -> str:
        return strike.directory.open_job(NOC_ID, osp_id, now).job_number or ""

    with ThreadPoolExecutor(16) as executor:
        numbers = list(executor.map(take, range(100)))
    assert sorted(numbers) == [f"{now.year % 100:02d}-{one:04d}" for one in range(1, 101)]


def test_no_secret_can_be_read_in_the_tables(strike: Strike) -> None:
    dumped = str(rows(strike, "SELECT * FROM twilio_accounts")) + str(
        rows(strike, "SELECT * FROM render_instances")
    )
    account = strike.accounts.for_noc(NOC_ID)
    assert account is not None
    token = account.auth_token.get_secret_value()
    assert token not in dumped
    assert token.encode().hex() not in dumped


def test_preparing_at_once_and_again_is_safe(strike: Strike) -> None:
    with psycopg.connect(strike.url) as connection:
        connection.execute("DELETE FROM strike_prepared")
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(prepare, [strike.url] * 4))
    assert len(rows(strike, "SELECT * FROM strike_prepared")) == 1


def test_every_event_can_be_told_in_the_timeline() -> None:
    known = set(vars(Teller)["line"].dispatcher.registry)
    events = [
        one
        for base in (AggregateEvent, AggregateCreated)
        for one in _leaves(base)
        if one.__module__.startswith("strike_domain") and "TOPIC" in vars(one)
    ]
    assert events
    assert [one.__name__ for one in events if one not in known] == []


def _leaves(kind: type[Any]) -> list[type[Any]]:
    children: list[type[Any]] = kind.__subclasses__()
    return [leaf for one in children for leaf in (one, *_leaves(one))]
