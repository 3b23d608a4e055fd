"""Rows of read models, and how they are written: one by one, or many in one statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Placeholder
from psycopg.types.json import Jsonb
from pydantic_core import to_json

Row = Mapping[str, Any]

TYPES = """
SELECT atttypid FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = ANY(%s)
ORDER BY array_position(%s::text[], attname::text)
"""

FEW = 3
"""So many rows are written by a statement each."""


@dataclass(frozen=True)
class Upsert:
    """One row for one table; `key` names its primary key, `newer` the column that only rises."""

    table: str
    key: str
    row: Row
    newer: str = "version"

    def statement(self, into: str | None = None) -> bytes:
        """INSERT, or UPDATE unless the stored row is as new already. `into`: another table."""
        return _upsert(into or self.table, self.key, self.newer, tuple(self.row))


@lru_cache(maxsize=100)
def _upsert(table: str, key: str, newer: str, columns: tuple[str, ...]) -> bytes:
    values = SQL("VALUES ({})").format(SQL(", ").join(map(Placeholder, columns)))
    return _insert(table, key, newer, columns, values)


@lru_cache(maxsize=100)
def _upsert_many(table: str, key: str, newer: str, columns: tuple[str, ...]) -> bytes:
    rows = SQL("SELECT {} FROM json_populate_recordset(NULL::{}, %s::json)").format(
        SQL(", ").join(map(Identifier, columns)), Identifier(table)
    )
    return _insert(table, key, newer, columns, rows)


def _insert(table: str, key: str, newer: str, columns: tuple[str, ...], rows: Any) -> bytes:
    updates = [
        SQL("{0} = excluded.{0}").format(Identifier(name)) for name in columns if name != key
    ]
    statement = SQL(
        "INSERT INTO {table} AS stored ({columns}) {rows} "
        "ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE stored.{newer} < excluded.{newer}"
    ).format(
        table=Identifier(table),
        columns=SQL(", ").join(map(Identifier, columns)),
        rows=rows,
        key=Identifier(key),
        updates=SQL(", ").join(updates),
        newer=Identifier(newer),
    )
    return statement.as_bytes(None)


def write(
    cursor: psycopg.Cursor[Any], upserts: Collection[Upsert], into: str | None = None
) -> None:
    """Write rows of one table, each key once. `into`: another table of the same form."""
    if len(upserts) <= FEW:
        for one in upserts:
            cursor.execute(one.statement(into), one.row)
        return
    first = next(iter(upserts))
    statement = _upsert_many(into or first.table, first.key, first.newer, tuple(first.row))
    cursor.execute(statement, (as_json(upserts),))


def insert_new(cursor: psycopg.Cursor[Any], upserts: Collection[Upsert], into: str) -> None:
    """Write rows of one table of which none is there yet, by a binary COPY."""
    columns = tuple(next(iter(upserts)).row)
    cursor.execute(TYPES, (into, list(columns), list(columns)))
    types = [row[0] for row in cursor.fetchall()]
    statement = SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        Identifier(into), SQL(", ").join(map(Identifier, columns))
    )
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for one in upserts:
            copy.write_row(tuple(one.row.values()))


def as_json(upserts: Collection[Upsert]) -> str:
    """The rows as one JSON text, which the server reads faster than so many parameters."""
    return to_json([one.row for one in upserts], fallback=_bare).decode()


def _bare(value: object) -> Any:
    if isinstance(value, Jsonb):
        return value.obj
    raise TypeError(f"A column cannot hold {type(value).__name__}.")
