"""`response_times`: how long did it take until somebody accepted, until work began, until it ended?

One row for each ECO, counted from its creation; NULL is what has not happened. What is shown of a
person who was replaced, or of work that was taken up again, is the time of who and what counts now.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from strike_adapters.postgres.views.rows import Row, Upsert
from strike_adapters.postgres.views.view import NO_CHANGE, Change, View, ViewRecorder, change_of
from strike_domain.eco import (
    Eco,
    EcoCancelled,
    EcoCompleted,
    EcoCreated,
    EcoReactivated,
    PagerDispatched,
    PagingExhausted,
    PagingUnroutable,
    ResponderAssigned,
    WorkStarted,
)

TABLE = "response_times"

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS response_times (
    eco_id uuid PRIMARY KEY,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    list_name text,
    job_type text NOT NULL,
    day date NOT NULL,
    created_at timestamptz NOT NULL,
    accept_seconds float8,
    start_seconds float8,
    complete_seconds float8,
    paging_state text NOT NULL,
    is_cancelled boolean NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL
)
"""

ABOUT_DAY = "COMMENT ON COLUMN response_times.day IS 'Of its creation, UTC'"

ABOUT_LIST = "COMMENT ON COLUMN response_times.list_name IS 'The list that was rung last'"

BY_NOC = "CREATE INDEX IF NOT EXISTS response_times_noc ON response_times (noc_id, created_at)"
BY_OSP = "CREATE INDEX IF NOT EXISTS response_times_osp ON response_times (osp_id, created_at)"

ABOUT_TIMES = (
    EcoCreated,
    PagerDispatched,
    PagingExhausted,
    PagingUnroutable,
    ResponderAssigned,
    WorkStarted,
    EcoCompleted,
    EcoReactivated,
    EcoCancelled,
)
"""Events after which a row may be another one."""


class ResponseTimesRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, ABOUT_DAY, ABOUT_LIST, BY_NOC, BY_OSP)


class ResponseTimes(View):
    name = TABLE
    recorder_class = ResponseTimesRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(event, ABOUT_TIMES):
            return NO_CHANGE
        return change_of(after, Upsert(TABLE, "eco_id", row_of(after, position)))


def row_of(eco: Eco, position: int) -> Row:
    """The row of an ECO as it stood at `position`."""
    created_at: datetime = eco.created_on
    return {
        "eco_id": eco.id,
        "noc_id": eco.noc_id,
        "osp_id": eco.osp_id,
        "list_name": eco.route[0] if eco.route else None,
        "job_type": eco.job_type,
        "day": created_at.astimezone(UTC).date(),
        "created_at": created_at,
        "accept_seconds": _seconds(created_at, eco.accepted_at),
        "start_seconds": _seconds(created_at, eco.started_at),
        "complete_seconds": _seconds(created_at, eco.completed_at),
        "paging_state": eco.paging_state,
        "is_cancelled": eco.cancelled_at is not None,
        "version": eco.version,
        "position": position,
    }


def _seconds(since: datetime, until: datetime | None) -> float | None:
    # A clock of another machine may have been a little behind.
    return max(0.0, (until - since).total_seconds()) if until else None
