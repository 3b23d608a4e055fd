"""The thin layer between the `eventsourcing` library and our events: frozen Pydantic models.

Events are plain JSON in the log, their topics are fixed names that survive a renamed module,
and an aggregate evolves in one place: its `evolve` method, one small function per event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, ClassVar, Self, TypeVar, cast
from uuid import UUID

from eventsourcing.dispatch import singledispatchmethod as LibrarySingleDispatch  # noqa: N812
from eventsourcing.domain import (
    BaseAggregate,
    CanInitAggregate,
    CanMutateAggregate,
    DomainEventProtocol,
    OriginatorVersionError,
)
from eventsourcing.persistence import (
    EventStore,
    Mapper,
    MapperDeserialisationError,
    StoredEvent,
    Transcoder,
)
from eventsourcing.utils import get_topic, register_topic, resolve_topic
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from strike_domain.actors import Stamp

TResult = TypeVar("TResult")


class DomainEvent(BaseModel):
    """What every event carries besides its own fields (specification, section 3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    TOPIC: ClassVar[str]
    class_version: ClassVar[int] = 1

    originator_id: UUID
    originator_version: int
    timestamp: datetime
    event_id: UUID
    actor: str
    tenant_id: UUID | None
    correlation_id: UUID
    causation_id: UUID

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "TOPIC" in cls.__dict__:
            register_topic(cls.TOPIC, cls)


class AggregateEvent(DomainEvent, CanMutateAggregate[UUID]):
    """An event of an aggregate that exists already."""

    def mutate(self, aggregate: Any) -> Any:
        """As the library's, which asks a property for each value; it also says what is wrong."""
        fits = aggregate is not None and self.originator_version == aggregate._version + 1
        if not fits or self.originator_id != aggregate._id:
            return super().mutate(aggregate)
        aggregate.evolve(self)
        aggregate._version = self.originator_version
        aggregate._modified_on = self.timestamp
        return aggregate

    def apply(self, aggregate: Any) -> None:
        aggregate.evolve(self)

    def _as_dict(self) -> dict[str, Any]:
        return self.__dict__


class AggregateCreated(AggregateEvent, CanInitAggregate[UUID]):
    """The first event of a stream."""

    originator_topic: str

    def mutate(self, aggregate: Any) -> Any:
        """As the library's, for a class whose `__init__` takes nothing: `evolve` does it all."""
        if aggregate is not None:
            raise OriginatorVersionError(self.originator_version, aggregate.version + 1)
        kind = resolve_topic(self.originator_topic)
        begun = kind.__new__(kind)
        begun.__base_init__(self.originator_id, self.originator_version, self.timestamp)
        self.apply(begun)
        return begun


class singledispatchmethod(LibrarySingleDispatch[TResult]):  # noqa: N801 - used like the library's
    """The library's, without a new function with its name and doc string for each call.

    That was a fifth of the time of a replay. What is found for a class is kept in a plain
    dictionary: the standard library's is one of weak references.
    """

    def __init__(self, func: Callable[..., TResult]) -> None:
        super().__init__(func)
        self._found: dict[type[Any], Callable[..., TResult]] = {}

    def __get__(self, obj: Any, cls: type[Any] | None = None) -> Callable[..., TResult]:
        if obj is None or self.deferred_registrations:
            self._found.clear()
            return super().__get__(obj, cls)
        found = self._found

        def dispatched(event: Any, *args: Any) -> TResult:
            kind = event.__class__
            function = found.get(kind)
            if function is None:
                function = found[kind] = self.dispatcher.dispatch(kind)
            return function(obj, event, *args)

        return dispatched


class Aggregate(BaseAggregate[UUID]):
    """An aggregate whose events are `DomainEvent`s; subclasses say how each one changes them.

    The event classes stand beside the aggregate and not inside it, where the library would
    subclass each of them once more.
    """

    # The library's raises NotImplementedError, and Python 3.13 asks for it to cache the method that
    # `singledispatchmethod` gives. Unhashable is what a mutable object is, and then nothing caches.
    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that changes alone. Values that never change are shared with it.

        A subclass with a value that changes in place copies that as well.
        """
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__, _pending_events=[*self.pending_events])
        return copied

    def evolve(self, event: Any) -> None:
        """Apply one event to the state. No decisions here: this runs at every replay."""
        raise NotImplementedError

    @classmethod
    def _create(cls, event_class: Any, *, id: UUID | None = None, **kwargs: Any) -> Self:
        """As the library's, which looks first what `create_id` and `__init__` could want."""
        first = event_class(
            originator_topic=get_topic(cls),
            originator_id=id,
            originator_version=cls.INITIAL_VERSION,
            **kwargs,
        )
        begun: Self = first.mutate(None)
        begun.pending_events.append(first)
        return begun

    @classmethod
    def begin(
        cls, event_class: type[AggregateCreated], aggregate_id: UUID, stamp: Stamp, **fields: Any
    ) -> Self:
        """Start a new stream with its first event."""
        stamped = stamp.fields(aggregate_id, cls.INITIAL_VERSION)
        return cls._create(event_class, id=aggregate_id, **stamped, **fields)

    def emit(self, event_class: type[AggregateEvent], stamp: Stamp, **fields: Any) -> None:
        """Record that something happened, and evolve by it."""
        self.trigger_event(event_class, **stamp.fields(self.id, self.version + 1), **fields)


def project(aggregate: Any, events: Iterable[Any]) -> Any:
    """Replay `events` onto `aggregate`.

    The library's own projector checks each event against a runtime protocol, which is most of
    the time of a long replay; ours all come from the mapper below and need no such check. What
    `mutate` does is done here for events that follow each other, with `evolve` looked up once.
    """
    evolve: Callable[[Any], object] | None = None
    for event in events:
        if (
            evolve is None
            or event.originator_version != aggregate._version + 1
            or event.originator_id != aggregate._id
        ):
            aggregate = event.mutate(aggregate)
            evolve = aggregate.evolve
            continue
        evolve(event)
        aggregate._version = event.originator_version
        aggregate._modified_on = event.timestamp
    return aggregate


class JSONBytes(Transcoder):
    """Plain JSON, with no type wrappers: an event can be read with `psql` or `jq`."""

    def encode(self, obj: Any) -> bytes:
        return to_json(obj)

    def decode(self, data: bytes) -> Any:
        return from_json(data)


class PydanticMapper(Mapper[UUID]):
    """Stores as the library does; reads back by validating, after upcasting old versions."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """As the library's, but an event knows the types of its fields: half of the time."""
        if self.cipher or self.compressor:
            return super().to_stored_event(domain_event)
        event = cast(DomainEvent, domain_event)
        kind = type(event)
        state = kind.__pydantic_serializer__.to_json(event, exclude=_BESIDE_THE_STATE)
        if kind.class_version > 1:
            state = state[:-1] + _mark(kind)
        return StoredEvent(event.originator_id, event.originator_version, kind.TOPIC, state)

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        event_class = resolve_topic(stored_event.topic)
        if self.cipher is None and self.compressor is None:
            event = _read_present(event_class, stored_event)
            if event is not None:
                return cast("DomainEventProtocol[UUID]", event)
        try:
            state = self.state_of(stored_event)
            _upcast(event_class, state)
            state["originator_id"] = stored_event.originator_id
            state["originator_version"] = stored_event.originator_version
            return cast("DomainEventProtocol[UUID]", event_class.model_validate(state))
        except (ValueError, ValidationError) as error:
            raise MapperDeserialisationError(_undecodable(stored_event, error)) from error

    def to_domain_events(
        self, stored_events: Sequence[StoredEvent]
    ) -> Iterable[DomainEventProtocol[UUID]]:
        """As `to_domain_event`, for events of one topic and one aggregate."""
        if len(stored_events) > 1 and self.cipher is None and self.compressor is None:
            event_class = resolve_topic(stored_events[0].topic)
            together = _read_together(event_class, stored_events)
            if together is not None:
                return cast("list[DomainEventProtocol[UUID]]", together)
        return map(self.to_domain_event, stored_events)

    def state_of(self, stored_event: StoredEvent) -> dict[str, Any]:
        """The plain JSON that is stored, in whatever version it was written."""
        state = stored_event.state
        if self.cipher:
            state = self.cipher.decrypt(state)
        if self.compressor:
            state = self.compressor.decompress(state)
        return cast("dict[str, Any]", self.transcoder.decode(state))


_BESIDE_THE_STATE = {"originator_id", "originator_version"}
"""Fields of an event that have columns of their own."""


def _mark(event_class: type[DomainEvent]) -> bytes:
    """How the state of an event ends whose class has had a version before."""
    return b',"class_version":%d}' % event_class.class_version


def _read_present(event_class: type[DomainEvent], stored: StoredEvent) -> DomainEvent | None:
    """An event of the present version, validated straight from its JSON; None if it is none.

    A third of the time that it takes by way of a dictionary, which is most of a replay. Whoever
    gets None goes that way, and learns there what is wrong.
    """
    text = _present(event_class, stored)
    try:
        return event_class.__pydantic_validator__.validate_json(text) if text else None
    except ValidationError:
        return None


def _read_together(
    event_class: type[DomainEvent], stored: Sequence[StoredEvent]
) -> list[DomainEvent] | None:
    """The same for many of one aggregate, in half of the time; None if it is not so for all."""
    states = [one.state for one in stored]
    if event_class.class_version > 1:
        mark = _mark(event_class)
        if not all(state.endswith(mark) for state in states):
            return None
        states = [state[: -len(mark)] + b"}" for state in states]
    head = _HEAD % cast(UUID, stored[0].originator_id).hex.encode()
    texts = [
        b"%b%d,%b" % (head, one.originator_version, state[1:])
        for one, state in zip(stored, states, strict=True)
    ]
    try:
        events = _many(event_class).validate_json(b"[%b]" % b",".join(texts))
    except ValidationError:
        return None
    # What is no JSON by itself could be some together with its neighbour.
    wanted = [one.originator_version for one in stored]
    return events if [one.originator_version for one in events] == wanted else None


@cache
def _many(event_class: type[DomainEvent]) -> TypeAdapter[list[DomainEvent]]:
    return TypeAdapter(list[event_class])  # type: ignore[valid-type]


def _present(event_class: type[DomainEvent], stored: StoredEvent) -> bytes | None:
    """The JSON of a whole event, its columns included; None if it is of an earlier version."""
    state = stored.state
    if event_class.class_version > 1:
        mark = _mark(event_class)
        if not state.endswith(mark):
            return None
        state = state[: -len(mark)] + b"}"
    head = _HEAD % cast(UUID, stored.originator_id).hex.encode()
    return b"%b%d,%b" % (head, stored.originator_version, state[1:])


TOGETHER = 128
"""So many events are read as one text: many more take a sixth longer each (the cache is small)."""

_HEAD = b'{"originator_id":"%b","originator_version":'
"""How the JSON of a whole event begins; its version follows, and the state but for its brace."""


class Streams(EventStore[UUID]):
    """As the library's; events of one class that follow each other are read together."""

    mapper: PydanticMapper

    def get(self, originator_id: UUID, **which: Any) -> Iterator[DomainEventProtocol[UUID]]:
        stored = self.recorder.select_events(originator_id, **which)
        for _, alike in groupby(stored, attrgetter("topic")):
            while some := [*islice(alike, TOGETHER)]:
                yield from self.mapper.to_domain_events(some)


def _upcast(event_class: type[DomainEvent], state: dict[str, Any]) -> None:
    version = state.pop("class_version", 1)
    if version > event_class.class_version:
        # Guessing what a newer version means by it could lose a page; whoever knows it takes over.
        message = f"version {version} of it is newer than this Strike, which knows "
        raise ValueError(f"{message}{event_class.class_version}")
    while version < event_class.class_version:
        getattr(event_class, f"upcast_v{version}_v{version + 1}")(state)
        version += 1


def _undecodable(stored: StoredEvent, error: Exception) -> str:
    where = f"{stored.originator_id} version {stored.originator_version}"
    return f"Event {stored.topic!r} of {where} cannot be read: {error}"
