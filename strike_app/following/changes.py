"""One change of an ECO, read once for everybody in this process who is told of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

ROW_BYTES = 1_500
"""What a row weighs beside its texts, about."""

_TEXTS = ("description", "location", "list_reason", "field_summary", "field_tasks", "offers")


@dataclass(eq=False, slots=True)
class Change:
    """A line of the timeline, with its ECO's row of `eco_views` as it was when that was read.

    `row` is None if that read model does not have the ECO yet. `whole_until`: up to that position
    nothing is missing in any read model. `again`: nothing new has happened, but a read model that
    had stayed behind has caught up; only who follows one ECO is told.
    """

    position: int
    eco_id: UUID
    at: datetime | None
    kind: str
    line: str
    row: Mapping[str, Any] | None
    whole_until: int
    again: bool = False
    answers: dict[Hashable, Any] = field(default_factory=dict)
    """What was made of it once for all who ask for the same."""
    size: int = field(init=False)
    """How much memory it holds, in bytes, about."""

    def __post_init__(self) -> None:
        row = self.row or {}
        texts = sum(len(str(row.get(name) or "")) for name in _TEXTS)
        self.size = ROW_BYTES + len(self.line) + texts

    @property
    def promised(self) -> int:
        """Who goes on from here misses nothing."""
        return min(self.position, self.whole_until)


def change_of(found: Mapping[str, Any], whole_until: int) -> Change:
    """From what `ChangeLines.lines` found."""
    return Change(
        position=found["told_position"],
        eco_id=found["told_eco"],
        at=found["told_at"],
        kind=found["told_kind"],
        line=found["told_line"],
        row=found if found["eco_id"] is not None else None,
        whole_until=whole_until,
    )


def again_of(row: Mapping[str, Any], whole_until: int) -> Change:
    """An ECO whose read models agree now, from its row of `eco_views`."""
    return Change(whole_until, row["eco_id"], None, "", "", row, whole_until, again=True)
