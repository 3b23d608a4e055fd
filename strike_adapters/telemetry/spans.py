"""Spans, as the rest of Strike knows them. One of two sets is in use: `NoSpans`, or those of OTLP.

A span is begun as a child of the one that is under way here, of what a request's headers name, or
of a stored event (`after`), which another process may have stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

from strike_adapters.telemetry.ids import Stored

P = ParamSpec("P")
T = TypeVar("T")

Value = str | int | float | bool


class Kind(StrEnum):
    """As OpenTelemetry has them."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """What is under way."""

    def say(self, name: str, value: Value) -> None:
        """Add an attribute. Never a secret, a phone number, or words of people."""

    def fail(self, why: str) -> None:
        """It did not work; `why` is a code or the name of an error, not its text."""


class Spans(Protocol):
    """Where spans go."""

    is_on: bool

    def begin(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        *,
        after: Stored | None = None,
        beside: Stored | None = None,
        headers: Mapping[str, str] | None = None,
        trace: UUID | None = None,
        attributes: Mapping[str, Value] | None = None,
    ) -> AbstractContextManager[Span]:
        """A span that lasts as long as the context, and fails with what leaves it.

        `beside`: it begins a trace of its own, with a link to that event. `headers`: of the request
        that is answered; `trace`: the one to begin where they name none.
        """

    def stored(self, events: Iterable[Stored]) -> None:
        """Those events have been stored here; whoever reads them goes on after them."""

    def headers(self) -> dict[str, str]:
        """What tells another system which span it is asked by."""

    def ids(self) -> tuple[str, str] | None:
        """Trace and span that are under way, in hexadecimal."""

    def sampled_below(self) -> int | None:
        """Traces whose last 64 bits are below that are sampled; None: nobody is told of any."""

    def close(self) -> None:
        """Hand out what is still kept."""


class _Nothing:
    def say(self, name: str, value: Value) -> None: ...

    def fail(self, why: str) -> None: ...


_NOTHING = nullcontext(_Nothing())


class NoSpans:
    """Tells nobody."""

    is_on = False

    def begin(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        *,
        after: Stored | None = None,
        beside: Stored | None = None,
        headers: Mapping[str, str] | None = None,
        trace: UUID | None = None,
        attributes: Mapping[str, Value] | None = None,
    ) -> AbstractContextManager[Span]:
        return _NOTHING

    def stored(self, events: Iterable[Stored]) -> None: ...

    def headers(self) -> dict[str, str]:
        return {}

    def ids(self) -> tuple[str, str] | None:
        return None

    def sampled_below(self) -> int | None:
        return None

    def close(self) -> None: ...


_spans: Spans = NoSpans()


def use(spans: Spans) -> Spans:
    """From now on this process's spans go there; returns where they went before."""
    global _spans
    before, _spans = _spans, spans
    return before


def is_on() -> bool:
    """Whether anybody is told."""
    return _spans.is_on


def _passed_on(method: Callable[Concatenate[Spans, P], T]) -> Callable[P, T]:
    """The method of whichever spans are in use, with the same arguments."""

    @wraps(method)
    def passed_on(*args: P.args, **options: P.kwargs) -> T:
        result: T = getattr(_spans, method.__name__)(*args, **options)
        return result

    return passed_on


begin = _passed_on(Spans.begin)
headers = _passed_on(Spans.headers)
ids_now = _passed_on(Spans.ids)
sampled_below = _passed_on(Spans.sampled_below)


def stored(aggregate: object, events: Iterable[Stored]) -> None:
    """As `Spans.stored`, as a listener of `StrikeLog`."""
    if _spans.is_on:
        _spans.stored(events)
