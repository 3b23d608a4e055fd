"""The followers of one process read the log together; each still follows on its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import ApplicationRecorder, Notification, OperationalError

from strike_adapters.postgres import reading
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.fold import Read
from strike_adapters.postgres.followers import VIEWS, Follower, open_view
from strike_adapters.postgres.reading import Place, SharedReading
from strike_adapters.postgres.store import WatchfulSubscription, store_env
from strike_domain import Router, StrikeLog
from strike_domain.eventsourced import PydanticMapper
from tests.integration.stored import Running, StoredNight, eventually, rows, stored_night
from tests.integration.test_followers import reached
from tests.unit.given import OPERATOR

NAMES = tuple(view.name for view in VIEWS)


@pytest.fixture
def night(database_url: str) -> Iterator[StoredNight]:
    with stored_night(database_url) as night:
        yield night


@pytest.fixture
def shared(night: StoredNight) -> SharedReading:
    return SharedReading(night.url)


def followers(night: StoredNight, shared: SharedReading, *names: str) -> list[Follower]:
    router = Router(PostgresDirectory(night.pool))
    return [Follower(one, night.url, router, night.clock, shared) for one in names or NAMES]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of all events that are decoded from now on."""
    found: list[int] = []
    decode = PydanticMapper.to_domain_event

    def to_domain_event(self: Any, stored: Any) -> Any:
        found.append(getattr(stored, "id", 0))
        return decode(self, stored)

    monkeypatch.setattr(PydanticMapper, "to_domain_event", to_domain_event)
    return found


