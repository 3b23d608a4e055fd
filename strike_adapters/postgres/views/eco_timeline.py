"""`eco_timeline`: what happened to this ECO, when, and by whom? One readable line per event."""

from __future__ import annotations

from typing import Any

from strike_adapters.postgres.views.rows import Row, Upsert
from strike_adapters.postgres.views.view import Change, View, ViewRecorder, change_of
from strike_domain.eco import PagingExhausted, PagingUnroutable
from strike_domain.pager_run import PagerRun
from strike_domain.timeline import Teller

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS eco_timeline (
    position bigint PRIMARY KEY,
    eco_id uuid NOT NULL,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    run_id uuid,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    line text NOT NULL,
    actor text NOT NULL,
    tenant_id uuid,
    correlation_id uuid NOT NULL,
    causation_id uuid NOT NULL
)
"""

BY_ECO = "CREATE INDEX IF NOT EXISTS eco_timeline_eco ON eco_timeline (eco_id, position)"

# Whoever follows a tenant's changes reads on from a position.
BY_NOC = "CREATE INDEX IF NOT EXISTS eco_timeline_noc ON eco_timeline (noc_id, position)"

BY_OSP = "CREATE INDEX IF NOT EXISTS eco_timeline_osp ON eco_timeline (osp_id, position)"

ALERTS = (PagingExhausted.TOPIC, PagingUnroutable.TOPIC)
"""Kinds of lines for which somebody in the NOC has to be told at once."""

BY_ALERT = f"""
CREATE INDEX IF NOT EXISTS eco_timeline_alerts ON eco_timeline (position)
WHERE kind IN ({", ".join(f"'{topic}'" for topic in ALERTS)})
"""


TELLER = Teller()


class EcoTimelineRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, BY_ECO, BY_NOC, BY_OSP, BY_ALERT)
    appended = frozenset({"eco_timeline"})


class EcoTimeline(View):
    name = "eco_timeline"
    recorder_class = EcoTimelineRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        row = line_row(event, after, position)
        return change_of(after, Upsert("eco_timeline", "position", row, newer="position"))


def line_row(event: Any, after: Any, position: int) -> Row:
    """The row of an event, given its aggregate as it was right after it."""
    is_run = isinstance(after, PagerRun)
    return {
        "position": position,
        "eco_id": after.eco_id if is_run else after.id,
        "noc_id": after.noc_id,
        "osp_id": after.osp_id,
        "run_id": after.id if is_run else None,
        "at": event.timestamp,
        "kind": event.TOPIC,
        "line": TELLER.line(event, after),
        "actor": event.actor,
        "tenant_id": event.tenant_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
    }
