"""Aggregates kept in mind while following the log: each event is applied once, not replayed."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eventsourcing.persistence import InterfaceError, Mapper, Notification, OperationalError

from strike_domain.eventsourced import AggregateCreated, DomainEvent, project
from strike_domain.log import StrikeLog

NO_EVENTS_FAULT = (OperationalError, InterfaceError)
"""The database was away: nothing is said of any event by that."""


@dataclass(frozen=True, slots=True, repr=False)
class Read:
    """An event of the log with its aggregate right after it; or why there is none."""

    position: int
    event: Any = None
    after: Any = None
    error: Exception | None = None
    topic: str = ""
    event_id: UUID | None = None

    def __repr__(self) -> str:
        """Without what is in it: a traceback with many of them is written in no time."""
        return f"<{self.topic} at position {self.position}>"


def event_id_of(mapper: Mapper[UUID], notification: Notification) -> UUID | None:
    """The id of a stored event, also of one that cannot be read as an event."""
    with suppress(ValueError, KeyError, TypeError):
        return UUID(mapper.transcoder.decode(notification.state)["event_id"])
    return None


class Fold:
    """Gives the aggregate as it was right after an event; keeps the `size` used last."""

    def __init__(self, log: StrikeLog, size: int = 10_000) -> None:
        self._log = log
        self._size = size
        self._kept: OrderedDict[UUID, Any] = OrderedDict()

    def after(self, event: Any) -> Any:
        """The aggregate of `event` at the event's own version."""
        kept = self._kept.pop(event.originator_id, None)
        aggregate = self._next(kept, event)
        self._kept[event.originator_id] = aggregate
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return aggregate

    def _next(self, kept: Any, event: Any) -> Any:
        if isinstance(event, AggregateCreated):
            return event.mutate(None)
        if kept is not None and kept.version == event.originator_version - 1:
            return event.mutate(kept)
        return self._log.repository.get(
            event.originator_id, version=event.originator_version, projector_func=project
        )

    def read(self, notifications: Iterable[Notification]) -> Iterator[Read]:
        """Decode and apply what was selected. An event of which that fails says so itself.

        Each aggregate is a copy, which stays as it is when the next event comes.
        """
        for one in notifications:
            event: Any = None
            try:
                event = self._log.mapper.to_domain_event(one)
                after = deepcopy(self.after(event))
            except NO_EVENTS_FAULT:
                raise
            except Exception as error:
                event_id = event_id_of(self._log.mapper, one)
                yield Read(one.id, event, None, error, one.topic, event_id)
            else:
                yield Read(one.id, event, after, None, one.topic, event.event_id)

    def forget(self, event: DomainEvent) -> None:
        """Drop what is kept of an event that could not be processed."""
        self._kept.pop(event.originator_id, None)


SELDOM = (200_000, 20, 100)
"""Thresholds of the search for garbage where nobody waits; one search can take 100 ms."""

BRIEFLY = (10_000, 3, 2_000)
"""Where somebody does: a search takes up to 30 ms, a hundredth of the time in all."""


@contextmanager
def seldom_collecting(thresholds: tuple[int, int, int] = SELDOM) -> Iterator[None]:
    """Look for garbage seldom in this process, meanwhile, and never among what is there already.

    With Python's own thresholds that took half of the time of a long rebuild: thousands of kept
    aggregates are looked through again and again, and hardly anything is in a circle. A server
    stood still for 150 ms while its schema was looked through.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
