"""Workers: every due row is handled by one of them, and by none for nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Composed

from strike_adapters.postgres.due import LOOK_EVERY, Claim, DueTable, Worker
from strike_adapters.postgres.due_work import field_work, pager_work
from strike_adapters.postgres.views.pager_process_state import PagerProcessState
from strike_adapters.postgres.views.render_poll_state import RenderPollState
from strike_adapters.postgres.views.view import DUE
from strike_domain import FieldTask, TaskState, Unavailable
from strike_domain.pager_run import Call
from tests.integration.stored import (
    CREWED,
    Running,
    Stands,
    eventually,
    execute,
    follow,
    rows,
    stored_night,
    table,
)
from tests.unit.given import ANA, BEN, at

DONE = SQL("UPDATE jobs SET deadline = NULL, done = done + 1 WHERE id = %(id)s")


class Jobs:
    """A table of due things; `handle` may be replaced, `begun` has every row ever handed out."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Stands()
        self.begun: Counter[UUID] = Counter()
        self.under_way: Counter[UUID] = Counter()
        self.collisions = 0
        self.meanwhile: Callable[[UUID], object] = lambda _: None
        self._lock = threading.Lock()
        execute(
            url,
            "CREATE TABLE jobs (id uuid PRIMARY KEY, deadline timestamptz, done int DEFAULT 0, "
            "claimed_by text, claimed_until timestamptz)",
        )

    def add(self, deadline: datetime | None = None) -> UUID:
        job = uuid4()
        values = (job, deadline or at(0))
        execute(self.url, "INSERT INTO jobs (id, deadline) VALUES (%s, %s)", *values)
        execute(self.url, f"NOTIFY {DUE}")
        return job

    def worker(self, *, threads: int = 4, lease_seconds: float = 9) -> Worker:
        due = DueTable("jobs", "id", self._handle)
        return Worker(due, self.url, self.clock, threads=threads, lease_seconds=lease_seconds)

    def _handle(self, row: Claim) -> tuple[Composed, Mapping[str, Any]]:
        job = row["id"]
        with self._lock:
            self.begun[job] += 1
            self.under_way[job] += 1
            self.collisions += self.under_way[job] > 1
        try:
            self.meanwhile(job)
        finally:
            with self._lock:
                self.under_way[job] -= 1
        return DONE.format(), {"id": job}

    def done(self) -> int:
        return len(rows(self.url, "SELECT 1 FROM jobs WHERE deadline IS NULL"))

    def claim_for_somebody_else(self, job: UUID, seconds: float) -> None:
        execute(
            self.url,
            "UPDATE jobs SET claimed_by = 'somebody', "
            "claimed_until = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
            seconds,
            job,
        )


@pytest.fixture
def jobs(database_url: str) -> Jobs:
    return Jobs(database_url)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a handler can wait for; opened at the end whatever happens."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_two_workers_share_the_rows_and_never_hold_one_together(jobs: Jobs) -> None:
    with psycopg.connect(jobs.url) as connection:
        connection.execute(
            "INSERT INTO jobs (id, deadline) SELECT gen_random_uuid(), %s "
            "FROM generate_series(1, 120)",
            (at(0),),
        )
    with Running(jobs.worker(), jobs.worker()):
        eventually(lambda: jobs.done() == 120)
    assert jobs.collisions == 0
    assert set(jobs.begun.values()) == {1}
    assert not rows(jobs.url, "SELECT 1 FROM jobs WHERE claimed_by IS NOT NULL OR done <> 1")


def test_the_claim_of_a_dead_worker_is_taken_over_when_its_lease_is_out(jobs: Jobs) -> None:
    job = jobs.add()
    jobs.claim_for_somebody_else(job, 0.7)
    (row,) = rows(jobs.url, "SELECT claimed_until FROM jobs")
    jobs.meanwhile = lambda _: taken.extend(rows(jobs.url, "SELECT clock_timestamp() AS at"))
    taken: list[dict[str, Any]] = []
    with Running(jobs.worker()):
        eventually(lambda: jobs.done() == 1, 4)
    assert taken[0]["at"] >= row["claimed_until"]


