"""How a follower takes in the log: many events at once while it is behind, each as it comes later.

An event that cannot be processed is found: what came with it is processed one by one, so that all
before it is stored, and the follower stands right before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import (
    IntegrityError,
    ListenNotifySubscription,
    Mapper,
    Notification,
    Tracking,
)
from eventsourcing.projection import EventSourcedProjection

from strike_adapters.postgres.fold import NO_EVENTS_FAULT, Read, event_id_of
from strike_adapters.postgres.follower_states import EventFailed
from strike_adapters.postgres.views.view import View
from strike_domain.log import LOG_NAME


class Named(Protocol):
    """What is followed: an application, or whatever has its name and mapper."""

    name: str
    mapper: Mapper[UUID]


def take_in(view: View, reads: Sequence[Read]) -> None:
    """Let a read model take in what was read. Raises `EventFailed`, or what the database raised."""
    try:
        view.process_batch(reads)
    except NO_EVENTS_FAULT:
        raise
    except IntegrityError:
        # A rebuild may have put the view further than we are.
        reached = view.view.max_tracking_id(LOG_NAME) or 0
        rest = [one for one in reads if one.position > reached]
        if len(rest) == len(reads):
            _take_each(view, reads)
        elif rest:
            take_in(view, rest)
    except Exception:
        _take_each(view, reads)


def _take_each(view: View, reads: Sequence[Read]) -> None:
    for one in reads:
        try:
            view.process_batch([one])
        except NO_EVENTS_FAULT:
            raise
        except Exception as error:
            raise EventFailed.of(one.position, one.topic, one.event_id, error) from error


class Answering:
    """Hands the pager what its subscription brings: events are answered with events."""

    def __init__(self, app: Named, process: EventSourcedProjection[Any]) -> None:
        self._app = app
        self._process = process

    def run(self, subscription: ListenNotifySubscription[Any]) -> None:
        """Until the subscription ends. Raises `EventFailed`, or what the database raised."""
        for notifications in arriving(subscription):
            self._answer(notifications)

    def _answer(self, notifications: Sequence[Notification]) -> None:
        """Each in the transaction of its cause.

        What asks for no answer is passed over: its position is stored with the next that does, or
        at the end of what has come. Otherwise people would be rung the later, the more is noted.
        """
        passed: list[Notification] = []
        for one in notifications:
            if not self._may_answer(one.topic):
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
            self._take(last)

    def _may_answer(self, topic: str) -> bool:
        may_answer = getattr(self._process, "may_answer", None)
        return may_answer is None or bool(may_answer(topic))

    def _take(self, one: Notification) -> None:
        try:
            event = self._app.mapper.to_domain_event(one)
            self._process.process_event(event, Tracking(self._app.name, one.id))
        except NO_EVENTS_FAULT:
            raise
        except Exception as error:
            event_id = event_id_of(self._app.mapper, one)
            raise EventFailed.of(one.id, one.topic, event_id, error) from error


def arriving(subscription: ListenNotifySubscription[Any]) -> Iterator[list[Notification]]:
    """What has been fetched of the log, as much as there is at a time."""
    for first in subscription:
        fetched = subscription._notifications
        batch = [first, *fetched[subscription._notifications_index :]]
        subscription._notifications_index = len(fetched)
        yield batch
