"""The directory in PostgreSQL: who the companies are, whom they may call out, whom they ring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from strike_adapters.postgres.arrays import bigints, uuids
from strike_adapters.postgres.pools import (
    CONNECT_SECONDS,
    Connections,
    Pool,
    again_if_ended,
    check_together,
)
from strike_adapters.postgres.regions import BoxRegions, Regions, box_text
from strike_adapters.postgres.tenancy import TenantPool
from strike_adapters.postgres.together import Together
from strike_domain.contacts import Contact, PagerList, RingAgain
from strike_domain.geometry import Location
from strike_domain.log import LOG_NAME
from strike_domain.pager_run import CallRequested
from strike_domain.ports import FieldTerms, Link, Opening, Tenant, job_number
from strike_domain.regions import Matches, region_shape, shape_area_m2

FIND_TENANT = "SELECT id, name, side FROM tenants WHERE id = %s"

FIND_LINK = """
SELECT noc_id, osp_id, status, paging_policy, suspended_by
FROM links WHERE noc_id = %s AND osp_id = %s
"""

HAS_RENDER = "SELECT 1 FROM render_instances WHERE osp_id = %s"

FIELD_TERMS = """
SELECT make_interval(secs => polling_seconds) AS interval,
       make_interval(secs => grace_hours * 3600) AS grace,
       make_interval(secs => inactivity_hours * 3600) AS inactivity
FROM render_instances WHERE osp_id = %s
"""

# As many as ask at the same time. The rows of the sequences are locked in one order. The commit
# waits for the disk: who has the number may outlive the server, and store it with the next one.
# The arrays are selected, so that the server does not count what is in them: it expected less of a
# plan for these values than of one for any, and made one each time, more than half of the work.
OPEN_JOBS = """
WITH asked AS (
    SELECT * FROM unnest(
        (SELECT %(nocs)b::uuid[]), (SELECT %(osps)b::uuid[]), (SELECT %(years)b::bigint[])
    ) WITH ORDINALITY AS asked (noc_id, osp_id, year, place)
), found AS (
    SELECT asked.*, status, paging_policy, suspended_by,
           row_number() OVER (same ORDER BY place) AS turn, count(*) OVER same AS number
    FROM asked LEFT JOIN links USING (noc_id, osp_id)
    WINDOW same AS (PARTITION BY osp_id, year, status)
), taken AS (
    INSERT INTO job_sequences AS taken (osp_id, year, last)
    SELECT osp_id, year, number FROM found WHERE status = 'ACTIVE' AND turn = 1
    ORDER BY osp_id, year
    ON CONFLICT (osp_id, year) DO UPDATE SET last = taken.last + excluded.last
    RETURNING osp_id, year, last
)
SELECT found.noc_id, osp_id, found.status, found.paging_policy, found.suspended_by, year,
       CASE WHEN found.status = 'ACTIVE' THEN taken.last - found.number + turn END AS job,
       EXISTS (SELECT 1 FROM render_instances AS r WHERE r.osp_id = found.osp_id) AS has_render
FROM found LEFT JOIN taken USING (osp_id, year) ORDER BY place
"""

LISTS = """
SELECT id, osp_id, name, region, rounds, answer_seconds, decline_keys,
       ring_again_minutes, ring_again_times,
       coalesce((SELECT jsonb_agg(to_jsonb(c) ORDER BY rank)
                 FROM pager_contacts c WHERE list_id = id), '[]') AS people
FROM pager_lists
"""

IN_ORDER = "ORDER BY region IS NULL, name, id"
"""By name, the default list last."""

GET_LIST = f"{LISTS} WHERE osp_id = %s AND id = %s"

LISTS_OF = f"{LISTS} WHERE osp_id = %s {IN_ORDER}"

SAVE_LIST = """
INSERT INTO pager_lists (id, osp_id, name, region, region_box, region_area_m2, rounds,
                         answer_seconds, decline_keys, ring_again_minutes, ring_again_times)
