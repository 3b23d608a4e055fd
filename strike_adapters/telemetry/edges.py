"""How an edge answers: each question to another system is timed where it is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from strike_adapters.telemetry.spans import Kind, Span, begin, headers


class EdgeWatcher(Protocol):
    """Is told of every question to another system."""

    def asked(self, edge: str, what: str, result: str, seconds: float) -> None:
        """`result`: `ok`, the class of an HTTP status (`4xx`), or `error` without any answer."""


class _NobodyWatches:
    def asked(self, edge: str, what: str, result: str, seconds: float) -> None: ...


_watcher: EdgeWatcher = _NobodyWatches()


def watch_edges(watcher: EdgeWatcher) -> None:
    """From now on `watcher` is told of what this process asks others."""
    global _watcher
    _watcher = watcher


class Ask:
    """A question under way. `headers`: to be sent with it, so that the trace goes on there."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.headers = headers()
        self.result = "ok"

    def answered(self, status: int) -> None:
        """By HTTP."""
        self.result = f"{status // 100}xx"
        self._span.say("http.response.status_code", status)
        if status >= 400:
            self._span.fail(str(status))


@contextmanager
def asked_of(edge: str, what: str) -> Iterator[Ask]:
    """Ask `edge` (twilio, render, login, heartbeat) for `what`, which is one of a few."""
    began = time.monotonic()
    result = "error"
    try:
        with begin(f"{edge} {what}", Kind.CLIENT, attributes={"peer.service": edge}) as span:
            ask = Ask(span)
            yield ask
            result = ask.result
    finally:
        _watcher.asked(edge, what, result, time.monotonic() - began)


def timed(edge: str, what: str, result: str, began: float) -> None:
    """Tell of a question without a span, begun at `began` by `time.monotonic`."""
    _watcher.asked(edge, what, result, time.monotonic() - began)
