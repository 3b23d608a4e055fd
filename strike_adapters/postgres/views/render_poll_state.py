"""`render_poll_state`: which field tasks are looked at next, and what went wrong? For `psql`.

The follower says that an ECO has field work to look after; the workers keep the rest of the row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from strike_adapters.postgres.views.rows import Row, Upsert
from strike_adapters.postgres.views.view import (
    NO_CHANGE,
    Change,
    Kept,
    View,
    ViewRecorder,
    change_of,
)
from strike_domain.eco import Eco
from strike_domain.field_work import first_look

TABLE = "render_poll_state"

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS render_poll_state (
    eco_id uuid PRIMARY KEY,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    render_state text NOT NULL,
    status text NOT NULL,
    deadline timestamptz,
    attempts int NOT NULL DEFAULT 0,
    etag text,
    last_error text,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    claimed_by text,
    claimed_until timestamptz
)
"""

FORMAT = 2
"""Raised when a row, or the ECO behind it, needs a worker of this version or a newer one.

2: field tasks that are asked for again, and problems that people are told of.
"""

FOLLOWING = f"""
ALTER TABLE {TABLE}
    ADD COLUMN IF NOT EXISTS failing_since timestamptz,
    ADD COLUMN IF NOT EXISTS subsector_id text,
    ADD COLUMN IF NOT EXISTS check_at timestamptz
"""

ADD_FORMAT = f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS format int NOT NULL DEFAULT 1"

BY_DEADLINE = """
CREATE INDEX IF NOT EXISTS render_poll_state_due ON render_poll_state (deadline)
WHERE deadline IS NOT NULL
"""


class RenderPollStateRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, ADD_FORMAT, FOLLOWING, BY_DEADLINE)
    wakes_workers = True
    kept = Kept(
        always=(
            "etag",
            "last_error",
            "failing_since",
            "subsector_id",
            "claimed_by",
            "claimed_until",
        ),
        # Written by the follower when the looks begin anew, by the workers from then on.
        if_same=("deadline", "attempts", "check_at", "updated_at"),
    )


class RenderPollState(View):
    name = TABLE
    recorder_class = RenderPollStateRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        is_about_looks, deadline = first_look(event, after)
        if not is_about_looks:
            return NO_CHANGE
        row = row_of(after, deadline, event.timestamp)
        return change_of(after, Upsert(TABLE, "eco_id", row))


def row_of(eco: Eco, deadline: datetime | None, at: datetime) -> Row:
    """The row of an ECO that is to be looked at then, as the follower writes it."""
    return {
        "eco_id": eco.id,
        "noc_id": eco.noc_id,
        "osp_id": eco.osp_id,
        "render_state": eco.render_state,
        "status": eco.status,
        "deadline": deadline,
        # Whatever was known of the tasks may be of before.
        "check_at": None,
        "attempts": 0,
        "updated_at": at,
        "version": eco.version,
        "format": FORMAT,
    }