VALUES (%(id)s, %(osp_id)s, %(name)s, %(region)s, %(region_box)s::box, %(region_area_m2)s,
        %(rounds)s, %(answer_seconds)s, %(decline_keys)s, %(minutes)s, %(times)s)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, region = excluded.region, region_box = excluded.region_box,
    region_area_m2 = excluded.region_area_m2, rounds = excluded.rounds,
    answer_seconds = excluded.answer_seconds, decline_keys = excluded.decline_keys,
    ring_again_minutes = excluded.ring_again_minutes, ring_again_times = excluded.ring_again_times
"""

SAVE_CONTACT = """
INSERT INTO pager_contacts (list_id, rank, name, phone, language, consented_on, texted)
VALUES (%(list_id)s, %(rank)s, %(name)s, %(phone)s, %(language)s,
        CASE WHEN %(consented)s THEN coalesce(%(consented_on)s, current_date) END, %(texted)s)
"""

CONSENTS = "SELECT phone, consented_on FROM pager_contacts WHERE list_id = %s"

# What the read model has not come to yet is read in the log itself.
RUNS_RINGING = """
SELECT run_id FROM pager_calls WHERE phone = %(phone)s AND requested_at >= %(since)s
UNION
SELECT originator_id
FROM strike_events, convert_from(state, 'UTF8') AS text, CAST(text AS jsonb) AS requested
WHERE topic = %(topic)s AND requested -> 'contact' ->> 'phone' = %(phone)s
  AND notification_id > coalesce((
      SELECT notification_id FROM pager_run_views_tracking WHERE application_name = %(log)s), 0)