def test_whoever_has_caught_up_is_handed_what_one_has_read(
    night: StoredNight, shared: SharedReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    eco_id = night.order()
    with Running(*followers(night, shared)):
        eventually(lambda: reached(night, *NAMES))
        end, decoded = night.strike.log.position(), counted(monkeypatch)
        for number in range(5):
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
        eventually(lambda: reached(night, *NAMES))
        shown = [one for one in decoded if one > end]
    assert shown == sorted(set(shown)), "Each once, in order, for eight read models."


def test_looks_at_the_log_lie_apart_while_events_come_all_the_time(
    night: StoredNight, shared: SharedReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look costs about the same, whether it finds one event or a hundred."""
    monkeypatch.setattr(reading, "APART", 0.2)
    eco_id = night.order()
    with Running(*followers(night, shared, "eco_views")):
        eventually(lambda: reached(night, "eco_views"))
        looks = looked_at(monkeypatch)
        for number in range(60):
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
        eventually(lambda: reached(night, "eco_views"))
    found = [when for when, events in looks if events]
    assert sum(events for _, events in looks) == 60
    assert all(later - earlier >= 0.19 for earlier, later in pairwise(found))


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """When each look at the log was begun from now on, and how many events it found."""
    found: list[tuple[float, int]] = []
    select = reading.select

    def selecting(recorder: ApplicationRecorder, after: int) -> Sequence[Notification]:
        began = time.monotonic()
        events = select(recorder, after)
        found.append((began, len(events)))
        return events

    monkeypatch.setattr(reading, "select", selecting)
    return found


def test_the_pager_s_looks_lie_apart_as_well(night: StoredNight) -> None:
    """The first after a pause comes at once."""
    with night.strike.log.recorder.subscribe(gt=night.strike.log.position()) as subscription:
        assert isinstance(subscription, WatchfulSubscription)
        subscription.apart = 1.0
        assert subscription._still_apart() == 0
        night.order()
        next(iter(subscription))
        assert 0 < subscription._still_apart() <= 1


def test_whoever_is_far_behind_reads_alone_and_misses_nothing(
    night: StoredNight, shared: SharedReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "KEPT", 2)
    monkeypatch.setattr(reading, "MOST", 3)
    eco_id = night.order()
    first, *others = followers(night, shared)
    with Running(*others):
        for number in range(20):
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
        eventually(lambda: reached(night, *NAMES[1:]))
        with Running(first):
            night.strike.callouts.add_note(eco_id, "The last", OPERATOR)
            eventually(lambda: reached(night, *NAMES))
    lines = rows(night.url, "SELECT position FROM eco_timeline ORDER BY position")
    assert [one["position"] for one in lines] == [p for p, _ in night.strike.events()]


def test_a_view_that_is_held_up_holds_up_no_other(
    night: StoredNight, shared: SharedReading
) -> None:
    night.order()
    with Running(*followers(night, shared)):
        eventually(lambda: reached(night, *NAMES))
        with psycopg.connect(night.url) as somebody:
            somebody.execute("LOCK TABLE eco_views IN ACCESS EXCLUSIVE MODE")
            night.order()
            eventually(lambda: reached(night, *NAMES[1:]))
            assert not reached(night, "eco_views")
        eventually(lambda: reached(night, "eco_views"))


def test_the_last_to_leave_closes_what_the_first_opened(
    night: StoredNight, shared: SharedReading
) -> None:
    night.order()
    for _ in range(2):
        with Running(*followers(night, shared)):
            eventually(lambda: reached(night, *NAMES))
        assert not [one for one in threading.enumerate() if one.name == "reading"]
    assert not shared._places


def test_what_was_read_from_another_server_is_taken_in_by_no_view(night: StoredNight) -> None:
    """A view that is opened after a failover, while the reader still has what it read before."""
    shared, stop = SharedReading(night.url), threading.Event()
    with shared.joined(0) as place:
        eventually(lambda: shared._begins_after is not None)
        view = open_view(VIEWS[0], place.log, store_env(night.url, pool_size=1))
        with view.view.datastore:
            place.after = view.view.max_tracking_id("strike") or 0
            with shared._lock:
                here, shared._server = shared._server, "the one before"
            night.order()
            with pytest.raises(OperationalError, match="another server"):
                place.follow(view, 10, stop)
            assert view.view.max_tracking_id("strike") is None
            shared._server = here
            place.follow(view, 0.5, stop)
            assert view.view.max_tracking_id("strike") == night.strike.log.position()


# Whose turn it is -----------------------------------------------------------------------------


class Table:
    """Places that wait for a turn in threads, and the order in which they were served."""

    def __init__(self, shared: SharedReading) -> None:
        self.shared = shared
        self.served: list[int] = []
        self.at_work = threading.Event()

    def sit(self, rank: int, work: threading.Event | None = None) -> threading.Thread:
        joined = threading.Event()

        def eat() -> None:
            with self.shared.joined(rank) as place:
                joined.set()
                self._eat(place, work)

        thread = threading.Thread(target=eat)
        thread.start()
        assert joined.wait(5)
        return thread

    def _eat(self, place: Place, work: threading.Event | None) -> None:
        with self.shared.turn(place, 10) as reads:
            assert reads
            self.served.append(place.rank)
            if work is not None:
                self.at_work.set()
                assert work.wait(10)


def test_of_those_who_wait_the_most_urgent_is_served_first(
    night: StoredNight, shared: SharedReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HOLD", 10)
    table, work = Table(shared), threading.Event()
    threads = [table.sit(9, work)]
    eventually(lambda: shared._begins_after is not None)
    night.order()
    assert table.at_work.wait(5)
    threads += [table.sit(rank) for rank in (5, 2, 7, 0)]
    eventually(lambda: sum(one.is_waiting for one in shared._places) == 4)
    work.set()
    for thread in threads:
        thread.join(10)
    assert table.served == [9, 0, 2, 5, 7]


class Busy:
    """Views without a database: one that is urgent and always has more, and two that are not."""

    def __init__(self) -> None:
        self.now = 100.0
        self.shared, log = SharedReading("", lambda: self.now), StrikeLog()
        self.urgent = Place(self.shared, log, 0, 0.0)
        self.others = [Place(self.shared, log, rank, 0.025) for rank in (5, 6)]
        self.shared._places = {self.urgent, *self.others}

    def add(self) -> None:
        """One more event, which everybody who is not at work waits for."""
        with self.shared._lock:
            self.shared._reads.append(Read(len(self.shared._reads) + 1))
            at_work = self.shared._at_work.values()
            for one in self.shared._places:
                one.is_waiting = one not in at_work
            self.shared._serve()

    def at_work(self) -> list[int]:
        """The ranks of those who have been given something to do."""
        return sorted(one.rank for one in self.shared._at_work.values())

    def done(self, *places: Place) -> None:
        """They have taken in all that there is."""
        with self.shared._lock:
            for one in places:
                one.after = len(self.shared._reads)
                self.shared._release(one)


def test_what_is_urgent_is_served_alone_and_the_others_after_it() -> None:
    busy = Busy()
    busy.add()
    assert busy.at_work() == [0]
    busy.done(busy.urgent)
    assert busy.at_work() == [5]
    busy.done(busy.others[0])
    assert busy.at_work() == [6]
    busy.add()
    assert busy.at_work() == [0, 6], "Nobody who is urgent waits for one who is not."


def test_under_load_without_an_end_nobody_waits_for_ever() -> None:
    """The urgent one has more to do whenever it is done; the others come beside it, in turn."""
    busy, served = Busy(), []
    for _ in range(60):
        busy.add()
        beside = [one for one in busy.others if one.rank in busy.at_work()]
        assert 0 in busy.at_work()
        served += [one.rank for one in beside]
        busy.now += reading.PATIENCE / 4
        busy.done(*beside)
        with busy.shared._lock:
            busy.urgent.after = len(busy.shared._reads) - 1
            busy.shared._at_work.pop(True)
    assert len(served) >= 8
    assert abs(served.count(5) - served.count(6)) <= 1


def test_the_more_a_view_takes_the_longer_it_rests() -> None:
    """Of one that nobody waits for; from 500 events a second on it takes more at a time."""
    busy = Busy()
    (other, _), rests = busy.others, []
    for events in (1, 12, 50, 400):
        busy.shared._reads = [Read(n) for n in range(1, events + 1)]
        busy.shared._begins_after = other.after = 0
        assert len(busy.shared._next(other)) == events
        rests.append(other.rests)
        busy.shared._next(busy.urgent)
        assert busy.urgent.rests == 0
    assert rests == [0.025, 0.025, 0.1, 0.25]


def test_who_takes_long_is_not_waited_for(night: StoredNight, shared: SharedReading) -> None:
    table, work = Table(shared), threading.Event()
    slow = table.sit(0, work)
    eventually(lambda: shared._begins_after is not None)
    night.order()
    assert table.at_work.wait(5)
    table.sit(1).join(5)
    assert table.served == [0, 1]
    work.set()
    slow.join(5)


def test_while_the_log_cannot_be_read_everybody_is_told(
    night: StoredNight, shared: SharedReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise psycopg.OperationalError("planted")

    with shared.joined(0) as place:
        eventually(lambda: shared._begins_after is not None)
        monkeypatch.setattr(reading, "select", fail)
        night.order()
        with pytest.raises(OperationalError, match="cannot be read"):  # noqa: SIM117
            with shared.turn(place, 10):
                pass
        monkeypatch.undo()
        eventually(lambda: shared._begins_after is not None)
        with shared.turn(place, 10) as reads:
            assert [one.event.TOPIC for one in reads] == ["strike.eco.created"]


def test_each_view_is_shown_the_aggregate_as_it_was(
    night: StoredNight, shared: SharedReading
) -> None:
    """Also when later events have come by the time it looks."""
    eco_id = night.order()
    with shared.joined(0) as place:
        eventually(lambda: shared._begins_after is not None)
        place.after = night.strike.log.position()
        for number in range(3):
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
        eventually(lambda: len(shared._reads) == 3)
        with shared.turn(place, 10) as reads:
            assert [one.after.version for one in reads] == [
                one.event.originator_version for one in reads
            ]


def test_nobody_waits_for_what_is_unhurried_and_it_takes_more_at_a_time(
    night: StoredNight,
) -> None:
    """By a clock that stands: the second turn comes when it is moved."""
    now = [100.0]
    shared = SharedReading(night.url, lambda: now[0])
    eco_id = night.order()
    with shared.joined(7, every=5.0) as place:
        eventually(lambda: shared._begins_after is not None)
        place.after = night.strike.log.position()
        for number in range(3):
            night.strike.callouts.add_note(eco_id, f"Remark {number}", OPERATOR)
            eventually(
                lambda: (
                    [one.position for one in shared._reads[-1:]] == [night.strike.log.position()]
                )
            )
            if number == 0:
                with shared.turn(place, 10) as reads:
                    place.after = reads[-1].position
        taken: list[int] = []
        thread = threading.Thread(target=lambda: taken.extend(_taken(shared, place)))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and not taken
        now[0] += 5.0
        thread.join(5)
        assert len(taken) == 2


def _taken(shared: SharedReading, place: Place) -> list[int]:
    with shared.turn(place, 10) as reads:
        return [one.position for one in reads]


def test_what_people_look_at_and_what_rings_is_served_first() -> None:
    assert {view.name for view in VIEWS if view.is_urgent} == {"eco_views", "pager_process_state"}
    assert VIEWS[0].is_urgent
