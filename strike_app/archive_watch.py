"""How the archive fares, for metrics and for `strike doctor`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from strike_adapters.postgres.archive.closed import Waiting, waiting
from strike_adapters.postgres.archive.runs import LastRun, last_run
from strike_adapters.postgres.sessions import Session, unnamed
from strike_app.bootstrap import Strike
from strike_app.metrics import METRICS, Metrics

REPORT_EVERY = 60.0
"""Seconds between two looks: each counts all ECOs that are over, and archives change by the day."""

logger = structlog.get_logger()


@dataclass(frozen=True)
class ArchiveStatus:
    """`last`: None as long as nobody has run it. `unnamed`: who may not know of the archive."""

    last: LastRun | None
    waiting: Waiting
    unnamed: Sequence[Session]


def archive_status(strike: Strike) -> ArchiveStatus:
    """What is archived, what could be, and how the last run ended."""
    with strike.pool.connection() as connection:
        last = last_run(connection)
        age = last.older_than if last else None
        found = waiting(connection, strike.clock.now(), age)
        return ArchiveStatus(last, found, unnamed(connection))


class ArchiveReporter:
    """Keeps the metrics of the archive up to date; runs beside followers."""

    name = "archive reporter"

    def __init__(self, strike: Strike, metrics: Metrics = METRICS) -> None:
        self._strike = strike
        self._metrics = metrics

    def run(self, stop: threading.Event) -> None:
        """Look every minute until told to stop; without the database later."""
        while not stop.is_set():
            try:
                found = archive_status(self._strike)
                self._metrics.archive_fares(found.waiting, found.last)
            except Exception:
                # Whatever it is, the next look may succeed. What is archived is so tomorrow, too.
                logger.warning("nobody knows how the archive fares", exc_info=True)
            stop.wait(REPORT_EVERY)
