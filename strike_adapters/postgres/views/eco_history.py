"""`eco_history`: how did each ECO stand at a moment in the past? One row for each state it had.

A state holds from its event until the next one, `from_at <= moment < until_at`. The columns are
those of `eco_views`, but a place, which may have thousands of points, is only in the rows of events
that set it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.views.eco_views import row_of
from strike_adapters.postgres.views.view import (
    NO_CHANGE,
    Change,
    Row,
    Upsert,
    View,
    ViewRecorder,
    change_of,
)
from strike_domain.eco import Eco, EcoAmended, EcoCreated

TABLE = "eco_history"

# Not "infinity", which Python has no word for; nor null, which no index can compare.
CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS eco_history (
    from_position bigint PRIMARY KEY,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL DEFAULT '9999-01-01 00:00Z',
    LIKE eco_views
)
"""

PLACE_IS_OPTIONAL = """
ALTER TABLE eco_history ALTER COLUMN location DROP NOT NULL, ALTER COLUMN bounds DROP NOT NULL
"""

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

CLOSE = """
UPDATE {} SET until_at = %(from_at)s
WHERE eco_id = %(eco_id)s AND from_position < %(from_position)s AND until_at > %(from_at)s
"""


@dataclass(frozen=True)
class Close:
    """Ends the state that an ECO had before; every one, where an event's clock went backwards."""

    row: Row
    table: str = TABLE

    def statement(self) -> bytes:
        return SQL(CLOSE).format(Identifier(self.table)).as_bytes(None)


class EcoHistoryRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, PLACE_IS_OPTIONAL, ABOUT_UNTIL, BY_ECO, BY_NOC, BY_OSP)


class EcoHistory(View):
    name = TABLE
    recorder_class = EcoHistoryRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(after, Eco):
            return NO_CHANGE
        row = dict(row_of(after, position))
        if not _sets_place(event):
            row["location"] = row["bounds"] = None
        period = {"from_position": position, "from_at": event.timestamp}
        state = Upsert(TABLE, "from_position", row | period, newer="from_position")
        return change_of(after, Close({"eco_id": after.id, **period}), state)


def _sets_place(event: Any) -> bool:
    is_amended = isinstance(event, EcoAmended) and event.location is not None
    return is_amended or isinstance(event, EcoCreated)
