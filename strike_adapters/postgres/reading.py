"""The log as one process reads it: each event selected, decoded and applied once for all views.

Each read model still follows on its own: it has its own position, fails alone, and reads by itself
while it is behind. Those that have caught up are handed what one reader has read, one after the
other, the most urgent first: they share one interpreter, and together each would be the later.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

import psycopg
import structlog
from eventsourcing.persistence import ApplicationRecorder, Notification, OperationalError
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.catch_up import take_in
from strike_adapters.postgres.fold import Fold, Read
from strike_adapters.postgres.pools import server_of, start_of
from strike_adapters.postgres.store import LOOK_EVERY, store_env
from strike_adapters.postgres.views.view import View
from strike_domain.log import StrikeLog

MOST = 500
"""Most events that are selected, and handed to a view, at a time."""

KEPT = 10_000
"""At least so many of the newest events are kept, for views that are a little behind (30 MB)."""

HOLD = 0.1
"""Seconds after which a view that is still at work no longer keeps the others waiting."""

UNHURRIED, UNHURRIED_MOST, EACH = 0.025, 0.25, 0.002
"""Seconds between two turns of a view that nobody waits for: at least, at most, for each event that
it took. So with more than 500 events a second it takes more at a time, and costs less for each.
"""

APART = 0.012
"""Seconds between two looks at the log, at least, while events come all the time. The first after a
pause is answered at once. A look and the turns that follow it cost a millisecond of CPU, however
few events there are: without this, a few hundred events a second fill a core by themselves.
"""

PATIENCE = 0.1
"""Seconds that a view which nobody waits for lets the urgent ones go before it."""

STOP_SECONDS = 0.1
"""How often the reader looks whether it is still wanted."""

AGAIN_SECONDS = 0.5
"""When the reader tries again after the database was away."""

logger = structlog.get_logger()


class Place:
    """Of one view among those that follow.

    `rank`: of the urgent ones the lowest is served first. `every`: seconds that lie at least
    between two turns of one that nobody waits for; 0 is urgent.
    """

    def __init__(self, reading: SharedReading, log: StrikeLog, rank: int, every: float) -> None:
        self.log = log
        self.rank = rank
        self.every = every
        self.rests = every
        """Seconds that lie between its last turn and the next."""
        self.due_since = inf
        self.served_at = -every
        self.catching_up = Fold(log)
        self.after = 0
        """The position up to which everything was taken in: set it to the one that is stored."""
        self.server: object = None
        """From which server comes what it has been handed."""
        self.is_waiting = False
        self.woken = threading.Event()
        self._reading = reading

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for its rows."""
        return not self.every

    def follow(self, view: View, seconds: float, stop: threading.Event) -> bool:
        """Let a view take in whatever comes within so many seconds; true until it is to stop.

        Raises `EventFailed`, or `OperationalError` while the log cannot be read.
        """
        end = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < end:
            with self._reading.turn(self, HOLD) as reads:
                if reads:
                    if self.server != server_of(view.view):
                        raise OperationalError("The log was read from another server.")
                    take_in(view, reads, self.after)
                    self.after = reads[-1].position
        return not stop.is_set()


