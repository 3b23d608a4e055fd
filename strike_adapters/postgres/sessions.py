"""Who is connected to the database: Strike's processes say so, and older ones do not.

Each connection of Strike has a name from the version on that knows of the archive. PostgreSQL shows
the names of all that are connected, so a process of a version before is one without.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow

NAME = "strike"

# Of users that are not ours to see PostgreSQL shows no name at all.
UNNAMED = """
SELECT pid, usename AS "user", coalesce(client_addr::text, 'a socket') AS "from",
       backend_start AS since
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
  AND application_name = '' AND pid <> pg_backend_pid()
ORDER BY backend_start, pid
"""


@dataclass(frozen=True)
class Session:
    """A connection to the database. `pid`: of the server's process; `from_`: its address."""

    pid: int
    user: str
    from_: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.user} from {self.from_} (pid {self.pid})"


def named(url: str) -> str:
    """The same database, for sessions that say whose they are, unless they have a name already."""
    if "://" not in url:
        return make_conninfo(url, fallback_application_name=NAME)
    joint = "&" if urlsplit(url).query else "?"
    return f"{url.rstrip('?')}{joint}fallback_application_name={NAME}"


def unnamed(connection: psycopg.Connection[DictRow]) -> list[Session]:
    """Sessions without any name, the oldest first: an older Strike, or a program of somebody's."""
    rows = connection.execute(UNNAMED).fetchall()
    return [Session(one["pid"], one["user"], one["from"], one["since"]) for one in rows]
