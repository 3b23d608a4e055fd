"""The directory in PostgreSQL: who the companies are, whom they may call out, whom they ring."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from strike_adapters.postgres.pools import CONNECT_SECONDS, check_together
from strike_domain.contacts import Contact, PagerList
from strike_domain.geometry import Location
from strike_domain.ports import Link, Tenant
from strike_domain.regions import RegionCandidate

Pool = ConnectionPool[Connection[DictRow]]

FIND_TENANT = "SELECT id, name, side FROM tenants WHERE id = %s"

FIND_LINK = """
SELECT noc_id, osp_id, status, paging_policy FROM links WHERE noc_id = %s AND osp_id = %s
"""

HAS_RENDER = "SELECT 1 FROM render_instances WHERE osp_id = %s"

# One row, one lock, held for one statement: numbers rise and never repeat.
TAKE_JOB_NUMBER = """
INSERT INTO job_sequences AS taken (osp_id, year, last) VALUES (%s, %s, 1)
ON CONFLICT (osp_id, year) DO UPDATE SET last = taken.last + 1
RETURNING last
"""

# Boxes that touch are near; which region covers the place is decided by its exact form.
LISTS_NEAR = """
SELECT id, name, region FROM pager_lists
WHERE osp_id = %s AND (region IS NULL OR region_box && box(point(%s, %s), point(%s, %s)))
"""

GET_LIST = """
SELECT id, osp_id, name, region, rounds, answer_seconds FROM pager_lists
WHERE osp_id = %s AND id = %s
"""

CONTACTS_OF_LIST = """
SELECT name, phone, language FROM pager_contacts WHERE list_id = %s ORDER BY rank
"""

SAVE_LIST = """
INSERT INTO pager_lists (id, osp_id, name, region, region_box, rounds, answer_seconds)
VALUES (%(id)s, %(osp_id)s, %(name)s, %(region)s,
        CASE WHEN %(west)s::float8 IS NULL THEN NULL
             ELSE box(point(%(west)s, %(south)s), point(%(east)s, %(north)s)) END,
        %(rounds)s, %(answer_seconds)s)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, region = excluded.region, region_box = excluded.region_box,
    rounds = excluded.rounds, answer_seconds = excluded.answer_seconds
"""

SAVE_CONTACT = """
INSERT INTO pager_contacts (list_id, rank, name, phone, language) VALUES (%s, %s, %s, %s, %s)
"""

KNOWN_SIDS = "SELECT sid FROM pager_calls WHERE sid = ANY(%s)"


def open_pool(url: str, *, size: int = 4) -> Pool:
    """A pool of at most `size` connections that are checked before use; opened at first use."""
    pool = ConnectionPool(
        url,
        connection_class=Connection[DictRow],
        kwargs={
            "row_factory": dict_row,
            "autocommit": True,
            "connect_timeout": CONNECT_SECONDS,
        },
        min_size=1,
        max_size=size,
        open=False,
    )
    check_together(pool)
    pool.open()
    return pool


class PostgresDirectory:
    """`Directory`, `PagerLists` and `KnownCalls`, each question one statement."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def tenant(self, tenant_id: UUID) -> Tenant | None:
        row = self._one(FIND_TENANT, tenant_id)
        return Tenant(**row) if row else None

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None:
        row = self._one(FIND_LINK, noc_id, osp_id)
        return Link(**row) if row else None

    def has_render(self, osp_id: UUID) -> bool:
        return self._one(HAS_RENDER, osp_id) is not None

    def next_job_number(self, osp_id: UUID, at: datetime) -> str:
        with self.pool.connection() as connection:
            row = connection.execute(TAKE_JOB_NUMBER, (osp_id, at.year)).fetchone() or {}
        return f"{at.year % 100:02d}-{row['last']:04d}"

    def near(self, osp_id: UUID, location: Location) -> Sequence[RegionCandidate]:
        with self.pool.connection() as connection:
            rows = connection.execute(LISTS_NEAR, (osp_id, *location.bounds)).fetchall()
        return [
            RegionCandidate(list_id=row["id"], name=row["name"], region=row["region"])
            for row in rows
        ]

    def get(self, osp_id: UUID, list_id: UUID) -> PagerList | None:
        with self.pool.connection() as connection:
            row = connection.execute(GET_LIST, (osp_id, list_id)).fetchone()
            if row is None:
                return None
            contacts = connection.execute(CONTACTS_OF_LIST, (list_id,)).fetchall()
        return PagerList(**row, contacts=tuple(Contact(**one) for one in contacts))

    def save_list(self, pager_list: PagerList) -> None:
        """Store a list as it is given, in place of what it was. Runs keep their snapshots."""
        west, south, east, north = _bounds(pager_list)
        values = pager_list.model_dump(include={"id", "osp_id", "name", "rounds", "answer_seconds"})
        values |= {"west": west, "south": south, "east": east, "north": north}
        values["region"] = Jsonb(pager_list.region) if pager_list.region else None
        with self.pool.connection() as connection, connection.transaction():
            connection.execute(SAVE_LIST, values)
            connection.execute("DELETE FROM pager_contacts WHERE list_id = %s", (pager_list.id,))
            connection.cursor().executemany(
                SAVE_CONTACT,
                [
                    (pager_list.id, rank, one.name, one.phone, one.language)
                    for rank, one in enumerate(pager_list.contacts, 1)
                ],
            )

    def known(self, sids: Collection[str]) -> Collection[str]:
        """Which of the provider's call ids belong to a call of some run already."""
        with self.pool.connection() as connection:
            rows = connection.execute(KNOWN_SIDS, (list(sids),)).fetchall()
        return {row["sid"] for row in rows}

    def _one(self, statement: str, *values: object) -> DictRow | None:
        with self.pool.connection() as connection:
            return connection.execute(statement, values).fetchone()


def _bounds(pager_list: PagerList) -> Sequence[float | None]:
    if pager_list.region is None:
        return (None, None, None, None)
    from shapely.geometry import shape

    return shape(pager_list.region).bounds
