"""The chain of an evidence bundle: every event as one line, each bound to all before it.

A line is an event's JSON with sorted keys and no spaces; `previous` is the hash of the line before,
and `hash`, last, the SHA-256 of the line without it. So it can be checked with `sed` and
`sha256sum`. Telephone numbers are masked in it, for whomever it is exported: both companies get the
same chain, and can compare its head.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from strike_domain.contacts import mask_phone
from strike_domain.eco import Eco, EcoCreated, EcoEvent
from strike_domain.eventsourced import DomainEvent, JSONBytes, PydanticMapper
from strike_domain.history import Happened
from strike_domain.pager_run import PagerRun, PagerRunStarted, RunEvent

GENESIS = "0" * 64
"""What the first line has as the hash of the one before it."""

Record = dict[str, Any]
"""One event as plain JSON; its keys are those of `record_of`."""

# How a field that every event carries is called in a record.
_CARRIED = {
    "timestamp": "timestamp",
    "event_id": "event",
    "actor": "actor",
    "tenant_id": "tenant",
    "correlation_id": "correlation",
    "causation_id": "causation",
}


def canonical(value: Any) -> str:
    """The one way to write it as JSON. Raises ValueError for what JSON has no word for."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return sha256(data).hexdigest()


def record_of(position: int, stored: StoredEvent, state: Mapping[str, Any]) -> Record:
    """An event as it was stored, `state` being its JSON; a payload may be of an old version."""
    carried = {name: state[field] for field, name in _CARRIED.items()}
    payload = {field: value for field, value in state.items() if field not in _CARRIED}
    return {
        "position": position,
        "topic": stored.topic,
        "aggregate": str(stored.originator_id),
        "version": stored.originator_version,
        "payload": payload,
        **carried,
    }


def happened_of(record: Record) -> Happened:
    """The event of a record, of whatever version.

    Raises ValueError for a topic that is none of Strike's, and what the log's mapper raises.
    """
    # The library would import whatever module a stranger's topic names.
    if record["topic"] not in topics() or not _is_ours(record["payload"]):
        raise ValueError(f"{record['topic']!r} is no event of Strike's")
    state = {field: record[name] for field, name in _CARRIED.items()} | record["payload"]
    stored = StoredEvent(
        originator_id=UUID(record["aggregate"]),
        originator_version=record["version"],
        topic=record["topic"],
        state=JSONBytes().encode(state),
    )
    event: Any = PydanticMapper(JSONBytes()).to_domain_event(stored)
    known: DomainEvent = event
    return Happened(record["position"], known)


@cache
def topics() -> frozenset[str]:
    """The topic of every event that can be in the log."""
    return frozenset(_topics(EcoEvent)) | frozenset(_topics(RunEvent)) | _CREATORS


_CREATORS = frozenset({EcoCreated.TOPIC, PagerRunStarted.TOPIC})


def _topics(root: type[DomainEvent]) -> Iterator[str]:
    for each in root.__subclasses__():
        yield each.TOPIC
        yield from _topics(each)


def _is_ours(payload: Mapping[str, Any]) -> bool:
    return payload.get("originator_topic", Eco.TOPIC) in (Eco.TOPIC, PagerRun.TOPIC)


# Telephone numbers -------------------------------------------------------------------------


def masked(records: Iterable[Record]) -> Iterator[Record]:
    """The records without telephone numbers, also where one stands in the midst of a text.

    Of texts, only numbers that were known by then: what comes later must not change a line.
    """
    known: set[str] = set()
    for record in records:
        known.update(_phones(record["payload"]))
        yield _mask(record, known)


def _phones(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "phone" and isinstance(inner, str):
                yield inner
            else:
                yield from _phones(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _phones(inner)


def _mask(value: Any, known: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask(inner, known) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(inner, known) for inner in value]
    if isinstance(value, str):
        for phone in known:
            value = value.replace(phone, mask_phone(phone))
    return value


# The chain ---------------------------------------------------------------------------------

_END = ',"hash":"%s"}'


@dataclass(frozen=True)
class Chain:
    """Lines without their line ends; `head` is the hash of the last, which stands for them all."""

    lines: tuple[str, ...]
    head: str

    @classmethod
    def of(cls, records: Iterable[Record]) -> Chain:
        """Bind the records to each other, in the order of the log, without telephone numbers."""
        lines, head = [], GENESIS
        for record in masked(records):
            body = canonical(record | {"previous": head})
            head = digest(body.encode())
            lines.append(body[:-1] + _END % head)
        return cls(tuple(lines), head)

    @property
    def text(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()


def split(line: str) -> tuple[str, str]:
    """What was hashed of a line, and its hash. Raises ValueError if it has another form."""
    length = len(_END % GENESIS)
    body, end = line[:-length] + "}", line[-length:]
    stated = end[9:-2]
    if end != _END % stated:
        raise ValueError("it does not end with its hash")
    return body, stated


def check_links(lines: Sequence[str]) -> tuple[list[Record], list[str]]:
    """The records of a chain, and what is wrong with its lines and links."""
    records: list[Record] = []
    problems: list[str] = []
    head = GENESIS
    for number, line in enumerate(lines, 1):
        try:
            body, stated = split(line)
            record = json.loads(body)
            if canonical(record) != body:
                raise ValueError("it is not written in the one form")
            previous = record.pop("previous")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            return records, [*problems, f"Line {number} of events.jsonl cannot be read: {error}."]
        if digest(body.encode()) != stated:
            problems.append(f"Line {number} of events.jsonl was changed: its hash is another.")
        if previous != head:
            problems.append(f"Line {number} of events.jsonl does not follow the line before it.")
        records.append(record)
        head = stated
    return records, problems
