"""How a follower takes in the log: many events at once while it is behind, each as it comes later.

An event that cannot be processed is found: what came with it is processed one by one, so that all
before it is stored, and the follower stands right before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from eventsourcing.persistence import (
    IntegrityError,
    ListenNotifySubscription,
    Mapper,
    Notification,
    Tracking,
)

from strike_adapters.postgres.fold import NO_EVENTS_FAULT, Read, event_id_of
from strike_adapters.postgres.follower_states import EventFailed
from strike_adapters.postgres.views.view import View
from strike_domain.log import LOG_NAME
from strike_domain.pager_process import PagerProcess

TOGETHER = 20
"""So many events are answered in one transaction at the most."""


class Named(Protocol):
    """What is followed: an application, or whatever has its name and mapper."""

    name: str
    mapper: Mapper[UUID]


def take_in(view: View, reads: Sequence[Read], after: int = 0) -> None:
    """Let a read model, whose position is `after`, take in what was read.

    Raises `EventFailed`, or what the database raised.
    """
    try:
        view.process_batch(reads, after)
    except NO_EVENTS_FAULT:
        raise
    except IntegrityError:
        # A rebuild may have put the view further than we are.
        reached = view.view.max_tracking_id(LOG_NAME) or 0
        rest = [one for one in reads if one.position > reached]
        if len(rest) == len(reads):
            _take_each(view, reads, after)
        elif rest:
            take_in(view, rest, reached)
    except Exception:
        _take_each(view, reads, after)


def _take_each(view: View, reads: Sequence[Read], after: int) -> None:
    for one in reads:
        try:
            view.process_batch([one], after)
            after = one.position
        except NO_EVENTS_FAULT:
            raise
        except Exception as error:
            raise EventFailed.of(one.position, one.topic, one.event_id, error) from error


class Some(NamedTuple):
    """What has come next: `asking` are the events among them that may be answered."""

    notifications: list[Notification]
    asking: list[Any]


class Answering:
    """Hands the pager what its subscription brings: events are answered with events."""

    def __init__(self, app: Named, process: PagerProcess) -> None:
        self._app = app
        self._process = process

    def run(self, subscription: ListenNotifySubscription[Any]) -> None:
        """Until the subscription ends. Raises `EventFailed`, or what the database raised."""
        for notifications in arriving(subscription):
            self._answer(notifications)

    def _answer(self, notifications: Sequence[Notification]) -> None:
        try:
            parts = [*self._shared_out(notifications)]
        except NO_EVENTS_FAULT:
            raise
        except Exception:
            # One of them cannot be read.
            self._answer_each(notifications)
        else:
            for some in parts:
                self._answer_together(some)

    def _shared_out(self, notifications: Sequence[Notification]) -> Iterator[Some]:
        """In parts that one transaction can answer: of each ECO one event, and few in all.

        What asks for no answer is passed over: its position is stored with the others. Otherwise
        people would be rung the later, the more is noted.
        """
        some, ecos = Some([], []), set[UUID]()
        for one in notifications:
            if self._process.may_answer(one.topic):
                event: Any = self._app.mapper.to_domain_event(one)
                eco_id: UUID = getattr(event, "eco_id", event.originator_id)
                if eco_id in ecos or len(ecos) == TOGETHER:
                    yield some
                    some, ecos = Some([], []), set()
                some.asking.append(event)
                ecos.add(eco_id)
            some.notifications.append(one)
        if some.notifications:
            yield some

    def _answer_together(self, some: Some) -> None:
        """All in one transaction; if that fails, each in the transaction of its cause."""
        try:
            self._process.process_events(some.asking, self._up_to(some.notifications[-1]))
        except NO_EVENTS_FAULT:
            raise
        except Exception:
            self._answer_each(some.notifications)

    def _answer_each(self, notifications: Sequence[Notification]) -> None:
        passed: list[Notification] = []
        for one in notifications:
            if not self._process.may_answer(one.topic):
                passed.append(one)
                continue
            try:
                self._take(one)
            except EventFailed:
                # It stands right before the event that fails, by which a person can skip it.
                self._pass_over(passed)
                raise
            passed = []
        self._pass_over(passed)

    def _pass_over(self, passed: Sequence[Notification]) -> None:
        for last in passed[-1:]:
            self._process.process_events([], self._up_to(last))

    def _take(self, one: Notification) -> None:
        try:
            event = self._app.mapper.to_domain_event(one)
            self._process.process_event(event, self._up_to(one))
        except NO_EVENTS_FAULT:
            raise
        except Exception as error:
            event_id = event_id_of(self._app.mapper, one)
            raise EventFailed.of(one.id, one.topic, event_id, error) from error

    def _up_to(self, one: Notification) -> Tracking:
        return Tracking(self._app.name, one.id)


def arriving(subscription: ListenNotifySubscription[Any]) -> Iterator[list[Notification]]:
    """What has been fetched of the log, as much as there is at a time."""
    for first in subscription:
        fetched = subscription._notifications
        batch = [first, *fetched[subscription._notifications_index :]]
        subscription._notifications_index = len(fetched)
        yield batch
