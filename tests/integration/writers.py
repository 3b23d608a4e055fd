"""Processes that write to one log as fast as they can, and followers that must miss nothing."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Barrier, Event
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    ProcessRecorder,
    StoredEvent,
    Tracking,
)
from eventsourcing.utils import Environment

from strike_adapters.postgres.store import Factory, store_env

PROCESSES, THREADS = 3, 8

STARTED_WITHIN = 60.0
"""Seconds within which all processes have to be there."""

SECONDS = float(os.environ.get("STRIKE_GAP_SECONDS", "2"))


def made_up(count: int = 1, size: int = 100) -> list[StoredEvent]:
    """The first `count` events of a new stream."""
    stream = uuid4()
    return [StoredEvent(stream, n, "strike.test", b"x" * size) for n in range(1, count + 1)]


def write(url: str, number: int, ready: Barrier, stop: Event) -> None:
    """One process: threads that save one to three events, or in vain; one that also tracks."""
    with Factory(Environment("strike", store_env(url))) as factory:
        log, process = factory.application_recorder(), factory.process_recorder()
        ready.wait(STARTED_WITHIN)
        with ThreadPoolExecutor(THREADS + 1) as threads:
            work = [threads.submit(save_often, log, stop) for _ in range(THREADS)]
            work.append(threads.submit(track_often, process, f"writer-{number}", stop))
            for one in work:
                one.result()


def save_often(log: ApplicationRecorder, stop: Event) -> None:
    count = 0
    while not stop.is_set():
        count += 1
        events = made_up(1 + count % 3)
        log.insert_events(events)
        if count % 20 == 0:
            # A conflict takes numbers from the sequence, which nobody will ever see.
            with suppress(IntegrityError):
                log.insert_events(events)


def track_often(process: ProcessRecorder, name: str, stop: Event) -> None:
    count = 0
    while not stop.is_set():
        count += 1
        process.insert_events(made_up(), tracking=Tracking(name, count))
        time.sleep(0.002)


class Reader(threading.Thread):
    """Follows the log as any follower does: what comes after the last id that it has seen."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.error: Exception | None = None
        self._url = url
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            with Factory(Environment("strike", store_env(self._url))) as factory:
                self._follow(factory.application_recorder())
        except Exception as error:
            self.error = error

    def _follow(self, log: Any) -> None:
        while True:
            is_last = self._ended.is_set()
            last = self.seen[-1] if self.seen else None
            found = log.select_notifications(last, 500, inclusive_of_start=False)
            self.seen += [one.id for one in found]
            if is_last and not found:
                return

    def end(self) -> list[int]:
        """Read on to the end of the log; the ids of all events that were seen."""
        self._ended.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.seen


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Several processes write meanwhile, all of them from the beginning."""
    context = multiprocessing.get_context("forkserver")
    ready, stop = context.Barrier(PROCESSES + 1), context.Event()
    arguments = [(url, number, ready, stop) for number in range(PROCESSES)]
    writers = [context.Process(target=write, args=one) for one in arguments]
    for one in writers:
        one.start()
    try:
        ready.wait(STARTED_WITHIN)
        yield
    finally:
        stop.set()
        for one in writers:
            one.join(60)
    assert [one.exitcode for one in writers] == [0] * PROCESSES


def followed(url: str) -> list[list[int]]:
    """What each of two followers has seen of `SECONDS` of writing."""
    readers = [Reader(url), Reader(url)]
    for one in readers:
        one.start()
    try:
        with writing(url):
            time.sleep(SECONDS)
    finally:
        seen = [one.end() for one in readers]
    return seen
