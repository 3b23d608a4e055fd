"""A database filled in bulk: the log by COPY, every read model by the ordinary rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import psycopg

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.follower_states import PAGER, lock_keys, tracking_table
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.rebuild import Report, drop_old, rebuild
from strike_adapters.postgres.registry import SET_NUMBER
from strike_app.load.telling import Row, Telling, Wanted
from strike_domain.errors import Conflict, Rejected
from strike_domain.log import LOG_NAME

AT_ONCE = 50_000
"""Events of one transaction."""

# The same lock as every save takes: the order of positions is that of commits.
LOCK = "LOCK TABLE strike_events IN EXCLUSIVE MODE"

COPY = """
COPY strike_events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)
"""
TYPES = ["uuid", "int8", "text", "bytea"]

ANYTHING = "SELECT EXISTS (SELECT FROM strike_events) OR EXISTS (SELECT FROM tenants)"

REMEMBER = f"""
INSERT INTO {tracking_table(PAGER)} (application_name, notification_id)
SELECT %s, max(notification_id) FROM strike_events HAVING count(*) > 0
"""  # noqa: S608 - a name of ours

Told = Callable[[int, int], object]
"""Is told how many ECOs and how many events are written by now."""


def fill(url: str, wanted: Wanted, tell: Told, report: Report, processes: int | None) -> int:
    """Write companies, log and read models into the prepared, empty database at `url`.

    The number of events. No run goes on in it and nobody has an account: no worker has anything to
    do there. Raises `Rejected` (NOT_EMPTY) if anything is in it, `Conflict` if the pager follows
    it. One that is interrupted is not gone on with: drop the database.
    """
    with psycopg.connect(url, autocommit=True) as connection, _nobody_pages(connection):
        if (connection.execute(ANYTHING).fetchone() or (True,))[0]:
            raise Rejected("NOT_EMPTY", "Something is in this database; an empty one is filled.")
        with open_pool(url) as pool:
            wanted.companies.save(PostgresDirectory(pool))
        telling = Telling(wanted)
        events = _write_log(connection, telling, tell)
        connection.execute(REMEMBER, (LOG_NAME,))
        _keep_numbers(connection, telling)
        connection.execute("VACUUM (ANALYZE) strike_events")
        rebuild(url, VIEWS, report, processes=processes)
        drop_old(url, VIEWS)
        for view in VIEWS:
            connection.execute(f"VACUUM (ANALYZE) {view.name}".encode())
    return events


@contextmanager
def _nobody_pages(connection: psycopg.Connection) -> Iterator[None]:
    """The pager would answer the events of years ago, and have people rung."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", lock_keys(PAGER)).fetchone()
    if not row or not row[0]:
        raise Conflict("The pager follows this database; stop strike follow and strike serve.")
    yield


def _write_log(connection: psycopg.Connection, telling: Telling, tell: Told) -> int:
    rows, events = telling.rows(), 0
    while written := _write_some(connection, islice(rows, AT_ONCE)):
        events += written
        tell(telling.told, events)
    return events


def _write_some(connection: psycopg.Connection, rows: Iterator[Row]) -> int:
    count = 0
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        with cursor.copy(COPY) as copy:
            copy.set_types(TYPES)
            for count, row in enumerate(rows, 1):  # noqa: B007 - the last one is the number
                copy.write_row(row)
    return count


def _keep_numbers(connection: psycopg.Connection, telling: Telling) -> None:
    """Whoever creates an ECO now gets the next one."""
    rows = [(osp_id, year, last) for (osp_id, year), last in telling.numbers.items()]
    with connection.cursor() as cursor:
        cursor.executemany(SET_NUMBER, rows)
