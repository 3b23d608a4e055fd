"""Followers: each follows the log on its own, is started again when it fails, and is one at a time.

Any number of processes may run the same follower: an advisory lock makes one of them active, the
others stand by and take over as soon as its connection is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import psycopg
import structlog
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.projection import BaseProjectionRunner
from eventsourcing.utils import Environment

from strike_adapters.postgres.catch_up import Answering
from strike_adapters.postgres.fold import NO_EVENTS_FAULT, Fold
from strike_adapters.postgres.follower_states import (
    PAGER,
    EventFailed,
    FollowerStates,
    lock_keys,
    position_of,
)
from strike_adapters.postgres.reading import HOLD, UNHURRIED, SharedReading
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.eco_history import EcoHistory
from strike_adapters.postgres.views.eco_map import EcoMap
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_adapters.postgres.views.pager_process_state import PagerProcessState
from strike_adapters.postgres.views.pager_run_views import PagerRunViews
from strike_adapters.postgres.views.render_poll_state import RenderPollState
from strike_adapters.postgres.views.response_times import ResponseTimes
from strike_adapters.postgres.views.view import View
from strike_adapters.telemetry.following import followed
from strike_domain.log import LOG_NAME, StrikeLog
from strike_domain.pager_process import PagerProcess
from strike_domain.ports import Clock
from strike_domain.routing import Router

VIEWS: tuple[type[View], ...] = (
    EcoViews,
    EcoTimeline,
    PagerRunViews,
    PagerProcessState,
    RenderPollState,
    EcoHistory,
    EcoMap,
    ResponseTimes,
)

FOLLOWER_NAMES = (PAGER, *(view.name for view in VIEWS))

FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
"""Seconds to wait before a failed follower is started again: doubling, up to the second."""

AWAY = (*NO_EVENTS_FAULT, psycopg.OperationalError, psycopg.InterfaceError)
"""It was the database that was away: no event is at fault."""

WHILE_AWAY = 2.0
"""The longest wait then."""

ANSWERS_APART = 0.025
"""Seconds between two looks of the pager at the log, at least, while events come all the time: what
it answers together costs less, and leaves the interpreter to the rows that people wait for.
"""

STAND_BY = 1.0
"""Seconds between two tries to become the active one."""


def next_wait(seconds: float, error: Exception) -> float:
    """Seconds to wait after the next failure, if so many were waited after this one."""
    return min(2 * seconds, WHILE_AWAY if isinstance(error, AWAY) else MAX_BACKOFF)


class PagerRunner(BaseProjectionRunner[StrikeLog]):
    """The library's runner, for a process that has been built already."""

    def __init__(self, process: PagerProcess, env: Mapping[str, str]) -> None:
        super().__init__(
            projection=followed(process),
            application_class=StrikeLog,
            tracking_recorder=process.recorder,
            topics=(),
            env=dict(env),
        )

    @staticmethod
    def _process_events_loop(
        subscription: Any,
        projection: Any,
        is_stopping: threading.Event,
        runner: Any,
    ) -> None:
        """As the library's, but it takes what has come together, and says what failed."""
        try:
            subscription.subscription.apart = ANSWERS_APART
            app = SimpleNamespace(name=subscription.name, mapper=subscription.mapper)
            Answering(app, projection).run(subscription.subscription)
        except BaseException as error:
            if (alive := runner()) is not None:
                alive._thread_error = error
        finally:
            is_stopping.set()


def open_view(view_class: type[View], log: StrikeLog, env: Mapping[str, str]) -> View:
    """Build a read model; its tables too, if the environment says so."""
    factory: InfrastructureFactory[Any] = InfrastructureFactory.construct(
        Environment(view_class.name, dict(env))
    )
    return followed(view_class(factory.tracking_recorder(view_class.recorder_class), Fold(log)))


def told(error: Exception) -> dict[str, Any]:
    """What a log line says of the event that failed; the library has dropped its cause."""
    if not isinstance(error, EventFailed):
        return {}
    event_id = str(error.event_id)
    return {"event_id": event_id, "cause": error.error, "caused_by": error.traceback}


