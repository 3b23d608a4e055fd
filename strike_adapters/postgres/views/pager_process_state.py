"""`pager_process_state`: who is being rung, until when, and what went wrong? Made for `psql`.

It is also what the deadline workers claim their work from. Follower and workers write the same
row, computed from the run; the higher version wins, so neither waits for the other.
"""

from __future__ import annotations

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
from strike_domain.pager_run import PagerRun

TABLE = "pager_process_state"

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS pager_process_state (
    run_id uuid PRIMARY KEY,
    eco_id uuid NOT NULL,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    state text NOT NULL,
    contact_index int,
    contact_name text,
    call_state text,
    call_sid text,
    deadline timestamptz,
    attempts int NOT NULL,
    last_error text,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    claimed_by text,
    claimed_until timestamptz
)
"""

ABOUT_DEADLINE = """
COMMENT ON COLUMN pager_process_state.deadline IS
'When a worker has to look at the run (Strike''s clock); NULL: never again'
"""
ABOUT_CLAIM = """
COMMENT ON COLUMN pager_process_state.claimed_until IS
'A worker has it until then (the database''s clock)'
"""

ABOUT_FORMAT = """
COMMENT ON COLUMN pager_process_state.format IS
'Workers that know only lower numbers leave the row to newer ones'
"""

FORMAT = 6
"""Raised when a row, or the run behind it, needs a worker of this version or a newer one: here of
a second call for one turn."""

FORMAT_OF_NOT_FOUND = 5
"""Of a run with a call that the provider did not have."""

FORMAT_OF_GIVEN_UP = 4
"""Of a run with a placement that was given up, and none of what is newer."""

FORMAT_OF_MOST = 3
"""Of all others: a worker of an earlier version can read them."""

ADD_FORMAT = f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS format int NOT NULL DEFAULT 1"

BY_DEADLINE = """
CREATE INDEX IF NOT EXISTS pager_process_state_due ON pager_process_state (deadline)
WHERE deadline IS NOT NULL
"""


class PagerProcessStateRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, ADD_FORMAT, ABOUT_DEADLINE, ABOUT_CLAIM, ABOUT_FORMAT, BY_DEADLINE)
    wakes_workers = True
    kept = Kept(always=("claimed_by", "claimed_until"), newer_rows=True)


class PagerProcessState(View):
    name = TABLE
    recorder_class = PagerProcessStateRecorder
    shows_latest = True
    is_urgent = True

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(after, PagerRun):
            return NO_CHANGE
        return change_of(after, Upsert(TABLE, "run_id", row_of(after)))


def row_of(run: PagerRun) -> Row:
    """The row of a run as it is now; without the claim, which belongs to the workers."""
    call = run.live_call
    latest = call or next(reversed(run.calls.values()), None)
    contact = call.contact if call else None
    return {
        "run_id": run.id,
        "eco_id": run.eco_id,
        "noc_id": run.noc_id,
        "osp_id": run.osp_id,
        "state": run.state,
        "contact_index": call.number - 1 if call else None,
        "contact_name": contact.name if contact else None,
        "call_state": call.state if call else None,
        "call_sid": call.sid if call else None,
        "deadline": run.due_at,
        "attempts": latest.attempt if latest else 0,
        "last_error": latest.reason if latest else None,
        "updated_at": run.modified_on,
        "version": run.version,
        "format": _format_of(run),
    }


def _format_of(run: PagerRun) -> int:
    calls = run.calls.values()
    if any(one.seconds for one in calls):
        return FORMAT
    if any(one.not_found for one in calls):
        return FORMAT_OF_NOT_FOUND
    return FORMAT_OF_GIVEN_UP if any(one.given_up for one in calls) else FORMAT_OF_MOST