"""


def open_pool(url: str, *, size: int = 4, opened: bool = True) -> Pool:
    """A pool of at most `size` connections that are checked before use.

    `opened`: whether it connects at once, or when it is entered.
    """
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
    if opened:
        pool.open()
    return pool


Values = Sequence[object] | Mapping[str, object]

LINK_COLUMNS = ("noc_id", "osp_id", "status", "paging_policy", "suspended_by")


class Wanted(NamedTuple):
    """Who wants to call out whom, in which year."""

    noc_id: UUID
    osp_id: UUID
    year: int


class PostgresDirectory:
    """`Directory`, `PagerLists` and `OtherCalls`, each question one statement."""

    def __init__(self, pool: Connections, regions: Regions | None = None) -> None:
        self.pool = pool
        self._regions = regions or BoxRegions(pool)
        self._open_jobs: Together[Wanted, Opening] = Together(self._open_all)

    def seen_by(self, tenant_id: UUID) -> PostgresDirectory:
        """As much of it as the second wall lets that tenant see."""
        behind = TenantPool(self.pool, tenant_id)
        return PostgresDirectory(behind, self._regions.on(behind))

    def tenant(self, tenant_id: UUID) -> Tenant | None:
        row = self._one(FIND_TENANT, tenant_id)
        return Tenant(**row) if row else None

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None:
        row = self._one(FIND_LINK, noc_id, osp_id)
        return Link(**row) if row else None

    def has_render(self, osp_id: UUID) -> bool:
        return self._one(HAS_RENDER, osp_id) is not None

    def field_terms(self, osp_id: UUID) -> FieldTerms:
        row = self._one(FIELD_TERMS, osp_id)
        return FieldTerms(**row) if row else FieldTerms()

    def open_job(self, noc_id: UUID, osp_id: UUID, at: datetime) -> Opening:
        return self._open_jobs(Wanted(noc_id, osp_id, at.year))

    def _open_all(self, wanted: Sequence[Wanted]) -> list[Opening]:
        values = {
            "nocs": uuids([one.noc_id for one in wanted]),
            "osps": uuids([one.osp_id for one in wanted]),
            "years": bigints([one.year for one in wanted]),
        }
        return [opening(row) for row in self._all(OPEN_JOBS, values)]

    def matches(self, osp_id: UUID, location: Location) -> Matches:
        return self.matches_of([(osp_id, location)])[0]

    def matches_of(self, places: Sequence[tuple[UUID, Location]]) -> list[Matches]:
        return again_if_ended(lambda: self._regions.matches_of(places))

    def get(self, osp_id: UUID, list_id: UUID) -> PagerList | None:
        row = self._one(GET_LIST, osp_id, list_id)
        return to_pager_list(row) if row else None

    def lists_of(self, osp_id: UUID) -> list[PagerList]:
        """Every list of an OSP by name, the default list last."""
        return [to_pager_list(row) for row in self._all(LISTS_OF, (osp_id,))]

    def save_list(self, pager_list: PagerList) -> None:
        """Store a list as it is given, in place of what it was. Runs keep their snapshots."""

        def save() -> None:
            with self.pool.connection() as connection, connection.transaction():
                store_list(connection, pager_list)

        again_if_ended(save)

    def runs_ringing(self, phone: str, since: datetime) -> list[UUID]:
        """The runs that rang that number since then (`ringer.OtherCalls`)."""
        values = {"phone": phone, "since": since, "topic": CallRequested.TOPIC, "log": LOG_NAME}
        return [row["run_id"] for row in self._all(RUNS_RINGING, values)]

    def _one(self, statement: str, *values: object) -> DictRow | None:
        """The row that a question finds."""
        return next(iter(self._all(statement, values)), None)

    def _all(
        self, statement: str, values: Sequence[object] | Mapping[str, object]
    ) -> list[DictRow]:
        """The rows that a question finds, or a statement that may be done twice gives."""
        return again_if_ended(lambda: self._ask(statement, values))

    def _ask(
        self, statement: str, values: Sequence[object] | Mapping[str, object]
    ) -> list[DictRow]:
        with self.pool.connection() as connection:
            return connection.execute(statement, values).fetchall()


def opening(row: DictRow) -> Opening:
    """What a row of `OPEN_JOBS` says."""
    number = row["job"]
    return Opening(
        Link(**{name: row[name] for name in LINK_COLUMNS}) if row["status"] else None,
        row["has_render"],
        None if number is None else job_number(row["year"], number),
    )


def store_list(connection: Connection[DictRow], pager_list: PagerList) -> None:
    """Within a transaction: the list as it is given. Who agreed once keeps the day they did."""
    connection.execute(SAVE_LIST, _list_values(pager_list))
    known = connection.execute(CONSENTS, (pager_list.id,)).fetchall()
    consents = {row["phone"]: row["consented_on"] for row in known}
    connection.execute("DELETE FROM pager_contacts WHERE list_id = %s", (pager_list.id,))
    people = [
        {
            **one.model_dump(),
            "list_id": pager_list.id,
            "rank": rank,
            "consented": one.phone in pager_list.consented,
            "consented_on": consents.get(one.phone),
            "texted": one.phone in pager_list.texted,
        }
        for rank, one in enumerate(pager_list.contacts, 1)
    ]
    connection.cursor().executemany(SAVE_CONTACT, people)


def to_pager_list(row: DictRow) -> PagerList:
    """A list from a row of `LISTS`."""
    people = row["people"]
    minutes = row["ring_again_minutes"]
    again = RingAgain(after_minutes=minutes, times=row["ring_again_times"]) if minutes else None
    return PagerList(
        **row,
        contacts=tuple(Contact(**one) for one in people),
        ring_again=again,
        consented=frozenset(one["phone"] for one in people if one["consented_on"]),
        texted=frozenset(one["phone"] for one in people if one["texted"]),
    )


def _list_values(pager_list: PagerList) -> dict[str, object]:
    values = pager_list.model_dump(include={"id", "osp_id", "name", "rounds", "answer_seconds"})
    again = pager_list.ring_again
    values |= {"minutes": again and again.after_minutes, "times": again.times if again else 0}
    keys = [one.model_dump(mode="json", exclude_none=True) for one in pager_list.decline_keys]
    values["decline_keys"] = Jsonb(keys)
    if pager_list.region is None:
        return values | {"region": None, "region_box": None, "region_area_m2": None}
    area = region_shape(pager_list.region)
    return values | {
        "region": Jsonb(pager_list.region),
        "region_box": box_text(area.bounds),
        "region_area_m2": shape_area_m2(area),
    }
