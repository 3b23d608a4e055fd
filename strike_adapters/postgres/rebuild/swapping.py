"""The end of a rebuild: the last stretch, and the swap of the tables in one short transaction.

The follower of the view writes its position before anything else. So a lock on that table holds it
off, at a moment when it has touched no row, and it goes on with the new tables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from strike_adapters.postgres.follower_states import position_of, tracking_table
from strike_adapters.postgres.giving_way import give_way
from strike_adapters.postgres.rebuild import beside, progress
from strike_adapters.postgres.rebuild.beside import NEW, OLD, tables_of
from strike_adapters.postgres.rebuild.fill import Filler
from strike_adapters.postgres.row_security import TENANT_ROLE, WALLS, raise_wall
from strike_adapters.postgres.views.view import ANNOUNCE, DUE, NO_CHANGE, View, announcement
from strike_domain.log import LOG_NAME

LOCK_SECONDS = 1
"""How long the swap waits for a follower to end its turn."""

ALL_LOCKS_MS = 500
"""How long it takes at the most to get hold of all tables, and so holds up a reader. A reader who
has one table, and waits for another that the swap has, is in a circle with it: before the server
looks for such circles, after a second, and ends the reader's question, the swap lets go.
"""

TAKEN = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,
)
"""What a try ends with while others have the tables."""

PATIENCE_SECONDS, REST_SECONDS = 60.0, 0.2
"""How long it tries, while readers take longer than that, and lets those pass in between who queued
up behind it. What was filled in a try that ends in nothing is filled anew.
"""

KEY_COLUMN = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
    AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass(%s) AND i.indisprimary
"""

COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0
AND NOT attisdropped ORDER BY attnum
"""

SET_POSITION = """
INSERT INTO {0} AS at (application_name, notification_id) VALUES (%s, %s)
ON CONFLICT (application_name) DO UPDATE
SET notification_id = greatest(at.notification_id, excluded.notification_id)
"""

# Workers write rows of what is in the log; whatever else is there is an error, and ends here.
TAKE_NEWER = """
INSERT INTO {new} AS mine ({columns})
SELECT {olds} FROM {old} o LEFT JOIN {new} n USING ({key})
WHERE (n.{key} IS NULL OR n.version < o.version)
  AND EXISTS (SELECT FROM strike_events_everything e
              WHERE e.originator_id = o.{key} AND e.originator_version >= o.version)
ON CONFLICT ({key}) DO UPDATE SET {updates}
"""


def swap(connection: psycopg.Connection[Any], filler: Filler, views: Sequence[type[View]]) -> None:
    """Put the tables beside in their places. Raises `TablesInUse` if readers never let go."""
    for view in views:
        keep_workers_columns(connection, view)

    def step() -> None:
        with connection.transaction():
            _swap(connection, filler, views)

    give_way(connection, [step], taken=TAKEN, patience=PATIENCE_SECONDS, rest=REST_SECONDS)


def _swap(connection: psycopg.Connection[Any], filler: Filler, views: Sequence[type[View]]) -> None:
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    tables = [name for view in views for name in tables_of(view)]
    _lock(connection, [tracking_table(view.name) for view in views], "SHARE ROW EXCLUSIVE")
    filler.fill(max(position_of(connection, view.name) for view in views))
    reached = filler.position()
    walls = concerned_walls(tables)
    connection.execute(f"SET LOCAL statement_timeout = {ALL_LOCKS_MS}")
    _lock(connection, sorted({*tables, *walls}), "ACCESS EXCLUSIVE")
    connection.execute("SET LOCAL statement_timeout TO DEFAULT")
    for view in views:
        keep_workers_columns(connection, view)
    for name in tables:
        beside.exchange(connection, name)
        revoke = SQL("REVOKE ALL ON {} FROM {}")
        connection.execute(revoke.format(Identifier(name + OLD), Identifier(TENANT_ROLE)))
    for name in walls:
        raise_wall(connection, name, WALLS[name])
    progress.forget(connection, views)
    for view in views:
        _go_on_from(connection, view, reached)


def _go_on_from(connection: psycopg.Connection[Any], view: type[View], position: int) -> None:
    table = Identifier(tracking_table(view.name))
    connection.execute(SQL(SET_POSITION).format(table), (LOG_NAME, position))
    reached = position_of(connection, view.name)
    connection.execute(ANNOUNCE, (announcement(view.name, reached, NO_CHANGE, all=True),))
    if view.recorder_class.wakes_workers:
        connection.execute(f"NOTIFY {DUE}")


def _lock(connection: psycopg.Connection[Any], tables: Sequence[str], mode: str) -> None:
    names = SQL(", ").join(map(Identifier, tables))
    statement = SQL(f"LOCK TABLE {{}} IN {mode} MODE")
    connection.execute(statement.format(names))


def concerned_walls(tables: Sequence[str]) -> list[str]:
    """Tables whose wall is, or looks at, one of these: a policy holds on to the table itself."""
    names = re.compile(rf"\b({'|'.join(tables)})\b")
    return [
        name
        for name, wall in WALLS.items()
        if name in tables or names.search(f"{wall.sees} {wall.writes}")
    ]


# What workers have written ----------------------------------------------------------------------


def keep_workers_columns(connection: psycopg.Connection[Any], view: type[View]) -> None:
    """Give the rows beside what workers have written to the view's. Safe to repeat."""
    kept = view.recorder_class.kept
    if not kept.always:
        return
    (table,) = tables_of(view)
    if kept.newer_rows:
        connection.execute(_take_newer(connection, table))
    connection.execute(_take_columns(connection, table, kept.always, kept.if_same))


def _take_columns(
    connection: psycopg.Connection[Any], table: str, always: Sequence[str], if_same: Sequence[str]
) -> Composed:
    values = {name: SQL("o.{}").format(Identifier(name)) for name in always}
    same = SQL("CASE WHEN n.version = o.version THEN o.{0} ELSE n.{0} END")
    values |= {name: same.format(Identifier(name)) for name in if_same}
    return SQL(
        "UPDATE {new} n SET {sets} FROM {old} o WHERE n.{key} = o.{key} "
        "AND ROW({present}) IS DISTINCT FROM ROW({wanted})"
    ).format(
        new=Identifier(table + NEW),
        old=Identifier(table),
        key=Identifier(_key(connection, table)),
        sets=SQL(", ").join(SQL("{} = {}").format(Identifier(k), v) for k, v in values.items()),
        present=SQL(", ").join(SQL("n.{}").format(Identifier(name)) for name in values),
        wanted=SQL(", ").join(values.values()),
    )


def _take_newer(connection: psycopg.Connection[Any], table: str) -> Composed:
    columns = [row[0] for row in _all(connection, COLUMNS, table)]
    updates = [SQL("{0} = excluded.{0}").format(Identifier(name)) for name in columns]
    return SQL(TAKE_NEWER).format(
        new=Identifier(table + NEW),
        old=Identifier(table),
        key=Identifier(_key(connection, table)),
        columns=SQL(", ").join(map(Identifier, columns)),
        olds=SQL(", ").join(SQL("o.{}").format(Identifier(name)) for name in columns),
        updates=SQL(", ").join(updates),
    )


def _key(connection: psycopg.Connection[Any], table: str) -> str:
    ((key,),) = _all(connection, KEY_COLUMN, table)
    return str(key)


def _all(connection: psycopg.Connection[Any], query: str, table: str) -> list[Any]:
    return connection.cursor(row_factory=tuple_row).execute(query.encode(), (table,)).fetchall()
