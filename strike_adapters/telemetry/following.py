"""Spans of what reads the log: followers, and workers who do what events have made due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import Tracking
from eventsourcing.projection import EventSourcedProjection, Projection
from structlog.contextvars import bind_contextvars, clear_contextvars

from strike_adapters.postgres.due import Claim, Done, DueTable
from strike_adapters.postgres.fold import Read
from strike_adapters.postgres.views.view import View
from strike_adapters.telemetry.ids import Stored
from strike_adapters.telemetry.spans import Kind, begin, is_on, stored
from strike_domain.eventsourced import DomainEvent
from strike_domain.log import StrikeLog
from strike_domain.ports import Clock

MOST_SPANS = 20
"""A batch of more events than that is a follower catching up: it is told of in no trace."""

LATER = timedelta(minutes=2)
"""What is done that much later than the event before it begins a trace of its own, with a link."""

TFollower = TypeVar("TFollower", bound="Projection[Any] | EventSourcedProjection[Any]")


def followed(follower: TFollower) -> TFollower:
    """The same follower, which tells what it takes in, and what the pager answers."""
    if not is_on():
        return follower
    if isinstance(follower, View):
        _tell_batches(follower)
    else:
        _tell_each(follower)
    return follower


def _tell_batches(view: View) -> None:
    process = view.process_batch

    def process_batch(reads: Sequence[Read], after: int = 0) -> None:
        events = [one.event for one in reads if one.event is not None]
        with told_of(events if len(reads) <= MOST_SPANS else (), f"follow {view.name}"):
            process(reads, after)

    view.process_batch = process_batch  # type: ignore[method-assign]


@contextmanager
def told_of(events: Sequence[Stored], name: str) -> Iterator[None]:
    """Meanwhile what follows from each of these events is done; of many at once nothing is told."""
    with ExitStack() as spans:
        for event in events if is_on() and len(events) <= MOST_SPANS else ():
            spans.enter_context(begin(name, Kind.CONSUMER, after=event))
        yield


def _tell_each(pager: Any) -> None:
    process = pager.process_events

    def process_events(events: Sequence[Any], tracking: Tracking) -> None:
        answers: list[DomainEvent] = []
        pager.notify = answers.extend
        with ExitStack() as spans:
            for event in events:
                spans.enter_context(begin("follow pager", Kind.CONSUMER, after=event))
                spans.callback(_tell_answers, pager, event, answers)
            process(events, tracking)

    pager.process_events = process_events


def _tell_answers(pager: Any, event: Stored, answers: Sequence[DomainEvent]) -> None:
    """Those to that event, while its span is the present one: none if they were not stored."""
    stored(pager, [one for one in answers if one.causation_id == event.event_id])


def worked(table: DueTable, log: StrikeLog, clock: Clock) -> DueTable:
    """The same work, which goes on with the trace of the newest event of what is due.

    Each line that is logged meanwhile names the row, and the correlation id once it is known.
    """
    handle = table.handle

    def traced(row: Claim) -> Done:
        key = row[table.key]
        clear_contextvars()
        bind_contextvars(**{table.key: str(key)})
        if not is_on():
            return _telling_of_failure(handle, row, log, key)
        newest = _newest(log, key)
        is_late = newest is not None and clock.now() - newest.timestamp > LATER
        bind_contextvars(correlation_id=str(newest.correlation_id) if newest else None)
        with begin(
            f"work {table.name}",
            Kind.CONSUMER,
            after=None if is_late else newest,
            beside=newest if is_late else None,
            attributes={f"strike.{table.key}": str(key)},
        ):
            return handle(row)

    return replace(table, handle=traced)


def _telling_of_failure(
    handle: Callable[[Claim], Done], row: Claim, log: StrikeLog, key: UUID
) -> Done:
    """Only then is it worth a question to the log, to whose request the row belongs."""
    try:
        return handle(row)
    except Exception:
        with suppress(Exception):
            newest = _newest(log, key)
            bind_contextvars(correlation_id=str(newest.correlation_id) if newest else None)
        raise


def _newest(log: StrikeLog, aggregate_id: UUID) -> DomainEvent | None:
    found: Any = next(iter(log.events.get(aggregate_id, desc=True, limit=1)), None)
    return found if isinstance(found, DomainEvent) else None
