"""Timelines of ECOs by pages. Lines are only added at the end, so that no edge of a page moves.

The position in the log is the order and the cursor. One statement answers for all ECOs that are
asked for the same page, each with an index of its own lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from strike_adapters.postgres.cursors import read_cursor, write_cursor
from strike_adapters.postgres.eco_lists import Page, PageAsked
from strike_adapters.postgres.settings_queries import Mine
from strike_adapters.postgres.tenancy import MINE

SORT, KEYS = "TIMELINE", ("position",)
"""What a cursor says that it is of, and what it goes by."""

COUNTS = f"""
SELECT eco_id, count(*) AS count FROM eco_timeline WHERE eco_id = ANY(%(ids)s) AND {MINE}
GROUP BY eco_id
"""  # noqa: S608 - nothing of it comes from outside


@dataclass(frozen=True)
class LinesAsked:
    """The first so many after a position, or the last so many before one; None: from the end."""

    size: int
    at: int | None = None
    backwards: bool = False

    @classmethod
    def of(
        cls, first: int | None, after: str | None, last: int | None, before: str | None
    ) -> LinesAsked:
        """As Relay asks. Raises `Rejected` as `PageAsked.of` and `read_cursor` do."""
        asked = PageAsked.of(first, after, last, before)
        if asked.cursor is None:
            return cls(asked.size, None, asked.backwards)
        path = ("before" if asked.backwards else "after",)
        place = read_cursor(asked.cursor, SORT, KEYS, path)
        return cls(asked.size, place["position"], asked.backwards)


@lru_cache(maxsize=4)
def page_statement(*, backwards: bool, with_cursor: bool) -> str:
    """A page of each ECO's lines, in the order of the log."""
    sign, direction = ("<", "DESC") if backwards else (">", "ASC")
    edge = f" AND position {sign} %(at)s" if with_cursor else ""
    return f"""
        SELECT line.* FROM unnest(%(ids)s::uuid[]) AS asked (eco_id) CROSS JOIN LATERAL (
            SELECT * FROM eco_timeline WHERE eco_id = asked.eco_id AND {MINE}{edge}
            ORDER BY position {direction} LIMIT %(limit)s
        ) AS line
        ORDER BY line.position"""  # noqa: S608 - a statement of ours


class Timelines:
    """Answers for one tenant at a time, from `eco_timeline`."""

    def __init__(self, mine: Mine) -> None:
        self._mine = mine

    async def pages(
        self, tenant_id: UUID, eco_ids: Sequence[UUID], asked: LinesAsked
    ) -> dict[UUID, Page]:
        """That page of each of those ECOs; of a foreign one it is empty."""
        statement = page_statement(backwards=asked.backwards, with_cursor=asked.at is not None)
        values = {"ids": list(set(eco_ids)), "limit": asked.size + 1, "at": asked.at}
        found: defaultdict[UUID, list[Any]] = defaultdict(list)
        for row in await self._mine(statement, tenant=tenant_id, **values):
            found[row["eco_id"]].append(row)
        return {one: _page(found[one], asked) for one in eco_ids}

    async def counts(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many lines each of those ECOs has."""
        rows = await self._mine(COUNTS, tenant=tenant_id, ids=list(eco_ids))
        return dict.fromkeys(eco_ids, 0) | {row["eco_id"]: row["count"] for row in rows}


def line_cursor(row: Any) -> str:
    """Where a line stands in its timeline."""
    return write_cursor(row, SORT, KEYS)


def page_of(lines: Sequence[dict[str, Any]], asked: LinesAsked) -> Page:
    """The page of a timeline of which all `lines` are there, as those of the past are."""
    at, wanted = asked.at, asked.size + 1
    if asked.backwards:
        lines = [one for one in lines if at is None or one["position"] < at][-wanted:]
    else:
        lines = [one for one in lines if at is None or one["position"] > at][:wanted]
    return _page(lines, asked)


def _page(rows: Sequence[dict[str, Any]], asked: LinesAsked) -> Page:
    """Of rows in the order of the log, one more than the page has if there are more."""
    has_more, has_cursor = len(rows) > asked.size, asked.at is not None
    if asked.backwards:
        return Page(rows[-asked.size :], has_cursor, has_more)
    return Page(rows[: asked.size], has_more, has_cursor)