def test_what_fails_is_tried_again_and_keeps_nobody_else_waiting(jobs: Jobs) -> None:
    bad = jobs.add()

    def fail_twice(job: UUID) -> None:
        if job == bad and jobs.begun[bad] < 3:
            raise Unavailable("Not now.")

    jobs.meanwhile = fail_twice
    with Running(jobs.worker(threads=1, lease_seconds=0.3)):
        eventually(lambda: jobs.begun[bad] == 1)
        good = jobs.add()
        eventually(lambda: jobs.begun[good] == 1)
        eventually(lambda: jobs.done() == 2)
    assert jobs.begun == {bad: 3, good: 1}


def test_nothing_is_done_before_its_time_by_the_clock_that_was_given(jobs: Jobs) -> None:
    jobs.add(at(3600))
    with Running(jobs.worker()):
        eventually(lambda: jobs.clock.reads >= 4)
        assert not jobs.begun
        jobs.clock.manual.advance(3600)
        eventually(lambda: jobs.done() == 1)


def test_a_wake_up_is_never_lost_between_two_looks(jobs: Jobs) -> None:
    """None of these waits for the look that happens each second anyway."""
    with Running(jobs.worker()):
        for number in range(1, 31):
            jobs.add()
            started = time.monotonic()
            eventually(lambda n=number: jobs.done() == n)  # type: ignore[misc]
            assert time.monotonic() - started < LOOK_EVERY / 2


def looks_per_second(jobs: Jobs, count: int = 4) -> float:
    """How often the worker asks the clock, and with it the database, while nothing happens."""
    first, started = jobs.clock.reads, time.monotonic()
    eventually(lambda: jobs.clock.reads >= first + count)
    return count / (time.monotonic() - started)


def test_a_worker_does_not_spin_when_nothing_is_due(jobs: Jobs) -> None:
    jobs.add(at(3600))
    with Running(jobs.worker()):
        eventually(lambda: jobs.clock.reads >= 2)
        assert looks_per_second(jobs) < 4


def test_a_worker_does_not_spin_when_others_have_what_is_due(jobs: Jobs) -> None:
    jobs.claim_for_somebody_else(jobs.add(), 60)
    with Running(jobs.worker()):
        eventually(lambda: jobs.clock.reads >= 1)
        assert looks_per_second(jobs, 2) < 4


def test_a_worker_does_not_spin_when_all_its_threads_are_busy(
    jobs: Jobs, gate: threading.Event
) -> None:
    jobs.meanwhile = lambda _: gate.wait(20)
    for _ in range(3):
        jobs.add()
    with Running(jobs.worker(threads=2)) as running:
        eventually(lambda: jobs.begun.total() == 2)
        before = jobs.clock.reads
        assert not running.stop.wait(1.2)
        assert jobs.clock.reads - before < 6
        gate.set()
        eventually(lambda: jobs.done() == 3)


def test_a_thread_that_becomes_free_takes_the_next_row_at_once(
    jobs: Jobs, gate: threading.Event
) -> None:
    first = jobs.add()
    jobs.meanwhile = lambda job: gate.wait(20) if job == first else None
    with Running(jobs.worker(threads=1)):
        eventually(lambda: jobs.begun[first] == 1)
        for _ in range(5):
            jobs.add()
        gate.set()
        started = time.monotonic()
        eventually(lambda: jobs.done() == 6)
        assert time.monotonic() - started < LOOK_EVERY / 2


def test_at_the_end_work_under_way_is_finished_and_nothing_new_begun(
    jobs: Jobs, gate: threading.Event
) -> None:
    first = jobs.add()
    jobs.meanwhile = lambda _: gate.wait(20)
    with Running(jobs.worker(threads=1)) as running:
        eventually(lambda: jobs.begun[first] == 1)
        jobs.add()
        running.stop.set()
        gate.set()
    assert jobs.begun == {first: 1} and jobs.done() == 1
    assert not rows(jobs.url, "SELECT 1 FROM jobs WHERE claimed_by IS NOT NULL")


