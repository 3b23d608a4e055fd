"""`eco_history`: how did each ECO stand at a moment in the past? One row for each state it had.

A state holds from its event until the next one, `from_at <= moment < until_at`. The columns are
those of `eco_views`, but a place, which may have thousands of points, is only in the rows of events
that set it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.views.eco_views import URGENCY, row_of
from strike_adapters.postgres.views.rows import FEW, Row, Upsert
from strike_adapters.postgres.views.view import (
    NO_CHANGE,
    Batch,
    Change,
    View,
    ViewRecorder,
    change_of,
)
from strike_domain.eco import Eco, EcoAmended, EcoCreated

TABLE = "eco_history"

STILL = datetime(9999, 1, 1, tzinfo=UTC)
"""When a state ends that still holds. Not "infinity", which Python has no word for; nor null, which
no index can compare."""

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS eco_history (
    from_position bigint PRIMARY KEY,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL DEFAULT '9999-01-01 00:00Z',
    LIKE eco_views INCLUDING GENERATED
)
"""

PLACE_IS_OPTIONAL = """
ALTER TABLE eco_history ALTER COLUMN location DROP NOT NULL, ALTER COLUMN bounds DROP NOT NULL
"""

ADD_URGENCY = URGENCY.format(TABLE)

ABOUT_UNTIL = """
COMMENT ON COLUMN eco_history.until_at IS
'When the next state began; the year 9999: it still holds'
"""

BY_ECO = "CREATE INDEX IF NOT EXISTS eco_history_eco ON eco_history (eco_id, from_position)"

# Period and filters stand in the index, so that of an ECO's many states only the wanted is fetched.
BY_NOC = """
CREATE INDEX IF NOT EXISTS eco_history_noc
ON eco_history (noc_id, created_at, eco_id, from_at, until_at, status, paging_state)
"""
BY_OSP = BY_NOC.replace("noc", "osp")

# `stale = stale`: an UPDATE of PostgreSQL 18 that sets nothing a stored generated column is made of
# reads that column's expression for every row anew and keeps it to the statement's end: 3 kB a row,
# 19 GB of the server's memory for a million ECOs, and twice the time (`test_generated_columns.py`).

# Every state that had not ended by then, should an event's clock have gone backwards.
CLOSE = """
UPDATE {} SET until_at = %(from_at)s, stale = stale
WHERE eco_id = %(eco_id)s AND from_position < %(from_position)s AND until_at > %(from_at)s
"""

CLOSE_MANY = """
UPDATE {} AS state SET until_at = next.at, stale = state.stale
FROM unnest(%(ecos)s::uuid[], %(positions)s::bigint[], %(ats)s::timestamptz[])
    AS next (eco_id, position, at)
WHERE state.eco_id = next.eco_id AND from_position < next.position AND until_at > next.at
"""

CLOSE_ALL = """
UPDATE {0} AS state SET until_at = next.at, stale = state.stale
FROM (SELECT from_position, min(from_at) OVER (
          PARTITION BY eco_id ORDER BY from_position DESC
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS at
      FROM {0}) AS next
WHERE state.from_position = next.from_position AND state.until_at > next.at
"""


class EcoHistoryRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, PLACE_IS_OPTIONAL, ADD_URGENCY, ABOUT_UNTIL, BY_ECO, BY_NOC, BY_OSP)

    @classmethod
    def settle(cls, cursor: Cursor[Any], batch: Batch, suffix: str = "") -> None:
        """End the states that are stored and that the new ones follow.

        Beside, once there is an index to find them.
        """
        if TABLE not in batch.rows or (suffix and not _is_there(cursor, f"{TABLE}_eco{suffix}")):
            return
        nexts, table = _nexts(batch), Identifier(TABLE + suffix)
        if len(nexts) <= FEW:
            for one in nexts:
                cursor.execute(SQL(CLOSE).format(table), one._asdict())
            return
        ecos, positions, ats = map(list, zip(*nexts, strict=True))
        values = {"ecos": ecos, "positions": positions, "ats": ats}
        # Planned each time: a plan for a small table would be kept while it grows.
        cursor.execute(SQL(CLOSE_MANY).format(table), values, prepare=False)

    @classmethod
    def finish(cls, connection: Connection[Any], suffix: str) -> None:
        """End all states that others follow."""
        connection.execute(SQL(CLOSE_ALL).format(Identifier(TABLE + suffix)))


def _is_there(cursor: Cursor[Any], name: str) -> bool:
    with cursor.connection.cursor(row_factory=tuple_row) as asking:
        row = asking.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return bool(row and row[0])


class EcoHistory(View):
    name = TABLE
    recorder_class = EcoHistoryRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(after, Eco):
            return NO_CHANGE
        row = dict(row_of(after, position))
        if not _sets_place(event):
            row["location"] = row["bounds"] = None
        period = {"from_position": position, "from_at": event.timestamp, "until_at": STILL}
        state = Upsert(TABLE, "from_position", row | period, newer="from_position")
        return change_of(after, state)

    def round_off(self, batch: Batch) -> None:
        """End the states that others of the same batch follow, before they are written."""
        states = batch.rows.get(TABLE, {})
        ends: dict[UUID, datetime] = {}
        for position in sorted(states, reverse=True):
            row = states[position].row
            end = ends.get(row["eco_id"], STILL)
            states[position] = replace(states[position], row={**row, "until_at": end})
            ends[row["eco_id"]] = min(end, row["from_at"])


class _Next(NamedTuple):
    """What ends the states of an ECO that were there before a batch."""

    eco_id: UUID
    from_position: int
    from_at: datetime


def _nexts(batch: Batch) -> list[_Next]:
    """Of each ECO the first state of a batch, with the earliest time of all.

    None of an ECO that begins in it: nothing of that is stored.
    """
    firsts: dict[UUID, Row] = {}
    earliest: dict[UUID, datetime] = {}
    for _, state in sorted(batch.rows[TABLE].items()):
        eco_id, at = state.row["eco_id"], state.row["from_at"]
        firsts.setdefault(eco_id, state.row)
        earliest[eco_id] = min(earliest.get(eco_id, at), at)
    return [
        _Next(eco_id, row["from_position"], earliest[eco_id])
        for eco_id, row in firsts.items()
        if row["version"] > Eco.INITIAL_VERSION
    ]


def _sets_place(event: Any) -> bool:
    is_amended = isinstance(event, EcoAmended) and event.location is not None
    return is_amended or isinstance(event, EcoCreated)
