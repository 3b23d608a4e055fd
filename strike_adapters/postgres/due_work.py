"""What is due in Strike: runs whose deadline has come, and field tasks to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strike_adapters.postgres.due import Claim, Done, DueTable
from strike_adapters.postgres.views import pager_process_state, render_poll_state
from strike_adapters.postgres.views.rows import Upsert
from strike_domain.field_work import CrewDesk, Following, Look
from strike_domain.ringer import Ringer

# The follower may have written a newer row meanwhile: what it says stands. A look that took longer
# than its lease is kept all the same, else a slow Render would never be done with; the claim that
# somebody else has by now is theirs.
KEEP_LOOK = b"""
UPDATE render_poll_state
SET deadline = %(deadline)s, attempts = %(attempts)s, etag = %(etag)s,
    last_error = %(last_error)s, failing_since = %(failing_since)s,
    subsector_id = %(subsector_id)s, check_at = %(check_at)s, updated_at = clock_timestamp(),
    claimed_by = CASE WHEN claimed_by = %(claimed_by)s AND claimed_until = %(claimed_until)s
                      THEN NULL ELSE claimed_by END,
    claimed_until = CASE WHEN claimed_by = %(claimed_by)s AND claimed_until = %(claimed_until)s
                         THEN NULL ELSE claimed_until END
WHERE eco_id = %(eco_id)s AND version = %(version)s
"""


def pager_work(ringer: Ringer) -> DueTable:
    """Ring people: rows of `pager_process_state`."""

    def handle(row: Claim) -> Done:
        after = pager_process_state.row_of(ringer.work_on(row["run_id"], row.is_held))
        upsert = Upsert(pager_process_state.TABLE, "run_id", after)
        return upsert.statement(), after

    newest = pager_process_state.FORMAT
    return DueTable(pager_process_state.TABLE, "run_id", handle, newest)


def field_work(desk: CrewDesk) -> DueTable:
    """Make and follow field tasks: rows of `render_poll_state`."""

    def handle(row: Claim) -> Done:
        look = desk.look_after(row["eco_id"], _look_of(row))
        return KEEP_LOOK, {
            "eco_id": row["eco_id"],
            "version": row["version"],
            "deadline": look.due_at,
            "attempts": look.attempts,
            "etag": look.etag,
            "last_error": look.error,
            "failing_since": look.failing_since,
            "subsector_id": look.following.subsector_id if look.following else None,
            "check_at": look.following.check_at if look.following else None,
        }

    newest = render_poll_state.FORMAT
    return DueTable(
        render_poll_state.TABLE, "eco_id", handle, newest, share_by="osp_id", is_notebook=True
    )


def _look_of(row: Mapping[str, Any]) -> Look:
    following = None
    if row["subsector_id"] and row["check_at"]:
        following = Following(row["osp_id"], row["subsector_id"], row["check_at"])
    return Look(
        row["deadline"],
        row["attempts"],
        row["etag"],
        row["last_error"],
        row["failing_since"],
        following,
    )