def test_whoever_was_too_slow_does_not_give_back_what_another_has_claimed_since(
    jobs: Jobs, gate: threading.Event
) -> None:
    """The lease ran out under the first, a second has the row; the first comes to its end."""
    job = jobs.add()
    both, first_ends = threading.Event(), threading.Event()

    def slow(_: UUID) -> None:
        if jobs.begun[job] == 1:
            first_ends.wait(20)
        else:
            both.set()
            gate.wait(20)

    jobs.meanwhile = slow
    with Running(jobs.worker(threads=2, lease_seconds=0.2)) as running:
        assert both.wait(10)
        execute(jobs.url, "UPDATE jobs SET claimed_until = claimed_until + interval '1 minute'")
        before = rows(jobs.url, "SELECT claimed_by, claimed_until FROM jobs")
        first_ends.set()
        eventually(lambda: jobs.done() == 1)
        assert rows(jobs.url, "SELECT claimed_by, claimed_until FROM jobs") == before
        running.stop.set()
        gate.set()


# Whether a claim is held still ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds_gone", "is_taken", "is_held", "is_renewed"),
    [(0, False, True, False), (2, False, True, True), (2, True, False, False)],
)
def test_a_claim_is_held_while_it_is_fresh_or_can_be_renewed(
    jobs: Jobs, seconds_gone: float, is_taken: bool, is_held: bool, is_renewed: bool
) -> None:
    """`seconds_gone`: of a lease of 9 s."""
    job, until = jobs.add(), "SELECT claimed_until FROM jobs"
    seen: list[tuple[bool, bool]] = []

    def handle(row: Claim) -> tuple[Composed, Mapping[str, Any]]:
        row._monotonic = lambda: time.monotonic() + seconds_gone
        if is_taken:
            jobs.claim_for_somebody_else(job, 60)
        before = rows(jobs.url, until)
        seen.append((row.is_held(), rows(jobs.url, until) != before))
        return DONE.format(), {"id": job}

    with Running(Worker(DueTable("jobs", "id", handle), jobs.url, jobs.clock)):
        eventually(lambda: jobs.done() == 1)
    assert seen == [(is_held, is_renewed)]
    left = rows(jobs.url, "SELECT 1 FROM jobs WHERE claimed_by IS NOT NULL")
    assert bool(left) is is_taken


def test_nobody_is_rung_twice_when_the_database_kept_an_intent_waiting(
    database_url: str,
) -> None:
    """The lease ran out meanwhile, and so did the time that the intent gives for placing it."""
    with stored_night(database_url) as night:
        night.order()
        night.strike._follow()
        follow(database_url, PagerProcessState)
        clock = Stands(night.clock)
        slow, other = night.strike.ringer, night.another_worker()
        store, taken = slow.log.store, threading.Event()

        def stored_late(*aggregates: Any) -> Any:
            slow.log.store = store  # type: ignore[method-assign]
            stored = store(*aggregates)
            night.clock.advance(11)
            execute(
                database_url,
                "UPDATE pager_process_state SET claimed_until = clock_timestamp() - interval '1 s'",
            )
            with Running(Worker(pager_work(other), database_url, clock)):
                eventually(lambda: night.switchboard.asked == [("find", ANA.phone)])
                night.clock.advance(2)
                eventually(lambda: len(night.switchboard.placed()) == 1)
                taken.set()
            return stored

        slow.log.store = stored_late  # type: ignore[method-assign]
        late = Worker(pager_work(slow), database_url, clock, threads=1, lease_seconds=0.5)
        with Running(late):
            assert taken.wait(20)
            eventually(lambda: slow.log.store == store)
        assert len(night.switchboard.placed()) == 1


