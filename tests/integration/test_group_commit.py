"""Saves that share a commit: each gets its own answer, and no follower ever misses one of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar
from uuid import UUID

import eventsourcing.cryptography
import psycopg
import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    OperationalError,
    StoredEvent,
    Tracking,
)
from eventsourcing.postgres import PostgresProcessRecorder
from eventsourcing.utils import Environment

from strike_adapters.postgres.group_commit import Save
from strike_adapters.postgres.store import Factory, LogRecorder, ProcessRecorder, store_env
from strike_adapters.postgres.together import MAX_BYTES
from strike_domain import StrikeLog
from tests.integration.stored import end_connections, eventually, rows
from tests.integration.writers import followed, made_up
from tests.unit.given import new_eco

# The library's tests import its older cipher, which wants a package that we do not use.
sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)

from eventsourcing.tests.persistence import (  # noqa: E402
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
)

# The library's own tests of what a recorder must do ------------------------------------------
# `test_store` runs them on the recorders as they are; here every group goes the ways that are
# otherwise gone only after a failure.


class Sifting(LogRecorder):
    """Looks for conflicts at once."""

    def _commit(self, saves: Sequence[Save]) -> None:
        self._sift(saves)


class OneByOne(LogRecorder):
    """Commits the saves of a group one after the other."""

    def _commit(self, saves: Sequence[Save]) -> None:
        self._singly(saves)


class SiftingProcess(Sifting, PostgresProcessRecorder):
    """The same with tracking."""


class OnOurDatabase:
    """Recorders of our factory, in tables of a fresh database."""

    factory: Factory
    recorder_class: ClassVar[type[LogRecorder]] = LogRecorder

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        with Factory(Environment("recorded", store_env(database_url, creates_tables=True))) as made:
            self.factory = made
            yield

    def create_recorder(self) -> Any:
        recorder = self.recorder_class(
            self.factory.datastore, events_table_name="recorded_events", **self.names()
        )
        recorder.create_table()
        return recorder

    def names(self) -> dict[str, str]:
        return {}


class TestLog(OnOurDatabase, ApplicationRecorderTestCase[LogRecorder]):
    pass


class TestSifting(OnOurDatabase, ApplicationRecorderTestCase[LogRecorder]):
    recorder_class = Sifting


class TestOneByOne(OnOurDatabase, ApplicationRecorderTestCase[LogRecorder]):
    recorder_class = OneByOne


class TestSiftingIds(OnOurDatabase, NonInterleavingNotificationIDsBaseCase):
    recorder_class = Sifting


class TestProcess(OnOurDatabase, ProcessRecorderTestCase):
    recorder_class = ProcessRecorder

    def names(self) -> dict[str, str]:
        return {"tracking_table_name": "recorded_tracking"}


class TestSiftingProcess(OnOurDatabase, ProcessRecorderTestCase):
    recorder_class = SiftingProcess

    def names(self) -> dict[str, str]:
        return {"tracking_table_name": "recorded_tracking"}


# Saves that arrive while another is being committed -------------------------------------------


class Crowd:
    """Callers of one recorder, each in a thread of their own, who arrive in a known order.

    While the table is held, the first of them waits for it and the others for the first.
    """

    def __init__(self, url: str, recorder: LogRecorder) -> None:
        self.url = url
        self.recorder = recorder
        self._threads = ThreadPoolExecutor(100)

    def end(self) -> None:
        self._threads.shutdown()

    @contextmanager
    def held(self) -> Iterator[None]:
        with psycopg.connect(self.url) as connection:
            connection.execute("LOCK TABLE strike_events IN EXCLUSIVE MODE")
            yield
            connection.rollback()

    def arrive(self, *saves: Sequence[StoredEvent]) -> list[Future[Sequence[int] | None]]:
        started = []
        for events in saves:
            before = self._present()
            started.append(self._threads.submit(self.recorder.insert_events, events))
            eventually(lambda n=before: self._present() > n)  # type: ignore[misc]
        return started

    def _present(self) -> int:
        groups = self.recorder._groups
        return len(groups._waiting) + len(groups._group)

    def save_together(self, *saves: Sequence[StoredEvent]) -> list[Future[Sequence[int] | None]]:
        """One save that makes the others wait, and those in one group."""
        with self.held():
            _, *others = self.arrive(made_up(), *saves)
        for one in others:
            one.exception(30)
        return others

    def ids(self, events: Sequence[StoredEvent]) -> list[int]:
        """The notification ids that the table has for the stream of `events`."""
        query = (
            "SELECT notification_id AS id FROM strike_events WHERE originator_id = %s ORDER BY 1"
        )
        return [row["id"] for row in rows(self.url, query, events[0].originator_id)]

    def transactions(self) -> list[int]:
        """How many events each transaction has stored, in the order of commits."""
        query = (
            "SELECT count(*) AS n FROM strike_events GROUP BY xmin ORDER BY min(notification_id)"
        )
        return [row["n"] for row in rows(self.url, query)]


@pytest.fixture
def crowd(database_url: str) -> Iterator[Crowd]:
    with Factory(Environment("strike", store_env(database_url))) as factory:
        recorder = factory.application_recorder()
        assert isinstance(recorder, LogRecorder)
        found = Crowd(database_url, recorder)
        yield found
        found.end()


def test_sixty_four_callers_share_a_transaction_and_each_gets_its_own_ids(crowd: Crowd) -> None:
    saves = [made_up(1 + number % 3) for number in range(64)]
    done = crowd.save_together(*saves)
    ids = [one.result() for one in done]
    assert ids == [crowd.ids(events) for events in saves]
    assert crowd.transactions() == [1, sum(map(len, saves))]
    in_order = [one for some in ids for one in some or ()]
    assert in_order == sorted(in_order)


def test_those_who_conflict_fail_alone_and_everybody_else_is_stored_once(crowd: Crowd) -> None:
    stored = made_up(2)
    crowd.recorder.insert_events(stored)
    twice, rivals, half_new = made_up(), made_up(), made_up(2)
    saves = [
        *(made_up(2) for _ in range(20)),
        [*made_up(), stored[1]],
        rivals,
        [*made_up(), *rivals],
        [*twice, *twice],
        [stored[0], *half_new],
        half_new,
        *(made_up() for _ in range(20)),
    ]
    done = crowd.save_together(*saves)
    guilty = [number for number, one in enumerate(done) if one.exception()]
    assert guilty == [20, 22, 23, 24]
    assert all(type(done[number].exception()) is IntegrityError for number in guilty)
    for number, (events, one) in enumerate(zip(saves, done, strict=True)):
        if number not in guilty:
            assert one.result() == crowd.ids(events)
    assert crowd.ids(twice) == []
    assert len(crowd.transactions()) == 3


def test_what_cannot_be_stored_at_all_fails_alone(crowd: Crowd) -> None:
    bad = [StoredEvent(made_up()[0].originator_id, 1, "a \x00 topic", b"")]
    saves = [made_up(), bad, made_up()]
    before, wrong, after = crowd.save_together(*saves)
    assert type(wrong.exception()) is DataError
    assert before.result() == crowd.ids(saves[0])
    assert after.result() == crowd.ids(saves[2])
    assert crowd.ids(bad) == []


def test_a_save_larger_than_a_group_is_committed_alone(crowd: Crowd) -> None:
    small, huge, last = made_up(), made_up(3, size=MAX_BYTES), made_up()
    done = crowd.save_together(small, huge, last)
    assert [one.result() for one in done] == [crowd.ids(some) for some in (small, huge, last)]
    assert crowd.transactions() == [1, 1, 3, 1]


def test_closing_gives_each_caller_a_result_or_an_error(database_url: str) -> None:
    with ExitStack() as stack:
        log = stack.enter_context(StrikeLog(store_env(database_url)))
        assert isinstance(log.recorder, LogRecorder)
        crowd = Crowd(database_url, log.recorder)
        with crowd.held():
            under_way, *queued = crowd.arrive(*(made_up() for _ in range(10)))
            log.close()
            for one in queued:
                assert type(one.exception(1)) is OperationalError
        assert under_way.result(5) == [1]
        with pytest.raises(OperationalError, match="closed"):
            log.recorder.insert_events(made_up())
        crowd.end()


def test_with_tracking_or_a_hook_of_its_own_a_save_goes_the_way_of_the_library(
    crowd: Crowd, database_url: str
) -> None:
    hooked: list[UUID | str] = []

    class WithHook(LogRecorder):
        def _insert_events(self, curs: Any, stored_events: Any, **_: Any) -> None:
            hooked.extend(one.originator_id for one in stored_events)

    events = made_up()
    recorder = WithHook(crowd.recorder.datastore, events_table_name="strike_events")
    assert recorder.insert_events(events) == crowd.ids(events)
    assert hooked == [events[0].originator_id]
    with Factory(Environment("strike", store_env(database_url))) as factory:
        process = factory.process_recorder()
        assert process.insert_events(made_up(), tracking=Tracking("strike", 1)) == [2]
        with pytest.raises(IntegrityError):
            process.insert_events(made_up(), tracking=Tracking("strike", 1))
        assert process.insert_events(made_up(), tracking=None) is not None


# Lost connections -----------------------------------------------------------------------------


def answer_lost(way: Callable[[Sequence[Save]], None]) -> Callable[[Sequence[Save]], None]:
    """Commit, but lose the answer, the first time that a group comes."""
    losing = [True]

    def commit(saves: Sequence[Save]) -> None:
        way(saves)
        if len(saves) > 1 and losing:
            losing.clear()
            for one in saves:
                one.answer = None
            raise OperationalError("server closed the connection unexpectedly")

    return commit


def test_when_the_answer_to_a_commit_is_lost_each_caller_is_told_of_a_conflict(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without groups: the second try finds what the first has stored."""
    monkeypatch.setattr(crowd.recorder, "_all", answer_lost(crowd.recorder._all))
    saves = [made_up(2) for _ in range(5)]
    done = crowd.save_together(*saves)
    assert all(type(one.exception()) is IntegrityError for one in done)
    assert all(len(crowd.ids(events)) == 2 for events in saves)


