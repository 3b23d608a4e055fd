"""`pager_run_views` and `pager_calls`: who was rung for this ECO, and what did they do?"""

from __future__ import annotations

from typing import Any

from strike_adapters.postgres.views.rows import Row, Upsert
from strike_adapters.postgres.views.view import NO_CHANGE, Change, View, ViewRecorder, change_of
from strike_domain.pager_run import Call, PagerRun

CREATE_RUNS = """
CREATE TABLE IF NOT EXISTS pager_run_views (
    run_id uuid PRIMARY KEY,
    eco_id uuid NOT NULL,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    list_id uuid NOT NULL,
    list_name text NOT NULL,
    state text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    accepted_by text,
    total_calls int NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL
)
"""

CREATE_CALLS = """
CREATE TABLE IF NOT EXISTS pager_calls (
    call_id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    eco_id uuid NOT NULL,
    number int NOT NULL,
    contact_name text NOT NULL,
    phone text NOT NULL,
    state text NOT NULL,
    outcome text,
    reason text,
    sid text,
    requested_at timestamptz NOT NULL,
    ringing_at timestamptz,
    answered_at timestamptz,
    ended_at timestamptz,
    deadline timestamptz NOT NULL,
    position bigint NOT NULL
)
"""

RUNS_BY_ECO = "CREATE INDEX IF NOT EXISTS pager_run_views_eco ON pager_run_views (eco_id)"
CALLS_BY_RUN = "CREATE INDEX IF NOT EXISTS pager_calls_run ON pager_calls (run_id, number)"
CALLS_BY_TIME = "CREATE INDEX IF NOT EXISTS pager_calls_requested ON pager_calls (requested_at)"


class PagerRunViewsRecorder(ViewRecorder):
    DDL = (CREATE_RUNS, CREATE_CALLS, RUNS_BY_ECO, CALLS_BY_RUN, CALLS_BY_TIME)


class PagerRunViews(View):
    name = "pager_run_views"
    recorder_class = PagerRunViewsRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(after, PagerRun):
            return NO_CHANGE
        rows = [Upsert("pager_run_views", "run_id", run_row(after, position))]
        call = after.calls.get(getattr(event, "call_id", None))  # type: ignore[arg-type]
        if call:
            row = call_row(after, call, position)
            rows.append(Upsert("pager_calls", "call_id", row, newer="position"))
        return change_of(after, *rows)


def run_row(run: PagerRun, position: int) -> Row:
    return {
        "run_id": run.id,
        "eco_id": run.eco_id,
        "noc_id": run.noc_id,
        "osp_id": run.osp_id,
        "list_id": run.plan.list_id,
        "list_name": run.plan.list_name,
        "state": run.state,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "accepted_by": run.accepted_by.name if run.accepted_by else None,
        "total_calls": run.plan.total_calls,
        "version": run.version,
        "position": position,
    }


def call_row(run: PagerRun, call: Call, position: int) -> Row:
    return {
        "call_id": call.id,
        "run_id": run.id,
        "eco_id": run.eco_id,
        "number": call.number,
        "contact_name": call.contact.name,
        "phone": call.contact.phone,
        "state": call.state,
        "outcome": call.outcome,
        "reason": call.reason,
        "sid": call.sid,
        "requested_at": call.requested_at,
        "ringing_at": call.ringing_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "deadline": call.deadline,
        "position": position,
    }
