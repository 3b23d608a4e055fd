"""Aggregates kept in mind while following the log: each event is applied once, not replayed."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from strike_domain.eventsourced import AggregateCreated, DomainEvent, project
from strike_domain.log import StrikeLog


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

    def forget(self, event: DomainEvent) -> None:
        """Drop what is kept of an event that could not be processed."""
        self._kept.pop(event.originator_id, None)


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for garbage seldom in this process, meanwhile.

    With Python's own thresholds that took half of the time of a long rebuild: thousands of kept
    aggregates are looked through again and again, and hardly anything is in a circle.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
