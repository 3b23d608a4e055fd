"""Where an event belongs in a trace: its ids say so, and nothing has to be stored for it.

All that one request sets off has one correlation id: that is the trace, both have 128 bits. An
event's span has the last 64 bits of the event's id. So whoever reads an event, in whatever process
and however much later, knows what it continues. `traceparent`: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from typing import Protocol
from uuid import UUID

TRACEPARENT = "traceparent"

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_LAST_64_BITS = (1 << 64) - 1


class Stored(Protocol):
    """What an event says of itself."""

    @property
    def event_id(self) -> UUID: ...

    @property
    def correlation_id(self) -> UUID: ...


def trace_of(event: Stored) -> int:
    return event.correlation_id.int


def span_of(event: Stored) -> int:
    return event.event_id.int & _LAST_64_BITS


def trace_named(traceparent: str | None) -> UUID | None:
    """The trace that a `traceparent` header goes on with; None if it is none."""
    found = _TRACEPARENT.fullmatch((traceparent or "").strip())
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return UUID(found[1])