def test_commands_whose_group_lost_its_answer_recognise_their_own_events(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StrikeLog(store_env(database_url)) as log, ThreadPoolExecutor(8) as threads:
        assert isinstance(log.recorder, LogRecorder)
        monkeypatch.setattr(log.recorder, "_all", answer_lost(log.recorder._all))
        positions = list(threads.map(lambda _: log.store(new_eco()), range(64)))
        assert len(positions) == 64
        assert len(rows(database_url, "SELECT 1 FROM strike_events")) == 64


def test_connections_that_break_under_load_lose_no_command_and_store_none_twice(
    database_url: str,
) -> None:
    with StrikeLog(store_env(database_url)) as log, ThreadPoolExecutor(16) as threads:
        done = [threads.submit(lambda: log.store(new_eco())) for _ in range(600)]
        for part in (100, 250, 400):
            eventually(lambda n=part: sum(one.done() for one in done) > n)  # type: ignore[misc]
            end_connections(database_url)
        assert all(one.result(30) for one in done)
        assert len(rows(database_url, "SELECT 1 FROM strike_events")) == 600


# Nobody misses an event -----------------------------------------------------------------------


def take_lock_out(url: str) -> None:
    """Of the function that appends: it is what keeps ids in the order of commits."""
    query = "SELECT pg_get_functiondef('strike_events_append'::regproc) AS text"
    text: str = rows(url, query)[0]["text"]
    without, locks = re.subn("LOCK TABLE [^;]+;", "", text)
    assert locks == 1
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(without.encode())


def all_ids(url: str) -> list[int]:
    query = "SELECT notification_id AS id FROM strike_events ORDER BY notification_id"
    return [row["id"] for row in rows(url, query)]


def test_no_follower_ever_skips_an_event_of_many_writing_processes(database_url: str) -> None:
    """`STRIKE_GAP_SECONDS=60` for the long form."""
    first, second = followed(database_url)
    stored = all_ids(database_url)
    assert len(stored) > 500
    assert first == stored
    assert second == stored


def test_without_the_lock_followers_skip_events_so_that_the_test_before_can_fail(
    database_url: str,
) -> None:
    take_lock_out(database_url)
    first, second = followed(database_url)
    stored = set(all_ids(database_url))
    assert stored - set(first) or stored - set(second)
