"""`render_health`: how each OSP's Render answers. Workers report, `strike render status` reads."""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import DictRow

from strike_adapters.postgres.pools import Pool
from strike_adapters.render.pulse import Pulse
from strike_domain.ports import Clock

REPORT_EVERY = 5.0
"""Seconds between two reports of one process."""

MINUTE = timedelta(minutes=1)

KEEP = """
INSERT INTO render_health AS kept (osp_id, worker, circuit, circuit_until, token_since, token_until,
    polls_per_minute, unchanged_per_minute, failures_per_minute, last_answer_at, last_error_at,
    last_error)
VALUES (%(osp_id)s, %(worker)s, %(circuit)s, %(circuit_until)s, %(token_since)s, %(token_until)s,
    %(polls)s, %(unchanged)s, %(failures)s, %(last_answer_at)s, %(last_error_at)s, %(last_error)s)
ON CONFLICT (osp_id, worker) DO UPDATE SET
    circuit = excluded.circuit, circuit_until = excluded.circuit_until,
    token_since = excluded.token_since, token_until = excluded.token_until,
    polls_per_minute = excluded.polls_per_minute,
    unchanged_per_minute = excluded.unchanged_per_minute,
    failures_per_minute = excluded.failures_per_minute,
    last_answer_at = excluded.last_answer_at, last_error_at = excluded.last_error_at,
    last_error = excluded.last_error, reported_at = clock_timestamp()
"""

FORGET = "DELETE FROM render_health WHERE reported_at < clock_timestamp() - interval '1 day'"

# What is due is counted from the deadline: a row that is being looked at is late as well.
STATUS = """
WITH looked AS (
    SELECT osp_id, count(*) AS followed,
           count(*) FILTER (WHERE attempts > 0) AS failing,
           coalesce(max(extract(epoch FROM %(now)s - deadline)), 0) AS late
    FROM render_poll_state WHERE deadline IS NOT NULL AND subsector_id IS NOT NULL
    GROUP BY osp_id),
told AS (
    SELECT osp_id, count(*) FILTER (WHERE render_state = 'FAILED') AS untasked,
           count(*) FILTER (WHERE field_problem IS NOT NULL) AS unreadable
    FROM eco_views WHERE status IN ('OPEN', 'IN_PROGRESS', 'COMPLETED') GROUP BY osp_id),
health AS (
    SELECT osp_id,
           (array_agg(circuit ORDER BY circuit = 'CLOSED', circuit = 'PROBING'))[1] AS circuit,
           max(circuit_until) AS circuit_until, max(token_since) AS token_since,
           sum(polls_per_minute) AS polls, sum(unchanged_per_minute) AS unchanged,
           sum(failures_per_minute) AS failures, max(last_answer_at) AS last_answer_at,
           max(last_error_at) AS last_error_at,
           (array_agg(last_error ORDER BY last_error_at DESC NULLS LAST))[1] AS last_error
    FROM render_health WHERE reported_at > clock_timestamp() - interval '1 minute'
    GROUP BY osp_id)
SELECT t.id AS osp_id, t.name, i.base_url, i.polling_seconds,
       coalesce(followed, 0) AS followed, coalesce(failing, 0) AS failing,
       greatest(coalesce(late, 0), 0)::float8 AS late, coalesce(untasked, 0) AS untasked,
       coalesce(unreadable, 0) AS unreadable, circuit, circuit_until, token_since,
       coalesce(polls, 0) AS polls, coalesce(unchanged, 0) AS unchanged,
       coalesce(failures, 0) AS failures, last_answer_at, last_error_at, last_error
FROM render_instances i JOIN tenants t ON t.id = i.osp_id
LEFT JOIN looked USING (osp_id) LEFT JOIN told USING (osp_id) LEFT JOIN health USING (osp_id)
ORDER BY t.name
"""

UNTASKED = """
SELECT eco_id, job_number FROM eco_views
WHERE osp_id = %s AND render_state = 'FAILED' AND status IN ('OPEN', 'IN_PROGRESS')
ORDER BY created_at
"""


class HasPulses(Protocol):
    def pulses(self) -> Sequence[Pulse]: ...


@dataclass(frozen=True)
class RenderStatus:
    """One OSP's Render now. `late` in seconds: how long the longest-waiting ECO is overdue.

    `circuit` is None if no worker that runs has asked this Render; rates are per minute.
    """

    osp_id: UUID
    name: str
    base_url: str
    polling_seconds: float
    followed: int
    failing: int
    late: float
    untasked: int
    unreadable: int
    circuit: str | None
    circuit_until: datetime | None
    token_since: datetime | None
    polls: float
    unchanged: float
    failures: float
    last_answer_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None

    @property
    def is_well(self) -> bool:
        """Everybody is followed in time, and nothing waits for a person."""
        watched = self.circuit == "CLOSED" or (self.circuit is None and not self.followed)
        in_time = self.late < max(10.0, self.polling_seconds)
        return watched and in_time and not (self.untasked or self.unreadable)


def render_status(pool: Pool, now: datetime) -> list[RenderStatus]:
    """Every OSP that has a Render instance, by name."""
    with pool.connection() as connection:
        return [RenderStatus(**row) for row in connection.execute(STATUS, {"now": now}).fetchall()]


def untasked_ecos(pool: Pool, osp_id: UUID) -> list[DictRow]:
    """ECOs whose field tasks could not be made, oldest first: `eco_id` and `job_number`."""
    with pool.connection() as connection:
        return connection.execute(UNTASKED, (osp_id,)).fetchall()


class RenderReporter:
    """Reports what one process's field work finds out, every few seconds."""

    def __init__(
        self,
        pool: Pool,
        crews: HasPulses,
        clock: Clock,
        told: Callable[[Sequence[Pulse]], object] = lambda _: None,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:render"
        self._pool = pool
        self._crews = crews
        self._clock = clock
        self._told = told
        self._past: deque[tuple[datetime, dict[UUID, Pulse]]] = deque()
        self._logger = structlog.get_logger().bind(worker=self.name)

    def run(self, stop: threading.Event) -> None:
        """Report until told to stop; without the database later."""
        while not stop.wait(REPORT_EVERY):
            try:
                self.report()
            except psycopg.Error:
                self._logger.warning("could not report how Render answers")

    def report(self) -> None:
        """Write what is known now, with the rates of the last minute."""
        now = self._clock.now()
        pulses = {one.osp_id: one for one in self._crews.pulses()}
        while len(self._past) > 1 and self._past[1][0] <= now - MINUTE:
            self._past.popleft()
        self._past.append((now, pulses))
        rows = [self._row(one, now) for one in pulses.values()]
        with self._pool.connection() as connection, connection.transaction():
            connection.cursor().executemany(KEEP, rows)
            connection.execute(FORGET)
        self._told(list(pulses.values()))

    def _row(self, pulse: Pulse, now: datetime) -> dict[str, Any]:
        since, before = self._past[0]
        old = before.get(pulse.osp_id, Pulse(pulse.osp_id))
        minutes = max((now - since) / MINUTE, REPORT_EVERY / 60)
        rates = {
            name: (getattr(pulse, name) - getattr(old, name)) / minutes
            for name in ("polls", "unchanged", "failures")
        }
        return {**vars(pulse), **rates, "worker": self.name}
