"""How archive runs fare: the last one is kept in a row, so that any process can tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import DictRow

from strike_adapters.postgres.follower_states import lock_keys, this_process
from strike_adapters.postgres.pools import Connections
from strike_domain.log import LOG_NAME

ARCHIVED_TABLE = f"{LOG_NAME}_events_archived"
"""Its name is that of the lock which whoever moves events holds."""

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS archive_runs (
    is_last boolean PRIMARY KEY DEFAULT true CHECK (is_last),
    process text NOT NULL,
    older_than interval NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    done_at timestamptz,
    error text
)
"""

# What the one before failed of stays until a run has ended.
BEGIN = """
INSERT INTO archive_runs AS last (process, older_than, began_at)
VALUES (%(process)s, %(age)s, clock_timestamp())
ON CONFLICT (is_last) DO UPDATE SET process = excluded.process,
    older_than = excluded.older_than, began_at = excluded.began_at, ended_at = NULL
"""

END = """
UPDATE archive_runs SET ended_at = clock_timestamp(), error = %(error)s,
    done_at = CASE WHEN %(is_done)s THEN clock_timestamp() ELSE done_at END
"""

# A lock that nobody has: whoever began has died.
LAST = """
SELECT process, older_than, began_at, ended_at, done_at, error,
       extract(epoch FROM clock_timestamp() - done_at)::float8 AS seconds_since_done,
       EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
               AND l.objsubid = 2 AND l.classid = %(space)s
               AND l.objid = (%(key)s::bigint & 4294967295)::oid
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              ) AS is_held
FROM archive_runs
"""


@dataclass(frozen=True)
class LastRun:
    """The archive run that was begun last. All times are the database's.

    `older_than`: what was moved had been over for so long. `done_at`: when a run last came to its
    end, this one or one before, `seconds_since_done` ago. `error`: of what the last one that ended
    has failed. `is_held`: somebody moves events now.
    """

    process: str
    older_than: timedelta
    began_at: datetime
    ended_at: datetime | None
    done_at: datetime | None
    error: str | None
    seconds_since_done: float | None
    is_held: bool

    @property
    def is_going_on(self) -> bool:
        return self.ended_at is None and self.is_held

    @property
    def was_cut_off(self) -> bool:
        """Begun, never ended, and nobody is at it any more."""
        return self.ended_at is None and not self.is_held


def last_run(connection: psycopg.Connection[DictRow]) -> LastRun | None:
    """None: there never was one."""
    space, key = lock_keys(ARCHIVED_TABLE)
    row = connection.execute(LAST, {"space": space, "key": key}).fetchone()
    return LastRun(**row) if row else None


@contextmanager
def noted(pool: Connections, age: timedelta) -> Iterator[None]:
    """What is done within it is a run. One that is interrupted by a person has not failed."""
    with pool.connection() as connection:
        connection.execute(BEGIN, {"process": this_process(), "age": age})
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception)
        # Without a database nobody can note it; the run will be found to have been cut off.
        with suppress(psycopg.Error):
            _end(pool, (str(error) or type(error).__name__) if failed else None, is_done=False)
        raise
    _end(pool, None, is_done=True)


def _end(pool: Connections, error: str | None, *, is_done: bool) -> None:
    with pool.connection() as connection:
        connection.execute(END, {"error": error, "is_done": is_done})
