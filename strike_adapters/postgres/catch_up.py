"""How a follower takes in the log: many events at once while it is behind, each as it comes later.

An event that cannot be processed is found: what came with it is processed one by one, so that all
before it is stored, and the follower stands right before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    ListenNotifySubscription,
    Mapper,
    Notification,
    OperationalError,
    Tracking,
)
from eventsourcing.projection import EventSourcedProjection, Projection

from strike_adapters.postgres.follower_states import EventFailed
from strike_adapters.postgres.views.view import View

NO_EVENTS_FAULT = (OperationalError, InterfaceError)
"""The database was away: nothing is said of any event by that."""


class Named(Protocol):
    """What is followed: an application, or whatever has its name and mapper."""

    name: str
    mapper: Mapper[UUID]


class Intake:
    """Hands a follower what its subscription brings."""

    def __init__(self, app: Named, follower: Projection[Any] | EventSourcedProjection[Any]) -> None:
        self._app = app
        self._follower = follower

    def run(self, subscription: ListenNotifySubscription[Any]) -> None:
        """Until the subscription ends. Raises `EventFailed`, or what the database raised."""
        for notifications in arriving(subscription):
            if isinstance(self._follower, View):
                self._take_batch(self._follower, notifications)
            else:
                self._answer(notifications)

    def _take_batch(self, view: View, notifications: Sequence[Notification]) -> None:
        try:
            view.process_batch([*self._decoded(notifications)])
        except NO_EVENTS_FAULT:
            raise
        except IntegrityError:
            # A rebuild may have put the view further than we are.
            reached = view.view.max_tracking_id(self._app.name) or 0
            rest = [one for one in notifications if one.id > reached]
            if len(rest) == len(notifications):
                self._take_each(notifications)
            elif rest:
                self._take_batch(view, rest)
        except Exception:
            self._take_each(notifications)

    def _answer(self, notifications: Sequence[Notification]) -> None:
        """Events are answered with events, each in the transaction of its cause.

        What asks for no answer is passed over: its position is stored with the next that does, or
        at the end of what has come. Otherwise people would be rung the later, the more is noted.
        """
        passed: list[Notification] = []
        for one in notifications:
            if not self._may_answer(one.topic):
                passed.append(one)
                continue
            try:
                self._take_each([one])
            except EventFailed:
                # It stands right before the event that fails, by which a person can skip it.
                self._take_each(passed)
                raise
            passed = []
        self._take_each(passed[-1:])

    def _may_answer(self, topic: str) -> bool:
        may_answer = getattr(self._follower, "may_answer", None)
        return may_answer is None or bool(may_answer(topic))

    def _take_each(self, notifications: Sequence[Notification]) -> None:
        for one in notifications:
            try:
                for event, tracking in self._decoded([one]):
                    self._follower.process_event(event, tracking)
            except NO_EVENTS_FAULT:
                raise
            except Exception as error:
                raise EventFailed.of(one.id, one.topic, self._event_id(one), error) from error

    def _decoded(self, notifications: Iterable[Notification]) -> Iterator[tuple[Any, Tracking]]:
        for one in notifications:
            yield self._app.mapper.to_domain_event(one), Tracking(self._app.name, one.id)

    def _event_id(self, notification: Notification) -> UUID | None:
        """Also of an event that cannot be read as one."""
        with suppress(ValueError, KeyError, TypeError):
            return UUID(self._app.mapper.transcoder.decode(notification.state)["event_id"])
        return None


def arriving(subscription: ListenNotifySubscription[Any]) -> Iterator[list[Notification]]:
    """What has been fetched of the log, as much as there is at a time."""
    for first in subscription:
        fetched = subscription._notifications
        batch = [first, *fetched[subscription._notifications_index :]]
        subscription._notifications_index = len(fetched)
        yield batch
