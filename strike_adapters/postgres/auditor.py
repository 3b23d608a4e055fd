"""Is a page being lost? Looks all the time that every run that goes on is looked after.

The log says what is true. The workers' table may be behind it, or wrong; the followers may stand
still; workers may be dead. Each of these is found, repaired where that is possible from here, kept
in `audit_findings` for `psql`, and reason enough to withhold the heartbeat.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import DictRow, dict_row

from strike_adapters.postgres.due import WaitingClock
from strike_adapters.postgres.views.pager_process_state import FORMAT, TABLE, row_of
from strike_adapters.postgres.views.rows import Upsert
from strike_adapters.postgres.views.view import DUE
from strike_domain.errors import NotFound
from strike_domain.log import LOG_NAME, StrikeLog
from strike_domain.pager_run import PagerRun, RunState

AUDIT_EVERY = 5.0
"""Seconds between two audits."""

GRACE = 15.0
"""Seconds that something may be late: a dead worker's lease, its takeover, and a margin."""

STUCK = 60.0
"""Seconds after which a run that workers claim, and do not get on with, is stuck."""

BEAT_EVERY = 30.0
"""Seconds between two heartbeats, while all is well."""

AUDITING = 7_305_116
"""Key of the advisory lock that lets one process audit while others stand by."""

MOST_UNSEEN = 500
"""How many events one audit reads on behalf of a follower that stands still."""

# The deadline is compared with Strike's clock, the claim with the database's.
SUSPECTS = f"""
SELECT run_id, deadline, format, claimed_until > clock_timestamp() AS is_claimed
FROM {TABLE} WHERE deadline < %(now)s
UNION ALL
SELECT run_id, deadline, format, false
FROM {TABLE} WHERE state = 'RUNNING' AND deadline IS NULL
"""  # noqa: S608 - nothing of it comes from outside

# ECOs for which people should be being rung, but the workers know of no run that goes on.
LEFT_ALONE = f"""
SELECT v.run_id, v.updated_at FROM eco_views v LEFT JOIN {TABLE} p USING (run_id)
WHERE v.paging_state = 'RUNNING' AND (p.state IS NULL OR p.state <> 'RUNNING')
"""  # noqa: S608

POSITIONS = f"""
SELECT 'pager' AS follower, notification_id AS position FROM {LOG_NAME}_tracking
WHERE application_name = '{LOG_NAME}'
UNION ALL
SELECT '{TABLE}', notification_id FROM {TABLE}_tracking WHERE application_name = '{LOG_NAME}'
"""  # noqa: S608

# The whole row: a follower that comes later with the same version would leave the rest as it was.
SET_ROW = f"""
UPDATE {TABLE} SET state = %(state)s, contact_index = %(contact_index)s,
    contact_name = %(contact_name)s, call_state = %(call_state)s, call_sid = %(call_sid)s,
    deadline = %(deadline)s, attempts = %(attempts)s, last_error = %(last_error)s,
    updated_at = %(updated_at)s, version = %(version)s, format = %(format)s
WHERE run_id = %(run_id)s AND version <= %(version)s
"""  # noqa: S608

KEEP = """
INSERT INTO audit_findings (code, subject, said, repaired)
VALUES (%(code)s, %(subject)s, %(said)s, %(repaired)s)
ON CONFLICT (code, subject) WHERE cleared_at IS NULL
DO UPDATE SET said = excluded.said, seen_at = clock_timestamp(),
              repaired = audit_findings.repaired OR excluded.repaired
"""

CLEAR = """
UPDATE audit_findings SET cleared_at = clock_timestamp()
WHERE cleared_at IS NULL AND NOT (code, subject) IN (
    SELECT * FROM unnest(%(codes)s::text[], %(subjects)s::text[]))
"""