# The two kinds of work that there are ----------------------------------------------------------


def test_a_follower_that_stands_still_does_not_stop_paging(database_url: str) -> None:
    """Decision 0004: the follower writes the run's first row and never another one."""
    with stored_night(database_url) as night:
        night.order()
        night.strike._follow()
        follow(database_url, PagerProcessState)
        clock = Stands(night.clock)
        with Running(Worker(pager_work(night.strike.ringer), database_url, clock)):
            eventually(lambda: night.switchboard.placed() == [ANA.phone])

            def is_through() -> bool:
                """Time passes from one deadline to the next."""
                night.clock.advance_to(due(database_url) or at(0))
                return night.run.state == "EXHAUSTED"

            eventually(is_through, seconds=30)
            assert night.switchboard.placed() == [ANA.phone, BEN.phone]
        (row,) = table(database_url, "pager_process_state")
        assert row["state"] == "EXHAUSTED" and row["version"] == night.run.version


def due(url: str) -> datetime | None:
    (row,) = rows(url, "SELECT deadline FROM pager_process_state")
    found: datetime | None = row["deadline"]
    return found


def test_a_run_is_never_rung_twice_for_one_call_by_two_workers(database_url: str) -> None:
    with stored_night(database_url) as night:
        for _ in range(6):
            night.order()
        night.strike._follow()
        follow(database_url, PagerProcessState)
        clock = Stands(night.clock)
        workers = [
            Worker(pager_work(ringer), database_url, clock, lease_seconds=0.05)
            for ringer in (night.strike.ringer, night.another_worker())
        ]
        runs = [
            row["run_id"] for row in rows(database_url, "SELECT run_id FROM pager_process_state")
        ]

        def calls() -> list[Call]:
            return [call for one in runs for call in night.strike.log.run(one).calls.values()]

        def are_settled() -> bool:
            """Who loses the run right before the call leaves it alone until its deadline."""
            found = calls()
            return len(found) == 6 and all(one.sid or one.given_up for one in found)

        with Running(*workers):
            eventually(are_settled, 30)
        night.clock.advance(8)
        with Running(Worker(pager_work(night.strike.ringer), database_url, clock)):
            eventually(lambda: all(one.sid for one in calls()), 30)
        assert len(runs) == len(night.switchboard.placed()) == 6


def test_field_work_is_tasked_polled_and_rested_by_its_worker(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.order(osp_id=CREWED)
        follow(database_url, RenderPollState)
        assert night.strike.desk
        clock = Stands(night.clock)
        with Running(Worker(field_work(night.strike.desk), database_url, clock)):
            waits = "SELECT 1 FROM render_poll_state WHERE etag IS NOT NULL AND deadline > %s"
            eventually(lambda: rows(database_url, waits, night.clock.now()))
            subsector = night.crew.tasked(CREWED, night.eco_id).subsector_id
            released = FieldTask(id="t1", name="Splice", state=TaskState.RELEASED)
            night.crew.set_tasks(subsector, released)
            night.clock.advance(31)
            eventually(lambda: night.eco.status == "IN_PROGRESS")


TRIED = "SELECT deadline, last_error FROM render_poll_state WHERE attempts = %s"


def test_a_failing_field_system_is_asked_later_and_later(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.crew.fail(Unavailable("Render is away."))
        night.order(osp_id=CREWED)
        follow(database_url, RenderPollState)
        assert night.strike.desk
        with Running(Worker(field_work(night.strike.desk), database_url, Stands(night.clock))):
            for attempts, backoff in ((1, 2), (2, 4), (3, 8)):
                (row,) = eventually(lambda n=attempts: rows(database_url, TRIED, n))  # type: ignore[misc]
                wait = (row["deadline"] - night.clock.now()).total_seconds()
                assert backoff <= wait <= 1.25 * backoff
                assert row["last_error"] == "Render is away."
                night.clock.advance(wait)
