"""The one notification log: both aggregates, one order, one meaning of a position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, ClassVar, Generic, TypeVar, cast
from uuid import UUID

from eventsourcing.application import (
    AggregateNotFoundError,
    Application,
    ProcessingEvent,
    Repository,
)
from eventsourcing.persistence import IntegrityError, Notification, Recording, StoredEvent
from eventsourcing.utils import EnvType

from strike_domain.eco import Eco, EcoCreated, PagerDispatched
from strike_domain.errors import Conflict, NotFound
from strike_domain.eventsourced import Aggregate, PydanticMapper, Streams, project
from strike_domain.history import Happened
from strike_domain.kept import KEPT, KeptAggregates
from strike_domain.pager_run import PagerRun

TAggregate = TypeVar("TAggregate", bound=Aggregate)

Listener = Callable[[Aggregate, Sequence[Any]], object]

LOG_NAME = "strike"
"""Names the log in every position, and its tables `strike_events` and `strike_tracking`."""

LOG_ENV = {
    "MAPPER_TOPIC": "strike_domain.eventsourced:PydanticMapper",
    "TRANSCODER_TOPIC": "strike_domain.eventsourced:JSONBytes",
    "PERSISTENCE_MODULE": "strike_domain.memory",
}

MAX_ATTEMPTS = 20

TURNS = 256
"""Among so many locks the aggregates are shared out."""


@dataclass(frozen=True)
class Receipt(Generic[TAggregate]):
    """A command that is durable. `position` is what to wait for to read your own write."""

    aggregate: TAggregate
    position: int


class StrikeLog(Application[UUID]):
    """The event store, opened. Where it lives is the environment's choice, as the library reads it:
    in memory by default, in PostgreSQL with `strike_adapters.postgres.store`."""

    name = LOG_NAME
    env: ClassVar[dict[str, str]] = LOG_ENV

    def __init__(self, env: EnvType | None = None) -> None:
        super().__init__(env)
        self.listeners: list[Listener] = []
        """Are told of every aggregate that this object has stored, with what was new of it."""
        # One thread that runs in turns on its own, as the simulation does, never waits for itself.
        self._turns = [RLock() for _ in range(TURNS)]

    def construct_event_store(self) -> Streams:
        """As the library's, faster for long streams."""
        return Streams(self.mapper, self.recorder)

    def construct_repository(self) -> Repository[UUID]:
        """As the library's, safe for many threads."""
        size = int(self.env.get(self.AGGREGATE_CACHE_MAXSIZE) or KEPT)
        kept = KeptAggregates(self.events, snapshot_store=self.snapshots, cache_maxsize=size)
        when_another = getattr(self.recorder, "when_another_server", None)
        if when_another is not None:
            when_another(kept.forget_all)
        return kept

    def eco(self, eco_id: UUID, version: int | None = None) -> Eco:
        """Raises `NotFound`."""
        return self._load(eco_id, Eco, "ECO", version)

    def run(self, run_id: UUID, version: int | None = None) -> PagerRun:
        """Raises `NotFound`."""
        return self._load(run_id, PagerRun, "pager run", version)

    def _load(
        self, aggregate_id: UUID, kind: type[TAggregate], what: str, version: int | None
    ) -> TAggregate:
        try:
            found: Any = self.repository.get(aggregate_id, version=version, projector_func=project)
        except AggregateNotFoundError:
            raise NotFound(what) from None
        if not isinstance(found, kind):
            raise NotFound(what)
        return found

    def has(self, aggregate_id: UUID) -> bool:
        """Whether anything is stored of it; cheaper than to load it, and least when it is not."""
        is_begun = getattr(self.recorder, "is_begun", None)
        if is_begun is not None:
            return cast(bool, is_begun(aggregate_id))
        return bool(self.recorder.select_events(aggregate_id, limit=1))

    def records(self, eco_ids: Iterable[UUID]) -> dict[UUID, list[Notification]]:
        """All that is stored of those ECOs and of their pager runs, each in the order of the log.

        An ECO that does not exist is left out. What others store meanwhile is left out of all.
        """
        end = self.position()
        ecos = self._streams(tuple(eco_ids), end)
        eco_of = {one.originator_id: one.originator_id for one in ecos if _creates_eco(one)}
        for one in ecos:
            if one.topic == PagerDispatched.TOPIC:
                dispatched = cast(PagerDispatched, self.mapper.to_domain_event(one))
                eco_of[dispatched.run_id] = one.originator_id
        runs = self._streams(tuple(eco_of.keys() - eco_of.values()), end)
        found: defaultdict[UUID, list[Notification]] = defaultdict(list)
        for one in sorted((*ecos, *runs), key=lambda each: each.id):
            if one.originator_id in eco_of:
                found[cast(UUID, eco_of[one.originator_id])].append(one)
        return dict(found)

    def histories(self, eco_ids: Iterable[UUID]) -> dict[UUID, list[Happened]]:
        """As `records`, with the events."""
        return {
            eco_id: [Happened(one.id, cast(Any, self.mapper.to_domain_event(one))) for one in found]
            for eco_id, found in self.records(eco_ids).items()
        }

    def state_of(self, stored: StoredEvent) -> dict[str, Any]:
        """The plain JSON of a stored event, as it was written."""
        return cast(PydanticMapper, self.mapper).state_of(stored)

    def _streams(self, ids: Sequence[Any], end: int) -> Sequence[Notification]:
        select = getattr(self.recorder, "select_streams", None)
        if select is not None:
            return cast(Sequence[Notification], select(ids, end))
        everything = self.recorder.select_notifications(None, max(end, 1), end)
        return [one for one in everything if one.originator_id in ids]

    def caught_up(self, aggregate: TAggregate) -> TAggregate:
        """`aggregate` itself, with what has happened to it since."""
        newer = self.events.get(aggregate.id, gt=aggregate.version)
        caught_up: TAggregate = project(aggregate, newer)
        return caught_up

    def position(self) -> int:
        """The position of the newest event; 0 in an empty log."""
        return self.recorder.max_notification_id() or 0

    def save(self, *objs: Any, **kwargs: Any) -> list[Recording[UUID]]:
        """As the library's, which asks each object whether it has all methods of two protocols.

        That takes as long as writing the event; of an aggregate of ours it is known.
        """
        if not all(isinstance(one, Aggregate) for one in objs):
            return super().save(*objs, **kwargs)
        news = ProcessingEvent[UUID]()
        for one in objs:
            news.events += one.collect_events()
            news.aggregates[one.id] = one
        news.saved_kwargs.update(kwargs)
        recordings = self._record(news)
        self._take_snapshots(news)
        self._notify(recordings)
        return recordings

    def store(self, *aggregates: Aggregate) -> int:
        """Save what happened to `aggregates` in one transaction and return its position.

        Raises `IntegrityError` if another command was faster. A save that was durable although
        its answer got lost is recognised by its event ids and counts as done.
        """
        pending = [event for one in aggregates for event in one.pending_events]
        if not pending:
            return self.position()
        news = [(one, tuple(one.pending_events)) for one in aggregates]
        try:
            position = max(recording.notification.id for recording in self.save(*aggregates))
        except IntegrityError:
            if not self._is_stored(pending):
                self._forget(aggregates)
                raise
            position = self.position()
        for listener in self.listeners:
            for aggregate, events in news:
                listener(aggregate, events)
        return position

    def _forget(self, aggregates: Iterable[Aggregate]) -> None:
        """What is kept of them may be more than the log has, where the database lost its end."""
        for one in aggregates:
            cast(KeptAggregates, self.repository).forget(one.id)

    def _is_stored(self, events: list[Any]) -> bool:
        return all(self._event_id_at(e) == e.event_id for e in events)

    def _event_id_at(self, event: Any) -> UUID | None:
        version = event.originator_version
        stored = list(self.events.get(event.originator_id, gt=version - 1, lte=version))
        return getattr(stored[0], "event_id", None) if stored else None

    def change_eco(self, eco_id: UUID, command: Callable[[Eco], None]) -> Receipt[Eco]:
        """Load, command, store; again while others are faster and the command still stands."""
        return self._change(eco_id, self.eco, command)

    def change_run(self, run_id: UUID, command: Callable[[PagerRun], None]) -> Receipt[PagerRun]:
        """As `change_eco`, for a pager run."""
        return self._change(run_id, self.run, command)

    def _change(
        self,
        aggregate_id: UUID,
        load: Callable[[UUID], TAggregate],
        command: Callable[[TAggregate], None],
    ) -> Receipt[TAggregate]:
        def once() -> Receipt[TAggregate]:
            aggregate = load(aggregate_id)
            command(aggregate)
            return Receipt(aggregate, self.store(aggregate))

        # Threads of this process queue up, so that only other processes can be faster: eight of
        # them on one ECO would otherwise beat the same unlucky one twenty times now and then.
        with self._turns[aggregate_id.int % TURNS]:
            return while_others_are_faster(once)


def _creates_eco(stored: StoredEvent) -> bool:
    return stored.topic == EcoCreated.TOPIC


TResult = TypeVar("TResult")


def while_others_are_faster(command: Callable[[], TResult]) -> TResult:
    """Run `command` anew as long as concurrent saves beat it; `Conflict` after 20 times."""
    for _ in range(MAX_ATTEMPTS):
        try:
            return command()
        except IntegrityError:
            continue
    raise Conflict("Others kept changing this at the same time. Try again.")
