"""Long-running processes: how they start, say that they are ready, and stop in good order."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strike_adapters.postgres.auditor import Runnable
from strike_app.health import Health


def stop_event(*, exit_with_parent: bool) -> threading.Event:
    """Set by Ctrl-C, by SIGTERM and, if asked for, when the parent that holds our stdin is gone."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if exit_with_parent:
        threading.Thread(target=_until_stdin_ends, args=(stop,), daemon=True).start()
    return stop


@contextmanager
def ended_in_order(*numbers: signal.Signals) -> Iterator[None]:
    """Meanwhile these signals end this process from within: what it has started ends first.

    A second one is not heard: it would break off what the first has begun. One that is ignored, as
    by nohup, stays so.
    """

    def end(number: int, _: object) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        sys.exit(128 + number)

    heard = [one for one in numbers if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, end) for one in heard}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _until_stdin_ends(stop: threading.Event) -> None:
    # Not sys.stdin: its lock, held here, would hinder the interpreter's end.
    while os.read(0, 4096):
        pass
    stop.set()


def start(runnables: Iterable[Runnable], stop: threading.Event) -> list[threading.Thread]:
    """Run each in a thread of its own; the threads end when `stop` is set."""
    threads = [
        threading.Thread(target=one.run, args=(stop,), name=getattr(one, "name", None))
        for one in runnables
    ]
    for thread in threads:
        thread.start()
    return threads


def run_until_stopped(runnables: Iterable[Runnable], stop: threading.Event, health: Health) -> None:
    """Run all of them until `stop` is set, then wait for what is under way."""
    threads = start(runnables, stop)
    health.watch(threads)
    wait_for(stop)
    health.stop()
    for thread in threads:
        thread.join()


def wait_for(stop: threading.Event) -> None:
    """Return when `stop` is set. A wait without a limit would keep Python from seeing signals."""
    while not stop.wait(0.2):
        pass


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections there; port 0 is a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)


def tell_ready(path: Path | None, facts: dict[str, Any]) -> None:
    """Write where this process can be reached, in one step, for whoever started it."""
    if path is None:
        return
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(facts))
    scratch.replace(path)
