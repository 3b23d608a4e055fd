"""A log with an archive is one log: nobody who reads or writes can tell where an event lies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.utils import Environment
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from strike_adapters.postgres.archive.moving import Archive, Closed, Moved, Stream
from strike_adapters.postgres.prepare import PREPARING
from strike_adapters.postgres.store import Factory, LogRecorder, ProcessRecorder, store_env
from strike_domain.errors import Conflict, NotFound
from tests.integration.stored import eventually, execute, rows
from tests.integration.test_group_commit import Crowd
from tests.integration.writers import Reader, made_up

NOW = datetime(2026, 7, 1, tzinfo=UTC)
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


class Log:
    """A log with its archive, and some words for moving."""

    def __init__(self, factory: Factory) -> None:
        recorder, process = factory.application_recorder(), factory.process_recorder()
        assert isinstance(recorder, LogRecorder) and isinstance(process, ProcessRecorder)
        self.recorder: LogRecorder = recorder
        self.process: ProcessRecorder = process
        self.archive = Archive(recorder)

    def stored(self, count: int = 3) -> UUID:
        events = made_up(count)
        self.recorder.insert_events(events)
        return UUID(str(events[0].originator_id))

    def add(self, stream: UUID, version: int, state: bytes = b"added") -> None:
        self.recorder.insert_events([StoredEvent(stream, version, "strike.test", state)])

    def closed(self, *streams: UUID, month: date = MAY) -> Closed:
        """Those streams as they are by now, as one callout, which is called as the first."""
        found = self.recorder.select_streams(streams, 2**62)
        described = [
            Stream(key, max(one.originator_version for one in mine), mine[0].id, mine[-1].id)
            for key in streams
            if (mine := [one for one in found if one.originator_id == key])
        ]
        return Closed(streams[0], month, tuple(described))

    def move(self, *streams: UUID, month: date = MAY) -> Moved:
        return self.archive.move([self.closed(*streams, month=month)], NOW)

    def versions(self, stream: UUID, **which: Any) -> list[int]:
        return [one.originator_version for one in self.recorder.select_events(stream, **which)]


@pytest.fixture
def log(database_url: str) -> Iterator[Log]:
    with Factory(Environment("strike", store_env(database_url))) as factory:
        yield Log(factory)


def live_rows(url: str) -> int:
    return int(rows(url, "SELECT count(*) AS n FROM strike_events")[0]["n"])


# Reading ---------------------------------------------------------------------------------------


def test_an_archived_stream_is_read_as_before_and_lies_elsewhere(
    log: Log, database_url: str
) -> None:
    first, second = log.stored(5), log.stored(2)
    before = log.recorder.select_events(first)
    moved = log.move(first)
    assert (moved.callouts, moved.streams, moved.events) == (1, 1, 5)
    assert live_rows(database_url) == 2
    assert log.recorder.select_events(first) == before
    assert log.versions(second) == [1, 2]


PARTS: list[dict[str, Any]] = [
    {},
    {"gt": 0},
    {"gt": 2},
    {"gt": 3},
    {"gt": 4},
    {"gt": 5},
    {"gt": 6},
    {"lte": 2},
    {"lte": 4},
    {"lte": 0},
    {"gt": 1, "lte": 2},
    {"gt": 2, "lte": 5},
    {"gt": 4, "lte": 5},
    {"desc": True},
    {"desc": True, "limit": 1},
    {"desc": True, "limit": 4},
    {"limit": 2},
    {"limit": 5, "gt": 1},
    {"desc": True, "gt": 2, "lte": 4},
]


@pytest.mark.parametrize("archived", [3, 4, 6])
def test_any_part_of_a_stream_of_which_the_beginning_is_archived(log: Log, archived: int) -> None:
    stream = log.stored(archived)
    log.move(stream)
    for version in range(archived + 1, 7):
        log.add(stream, version)
    for which in PARTS:
        wanted = list(range(which.get("gt", 0) + 1, min(which.get("lte", 6), 6) + 1))
        if which.get("desc"):
            wanted.reverse()
        assert log.versions(stream, **which) == wanted[: which.get("limit")], which


def test_a_stream_that_is_whole_in_the_live_table_costs_one_question(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived, live = log.stored(), log.stored()
    log.move(archived)
    asked: list[str] = []
    ask = LogRecorder._stream

    def counted(self: LogRecorder, statement: str, which: Any) -> Any:
        asked.append(statement)
        return ask(self, statement, which)

    monkeypatch.setattr(LogRecorder, "_stream", counted)
    for which in ({}, {"gt": 0}, {"gt": 1}, {"gt": 3}, {"lte": 2}):
        log.versions(live, **which)
    assert len(asked) == 5
    assert not any("{archived}" in one for one in asked)
    log.versions(archived)
    assert len(asked) == 7


def test_the_log_is_read_in_its_order_from_any_position(log: Log) -> None:
    streams = [log.stored(1 + number % 3) for number in range(12)]
    before = log.recorder.select_notifications(None, 1_000)
    log.move(streams[1], streams[7], month=JUNE)
    log.move(streams[4], month=MAY)
    assert log.recorder.select_notifications(None, 1_000) == before
    for start in range(1, before[-1].id + 2):
        for limit in (1, 4, 100):
            for stop in (None, start + 5):
                wanted = [one for one in before if one.id >= start and one.id <= (stop or 1_000)]
                found = log.recorder.select_notifications(start, limit, stop)
                assert found == wanted[:limit], (start, limit, stop)
    found = log.recorder.select_notifications(3, 100, inclusive_of_start=False)
    assert found == [one for one in before if one.id > 3]
    assert log.recorder.select_notifications(None, 100, topics=["strike.other"]) == []
    assert log.recorder.select_notifications(None, 100, topics=["strike.test"]) == before


def test_behind_what_is_archived_the_archive_is_not_read(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.move(log.stored())
    log.stored()
    asked: list[str] = []
    ask = LogRecorder._log

    def counted(self: LogRecorder, statement: str, which: Any) -> Any:
        asked.append(statement)
        return ask(self, statement, which)

    monkeypatch.setattr(LogRecorder, "_log", counted)
    assert len(log.recorder.select_notifications(4, 100)) == 3
    assert len(asked) == 1
    assert "{everything}" not in asked[0]


def test_the_newest_position_is_known_although_its_event_is_archived(log: Log) -> None:
    assert log.recorder.max_notification_id() is None
    log.stored()
    newest = log.stored()
    position = log.recorder.max_notification_id()
    log.move(newest)
    assert log.recorder.max_notification_id() == position
    log.stored(1)
    assert (log.recorder.max_notification_id() or 0) > (position or 0)


def test_a_stream_is_begun_also_when_it_is_archived(log: Log) -> None:
    stream = log.stored()
    log.move(stream)
    assert log.recorder.is_begun(stream)
    assert not log.recorder.is_begun(uuid4())


def test_streams_are_selected_together_up_to_a_position(log: Log) -> None:
    ours = [log.stored(2) for _ in range(4)]
    log.stored()
    before = log.recorder.select_streams(ours, 7)
    log.move(ours[0], ours[2])
    log.move(ours[3], month=JUNE)
    assert log.recorder.select_streams(ours, 7) == before
    assert [one.id for one in before] == list(range(1, 8))


# Writing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_tracked", [False, True])
def test_what_is_archived_cannot_be_stored_again(
    log: Log, is_tracked: bool, database_url: str
) -> None:
    stream, other = log.stored(3), uuid4()
    log.move(stream)
    recorder, more = log.recorder, {}
    if is_tracked:
        recorder, more = log.process, {"tracking": Tracking("upstream", 1)}
    for version in (1, 2, 3):
        events = [
            StoredEvent(other, 1, "strike.test", b"with it"),
            StoredEvent(stream, version, "strike.test", b"stale"),
        ]
        with pytest.raises(IntegrityError):
            recorder.insert_events(events, **more)
    assert live_rows(database_url) == 0
    assert log.process.max_tracking_id("upstream") is None
    log.add(stream, 4)
    assert log.versions(stream) == [1, 2, 3, 4]


def test_in_a_group_only_the_stale_one_is_refused(
    log: Log, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = log.stored(3)
    log.move(stream)
    stale = [StoredEvent(stream, 3, "strike.test", b"stale")]
    saves = [made_up(), made_up(), stale, made_up()]
    tried_alone: list[Any] = []
    monkeypatch.setattr(LogRecorder, "_singly", lambda _, saves: tried_alone.append(saves))
    crowd = Crowd(database_url, log.recorder)
    done = crowd.save_together(*saves)
    crowd.end()
    failed = [one.exception() for one in done]
    assert isinstance(failed[2], IntegrityError)
    assert [one for one in failed if one is None] == [None] * 3
    assert tried_alone == []


def test_of_two_who_add_to_an_archived_stream_one_wins(log: Log) -> None:
    stream = log.stored(3)
    log.move(stream)
    log.add(stream, 4)
    with pytest.raises(IntegrityError):
        log.add(stream, 4)
    assert log.versions(stream) == [1, 2, 3, 4]


# Moving ----------------------------------------------------------------------------------------


def test_what_was_added_later_is_moved_to_the_rest(log: Log, database_url: str) -> None:
    stream = log.stored(3)
    before = log.recorder.select_notifications(None, 100)
    log.move(stream)
    log.add(stream, 4)
    log.move(stream)
    assert live_rows(database_url) == 0
    assert log.versions(stream) == [1, 2, 3, 4]
    assert log.recorder.select_notifications(None, 100)[:3] == before
    with pytest.raises(IntegrityError):
        log.add(stream, 4)


def test_a_callout_to_which_something_happens_is_left_out_as_a_whole(
    log: Log, database_url: str
) -> None:
    ours, run, other = log.stored(3), log.stored(2), log.stored(4)
    closed = [log.closed(ours, run), log.closed(other)]
    log.add(run, 3)
    moved = log.archive.move(closed, NOW)
    assert (moved.callouts, moved.streams, moved.events) == (1, 1, 4)
    assert live_rows(database_url) == 6
    assert log.versions(run) == [1, 2, 3]


def test_months_are_partitions(log: Log, database_url: str) -> None:
    may, june = log.stored(2), log.stored(3)
    log.move(may)
    log.move(june, month=JUNE)
    found = rows(
        database_url,
        "SELECT tableoid::regclass::text AS name, count(*) AS n FROM strike_events_archived"
        " GROUP BY 1 ORDER BY 1",
    )
    assert [(one["name"], one["n"]) for one in found] == [
        ("strike_events_archived_2026_05", 2),
        ("strike_events_archived_2026_06", 3),
    ]
    told = [(one.month, one.callouts, one.streams, one.events) for one in log.archive.months()]
    assert told == [(MAY, 1, 1, 2), (JUNE, 1, 1, 3)]
    assert all(one.bytes > 0 for one in log.archive.months())
    log.archive.settle([MAY, JUNE])


def test_december_ends_with_the_year(log: Log) -> None:
    stream = log.stored()
    log.move(stream, month=date(2025, 12, 1))
    log.move(log.stored(), month=date(2026, 1, 1))
    assert log.versions(stream) == [1, 2, 3]


def test_a_stream_comes_back_with_its_positions(log: Log, database_url: str) -> None:
    ours, run, other = log.stored(3), log.stored(2), log.stored(1)
    before = log.recorder.select_notifications(None, 100)
    log.move(ours, run)
    log.move(other, month=JUNE)
    assert log.archive.restore(ours) == 5
    assert live_rows(database_url) == 5
    assert log.recorder.select_notifications(None, 100) == before
    with pytest.raises(IntegrityError):
        log.add(run, 2)
    with pytest.raises(NotFound):
        log.archive.restore(ours)
    log.move(ours, run)
    assert log.versions(run) == [1, 2]


def test_one_process_moves_at_a_time(log: Log) -> None:
    with log.archive.alone(), pytest.raises(Conflict), log.archive.alone():
        pass
    with log.archive.alone():
        pass


def test_the_live_table_is_written_anew_without_the_room_of_what_was_moved(
    log: Log, database_url: str
) -> None:
    streams = [log.stored(3) for _ in range(100)]
    before = log.archive.live()
    log.archive.move([log.closed(one) for one in streams[:90]], NOW)
    log.archive.compact(10)
    after = log.archive.live()
    assert (before.events, after.events) == (300, 30)
    assert after.bytes < before.bytes
    with psycopg.connect(database_url) as holding:
        holding.execute("SELECT count(*) FROM strike_events")
        with pytest.raises(Conflict):
            log.archive.compact(0.1)
    log.add(streams[-1], 4)


def test_nothing_is_moved_while_a_version_is_being_installed(log: Log, database_url: str) -> None:
    stream = log.stored()
    log.move(log.stored())  # The month is there.
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(database_url) as preparing, ThreadPoolExecutor(1) as threads:
        preparing.execute("SELECT pg_advisory_lock(%s)", (PREPARING,))
        moving = threads.submit(log.move, stream)
        eventually(lambda: rows(database_url, waiting))
        assert live_rows(database_url) == 3
        preparing.execute("SELECT pg_advisory_unlock(%s)", (PREPARING,))
        assert moving.result().events == 3


# At the same time ------------------------------------------------------------------------------


def test_whoever_reads_while_it_is_moved_to_and_fro_sees_all_of_it(log: Log) -> None:
    stream = log.stored(5)
    log.stored(2)
    everything = log.recorder.select_notifications(None, 100)
    stop = threading.Event()

    def read() -> int:
        looks = 0
        while not stop.is_set():
            assert log.versions(stream) == [1, 2, 3, 4, 5]
            assert log.versions(stream, gt=3) == [4, 5]
            assert log.recorder.select_notifications(1, 100) == everything
            assert log.recorder.select_streams([stream], 7) == everything[:5]
            assert log.recorder.is_begun(stream)
            looks += 1
        return looks

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        try:
            for _ in range(60):
                log.move(stream)
                log.archive.restore(stream)
        finally:
            stop.set()
        assert min(one.result() for one in readers) > 10


def test_saves_and_followers_miss_nothing_while_callouts_are_moved(
    log: Log, database_url: str
) -> None:
    """Writers add to streams that are being moved; each version is stored once, all are seen."""
    streams = [log.stored(2) for _ in range(30)]
    stop, added = threading.Event(), dict.fromkeys(streams, 2)

    def write(mine: Sequence[UUID]) -> None:
        while not stop.is_set():
            for stream in mine:
                log.add(stream, added[stream] + 1)
                added[stream] += 1
                with suppress(IntegrityError):
                    log.add(stream, added[stream])
                    pytest.fail("a version was stored twice")

    reader = Reader(database_url)
    reader.start()
    moved = 0
    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, streams[part::3]) for part in range(3)]
        try:
            for turn in range(40):
                some = [log.closed(one) for one in streams[turn % 10 :: 10]]
                moved += log.archive.move(some, NOW).events
        finally:
            stop.set()
        for one in writers:
            one.result()
    seen = reader.end()
    everything = log.recorder.select_notifications(None, 1_000_000)
    assert moved > 60
    assert seen == [one.id for one in everything]
    assert len(everything) == sum(added.values())
    for stream, last in added.items():
        assert log.versions(stream) == list(range(1, last + 1))


MOVE_AND_HANG = """
import sys
from datetime import UTC, date, datetime
from uuid import UUID
from eventsourcing.utils import Environment
from strike_adapters.postgres.archive import moving
from strike_adapters.postgres.store import Factory, store_env

