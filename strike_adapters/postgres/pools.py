"""What a pool does when the database has gone away and come back."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg_pool import ConnectionPool


def check_together(pool: ConnectionPool[Any]) -> None:
    """Check connections before use, and at the first broken one all the others as well.

    One by one, the pool would wait 1, 2, 4 … seconds between them: after a restart of the
    database the next commands would fail, and a person who has just pressed 1 hear nothing.
    """

    def check(connection: psycopg.Connection[Any]) -> None:
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            pool.check()
            raise

    pool._check = check  # It needs the pool, which its maker cannot be given yet.