class SharedReading:
    """Reads the log of the database at `url` as long as somebody follows it here."""

    def __init__(self, url: str, now: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._now = now
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._places: set[Place] = set()
        self._opened: tuple[StrikeLog, threading.Thread, threading.Event] | None = None
        self._reads: list[Read] = []
        self._server: object = None
        """Where `_reads` come from."""
        self._begins_after: int | None = None
        """What comes after that position is in `_reads`; None while the log cannot be read."""
        self._failure: Exception | None = None
        self._at_work: dict[bool, Place] = {}
        """Of the urgent views one at the most, and of the others, by whether it is urgent."""

    # Followers ---------------------------------------------------------------------------------

    @contextmanager
    def joined(self, rank: int, every: float = 0.0) -> Iterator[Place]:
        """A place for a view; the first opens the log, the last to leave closes it."""
        with self._opening:
            place = Place(self, self._open(), rank, every)
            with self._lock:
                self._places.add(place)
        try:
            yield place
        finally:
            with self._lock:
                self._places.discard(place)
                self._release(place)
            self._close_if_left()

    @contextmanager
    def turn(self, place: Place, seconds: float) -> Iterator[Sequence[Read]]:
        """What comes next for a place, as soon as it is its turn.

        Nothing after so many seconds without any. Raises `OperationalError` while the log cannot
        be read.
        """
        has_turn = self._wait(place, seconds)
        try:
            yield self._next(place) if has_turn else ()
        finally:
            with self._lock:
                self._release(place)

    def _wait(self, place: Place, seconds: float) -> bool:
        end = self._now() + seconds
        with self._lock:
            place.is_waiting = True
            self._serve()
        while not place.woken.wait(min(HOLD, max(0.0, end - self._now()))):
            with self._lock:
                self._serve()
                if self._now() >= end and place.is_waiting:
                    place.is_waiting = False
                    return False
        place.woken.clear()
        return True

    def _next(self, place: Place) -> Sequence[Read]:
        with self._lock:
            if self._failure is not None:
                raise OperationalError("The log cannot be read.") from self._failure
            if not self._is_behind(place):
                first = bisect_right(self._reads, place.after, key=lambda one: one.position)
                place.server = self._server
                reads = self._reads[first : first + MOST]
                if not place.is_urgent:
                    place.rests = min(UNHURRIED_MOST, max(place.every, EACH * len(reads)))
                return reads
        place.server = server_of(place.log.recorder)
        selected = select_from(place.log.recorder, place.after, place.server)
        return [*place.catching_up.read(selected)]

    # Whose turn it is; with the lock -----------------------------------------------------------

    def _serve(self) -> None:
        """Wake whoever need not wait, and who is next of the urgent ones and of the others.

        While something is urgent, the others are served beside it only if they have waited for
        long: threads of one interpreter are in each other's way.
        """
        waiting = [one for one in self._places if one.is_waiting]
        for one in waiting:
            if self._failure is not None or self._is_behind(one):
                self._wake(one)
        now = self._now()
        due = [one for one in waiting if self._has_more(one) and now >= one.served_at + one.rests]
        for one in due:
            one.due_since = min(one.due_since, now)
        self._serve_one(True, [one for one in due if one.is_urgent], lambda one: one.rank)
        is_quiet = not self._is_held(True, now)
        others = [one for one in due if not one.is_urgent]
        others = [one for one in others if is_quiet or now - one.due_since >= PATIENCE]
        self._serve_one(False, others, lambda one: (one.due_since, one.rank))

    def _serve_one(self, urgent: bool, due: Sequence[Place], order: Callable[[Place], Any]) -> None:
        """The first of them, unless one of their kind is at work."""
        now = self._now()
        if due and not self._is_held(urgent, now):
            first = self._at_work[urgent] = min(due, key=order)
            first.served_at = now
            self._wake(first)

    def _is_held(self, urgent: bool, now: float) -> bool:
        """Whether one is at work, and has not been for so long that others need not wait for it."""
        at_work = self._at_work.get(urgent)
        return at_work is not None and now - at_work.served_at < HOLD

    def _is_behind(self, place: Place) -> bool:
        return self._begins_after is not None and place.after < self._begins_after

    def _has_more(self, place: Place) -> bool:
        newest = self._reads[-1].position if self._reads else 0
        return place.is_waiting and newest > place.after

    @staticmethod
    def _wake(place: Place) -> None:
        place.is_waiting = False
        place.due_since = inf
        place.woken.set()

    def _release(self, place: Place) -> None:
        if self._at_work.get(place.is_urgent) is place:
            del self._at_work[place.is_urgent]
        self._serve()

    # The reader --------------------------------------------------------------------------------

    def _open(self) -> StrikeLog:
        if self._opened is None:
            self._failure, self._begins_after, self._reads = None, None, []
            stop, log = threading.Event(), StrikeLog(store_env(self._url, pool_size=1))
            thread = threading.Thread(target=self._run, args=(log, stop), name="reading")
            self._opened = log, thread, stop
            thread.start()
        return self._opened[0]

    def _close_if_left(self) -> None:
        with self._opening:
            if self._opened is None or self._places:
                return
            log, thread, stop = self._opened
            self._opened = None
            stop.set()
            thread.join()
            log.close()

    def _run(self, log: StrikeLog, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._read_on(log, stop)
            except Exception as error:
                logger.warning("the log cannot be read", error=str(error))
                with self._lock:
                    self._failure, self._begins_after, self._reads = error, None, []
                    self._serve()
                stop.wait(AGAIN_SECONDS)

    def _read_on(self, log: StrikeLog, stop: threading.Event) -> None:
        channel = Identifier(log.recorder.channel_name)  # type: ignore[attr-defined]
        with psycopg.connect(self._url, autocommit=True) as connection:
            server = start_of(connection)
            connection.execute(SQL("LISTEN {}").format(channel))
            fold, newest = Fold(log), log.recorder.max_notification_id() or 0
            self._add([], begins_after=newest, server=server)
            looked_at = self._now()
            while not stop.is_set():
                # To its end: a generator that is left standing holds on to the connection.
                told = [*connection.notifies(timeout=self._look_within(), stop_after=1)]
                since = self._now() - looked_at
                if not told and since < LOOK_EVERY:
                    continue
                if since < APART:
                    stop.wait(APART - since)
                    # One look answers all that came meanwhile.
                    for _ in connection.notifies(timeout=0):
                        pass
                looked_at = self._now()
                while selected := select_from(log.recorder, newest, server):
                    newest = selected[-1].id
                    self._add([*fold.read(selected)])
                    if len(selected) < MOST:
                        # What came meanwhile is told of as well: a look would find nothing.
                        break

    def _look_within(self) -> float:
        """Seconds after which somebody whose turn has come may have to be woken."""
        with self._lock:
            self._serve()
            return UNHURRIED if any(map(self._has_more, self._places)) else STOP_SECONDS

    def _add(
        self, reads: list[Read], *, begins_after: int | None = None, server: object = None
    ) -> None:
        with self._lock:
            if begins_after is not None:
                self._failure, self._begins_after, self._server = None, begins_after, server
            self._reads += reads
            if len(self._reads) > 2 * KEPT:
                self._begins_after = self._reads[-KEPT - 1].position
                self._reads = self._reads[-KEPT:]
            self._serve()


def select(recorder: ApplicationRecorder, after: int) -> Sequence[Notification]:
    """What comes next in the log."""
    return recorder.select_notifications(after, MOST, inclusive_of_start=False)


def select_from(
    recorder: ApplicationRecorder, after: int, server: object
) -> Sequence[Notification]:
    """The same; `OperationalError` if the recorder's connections lead to another server by now."""
    selected = select(recorder, after)
    if server_of(recorder) != server:
        raise OperationalError("The log is another server's.")
    return selected
