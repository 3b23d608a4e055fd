"""How fast callouts were answered, to compare contractors, regions, days and hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import strawberry

from strike_adapters.postgres.eco_lists import zoned
from strike_adapters.postgres.times_queries import TimesBy
from strike_app.graphql.types import StrikeInfo, Tenant
from strike_domain.access import Action
from strike_domain.actors import Side
from strike_domain.eco import JobType
from strike_domain.errors import Rejected

USUAL_DAYS = 90
"""How far back is looked, unless somebody says otherwise."""


@strawberry.type(description="How long something took, in seconds from the ECO's creation.")
class Spread:
    count: int = strawberry.field(description="In how many ECOs it happened.")
    p50: float | None = strawberry.field(description="Half of them were as fast; null without any.")
    p90: float | None = strawberry.field(description="Nine of ten were as fast.")

    @classmethod
    def of(cls, row: dict[str, Any], name: str) -> Spread:
        p50, p90 = row[f"{name}_spread"] or (None, None)
        return cls(count=row[f"{name}_count"], p50=p50, p90=p90)


@strawberry.type(description="Response times of one group of ECOs.")
class ResponseTimes:
    noc: Tenant | None = strawberry.field(description="Who called out, if grouped by NOC.")
    contractor: Tenant | None = strawberry.field(
        description="Who was called out, if grouped by CONTRACTOR."
    )
    list_name: str | None = strawberry.field(
        description="The pager list, if grouped by LIST; null also where none was rung."
    )
    job_type: JobType | None = strawberry.field(description="If grouped by JOB_TYPE.")
    day: date | None = strawberry.field(description="If grouped by DAY.")
    hour: int | None = strawberry.field(description="0 to 23, if grouped by HOUR.")
    ecos: int = strawberry.field(description="How many ECOs were created.")
    to_accept: Spread = strawberry.field(
        description="Until somebody accepted: whoever has it now, after a second dispatch."
    )
    to_start: Spread = strawberry.field(description="Until work started.")
    to_complete: Spread = strawberry.field(
        description="Until all work was done; of work that was taken up again, the last end."
    )

    @classmethod
    def of(cls, row: dict[str, Any]) -> ResponseTimes:
        """From a row of `TimesQueries.response_times`."""
        job_type = row.get("job_type")
        return cls(
            noc=_company(row, "noc", Side.NOC),
            contractor=_company(row, "osp", Side.OSP),
            list_name=row.get("list_name"),
            job_type=JobType(job_type) if job_type else None,
            day=row.get("day"),
            hour=row.get("hour"),
            ecos=row["ecos"],
            to_accept=Spread.of(row, "accept"),
            to_start=Spread.of(row, "start"),
            to_complete=Spread.of(row, "complete"),
        )


def _company(row: dict[str, Any], which: str, side: Side) -> Tenant | None:
    if f"{which}_id" not in row:
        return None
    return Tenant(id=row[f"{which}_id"], name=row[f"{which}_name"], side=side)


def _usually_from(end: datetime) -> datetime:
    try:
        return end - timedelta(days=USUAL_DAYS)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


async def times_of(
    info: StrikeInfo,
    by: Sequence[TimesBy],
    since: datetime | None,
    until: datetime | None,
    zone: str,
) -> list[ResponseTimes]:
    """The tenant's response times. Raises `Rejected`, of codes that the schema names."""
    tenant_id = info.context.may(Action.ECO_SEE)
    if zone not in _zones():
        message = "Name a time zone as the IANA does, such as America/Denver."
        raise Rejected("TIME_ZONE_UNKNOWN", message, ("timeZone",))
    end = zoned(until, ("until",)) if until else info.context.services.clock.now()
    start = zoned(since, ("since",)) if since else _usually_from(end)
    times = info.context.services.queries.times
    rows = await times.response_times(tenant_id, by, start, end, zone)
    return [ResponseTimes.of(row) for row in rows]


@cache
def _zones() -> set[str]:
    return available_timezones()