NOTE_AUDIT = """
INSERT INTO audits (auditor, at, findings, heartbeat_at)
VALUES (%(auditor)s, clock_timestamp(), %(findings)s,
        CASE WHEN %(beat)s THEN clock_timestamp() END)
ON CONFLICT (auditor) DO UPDATE SET at = excluded.at, findings = excluded.findings,
    heartbeat_at = coalesce(excluded.heartbeat_at, audits.heartbeat_at)
"""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with paging. `subject` is a run's id or a follower's name."""

    code: str
    subject: str
    said: str
    repaired: bool = False


class Heartbeat(Protocol):
    """An outside monitor that expects to hear from us."""

    def beat(self) -> bool:
        """Say that all is well; whether that was heard."""


class AuditWatcher(Protocol):
    """Is told what every audit found."""

    def audited(self, findings: Collection[Finding], *, beat: bool) -> None: ...


class Runnable(Protocol):
    """A follower, a worker or an auditor."""

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set."""


class Auditor:
    """One of them audits at a time; `stand_in` makes a follower that nobody runs any more."""

    def __init__(
        self,
        url: str,
        log: StrikeLog,
        clock: WaitingClock,
        stand_in: Callable[[str], Runnable],
        heartbeat: Heartbeat | None = None,
        watcher: AuditWatcher | None = None,
        *,
        every: float = AUDIT_EVERY,
        grace: float = GRACE,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:auditor"
        self._url = url
        self._log = log
        self._clock = clock
        self._stand_in = stand_in
        self._heartbeat = heartbeat
        self._watcher = watcher
        self._every = every
        self._grace = grace
        self._heads: deque[tuple[float, int]] = deque()
        self._stand_ins: dict[str, threading.Thread] = {}
        self._told: set[tuple[str, str]] = set()
        self._beat_at = -BEAT_EVERY
        self._logger = structlog.get_logger().bind(auditor=self.name)

    def run(self, stop: threading.Event) -> None:
        """Audit until told to stop. Without the database nothing is well: no heartbeat."""
        while not stop.is_set():
            try:
                with psycopg.connect(
                    self._url, autocommit=True, row_factory=dict_row
                ) as connection:
                    self._take_turns(connection, stop)
            except Exception:
                self._logger.exception("the auditor failed")
                stop.wait(self._every)
        for thread in self._stand_ins.values():
            thread.join()

    def _take_turns(self, connection: psycopg.Connection[DictRow], stop: threading.Event) -> None:
        while not stop.is_set():
            row = connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (AUDITING,))
            if (row.fetchone() or {})["mine"]:
                break
            stop.wait(self._every)
        while not stop.is_set():
            self.look(connection, stop)
            stop.wait(self._every)

    def look(
        self, connection: psycopg.Connection[DictRow], stop: threading.Event | None = None
    ) -> list[Finding]:
        """One audit: find, repair, keep, and say that all is well if it is."""
        findings = [
            *self._rows(connection),
            *self._left_alone(connection),
            *self._followers(connection, stop),
        ]
        beat = not findings and self._beat()
        self._keep(connection, findings, beat=beat)
        if self._watcher:
            self._watcher.audited(findings, beat=beat)
        for one in findings:
            if (one.code, one.subject) not in self._told:
                self._logger.error("audit", code=one.code, subject=one.subject, said=one.said)
        self._told = {(one.code, one.subject) for one in findings}
        return findings

    # What is looked at -----------------------------------------------------------------------

    def _rows(self, connection: psycopg.Connection[DictRow]) -> Iterator[Finding]:
        """Rows that nobody looks after although they are due, or that never come due."""
        for row in connection.execute(SUSPECTS, {"now": self._clock.now()}).fetchall():
            if row["deadline"] is None:
                yield from self._compare(connection, row["run_id"], "has no deadline")
                continue
            late = -self._clock.seconds_until(row["deadline"])
            if late > self._grace:
                yield from self._late(row, late)

    def _late(self, row: DictRow, late: float) -> Iterator[Finding]:
        subject = str(row["run_id"])
        said = f"The run is {late:.0f} s past its deadline"
        if row["format"] > FORMAT:
            reason = f"{said}: it needs a worker of format {row['format']}, and none does it."
            yield Finding("TOO_NEW", subject, reason)
        elif not row["is_claimed"]:
            yield Finding("OVERDUE", subject, f"{said}, and no worker has it: run `strike work`.")
        elif late > STUCK:
            yield Finding("STUCK", subject, f"{said}: workers try, and do not get on.")

    def _left_alone(self, connection: psycopg.Connection[DictRow]) -> Iterator[Finding]:
        for row in connection.execute(LEFT_ALONE).fetchall():
            # Read models are never all at the same point; what stays so is wrong.
            if -self._clock.seconds_until(row["updated_at"]) > self._grace:
                yield from self._compare(connection, row["run_id"], "is not known to the workers")

    def _compare(
        self, connection: psycopg.Connection[DictRow], run_id: UUID, what: str
    ) -> Iterator[Finding]:
        """Hold a row against the log, and set it right."""
        try:
            run = self._log.run(run_id)
        except NotFound:
            return
        if run.state is RunState.RUNNING and self._repair(connection, run):
            yield Finding("WRONG_ROW", str(run_id), f"A run that goes on {what}.", repaired=True)

    def _followers(
        self, connection: psycopg.Connection[DictRow], stop: threading.Event | None
    ) -> Iterator[Finding]:
        """Followers that paging needs, and that have not taken in what is older than the grace."""
        expected = self._expected_position()
        rows = connection.execute(POSITIONS).fetchall()
        positions = {"pager": 0, TABLE: 0} | {row["follower"]: row["position"] for row in rows}
        for name, position in positions.items():
            if position >= expected:
                continue
            repaired = name == TABLE and self._read_for_workers(connection, position)
            if stop is not None:
                self._start_stand_in(name, stop)
            said = f"The follower {name} is {expected - position} events behind."
            yield Finding("FOLLOWER_BEHIND", name, said, repaired)

    def _expected_position(self) -> int:
        """How far the log was when the grace period began."""
        now = time.monotonic()
        self._heads.append((now, self._log.position()))
        while len(self._heads) > 1 and self._heads[1][0] <= now - self._grace:
            self._heads.popleft()
        at, head = self._heads[0]
        return head if at <= now - self._grace else 0

    # What is done about it -------------------------------------------------------------------

    def _read_for_workers(self, connection: psycopg.Connection[DictRow], position: int) -> bool:
        """Tell the workers of runs that their follower has not got to."""
        new = self._log.recorder.select_notifications(position + 1, MOST_UNSEEN)
        runs = {UUID(str(one.originator_id)) for one in new if one.topic.startswith("strike.run.")}
        return any([self._repair(connection, self._log.run(run_id)) for run_id in runs])

    def _repair(self, connection: psycopg.Connection[DictRow], run: PagerRun) -> bool:
        """Give the workers' table the run as it is; whether that was any news to it."""
        row = row_of(run)
        stored = connection.execute(
            f"SELECT state, deadline, version FROM {TABLE} WHERE run_id = %s",  # noqa: S608
            (run.id,),
        ).fetchone()
        if stored and stored["version"] > run.version:
            return False
        if stored and (stored["state"], stored["deadline"]) == (run.state, run.due_at):
            return False
        # A row that is as new as the log, and says otherwise, no follower would overwrite.
        statement = SET_ROW.encode() if stored else Upsert(TABLE, "run_id", row).statement()
        connection.execute(statement, row)
        connection.execute(f"NOTIFY {DUE}")
        return True

    def _start_stand_in(self, name: str, stop: threading.Event) -> None:
        """Follow in this process: it stands by as long as somebody else is at it."""
        if name not in self._stand_ins:
            follower = self._stand_in(name)
            thread = threading.Thread(target=follower.run, args=(stop,), name=f"stand-in {name}")
            self._stand_ins[name] = thread
            thread.start()

    def _beat(self) -> bool:
        if self._heartbeat is None or time.monotonic() < self._beat_at + BEAT_EVERY:
            return False
        heard = self._heartbeat.beat()
        if heard:
            self._beat_at = time.monotonic()
        return heard

    def _keep(
        self, connection: psycopg.Connection[DictRow], findings: list[Finding], *, beat: bool
    ) -> None:
        with connection.transaction():
            for one in findings:
                connection.execute(KEEP, vars(one))
            open_now = {
                "codes": [one.code for one in findings],
                "subjects": [one.subject for one in findings],
            }
            connection.execute(CLEAR, open_now)
            note = {"auditor": self.name, "findings": len(findings), "beat": beat}
            connection.execute(NOTE_AUDIT, note)
