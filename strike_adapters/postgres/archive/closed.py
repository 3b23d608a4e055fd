"""Which callouts are over, and when they may be archived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import Notification
from psycopg.rows import DictRow

from strike_adapters.postgres.archive.moving import Archive, Closed, Moved, Stream
from strike_adapters.postgres.archive.runs import noted
from strike_adapters.postgres.follower_states import EventFailed, position_of
from strike_adapters.postgres.followers import FOLLOWER_NAMES
from strike_adapters.postgres.pools import Connections
from strike_adapters.postgres.store import LogRecorder
from strike_domain.eco import EcoCancelled, EcoClosed
from strike_domain.log import StrikeLog

BATCH = 100
"""Callouts of one transaction; who saves waits for its second half."""

AT_A_TIME = 20_000
"""Callouts that are looked for at a time."""

LONG_CLOSED = """
FROM eco_views v
WHERE status IN ('CLOSED', 'CANCELLED') AND position <= %(passed)s
  AND coalesce(closed_at, cancelled_at) < %(before)s AND updated_at < %(before)s
  AND NOT EXISTS (SELECT FROM strike_events_archived_streams s
                  WHERE s.originator_id = v.eco_id AND s.last_position >= v.position)
"""

COUNT = f"SELECT count(*) AS n {LONG_CLOSED}"

NEXT = f"""
SELECT eco_id, coalesce(closed_at, cancelled_at) AS over_at {LONG_CLOSED}
  AND (coalesce(closed_at, cancelled_at), eco_id) > (%(over_at)s, %(eco_id)s)
ORDER BY 2, 1 LIMIT {AT_A_TIME}
"""

KEPT = """
SELECT count(DISTINCT callout_id) AS archived_ecos,
    coalesce(sum(last_version), 0)::bigint AS archived_events
FROM strike_events_archived_streams
"""

PUBLISHERS = "SELECT publisher AS name, position FROM publisher_positions"


@dataclass(frozen=True)
class Passed:
    """How far the last of those who follow the log is, and which one that is."""

    position: int
    by: str


@dataclass(frozen=True)
class Told:
    """How far a run is. `found`: callouts that are old enough, as far as is known."""

    found: int
    done: int
    moved: Moved


@dataclass(frozen=True)
class Waiting:
    """What could be moved and what has been: ECOs, and events of them and of their runs."""

    ready_ecos: int
    archived_ecos: int
    archived_events: int


Report = Callable[[Told], object]


def passed_by_all(connection: psycopg.Connection[DictRow]) -> Passed:
    """Up to where every follower, and whoever publishes the log, has taken it in."""
    found = [Passed(position_of(connection, name), name) for name in FOLLOWER_NAMES]
    rows = connection.execute(PUBLISHERS).fetchall()
    found += [Passed(one["position"], one["name"]) for one in rows]
    return min(found, key=lambda one: one.position)


def waiting(
    connection: psycopg.Connection[DictRow], now: datetime, older_than: timedelta | None
) -> Waiting:
    """What a run by now would find. Without an age nobody knows what anybody wants to move."""
    ready = {"n": 0}
    if older_than is not None:
        which = {"before": now - older_than, "passed": passed_by_all(connection).position}
        ready = connection.execute(COUNT.encode(), which).fetchone() or ready
    kept = connection.execute(KEPT).fetchone() or {}
    return Waiting(ready["n"], **kept)


class Archiving:
    """Moves callouts that were over before a moment; each batch stands by itself."""

    def __init__(self, log: StrikeLog, pool: Connections) -> None:
        self._log = log
        self._pool = pool
        self.archive = Archive(cast(LogRecorder, log.recorder))

    def run(self, before: datetime, at: datetime, limit: int | None, report: Report) -> Moved:
        """Move what was over, and untouched, before that moment; at the most `limit` callouts.

        `at` is noted as the time of the move. Raises `Conflict` if another process moves, and
        `EventFailed` for an event that cannot be read.
        """
        total, done, months = Moved(), 0, set[date]()
        with self.archive.alone(), noted(self._pool, at - before):
            with self._pool.connection() as connection:
                passed = passed_by_all(connection).position
            which = {"before": before, "passed": passed}
            found = min(self._rows(COUNT, which)[0]["n"], limit or 2**63)
            report(Told(found, 0, total))
            long_closed = self._long_closed(which, limit)
            while ids := list(islice(long_closed, BATCH)):
                closed = closed_of(self._log, ids, before, passed)
                total = added(total, self.archive.move(closed, at))
                months |= {one.month for one in closed}
                done += len(ids)
                report(Told(found, done, total))
            self.archive.settle(months)
        return total

    def _long_closed(self, which: dict[str, Any], limit: int | None) -> Iterator[UUID]:
        last: dict[str, Any] = {"over_at": datetime.min.replace(tzinfo=UTC), "eco_id": UUID(int=0)}
        given = 0
        while rows := self._rows(NEXT, {**which, **last}):
            for last in rows:
                if given == limit:
                    return
                given += 1
                yield last["eco_id"]

    def _rows(self, question: str, values: dict[str, Any]) -> list[DictRow]:
        # No connection is kept while events are moved: it would hold on to the read model.
        with self._pool.connection() as connection:
            return connection.execute(question.encode(), values).fetchall()


def closed_of(
    log: StrikeLog, eco_ids: Sequence[UUID], before: datetime, passed: int
) -> list[Closed]:
    """Those that are over by what the log says, with their runs, and were not touched since."""
    found = []
    for eco_id, records in log.records(eco_ids).items():
        last = {one.originator_id: one for one in records}
        over = [one for one in records if one.topic in (EcoClosed.TOPIC, EcoCancelled.TOPIC)]
        untouched = all(said_at(log, one) < before for one in last.values())
        if over and untouched and records[-1].id <= passed:
            month = said_at(log, over[-1]).astimezone(UTC).date().replace(day=1)
            found.append(Closed(eco_id, month, _streams(records, last)))
    return found


def _streams(
    records: Sequence[Notification], last: dict[UUID | str, Notification]
) -> tuple[Stream, ...]:
    first = {one.originator_id: one for one in reversed(records)}
    return tuple(
        Stream(key, one.originator_version, first[key].id, one.id) for key, one in last.items()
    )


def said_at(log: StrikeLog, stored: Notification) -> datetime:
    """When an event happened. Raises `EventFailed` if it cannot be read."""
    try:
        return datetime.fromisoformat(log.state_of(stored)["timestamp"])
    except (ValueError, KeyError, TypeError) as error:
        raise EventFailed.of(stored.id, stored.topic, None, error) from error


def added(one: Moved, other: Moved) -> Moved:
    """Both together; of the waits the longer one."""
    return replace(
        one,
        callouts=one.callouts + other.callouts,
        streams=one.streams + other.streams,
        events=one.events + other.events,
        seconds=max(one.seconds, other.seconds),
    )