url, stream = sys.argv[1], UUID(sys.argv[2])
gone = f"WITH gone AS ({moving.DELETE} RETURNING 1)"
moving.DELETE = f"{gone} SELECT count(*), pg_sleep(600) FROM gone"
with Factory(Environment("strike", store_env(url))) as factory:
    archive = moving.Archive(factory.application_recorder())
    streams = (moving.Stream(stream, 4, 1, 4),)
    archive.move([moving.Closed(stream, date(2026, 5, 1), streams)], datetime.now(UTC))
"""


def test_a_process_killed_in_the_middle_leaves_nothing_half(log: Log, database_url: str) -> None:
    stream = log.stored(4)
    before = log.recorder.select_notifications(None, 100)
    asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with subprocess.Popen(
        [sys.executable, "-c", MOVE_AND_HANG, database_url, str(stream)]
    ) as dying:
        try:
            eventually(lambda: rows(database_url, asleep), 60)
        finally:
            dying.send_signal(signal.SIGKILL)
    # The server finds out that nobody is there when it next has something to say to them.
    for one in rows(database_url, asleep):
        execute(database_url, "SELECT pg_terminate_backend(%s)", one["pid"])
    eventually(lambda: not rows(database_url, asleep))
    assert live_rows(database_url) == 4
    assert rows(database_url, "SELECT 1 FROM strike_events_archived") == []
    assert rows(database_url, "SELECT 1 FROM strike_events_archived_streams") == []
    assert log.recorder.select_notifications(None, 100) == before
    assert log.move(stream).events == 4


# Whatever is done in whatever order --------------------------------------------------------------


PICK = st.integers(0, 23)


class OneLog(RuleBasedStateMachine):
    """Beside a list: streams grow, are moved and come back; every answer is as the list says."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log
        self.after = log.recorder.max_notification_id() or 0
        self.written: list[tuple[int, UUID, int]] = []
        self.streams: list[UUID] = []
        self.last: dict[UUID, int] = {}
        self.archived: dict[UUID, int] = {}

    @initialize()
    def begin(self) -> None:
        self.store(2)

    @rule(count=st.integers(1, 3))
    def store(self, count: int) -> None:
        stream = self.log.stored(count)
        self.streams.append(stream)
        self.last[stream] = 0
        self._note(stream, count)

    @rule(pick=PICK)
    def add(self, pick: int) -> None:
        stream = self._picked(pick)
        self.log.add(stream, self.last[stream] + 1)
        self._note(stream, 1)

    @rule(pick=PICK, version=PICK)
    def add_in_vain(self, pick: int, version: int) -> None:
        stream = self._picked(pick)
        with pytest.raises(IntegrityError):
            self.log.add(stream, 1 + version % self.last[stream])

    @rule(pick=PICK)
    def move(self, pick: int) -> None:
        stream = self._picked(pick)
        # When a callout was over does not change.
        self.log.move(stream, month=MAY if self.streams.index(stream) % 2 else JUNE)
        self.archived[stream] = self.last[stream]

    @rule(pick=PICK)
    def restore(self, pick: int) -> None:
        stream = self._picked(pick)
        if stream in self.archived:
            assert self.log.archive.restore(stream) == self.archived.pop(stream)

    @rule(pick=PICK, gt=st.integers(0, 5), lte=st.integers(0, 8), is_descending=st.booleans())
    def read(self, pick: int, gt: int, lte: int, is_descending: bool) -> None:
        stream = self._picked(pick)
        wanted = list(range(gt + 1, min(lte, self.last[stream]) + 1))
        found = self.log.versions(stream, gt=gt, lte=lte, desc=is_descending)
        assert found == (wanted[::-1] if is_descending else wanted)
        assert self.log.versions(stream) == list(range(1, self.last[stream] + 1))

    @invariant()
    def is_one_log(self) -> None:
        found = self.log.recorder.select_notifications(self.after + 1, 1_000)
        assert [(one.id, one.originator_id, one.originator_version) for one in found] == (
            self.written
        )
        newest = self.written[-1][0] if self.written else self.after or None
        assert self.log.recorder.max_notification_id() == newest

    def _picked(self, pick: int) -> UUID:
        return self.streams[pick % len(self.streams)]

    def _note(self, stream: UUID, count: int) -> None:
        last = self.written[-1][0] if self.written else self.after
        new = self.log.recorder.select_notifications(last + 1, 10)
        assert len(new) == count
        for one in new:
            self.last[stream] += 1
            self.written.append((one.id, stream, self.last[stream]))


def test_it_is_one_log_whatever_is_moved(log: Log) -> None:
    run_state_machine_as_test(
        lambda: OneLog(log),  # type: ignore[arg-type]
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
