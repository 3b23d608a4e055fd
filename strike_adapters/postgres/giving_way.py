"""Steps that lock tables give way to whoever uses those.

A statement that wants a table for itself waits until its last reader has ended, and everybody who
comes later waits behind it: beside a backup of an hour, a change that takes a millisecond would
keep the workers from ringing anybody for an hour. So it waits for half a second only, lets those
pass who queued up behind it, and tries again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg.rows import class_row

from strike_domain.errors import StrikeError

LOCK_MS = 500
"""How long a step waits for a table, and others behind it."""

REST_SECONDS = 1.0
"""Between two tries."""

PATIENCE_SECONDS = 900.0
"""How long is waited in all: half of what the deployment's job may take."""

TELL_SECONDS = 30.0
"""How often it is told who is in the way."""

LIMITED = f"SET lock_timeout = '{LOCK_MS}ms'"
"""For each connection over which such a step is done."""

# Who has been at one of our tables for so long that a step can have met them. Since when another
# role's session has been at it, only members of `pg_read_all_stats` may see.
USERS = """
SELECT activity.pid, activity.usename AS "user", activity.application_name AS name,
       extract(epoch FROM clock_timestamp() - activity.xact_start)::float8 AS seconds,
       array_agg(DISTINCT used.relname::text ORDER BY used.relname::text) AS tables
FROM pg_locks held
JOIN pg_class used ON used.oid = held.relation AND used.relkind IN ('r', 'p', 'v')
JOIN pg_stat_activity activity ON activity.pid = held.pid
WHERE held.granted AND held.locktype = 'relation' AND held.pid <> pg_backend_pid()
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND used.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND (activity.xact_start IS NULL
       OR activity.xact_start < clock_timestamp() - %s * interval '1 millisecond')
GROUP BY activity.pid, activity.usename, activity.application_name, activity.xact_start
ORDER BY activity.xact_start NULLS FIRST
"""

Errors = tuple[type[Exception], ...]

logger = structlog.get_logger()


class User(NamedTuple):
    """A session that has used tables in one transaction; since when, not every role may see."""

    pid: int
    user: str
    name: str
    seconds: float | None
    tables: list[str]

    def __str__(self) -> str:
        first, *others = self.tables
        more = f" and {len(others)} more" if others else ""
        who = ", ".join(part for part in (self.name, f"user {self.user}") if part)
        since = "" if self.seconds is None else f" for {self.seconds:.0f} s"
        return f"process {self.pid} ({who}) has used {first}{more}{since}"


class TablesInUse(StrikeError):
    """Somebody has used a table all the time. What was done before stays done."""

    def __init__(self, users: list[User]) -> None:
        who = "; ".join(map(str, users)) or "nobody is at it by now"
        super().__init__(
            "TABLES_IN_USE",
            f"A table that has to be changed was never free: {who}. Wait until that is over, or "
            "end it by pg_terminate_backend, and run this again: it goes on where it was.",
        )


def give_way(
    connection: psycopg.Connection[Any],
    steps: Iterable[Callable[[], object]],
    *,
    taken: Errors = (psycopg.errors.LockNotAvailable,),
    patience: float | None = None,
    rest: float = REST_SECONDS,
) -> None:
    """Do steps that may be repeated, each as soon as nobody is at what it locks.

    `connection`: asked who is in the way. `taken`: what a step ends with while somebody is, also as
    the cause of another error. `patience`: seconds of waiting in all, else `PATIENCE_SECONDS`;
    `rest`: seconds between two tries. Raises `TablesInUse` after that.
    """
    waited, tell_at = 0.0, 0.0
    patience = PATIENCE_SECONDS if patience is None else patience
    for step in steps:
        while True:
            began = time.monotonic()
            try:
                step()
                break
            except Exception as error:
                if not any(isinstance(one, taken) for one in _causes(error)):
                    raise
                if waited >= patience:
                    raise TablesInUse(users(connection)) from error
                if waited >= tell_at:
                    tell_at = waited + TELL_SECONDS
                    found = [str(one) for one in users(connection)]
                    logger.warning("a table is in use; waiting until it is free", by=found)
            time.sleep(rest)
            waited += time.monotonic() - began


def users(connection: psycopg.Connection[Any]) -> list[User]:
    """Who has used tables of this database for longer than a step waits, the longest first."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        return cursor.execute(USERS, (LOCK_MS,)).fetchall()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Drivers and libraries wrap what the server said."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
