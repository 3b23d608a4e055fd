"""A deadline worker that dies by SIGKILL at a named point, in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized
from uuid import UUID

import httpx

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.due import Claim, Done, Worker
from strike_adapters.postgres.due_work import pager_work
from strike_adapters.postgres.store import store_env
from strike_adapters.twilio.accounts import WebhookUrls
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_domain import CallOrder, ProviderCall, Ringer, StrikeLog
from strike_domain.eventsourced import Aggregate
from strike_domain.log import LOG_NAME
from strike_domain.pager_run import CallEnded, CallPlaced, CallRequested
from tests.contracts.stages import Accounts

START = datetime(2026, 3, 1, 2, tzinfo=UTC)
"""When the mock's clock begins, and so this one."""

POINTS = (
    "claimed",
    "before the intent is stored",
    "after the intent is stored",
    "before the request",
    "while the request is under way",
    "after the answer",
    "before the record",
    "after the record",
    "before the row is released",
    "before the read-back",
    "after the read-back",
    "before the hang-up",
    "after the hang-up",
    "before the end is stored",
    "after the end is stored",
)
"""In the order in which a worker passes them; the last six at a deadline."""


class SharedClock:
    """Stands still for all processes, until the test moves it."""

    def __init__(self, offset: Synchronized[float]) -> None:
        self._offset = offset

    def now(self) -> datetime:
        return START + timedelta(seconds=self._offset.value)

    def seconds_until(self, moment: datetime) -> float:
        return (moment - self.now()).total_seconds()


class Fate:
    """Dies when `point` is passed for the `nth` time."""

    def __init__(self, point: str, nth: int = 1) -> None:
        self._point, self._left = point, nth

    def passes(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def dies_meanwhile(self, point: str) -> None:
        """Whatever is under way goes on at the other side."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                timer = threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGKILL))
                timer.start()


class FatalTelephone:
    """Twilio, with a point before and after everything that it is asked."""

    def __init__(self, real: TwilioTelephone, fate: Fate) -> None:
        self._real, self._fate = real, fate

    def place(self, order: CallOrder) -> str:
        self._fate.passes("before the request")
        sid = self._real.place(order)
        self._fate.passes("after the answer")
        return sid

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        return self._real.find(noc_id, to, since)

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        self._fate.passes("before the read-back")
        found = self._real.fetch(noc_id, sid)
        self._fate.passes("after the read-back")
        return found

    def end(self, noc_id: UUID, sid: str) -> None:
        self._fate.passes("before the hang-up")
        self._real.end(noc_id, sid)
        self._fate.passes("after the hang-up")


class FatalLog(StrikeLog):
    """The event store, with a point before and after everything that the ringer stores."""

    name = LOG_NAME
    fate: Fate

    def store(self, *aggregates: Aggregate) -> int:
        events = [type(event) for one in aggregates for event in one.pending_events]
        what = _what(events)
        self.fate.passes(f"before the {what}")
        position = super().store(*aggregates)
        self.fate.passes(f"after the {what}")
        return position


def _what(events: Sequence[type]) -> str:
    if CallEnded in events:
        return "end is stored"
    if CallRequested in events:
        return "intent is stored"
    return "record" if CallPlaced in events else "rest"


class FatalTransport(httpx.HTTPTransport):
    """The network; the process can die while a call is being placed."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path.endswith("/Calls.json"):
            self._fate.dies_meanwhile("while the request is under way")
        return super().handle_request(request)


def work(
    url: str, provider: str, offset: Synchronized[float], lease: float, point: str, nth: int
) -> None:
    """Ring people until killed; by itself, at the `nth` passing of `point`."""
    fate, clock = Fate(point, nth), SharedClock(offset)
    urls = WebhookUrls("https://strike.example")
    real = TwilioTelephone(Accounts(), urls, base_url=provider, transport=FatalTransport(fate))
    with FatalLog(store_env(url)) as log, open_pool(url) as pool:
        log.fate = fate
        ringer = Ringer(log, FatalTelephone(real, fate), clock, PostgresDirectory(pool))
        table = pager_work(ringer)

        def handle(row: Claim) -> Done:
            fate.passes("claimed")
            done = table.handle(row)
            fate.passes("before the row is released")
            return done

        dying: Callable[[Claim], Done] = handle
        worker = Worker(replace(table, handle=dying), url, clock, threads=2, lease_seconds=lease)
        worker.run(threading.Event())
