"""What is published of an event: a message for each side of its ECO.

One message for both would either show the NOC the crew's phone numbers, or need rights on a subject
that names two tenants. So each side has its own copy, below a subject that names its own id alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from strike_domain.actors import Side
from strike_domain.contacts import mask_phone
from strike_domain.eventsourced import AggregateCreated, DomainEvent

SUBJECTS = "strike.>"
"""Every subject that is published to."""

POSITION, TOPIC, SIDE = "Strike-Position", "Strike-Topic", "Strike-Side"
EVENT_ID, CORRELATION_ID = "Strike-Event-Id", "Strike-Correlation-Id"
MESSAGE_ID = "Nats-Msg-Id"

SIDES = (Side.NOC, Side.OSP)
"""In this order the two copies of one event are published."""

_OWN = frozenset(DomainEvent.model_fields) | (
    frozenset(AggregateCreated.model_fields) - frozenset(DomainEvent.model_fields)
)
"""What every event carries: it stands beside the payload."""

_HAS_PHONE = b'"phone":'

NUMBERS = frozenset({"phone", "texted"})
"""Fields that hold telephone numbers, one or several."""


@dataclass(frozen=True)
class Parties:
    """Whose an aggregate is; this never changes."""

    eco_id: UUID
    noc_id: UUID
    osp_id: UUID

    def of(self, side: Side) -> UUID:
        return self.noc_id if side is Side.NOC else self.osp_id


@dataclass(frozen=True)
class Origin:
    """Which event a message tells of, and in which chain of events."""

    event_id: UUID
    correlation_id: UUID


@dataclass(frozen=True)
class Message:
    """One message as it is published. `place` orders them all."""

    position: int
    side: Side
    subject: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def origin(self) -> Origin:
        return Origin(UUID(self.headers[EVENT_ID]), UUID(self.headers[CORRELATION_ID]))

    @property
    def place(self) -> tuple[int, int]:
        return self.position, SIDES.index(self.side)


def messages_of(
    position: int, event: Any, parties: Parties, most_bytes: int = 2**20
) -> tuple[Message, ...]:
    """The NOC's copy and the OSP's.

    A payload with which the body would have more than `most_bytes` is left out: it is null then.
    """
    body = _body(position, event, parties)
    full = _encoded(body, most_bytes)
    if _HAS_PHONE in full:
        bodies = {Side.NOC: _encoded(_masked(body), most_bytes), Side.OSP: full}
    else:
        bodies = dict.fromkeys(SIDES, full)
    kind = event.TOPIC.removeprefix("strike.")
    return tuple(
        Message(
            position,
            side,
            f"strike.{side.lower()}.{parties.of(side)}.{kind}",
            bodies[side],
            _headers(position, side, event),
        )
        for side in SIDES
    )


def _headers(position: int, side: Side, event: Any) -> dict[str, str]:
    return {
        MESSAGE_ID: f"{position}-{side.lower()}",
        POSITION: str(position),
        SIDE: side.lower(),
        TOPIC: event.TOPIC,
        EVENT_ID: str(event.event_id),
        CORRELATION_ID: str(event.correlation_id),
    }


def _body(position: int, event: Any, parties: Parties) -> dict[str, Any]:
    said = event.model_dump(mode="json")
    return {
        "position": position,
        "topic": event.TOPIC,
        "event_id": said["event_id"],
        "aggregate_id": said["originator_id"],
        "version": said["originator_version"],
        "timestamp": said["timestamp"],
        "actor": said["actor"],
        "tenant_id": said["tenant_id"],
        "correlation_id": said["correlation_id"],
        "causation_id": said["causation_id"],
        "eco_id": str(parties.eco_id),
        "noc_id": str(parties.noc_id),
        "osp_id": str(parties.osp_id),
        "payload_version": event.class_version,
        "payload": {name: value for name, value in said.items() if name not in _OWN},
    }


def _encoded(body: Mapping[str, Any], most_bytes: int) -> bytes:
    encoded = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    if len(encoded) <= most_bytes:
        return encoded
    return orjson.dumps({**body, "payload": None}, option=orjson.OPT_SORT_KEYS)


def _masked(value: Any, name: str = "") -> Any:
    """The same with phone numbers as people other than their owner see them."""
    if isinstance(value, dict):
        return {key: _masked(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, name) for one in value]
    return mask_phone(value) if name in NUMBERS and isinstance(value, str) else value