class Follower:
    """One follower, kept running: `run` returns only when `stop` is set.

    `reading`: what it shares with the other followers of this process.
    """

    def __init__(
        self,
        name: str,
        url: str,
        router: Router,
        clock: Clock,
        reading: SharedReading | None = None,
    ) -> None:
        self.name = name
        self._reading = reading or SharedReading(url)
        self._url = url
        self._env = store_env(url, pool_size=1)
        self._router = router
        self._clock = clock
        self._states = FollowerStates(url, name)
        self._logger = structlog.get_logger().bind(follower=name)

    def run(self, stop: threading.Event) -> None:
        """Follow the log until told to stop; after a failure again, later and later."""
        backoff, failed_at = FIRST_BACKOFF, self._position()
        while not stop.is_set():
            try:
                self._follow_once(stop)
            except Exception as error:
                # One event that cannot be processed stops this follower only. Failures that lie
                # far apart, with progress in between, do not add up to long waits.
                position = self._position()
                if position != failed_at:
                    backoff, failed_at = FIRST_BACKOFF, position
                self._logger.exception("follower failed", again_in_seconds=backoff, **told(error))
                self._keep_failure(error, backoff)
                self._wait(stop, backoff, position)
                backoff = next_wait(backoff, error)

    def _keep_failure(self, error: Exception, again: float) -> None:
        """In a table, for others to see; unless it was the database that failed."""
        with suppress(psycopg.Error):
            self._states.failed(error, again)

    def _wait(self, stop: threading.Event, seconds: float, position: int | None) -> None:
        """Until the next try; it is made at once when somebody has had the event left out."""
        while seconds > 0:
            if stop.wait(min(seconds, STAND_BY)):
                return
            seconds -= STAND_BY
            if seconds > 0 and self._position() != position:
                return

    def _position(self) -> int | None:
        """How far it is; None if the database cannot say."""
        try:
            with psycopg.connect(self._url) as connection:
                return position_of(connection, self.name)
        except psycopg.Error:
            return None

    def _follow_once(self, stop: threading.Event) -> None:
        """Follow as the active one, or stand by for a second if another process is."""
        with self._turn() as (is_mine, is_still_mine):
            if not is_mine:
                stop.wait(STAND_BY)
                return
            self._logger.info("following")
            is_failing = self._states.active()
            with self._following(stop) as follow_a_second:
                while is_still_mine() and follow_a_second():
                    is_failing = is_failing and not self._states.is_past_failure()

    @contextmanager
    def _turn(self) -> Iterator[tuple[bool, Callable[[], bool]]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            ask = "SELECT pg_try_advisory_lock(%s, %s)"
            row = connection.execute(ask, lock_keys(self.name)).fetchone()

            def is_still_mine() -> bool:
                connection.execute("SELECT 1")
                return True

            yield bool(row and row[0]), is_still_mine

    @contextmanager
    def _following(self, stop: threading.Event) -> Iterator[Callable[[], bool]]:
        """Follows for a second at each call; False once it is to stop."""
        if self.name == PAGER:
            process = PagerProcess(self._router, self._clock, self._env)
            with process, PagerRunner(process, self._env) as runner:

                def answer() -> bool:
                    end = time.monotonic() + STAND_BY
                    while time.monotonic() < end and not runner.is_interrupted.is_set():
                        if stop.is_set():
                            return False
                        runner.run_forever(timeout=HOLD)
                    return not runner.is_interrupted.is_set()

                yield answer
            return
        view_class = next(one for one in VIEWS if one.name == self.name)
        rank = sorted(VIEWS, key=lambda one: not one.is_urgent).index(view_class)
        every = 0.0 if view_class.is_urgent else UNHURRIED
        with self._reading.joined(rank, every) as place:
            view = open_view(view_class, place.log, self._env)
            with view.view.datastore:
                place.after = view.view.max_tracking_id(LOG_NAME) or 0
                yield partial(place.follow, view, STAND_BY, stop)
