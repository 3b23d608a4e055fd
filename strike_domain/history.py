"""What happened to one ECO and to its pager runs, in the order of the log; and how all stood then.

ECO and runs are always cut at the same position: what one of them did because of another is there
with its cause, or both are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from strike_domain.eventsourced import DomainEvent


@dataclass(frozen=True)
class Happened:
    """An event at its place in the log."""

    position: int
    event: DomainEvent


def until(history: Sequence[Happened], moment: datetime) -> Sequence[Happened]:
    """`history` up to its last event at or before `moment`, by the events' own timestamps.

    Empty if the first event, which created the ECO, is later. Clocks of several machines differ by
    a little, so a timestamp may be earlier than the one before it: the log's order decides.
    """
    if not history or history[0].event.timestamp > moment:
        return ()
    ends = [number for number, one in enumerate(history, 1) if one.event.timestamp <= moment]
    return history[: ends[-1]]


def replay(history: Iterable[Happened]) -> Iterator[tuple[Happened, Any]]:
    """Each event with its aggregate as it was right after; the next step changes that aggregate."""
    aggregates: dict[UUID, Any] = {}
    for one in history:
        event: Any = one.event
        after = event.mutate(aggregates.get(event.originator_id))
        aggregates[event.originator_id] = after
        yield one, after
