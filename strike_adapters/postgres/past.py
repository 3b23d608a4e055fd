"""How one ECO stood at a moment in the past, as the rows that the read models had then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from strike_adapters.postgres.views.eco_timeline import line_row
from strike_adapters.postgres.views.pager_run_views import call_row, run_row
from strike_adapters.postgres.views.rows import Row
from strike_domain.eco import Eco
from strike_domain.history import Happened, replay, until
from strike_domain.pager_run import PagerRun


@dataclass(frozen=True)
class Past:
    """An ECO with its runs at one position. `position` is that of the ECO's own newest event.

    `timeline` has the columns of `eco_timeline`, `runs` of `pager_run_views`, `calls` by run those
    of `pager_calls`; each in the order in which the live ones are shown.
    """

    eco: Eco
    position: int
    timeline: Sequence[dict[str, Any]]
    runs: Sequence[dict[str, Any]]
    calls: dict[UUID, list[dict[str, Any]]]


def past_of(history: Sequence[Happened], moment: datetime) -> Past | None:
    """The ECO of that history as it was at `moment`; None if it did not exist yet."""
    lines: list[Row] = []
    latest: dict[UUID, tuple[Any, int]] = {}
    for one, after in replay(until(history, moment)):
        lines.append(line_row(one.event, after, one.position))
        latest[after.id] = after, one.position
    ecos = [one for one in latest.values() if isinstance(one[0], Eco)]
    if not ecos:
        return None
    runs = [one for one in latest.values() if isinstance(one[0], PagerRun)]
    runs.sort(key=lambda one: (one[0].started_at, one[0].id))
    calls: defaultdict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for run, position in runs:
        calls[run.id] = [dict(call_row(run, call, position)) for call in run.calls.values()]
    return Past(
        eco=ecos[0][0],
        position=ecos[0][1],
        timeline=[dict(line) for line in lines],
        runs=[dict(run_row(run, position)) for run, position in runs],
        calls=dict(calls),
    )
