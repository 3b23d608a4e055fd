"""`eco_views`: how does each ECO stand right now?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from strike_adapters.postgres.views.rows import Row, Upsert
from strike_adapters.postgres.views.view import NO_CHANGE, Change, View, ViewRecorder, change_of
from strike_domain.eco import Eco

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS eco_views (
    eco_id uuid PRIMARY KEY,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    job_number text NOT NULL,
    job_type text NOT NULL,
    status text NOT NULL,
    paging_state text NOT NULL,
    render_state text NOT NULL,
    priority text NOT NULL,
    stale boolean NOT NULL,
    description text NOT NULL,
    ticket text,
    client_reference text,
    affected_customers int,
    location jsonb NOT NULL,
    bounds box NOT NULL,
    responder_name text,
    run_id uuid,
    list_name text,
    list_reason text,
    field_summary text,
    subsector_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    accepted_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    closes_at timestamptz,
    closed_at timestamptz,
    cancelled_at timestamptz,
    version bigint NOT NULL,
    position bigint NOT NULL
)
"""

OFFERS = """
ALTER TABLE eco_views
    ADD COLUMN IF NOT EXISTS offers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS expected_at timestamptz
"""

FIELD = """
ALTER TABLE eco_views
    ADD COLUMN IF NOT EXISTS field_tasks jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS field_problem text,
    ADD COLUMN IF NOT EXISTS field_problem_since timestamptz
"""

# Greater is more urgent: nobody came, nobody could be rung, the field is silent; then the priority.
URGENCY = """
ALTER TABLE {} ADD COLUMN IF NOT EXISTS urgency int GENERATED ALWAYS AS (
    CASE WHEN status IN ('OPEN', 'IN_PROGRESS') THEN
        CASE WHEN paging_state = 'EXHAUSTED' THEN 40 WHEN paging_state = 'NO_LIST' THEN 30
             WHEN stale THEN 20 ELSE 10 END
        + CASE priority WHEN 'CRITICAL' THEN 4 WHEN 'HIGH' THEN 3 WHEN 'NORMAL' THEN 2 ELSE 1 END
    WHEN status = 'COMPLETED' THEN 1 ELSE 0 END
) STORED
"""

ADD_URGENCY = URGENCY.format("eco_views")

BY_NOC = "CREATE INDEX IF NOT EXISTS eco_views_noc ON eco_views (noc_id, created_at, eco_id)"
BY_OSP = "CREATE INDEX IF NOT EXISTS eco_views_osp ON eco_views (osp_id, created_at, eco_id)"


NOC_UPDATED = """
CREATE INDEX IF NOT EXISTS eco_views_noc_updated ON eco_views (noc_id, updated_at, eco_id)
"""
NOC_URGENT = """
CREATE INDEX IF NOT EXISTS eco_views_noc_urgent ON eco_views (noc_id, urgency, created_at, eco_id)
"""
OSP_UPDATED, OSP_URGENT = (one.replace("noc", "osp") for one in (NOC_UPDATED, NOC_URGENT))

INDEXES = (BY_NOC, BY_OSP, NOC_UPDATED, OSP_UPDATED, NOC_URGENT, OSP_URGENT)


class EcoViewsRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, OFFERS, FIELD, ADD_URGENCY, *INDEXES)


class EcoViews(View):
    name = "eco_views"
    recorder_class = EcoViewsRecorder
    shows_latest = True
    is_urgent = True

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(after, Eco):
            return NO_CHANGE
        return change_of(after, Upsert("eco_views", "eco_id", row_of(after, position)))


def row_tasks(eco: Eco) -> Sequence[dict[str, Any]]:
    """The field tasks as a column holds them."""
    return [one.model_dump(mode="json") for one in (eco.tasks.tasks if eco.tasks else ())]


def row_of(eco: Eco, position: int) -> Row:
    """The row of an ECO as it stood at `position`."""
    west, south, east, north = eco.location.bounds
    list_name, list_reason = eco.route or (None, None)
    return {
        "eco_id": eco.id,
        "noc_id": eco.noc_id,
        "osp_id": eco.osp_id,
        "job_number": eco.job_number,
        "job_type": eco.job_type,
        "status": eco.status,
        "paging_state": eco.paging_state,
        "render_state": eco.render_state,
        "priority": eco.priority,
        "stale": eco.stale,
        "description": eco.description,
        "ticket": eco.ticket,
        "client_reference": eco.client_reference,
        "affected_customers": eco.affected_customers,
        "location": Jsonb(eco.location.geojson()),
        "bounds": f"(({east},{north}),({west},{south}))",
        "responder_name": eco.responder.name if eco.responder else None,
        "offers": Jsonb([one.model_dump(mode="json") for one in eco.offers]),
        "expected_at": eco.expected_at,
        "run_id": eco.latest_run_id,
        "list_name": list_name,
        "list_reason": list_reason,
        "field_summary": eco.tasks.summary if eco.tasks else None,
        "field_tasks": Jsonb(row_tasks(eco)),
        "field_problem": eco.field_problem.reason if eco.field_problem else None,
        "field_problem_since": eco.field_problem.since if eco.field_problem else None,
        "subsector_id": eco.subsector_id,
        "created_at": eco.created_on,
        "updated_at": eco.modified_on,
        "accepted_at": eco.accepted_at,
        "started_at": eco.started_at,
        "completed_at": eco.completed_at,
        "closes_at": eco.closes_at,
        "closed_at": eco.closed_at,
        "cancelled_at": eco.cancelled_at,
        "version": eco.version,
        "position": position,
    }
