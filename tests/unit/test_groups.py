"""How saves form groups, with a log that only counts: who leads, who waits, who is told what."""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from strike_adapters.postgres import together
from strike_adapters.postgres.group_commit import Save
from strike_adapters.postgres.together import MAX_BYTES, MAX_CALLERS, MAX_TRIES, Groups


class Interrupted(BaseException):
    """Somebody stopped the thread."""


def events(size: int = 10) -> list[StoredEvent]:
    return [StoredEvent(uuid4(), 1, "topic", b"x" * size)]


class Log:
    """Numbers events. Commits of groups wait at a gate, so that a queue can form."""

    def __init__(self) -> None:
        self.groups: Groups[Save] = Groups(self.commit)
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.trouble: Callable[[Sequence[Save]], None] = lambda saves: None
        self._next = 1
        self._threads = ThreadPoolExecutor(300)

    def store(self, batch: list[StoredEvent]) -> list[int]:
        mine = Save(batch)
        self.groups.join(mine)
        return mine.result()

    def commit(self, saves: Sequence[Save]) -> None:
        self.sizes.append(len(saves))
        assert self.gate.wait(10)
        self.trouble(saves)
        for one in saves:
            if one.answer is None and not one.tries:
                one.answer = list(range(self._next, self._next + len(one.events)))
                self._next += len(one.events)

    def start(self, *batches: list[StoredEvent]) -> list[Future[list[int]]]:
        """Save each batch in a thread of its own, arriving in this order."""
        started = []
        for batch in batches:
            before = self._arrived()
            started.append(self._threads.submit(self.store, batch))
            self._until(lambda n=before: self._arrived() > n)  # type: ignore[misc]
        return started

    def end(self) -> None:
        self.gate.set()
        self._threads.shutdown()

    def waiting(self) -> int:
        return len(self.groups._waiting)

    def _arrived(self) -> int:
        return self.waiting() + sum(self.sizes)

    def _until(self, probe: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not probe():
            assert time.monotonic() < end
            time.sleep(0.001)


@pytest.fixture
def log() -> Iterator[Log]:
    found = Log()
    yield found
    found.end()


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "RETRY_SECONDS", 0)
    monkeypatch.setattr(together, "LOOK_EVERY", 0.05)


def test_who_comes_alone_commits_at_once_and_those_who_come_meanwhile_go_together(log: Log) -> None:
    started = log.start(*(events() for _ in range(20)))
    log.gate.set()
    assert [one.result(10) for one in started] == [[number] for number in range(1, 21)]
    assert log.sizes == [1, 19]


def test_they_wake_each_other_and_nobody_has_to_look(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "LOOK_EVERY", 1_000)
    started = log.start(*(events() for _ in range(50)))
    log.gate.set()
    assert [one.result(10) for one in started] == [[number] for number in range(1, 51)]


@pytest.mark.parametrize("is_done", [True, False])
def test_whoever_leads_on_or_is_gone_keeps_nobody_waiting(log: Log, is_done: bool) -> None:
    leader, second, gone, put_off, last = group = [Save(events()) for _ in range(5)]
    for one in group:
        one.answer = [1]
    put_off.answer, gone.gone = None, True
    leader.answer = leader.answer if is_done else None
    log.groups._group, log.groups._leader = list(group), leader
    log.groups._dismiss(leader)
    assert leader.wakes is (second if is_done else None)
    assert second.woken.acquire(blocking=False) is not is_done
    assert second.wakes is last
    assert gone.wakes is put_off.wakes is last.wakes is None


def test_a_group_takes_only_so_many_saves(log: Log) -> None:
    started = log.start(*(events() for _ in range(MAX_CALLERS + 11)))
    log.gate.set()
    assert [one.result(10) for one in started] == [[n] for n in range(1, MAX_CALLERS + 12)]
    assert log.sizes == [1, MAX_CALLERS, 10]


def test_a_save_larger_than_a_group_passes_alone_and_nobody_overtakes_it(log: Log) -> None:
    started = log.start(events(), events(), events(MAX_BYTES + 1), events(), events())
    log.gate.set()
    assert [one.result(10) for one in started] == [[1], [2], [3], [4], [5]]
    assert log.sizes == [1, 1, 1, 2]


