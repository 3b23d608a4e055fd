"""What the address of a board says that is wanted. Anything else in it is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from multidict import MultiMapping

from strike_domain.eco import EcoStatus, JobType, PagingState, Priority

ACTIVE = ("OPEN", "IN_PROGRESS", "COMPLETED")
"""What a board shows if nobody asks for something else."""

SORTS = ("MOST_URGENT", "NEWEST", "OLDEST", "RECENTLY_UPDATED")

LISTS: dict[str, tuple[str, ...]] = {
    "status": tuple(EcoStatus),
    "pagingState": tuple(PagingState),
    "priority": tuple(Priority),
    "jobType": tuple(JobType),
}
"""Filters of which several values can be chosen."""

MOST_SEARCH = 200
"""Longest text that is searched for."""


@dataclass(frozen=True)
class BoardFilter:
    chosen: dict[str, tuple[str, ...]]
    other_side: tuple[str, ...]
    is_stale: bool
    search: str
    sort: str
    view: str

    @classmethod
    def of(cls, query: MultiMapping[str]) -> BoardFilter:
        """From `status=OPEN&status=…&q=…&sort=…&view=map`."""
        chosen = {
            key: tuple(one for one in query.getall(key, []) if one in allowed)
            for key, allowed in LISTS.items()
        }
        sort, view = query.get("sort", ""), query.get("view", "")
        return cls(
            chosen=chosen,
            other_side=tuple(one for one in query.getall("otherSide", []) if _is_uuid(one)),
            is_stale=query.get("stale", "") == "1",
            search=query.get("q", "").strip()[:MOST_SEARCH],
            sort=sort if sort in SORTS else SORTS[0],
            view="map" if view == "map" else "table",
        )

    @property
    def statuses(self) -> tuple[str, ...]:
        return self.chosen["status"] or ACTIVE

    def variables(self) -> dict[str, Any]:
        """`filter` and `sort`, as the documents of the board take them."""
        wanted: dict[str, Any] = {
            key: list(values) for key, values in self.chosen.items() if values
        }
        wanted["status"] = list(self.statuses)
        if self.other_side:
            wanted["otherSide"] = list(self.other_side)
        if self.is_stale:
            wanted["stale"] = True
        if self.search:
            wanted["search"] = self.search
        return {"filter": wanted, "sort": self.sort}

    @property
    def is_set(self) -> bool:
        """Whether something is left out that a board would show."""
        return bool(any(self.chosen.values()) or self.other_side or self.is_stale or self.search)

    def address(self, **changes: Any) -> str:
        """The query of this filter with some of its parts changed; empty values are left out."""
        parts: dict[str, Any] = {
            **self.chosen,
            "otherSide": self.other_side,
            "stale": "1" if self.is_stale else "",
            "q": self.search,
            "sort": self.sort if self.sort != SORTS[0] else "",
            "view": self.view if self.view != "table" else "",
            **changes,
        }
        return "?" + urlencode({key: value for key, value in parts.items() if value}, doseq=True)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
