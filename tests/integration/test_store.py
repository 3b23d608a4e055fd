"""The log in PostgreSQL: the library's own tests on our recorders, and the domain's stories."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from uuid import UUID, uuid4

import eventsourcing.cryptography
import psycopg
import pytest
from eventsourcing.persistence import (
    InfrastructureFactory,
    IntegrityError,
    Notification,
    StoredEvent,
    Tracking,
)
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.utils import Environment

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.store import (
    Factory,
    LogRecorder,
    ProcessRecorder,
    log_row,
    store_env,
    stream_row,
)
from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_domain import (
    Actor,
    EcoOrder,
    Role,
    Side,
    StrikeLog,
)
from strike_domain.memory import MEMORY_LOG, MemoryFactory, memory_env
from tests.integration.stored import (
    LongNight,
    end_connections,
    eventually,
    execute,
    rows,
    stored_night,
)
from tests.integration.stories import STORIES
from tests.unit.given import OSP, new_eco, stamp

# The library's tests import its older cipher, which wants a package that we do not use.
sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)

from eventsourcing.tests.persistence import (  # noqa: E402
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)

# The library's own tests of what a recorder must do ------------------------------------------


class OnOurDatabase:
    """Recorders of our factory, in tables of a fresh database."""

    url: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        type(self).url = database_url
        with Factory(Environment("recorded", store_env(database_url, creates_tables=True))) as made:
            self.factory = made
            yield


class TestLogRecorder(OnOurDatabase, ApplicationRecorderTestCase[LogRecorder]):
    def create_recorder(self) -> LogRecorder:
        recorder = self.factory.application_recorder()
        assert type(recorder) is LogRecorder
        return recorder


class TestProcessRecorderAsLog(OnOurDatabase, ApplicationRecorderTestCase[ProcessRecorder]):
    def create_recorder(self) -> ProcessRecorder:
        recorder = self.factory.process_recorder()
        assert type(recorder) is ProcessRecorder
        return recorder


class TestProcessRecorder(OnOurDatabase, ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        recorder = self.factory.process_recorder()
        assert isinstance(recorder, ProcessRecorder)
        return recorder


class TestNotificationIds(OnOurDatabase, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> LogRecorder:
        recorder = self.factory.application_recorder()
        assert isinstance(recorder, LogRecorder)
        return recorder


class TestProcessTracking(OnOurDatabase, TrackingRecorderTestCase):
    def create_recorder(self) -> PostgresTrackingRecorder:
        recorder = self.factory.process_recorder()
        assert isinstance(recorder, PostgresTrackingRecorder)
        return recorder


class TestViewTracking(OnOurDatabase, TrackingRecorderTestCase):
    def create_recorder(self) -> PostgresTrackingRecorder:
        return self.factory.tracking_recorder(VIEWS[0].recorder_class)


# Ours ----------------------------------------------------------------------------------------


def canonical(events: list[tuple[int, object]]) -> list[tuple[str, Any]]:
    """Types and payloads, with ids replaced by the order in which they first appear."""
    numbers: dict[UUID, int] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, UUID):
            return numbers.setdefault(value, len(numbers))
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        return value

    return [(type(one).__name__, plain(one.model_dump())) for _, one in events]  # type: ignore[attr-defined]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_story_makes_the_same_events_in_memory_and_in_postgresql(
    story: Callable[[LongNight], None], database_url: str
) -> None:
    in_memory = LongNight()
    story(in_memory)
    with stored_night(database_url) as night:
        story(night)
        assert canonical(night.strike.events()) == canonical(in_memory.strike.events())


def test_applications_with_one_name_of_a_memory_log_share_it() -> None:
    env = Environment("strike", memory_env())
    assert MemoryFactory(env).application_recorder() is MemoryFactory(env).process_recorder()
    other = Environment("strike", {**memory_env()})
    assert other[MEMORY_LOG] != env[MEMORY_LOG]
    assert MemoryFactory(other).process_recorder() is not MemoryFactory(env).process_recorder()


def test_the_insert_path_without_a_lock_cannot_be_turned_on(database_url: str) -> None:
    env = store_env(database_url) | {"POSTGRES_ENABLE_DB_FUNCTIONS": "y"}
    with Factory(Environment("strike", env)) as factory:
        assert not factory.datastore.enable_db_functions


def test_a_url_decides_host_user_database_and_whatever_else_it_says(database_url: str) -> None:
    with StrikeLog(store_env(f"{database_url}&application_name=strike-test")) as log:
        log.store(new_eco())
        found = rows(database_url, "SELECT application_name FROM pg_stat_activity")
        assert {"application_name": "strike-test"} in found


def test_a_reader_never_sees_a_later_event_before_an_earlier_one(database_url: str) -> None:
    """Six writers at once; a reader that only goes forward misses nothing."""
    writers, each = 6, 25
    with StrikeLog(store_env(database_url)) as log, ThreadPoolExecutor(writers) as threads:
        done = [
            threads.submit(lambda: [log.store(new_eco()) for _ in range(each)])
            for _ in range(writers)
        ]
        seen: list[int] = []
        while len(seen) < writers * each and not any(one.exception() for one in done if one.done()):
            last = seen[-1] if seen else None
            found = log.recorder.select_notifications(last, 500, inclusive_of_start=False)
            seen += [one.id for one in found]
        stored = [position for one in done for position in one.result()]
    assert seen == sorted(stored)


def test_of_two_who_store_the_same_version_one_is_told_and_leaves_nothing(
    database_url: str,
) -> None:
    with StrikeLog(store_env(database_url)) as log:
        eco_id = uuid4()
        log.store(new_eco(eco_id))
        first, second, other = log.eco(eco_id), log.eco(eco_id), new_eco()
        first.add_note("first", stamp())
        second.add_note("second", stamp())
        log.store(first)
        with pytest.raises(IntegrityError):
            log.store(second, other)
        assert len(rows(database_url, "SELECT 1 FROM strike_events")) == 2


def test_a_save_whose_answer_was_lost_is_recognised(database_url: str) -> None:
    with StrikeLog(store_env(database_url)) as log:
        eco = new_eco()
        pending = list(eco.pending_events)
        position = log.store(eco)
        eco.pending_events.extend(pending)
        assert log.store(eco) == position
        assert len(rows(database_url, "SELECT 1 FROM strike_events")) == 1


def test_the_first_command_after_the_server_closed_all_connections_does_not_wait(
    database_url: str,
) -> None:
    with StrikeLog(store_env(database_url, pool_size=8)) as log, open_pool(database_url) as pool:
        pool.wait()
        eventually(lambda: idle(log) >= 8)  # A command that had to wait makes the pool grow by one.
        end_connections(database_url)
        started = time.monotonic()
        log.store(new_eco())
        assert not PostgresDirectory(pool).has_render(OSP)
        assert time.monotonic() - started < 1
        assert idle(log) >= 1


def test_a_question_is_answered_although_its_connection_has_just_been_ended(
    database_url: str,
) -> None:
    """It was checked a moment ago, and is not checked again so soon."""
    with open_pool(database_url) as pool:
        directory = PostgresDirectory(pool)
        for _ in range(5):
            assert not directory.has_render(OSP)
            end_connections(database_url)


def idle(log: StrikeLog) -> int:
    recorder: Any = log.recorder
    available: int = recorder.datastore.pool.get_stats()["pool_available"]
    return available


def test_a_follower_notices_an_event_within_two_seconds_although_the_wake_up_is_lost(
    database_url: str,
) -> None:
    """The event is written past the library, which alone says NOTIFY."""
    with StrikeLog(store_env(database_url)) as log, log.recorder.subscribe(gt=0) as subscription:
        give_up = threading.Timer(10, subscription.stop)
        give_up.start()
        stored = log.mapper.to_stored_event(new_eco().pending_events[0])
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO strike_events (originator_id, originator_version, topic, state) "
                "VALUES (%s, %s, %s, %s)",
                (stored.originator_id, stored.originator_version, stored.topic, stored.state),
            )
        assert next(subscription).originator_id == stored.originator_id
        give_up.cancel()


def test_a_process_stores_events_and_its_position_together_or_not_at_all(
    database_url: str,
) -> None:
    factory: InfrastructureFactory[Any] = InfrastructureFactory.construct(
        Environment("strike", store_env(database_url))
    )
    with factory, StrikeLog(store_env(database_url)) as log:
        recorder = factory.process_recorder()
        stored = [log.mapper.to_stored_event(event) for event in new_eco().pending_events]
        recorder.insert_events(stored, tracking=Tracking("strike", 5))
        again = [log.mapper.to_stored_event(event) for event in new_eco().pending_events]
        with pytest.raises(IntegrityError):
            recorder.insert_events(again, tracking=Tracking("strike", 5))
        with pytest.raises(IntegrityError):
            recorder.insert_events(stored, tracking=Tracking("strike", 6))
        assert recorder.max_tracking_id("strike") == 5
        assert len(rows(database_url, "SELECT 1 FROM strike_events")) == 1


def test_an_event_without_the_one_before_it_is_not_stored(database_url: str) -> None:
    """Neither in a group nor with a position."""
    factory: InfrastructureFactory[Any] = InfrastructureFactory.construct(
        Environment("strike", store_env(database_url))
    )
    with factory, StrikeLog(store_env(database_url)) as log:
        eco = new_eco()
        for number in range(3):
            eco.add_note(f"Note {number}.", stamp())
        first, second, *rest = [log.mapper.to_stored_event(one) for one in eco.pending_events]
        log.recorder.insert_events([first])
        with pytest.raises(IntegrityError, match="before it"):
            log.recorder.insert_events(rest)
        with pytest.raises(IntegrityError, match="before it"):
            factory.process_recorder().insert_events(rest, tracking=Tracking("strike", 5))
        log.recorder.insert_events([second])
        log.recorder.insert_events(rest)
        assert [one.originator_version for one in log.events.get(eco.id)] == [1, 2, 3, 4]


def test_what_is_kept_of_more_than_the_log_has_makes_no_hole(database_url: str) -> None:
    """As where a standby took over that lacked the end of the log."""
    with StrikeLog(store_env(database_url)) as log:
        eco = new_eco()
        log.store(eco)
        for text in ("lost", "lost, too"):
            log.change_eco(eco.id, lambda one, text=text: one.add_note(text, stamp()))  # type: ignore[misc]
        execute(database_url, "DELETE FROM strike_events WHERE originator_version > 1")
        log.change_eco(eco.id, lambda one: one.add_note("afterwards", stamp()))
        assert [one.originator_version for one in log.events.get(eco.id)] == [1, 2]


def test_many_commands_on_one_eco_at_once_all_succeed(strike: Strike) -> None:
    callouts = strike.callouts()
    operator = Actor(name="nina", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)
    order = EcoOrder(
        osp_id=CONTRACTORS[0].id,
        location={"type": "Point", "coordinates": [-105.27, 40.01]},
        job_type="FNOL",
        description="Cut",
    )
    eco_id = callouts.create_eco(order, operator).aggregate.id
    with ThreadPoolExecutor(32) as threads:
        notes = [f"note {number}" for number in range(200)]
        receipts = [*threads.map(lambda text: callouts.add_note(eco_id, text, operator), notes)]
    assert len({one.position for one in receipts}) == 200
    assert strike.log.eco(eco_id).version == 201


def test_rows_become_what_the_library_makes_of_them() -> None:
    stream, values = uuid4(), (5, "a.topic", b"{}")
    assert stream_row(stream)(None)(values) == StoredEvent(stream, *values)
    made = log_row(None)((7, stream, *values))
    assert made == Notification(stream, *values, id=7)
    assert repr(made) == repr(Notification(stream, *values, id=7))
    assert hash(made) == hash(Notification(stream, *values, id=7))