class Arrivals(deque[Save]):
    """The queue, which notes how many groups had begun when somebody joined it."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self.begun: dict[int, int] = {}

    def append(self, one: Save) -> None:
        self.begun[id(one.events)] = len(self._log.sizes)
        super().append(one)


def test_nobody_waits_for_more_than_the_group_under_way_and_their_own(log: Log) -> None:
    log.gate.set()
    log.groups._waiting = arrivals = Arrivals(log)
    waited: list[int] = []

    def count(saves: Sequence[Save]) -> None:
        time.sleep(0.001)
        waited.extend(len(log.sizes) - arrivals.begun[id(one.events)] for one in saves)

    def save_often() -> list[list[StoredEvent]]:
        batches = [events() for _ in range(30)]
        for one in batches:
            log.store(one)
        return batches

    log.trouble = count
    with ThreadPoolExecutor(32) as threads:
        for one in [threads.submit(save_often) for _ in range(32)]:
            one.result()
    assert len(waited) == sum(log.sizes) == 32 * 30
    assert max(waited) <= 2


def test_an_error_of_one_save_is_its_own(log: Log) -> None:
    def refuse_the_second(saves: Sequence[Save]) -> None:
        if len(saves) > 1:
            saves[1].answer = IntegrityError("taken")

    log.trouble = refuse_the_second
    started = log.start(*(events() for _ in range(4)))
    log.gate.set()
    assert [one.result(10) for one in (*started[:2], started[3])] == [[1], [2], [3]]
    with pytest.raises(IntegrityError):
        started[2].result(10)


def test_while_the_database_is_away_everybody_has_the_same_number_of_tries(log: Log) -> None:
    def away(saves: Sequence[Save]) -> None:
        for one in saves:
            one.put_off(OperationalError("away"))

    log.trouble = away
    started = log.start(*(events() for _ in range(3)))
    log.gate.set()
    errors = [one.exception(10) for one in started]
    assert all(type(one) is OperationalError for one in errors)
    assert len({id(one) for one in errors}) == 3
    assert len(log.sizes) <= 2 * MAX_TRIES
    log.trouble = lambda saves: None
    assert log.store(events()) == [1]


def test_those_who_were_put_off_come_before_all_who_came_later(log: Log) -> None:
    first_time = [True]

    def fails_once(saves: Sequence[Save]) -> None:
        if len(saves) > 1 and first_time.pop():
            first_time.append(False)
            late.extend(log.start(events()))
            raise_for(saves)
        for one in saves:
            one.tries = 0

    def raise_for(saves: Sequence[Save]) -> None:
        for one in saves:
            one.put_off(OperationalError("away"))

    late: list[Future[list[int]]] = []
    log.trouble = fails_once
    started = log.start(*(events() for _ in range(4)))
    log.gate.set()
    assert [one.result(10) for one in started] == [[1], [2], [3], [4]]
    assert late[0].result(10) == [5]


def test_closing_tells_those_who_wait_and_the_group_under_way_comes_to_its_end(log: Log) -> None:
    started = log.start(*(events() for _ in range(5)))
    log.groups.close()
    for one in started[1:]:
        with pytest.raises(OperationalError, match="closed"):
            one.result(10)
    log.gate.set()
    assert started[0].result(10) == [1]
    with pytest.raises(OperationalError, match="closed"):
        log.store(events())


def test_closing_ends_the_tries_of_those_who_were_put_off(log: Log) -> None:
    def closes(saves: Sequence[Save]) -> None:
        for one in saves:
            one.put_off(OperationalError("away"))
        log.groups.close()

    log.trouble = closes
    started = log.start(*(events() for _ in range(3)))
    log.gate.set()
    for one in started:
        with pytest.raises(OperationalError, match="closed"):
            one.result(10)
    assert log.sizes == [1]


def test_a_leader_who_is_interrupted_leaves_the_others_to_the_next(log: Log) -> None:
    def interrupt_the_second_group(saves: Sequence[Save]) -> None:
        if len(log.sizes) == 2:
            raise Interrupted

    log.trouble = interrupt_the_second_group
    started = log.start(*(events() for _ in range(5)))
    log.gate.set()
    assert isinstance(started[1].exception(10), Interrupted)
    assert [one.result(10) for one in (started[0], *started[2:])] == [[1], [2], [3], [4]]
    assert log.sizes == [1, 4, 3]


def test_an_interruption_after_the_commit_leaves_everybody_their_answer(log: Log) -> None:
    def store_then_interrupt(saves: Sequence[Save]) -> None:
        if len(log.sizes) == 2:
            for number, one in enumerate(saves):
                one.answer = [number]
            raise Interrupted

    log.trouble = store_then_interrupt
    started = log.start(*(events() for _ in range(4)))
    log.gate.set()
    assert isinstance(started[1].exception(10), Interrupted)
    assert [one.result(10) for one in started[2:]] == [[1], [2]]
    assert log.store(events()) == [2]


def test_one_who_is_interrupted_while_waiting_is_not_waited_for(log: Log) -> None:
    log.start(events())
    ident: list[int] = []

    def wait_in_vain() -> list[int]:
        ident.append(threading.get_ident())
        return log.store(events())

    with ThreadPoolExecutor(1) as threads:
        in_vain = threads.submit(wait_in_vain)
        log._until(lambda: log.waiting() == 1)
        others = log.start(events(), events())
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(ident[0]), ctypes.py_object(Interrupted)
        )
        assert isinstance(in_vain.exception(10), Interrupted)
    log.gate.set()
    assert [one.result(10) for one in others] == [[2], [3]]
    assert log.sizes == [1, 2]
