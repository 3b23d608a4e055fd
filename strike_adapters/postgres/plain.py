"""The way out: everything that Strike knows, in forms that need nothing of Strike to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, cast

import psycopg
from psycopg.sql import SQL, Identifier

from strike_domain.eventsourced import AggregateCreated, DomainEvent
from strike_domain.log import StrikeLog

TABLES = (
    "tenants",
    "links",
    "users",
    "memberships",
    "pager_lists",
    "pager_contacts",
    "eco_views",
    "eco_timeline",
    "eco_map",
    "pager_run_views",
    "pager_calls",
    "response_times",
    "directory_audits",
)
"""Tables that are copied as they are. None holds a secret."""

AT_ONCE = 5_000
"""Events that are in memory at a time."""

_BESIDE = frozenset(AggregateCreated.model_fields)


def plain_events(log: StrikeLog, after: int, end: int) -> Iterator[dict[str, Any]]:
    """The events behind position `after` up to `end`, in their order, as plain values.

    Each as this version reads it: an older form is brought up to the present one. Raises
    `MapperDeserialisationError` for an event that cannot be read, with its id.
    """
    while after < end:
        found = log.recorder.select_notifications(
            after, AT_ONCE, stop=end, inclusive_of_start=False
        )
        if not found:
            return
        for one in found:
            yield _plain(one.id, cast(DomainEvent, log.mapper.to_domain_event(one)))
        after = found[-1].id


def _plain(position: int, event: DomainEvent) -> dict[str, Any]:
    state = event.model_dump(mode="json")
    return {
        "position": position,
        "event": event.TOPIC,
        "stream": state["originator_id"],
        "version": event.originator_version,
        "at": state["timestamp"],
        "actor": event.actor,
        "tenant_id": state["tenant_id"],
        "event_id": state["event_id"],
        "correlation_id": state["correlation_id"],
        "causation_id": state["causation_id"],
        "fields": {name: value for name, value in state.items() if name not in _BESIDE},
    }


def copy_table(connection: psycopg.Connection[Any], table: str, target: IO[bytes]) -> None:
    """A table as CSV with its columns' names on top, as PostgreSQL writes it."""
    wanted = SQL("COPY {} TO STDOUT (FORMAT csv, HEADER)").format(Identifier(table))
    with connection.cursor() as cursor, cursor.copy(wanted) as rows:
        for block in rows:
            target.write(block)
