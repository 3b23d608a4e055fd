"""How fast a tenant's callouts were answered, grouped as its people want to compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from psycopg.rows import DictRow

from strike_adapters.postgres.eco_lists import company_name
from strike_adapters.postgres.settings_queries import Mine
from strike_domain.errors import Rejected

MAX_GROUPS = 2_000
"""Most groups of one answer: a year by day, for five contractors."""


class TimesBy(StrEnum):
    """What response times are compared by."""

    NOC = "NOC"
    CONTRACTOR = "CONTRACTOR"
    LIST = "LIST"
    JOB_TYPE = "JOB_TYPE"
    DAY = "DAY"
    HOUR = "HOUR"


COLUMNS: Mapping[TimesBy, tuple[str, str]] = {
    TimesBy.NOC: ("noc_id", "noc_id"),
    TimesBy.CONTRACTOR: ("osp_id", "osp_id"),
    TimesBy.LIST: ("list_name", "list_name"),
    TimesBy.JOB_TYPE: ("job_type", "job_type"),
    TimesBy.DAY: ("day", "(created_at AT TIME ZONE %(zone)s)::date"),
    TimesBy.HOUR: ("hour", "extract(hour FROM created_at AT TIME ZONE %(zone)s)::int"),
}
"""The column of an answer, and what it is made from."""

MEASURES = ("accept", "start", "complete")

_NAMES = {"noc_id": "noc_name", "osp_id": "osp_name"}


@lru_cache(maxsize=200)
def times_statement(*by: TimesBy) -> str:
    """Counts and percentiles of every group; `since` and `until` are always given."""
    keys = [COLUMNS[one] for one in by]
    made = "".join(f", {value} AS {name}" for name, value in keys)
    names = "".join(f"{name}, " for name, _ in keys)
    grouped = f" GROUP BY {names[:-2]} ORDER BY {names[:-2]}" if keys else ""
    told = "".join(
        f", {company_name(f'found.{name}')} AS {_NAMES[name]}" for name, _ in keys if name in _NAMES
    )
    measures = ", ".join(
        f"count({one}_seconds) AS {one}_count, "
        f"percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY {one}_seconds) AS {one}_spread"
        for one in MEASURES
    )
    halves = " UNION ALL ".join(
        f"SELECT accept_seconds, start_seconds, complete_seconds{made} FROM response_times "  # noqa: S608
        f"WHERE {mine} = %(tenant)s AND created_at >= %(since)s AND created_at < %(until)s"
        for mine in ("noc_id", "osp_id")
    )
    return f"""
        SELECT found.*{told} FROM (
            SELECT {names}count(*) AS ecos, {measures} FROM ({halves}) AS mine{grouped}
            LIMIT %(limit)s
        ) AS found"""  # noqa: S608 - nothing of it comes from outside


class TimesQueries:
    """Answers for one tenant at a time, from `response_times`."""

    def __init__(self, mine: Mine) -> None:
        self._mine = mine

    async def response_times(
        self, tenant_id: UUID, by: Sequence[TimesBy], since: datetime, until: datetime, zone: str
    ) -> list[DictRow]:
        """A row for each group: its keys, `ecos`, and of each of `MEASURES` how many have it
        (`accept_count`) and its median and ninth decile in seconds (`accept_spread`, or None).

        ECOs created from `since` on, before `until`; days and hours in `zone`, an IANA name.
        Raises `Rejected` (TOO_MANY_GROUPS).
        """
        statement = times_statement(*dict.fromkeys(by))
        asked: dict[str, object] = {"since": since, "until": until, "limit": MAX_GROUPS + 1}
        if any(one in by for one in (TimesBy.DAY, TimesBy.HOUR)):
            asked["zone"] = zone
        rows = await self._mine(statement, tenant=tenant_id, **asked)
        if len(rows) > MAX_GROUPS:
            message = f"These are more than {MAX_GROUPS:,} groups: take a shorter time, or fewer."
            raise Rejected("TOO_MANY_GROUPS", message, ("by",))
        return rows
