"""The tables beside a view's own: made from the same statements, under other names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.views.view import View

NEW, OLD = "_new", "_old"
"""What the names of tables and indexes end with, that are not read yet, or no longer."""

INDEXES = """
SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass(%s)
"""

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_INDEX = re.compile(r"CREATE INDEX IF NOT EXISTS (\w+)")


def tables_of(view: type[View]) -> list[str]:
    """The tables that a view keeps, besides its position."""
    return [found[1] for text in view.recorder_class.DDL if (found := _TABLE.search(text))]


def statements_beside(view: type[View]) -> tuple[list[str], list[str]]:
    """The statements that make its tables beside, and those that make their indexes."""
    ddl = view.recorder_class.DDL
    names = [found[1] for text in ddl for one in (_TABLE, _INDEX) if (found := one.search(text))]
    any_name = re.compile(rf"\b({'|'.join(names)})\b")
    texts = [any_name.sub(rf"\1{NEW}", text) for text in ddl]
    indexes = [text for text in texts if _INDEX.search(text)]
    return [text for text in texts if text not in indexes], indexes


def create(connection: psycopg.Connection[Any], view: type[View]) -> None:
    """Make its tables beside, empty; what an interrupted rebuild has left is dropped."""
    drop(connection, [name + NEW for name in tables_of(view)])
    for text in statements_beside(view)[0]:
        connection.execute(text.encode())
    for name in view.recorder_class.appended:
        key = SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        table = name + NEW
        connection.execute(key.format(Identifier(table), Identifier(f"{table}_pkey")))


def create_indexes(connection: psycopg.Connection[Any], view: type[View]) -> None:
    """Make the indexes of the tables beside, as far as they are not there, and look at them."""
    # First: what it writes anew would have to be written anew in each index.
    view.recorder_class.finish(connection, NEW)
    for name in view.recorder_class.appended:
        if f"{name}{NEW}_pkey" not in indexes_of(connection, name + NEW):
            key = SQL("ALTER TABLE {} ADD PRIMARY KEY (position)")
            connection.execute(key.format(Identifier(name + NEW)))
    for text in statements_beside(view)[1]:
        connection.execute(text.encode())
    for name in tables_of(view):
        connection.execute(SQL("ANALYZE {}").format(Identifier(name + NEW)))


def indexes_of(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Names of the indexes of a table; none if there is no such table."""
    rows = connection.cursor(row_factory=tuple_row).execute(INDEXES, (table,)).fetchall()
    return [row[0] for row in rows]


def exchange(connection: psycopg.Connection[Any], table: str) -> None:
    """Put the table beside in the place of the table; that is kept under another name."""
    for name in indexes_of(connection, table):
        _rename(connection, "INDEX", name, name + OLD)
    for name in indexes_of(connection, table + NEW):
        _rename(connection, "INDEX", name, name.replace(NEW, ""))
    _rename(connection, "TABLE", table, table + OLD)
    _rename(connection, "TABLE", table + NEW, table)


def _rename(connection: psycopg.Connection[Any], kind: str, name: str, to: str) -> None:
    statement = SQL(f"ALTER {kind} {{}} RENAME TO {{}}")
    connection.execute(statement.format(Identifier(name), Identifier(to)))


def drop(connection: psycopg.Connection[Any], tables: Sequence[str]) -> None:
    """Drop those of these tables that are there; the policy of one may hold on to another."""
    names = SQL(", ").join(map(Identifier, tables))
    connection.execute(SQL("DROP TABLE IF EXISTS {}").format(names))


def drop_old(connection: psycopg.Connection[Any], views: Sequence[type[View]]) -> list[str]:
    """Drop the tables that rebuilds have replaced; their names."""
    names = [table + OLD for view in views for table in tables_of(view)]
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    found = [
        row[0]
        for row in connection.cursor(row_factory=tuple_row).execute(query, (names,)).fetchall()
    ]
    drop(connection, names)
    return found
