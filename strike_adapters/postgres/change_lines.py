"""Changes of a tenant's ECOs in the order of the log, and who may still be told of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from psycopg.rows import DictRow

from strike_adapters.postgres.archive.tables import NEWEST_POSITION
from strike_adapters.postgres.settings_queries import Mine


def _lines_of(side: str) -> str:
    return f"""
    (SELECT position, at, kind, line, eco_id FROM eco_timeline
     WHERE {side} = %(tenant)s AND position > %(after)s AND position <= %(until)s
     ORDER BY position LIMIT %(limit)s)"""  # noqa: S608 - a column of ours


def _beyond(side: str) -> str:
    return f"""
    (SELECT position FROM eco_timeline WHERE {side} = %(tenant)s AND position > %(after)s
     ORDER BY position OFFSET %(most)s LIMIT 1)"""  # noqa: S608 - a column of ours


# A tenant is on one side only: each side is read by its own index, in order. A page of lines
# first, then their ECOs: so the rows of one page are of one moment.
LINES = f"""
SELECT told.position AS told_position, told.at AS told_at, told.kind AS told_kind,
    told.line AS told_line, told.eco_id AS told_eco, v.*
FROM (
    SELECT * FROM ({_lines_of("noc_id")}
    UNION ALL {_lines_of("osp_id")}) AS mine
    ORDER BY position LIMIT %(limit)s
) AS told
LEFT JOIN eco_views v ON v.eco_id = told.eco_id
ORDER BY told.position
"""  # noqa: S608 - nothing of it comes from outside

ROWS = """
SELECT * FROM eco_views
WHERE eco_id = ANY(%(ids)s) AND (noc_id = %(tenant)s OR osp_id = %(tenant)s)
"""

IS_FAR_BEHIND = f"""
SELECT position FROM ({_beyond("noc_id")}
UNION ALL {_beyond("osp_id")}) AS mine
"""  # noqa: S608

NEWEST_EVENT = f"SELECT {NEWEST_POSITION} AS position"

STANDING = """
SELECT m.role, t.side, NULL::text[] AS scopes, NULL::timestamptz AS expires_at
FROM memberships m JOIN tenants t ON t.id = m.tenant_id
WHERE m.user_id = %(user)s AND m.tenant_id = %(who_for)s
"""

STANDING_OF_TOKEN = """
SELECT a.role, t.side, a.scopes, a.expires_at
FROM api_tokens a JOIN tenants t ON t.id = a.tenant_id
WHERE a.id = %(user)s AND a.tenant_id = %(who_for)s
  AND a.revoked_at IS NULL AND a.expires_at > %(at)s
"""  # noqa: S105


class Ask(Protocol):
    """Asks by the system's connections: `Queries._all`."""

    async def __call__(self, statement: str, **values: object) -> list[DictRow]: ...


class MineUntil(Protocol):
    """Asks behind the tenant's wall whoever has that position: `Queries._read_until`."""

    async def __call__(
        self, position: int, statement: str, *, tenant: UUID, **values: object
    ) -> list[DictRow]: ...


class ChangeLines:
    """What streams are fed from: by `mine` behind the tenant's wall, by `ask` what is of none."""

    def __init__(self, mine: Mine, ask: Ask, mine_until: MineUntil) -> None:
        self._mine = mine
        self._ask = ask
        self._mine_until = mine_until

    async def lines(self, tenant_id: UUID, after: int, until: int, limit: int) -> Sequence[DictRow]:
        """The oldest `limit` lines of `after` < position <= `until`, each with its ECO's row.

        Columns: those of `eco_views` as it is now (all null if it has no such row), and
        `told_position`, `told_at`, `told_kind`, `told_line`, `told_eco`.
        """
        return await self._mine_until(
            until, LINES, tenant=tenant_id, after=after, until=until, limit=limit
        )

    async def rows(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> Sequence[DictRow]:
        """Rows of `eco_views` as they are now."""
        return await self._mine(ROWS, tenant=tenant_id, ids=list(eco_ids))

    async def is_far_behind(self, tenant_id: UUID, after: int, most: int) -> bool:
        """Whether the tenant has more than `most` changes after that position."""
        return bool(await self._mine(IS_FAR_BEHIND, tenant=tenant_id, after=after, most=most))

    async def newest_event(self) -> int:
        """The position of the newest event of the log."""
        (row,) = await self._ask(NEWEST_EVENT)
        return int(row["position"])

    async def standing(
        self, user_id: UUID, tenant_id: UUID, at: datetime, *, is_machine: bool
    ) -> DictRow | None:
        """`role`, `side`, `scopes` and `expires_at` that somebody has there now; None: nothing."""
        question = STANDING_OF_TOKEN if is_machine else STANDING
        rows = await self._ask(question, user=user_id, who_for=tenant_id, at=at)
        return rows[0] if rows else None
