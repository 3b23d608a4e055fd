"""A long log of whole callouts, made fast: told stories, copied under ids of their own."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from tests.integration.stored import LISTS, TENANTS, LongNight
from tests.integration.stories import tell_all

AT_ONCE = 40
"""Nights that go on at the same time: their events are mixed in the log."""

CHUNK = 50_000

COPY = """
COPY strike_events (originator_id, originator_version, topic, state, notification_id)
FROM STDIN (FORMAT BINARY)
"""

_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Stored = tuple[UUID, int, str, bytes]


@dataclass(frozen=True)
class Template:
    """A stored event, cut at the ids that differ from copy to copy."""

    originator_id: UUID
    version: int
    topic: str
    pieces: tuple[bytes, ...]
    ids: tuple[int, ...]

    def copy(self, number: int) -> Stored:
        """The same event of copy `number`."""
        parts = [self.pieces[0]]
        for one, after in zip(self.ids, self.pieces[1:], strict=True):
            parts += [str(_other(one, number)).encode(), after]
        return _other(self.originator_id.int, number), self.version, self.topic, b"".join(parts)


def _other(one: int, number: int) -> UUID:
    # In the middle of the id, and in its last byte, by which a rebuild shares out the log.
    return UUID(int=one ^ (number << 24) ^ (number & 0xFF))


def templates() -> list[Template]:
    """The events of one night with all stories: 20 streams, ECOs and pager runs."""
    night = LongNight()
    tell_all(night)
    stored = night.strike.log.recorder.select_notifications(None, 100_000)
    kept = {str(one.id).encode() for one in (*TENANTS, *LISTS)}
    return [_template(one, kept) for one in stored]


def _template(stored: object, kept: set[bytes]) -> Template:
    state: bytes = stored.state  # type: ignore[attr-defined]
    pieces, ids, begin = [], [], 0
    for found in _ID.finditer(state):
        if found[0] in kept:
            continue
        pieces.append(state[begin : found.start()])
        ids.append(UUID(found[0].decode()).int)
        begin = found.end()
    pieces.append(state[begin:])
    return Template(
        stored.originator_id,  # type: ignore[attr-defined]
        stored.originator_version,  # type: ignore[attr-defined]
        stored.topic,  # type: ignore[attr-defined]
        tuple(pieces),
        tuple(ids),
    )


def nights(events: int, first: int = 0) -> Iterator[Stored]:
    """So many events of nights that overlap; copies are numbered from `first` on."""
    kinds = templates()
    going = deque((number, 0) for number in range(first, first + AT_ONCE))
    following = first + AT_ONCE
    for _ in range(events):
        number, at = going.popleft()
        yield kinds[at].copy(number)
        if at + 1 < len(kinds):
            going.append((number, at + 1))
        else:
            going.append((following, 0))
            following += 1


def write_log(url: str, events: int, first: int = 0) -> None:
    """Append so many events to the log."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(max(notification_id), 0) FROM strike_events")
        last = (row.fetchone() or (0,))[0]
        chunk: list[Stored] = []
        for one in nights(events, first):
            chunk.append(one)
            if len(chunk) == CHUNK:
                last = _copy(connection, chunk, last)
                chunk = []
        last = _copy(connection, chunk, last)
        name = "pg_get_serial_sequence('strike_events', 'notification_id')"
        connection.execute(f"SELECT setval({name}, %s)", (last,))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE strike_events")


def _copy(connection: psycopg.Connection, chunk: Sequence[Stored], last: int) -> int:
    with connection.cursor().copy(COPY) as copy:
        copy.set_types(["uuid", "bigint", "text", "bytea", "bigint"])
        for position, row in enumerate(chunk, last + 1):
            copy.write_row((*row, position))
    return last + len(chunk)
