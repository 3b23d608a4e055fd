"""What do filters, sorts and counts of ECOs cost a large tenant, behind row-level security?

`tox -e lists` (or `python -m tests.benchmarks.lists --ecos 1000000`). A million ECOs of a hundred
companies in an embedded PostgreSQL. Every question is asked by the code that serves the edge, for
the largest NOC, and told with the CPU that it takes, of server and client together: unlike the time
waited it does not grow with what else the machine has to do. The limit is the plain first page.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.eco_lists import (
    EVERYTHING,
    Box,
    EcoFilter,
    EcoSort,
    PageAsked,
    Period,
)
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import Queries
from strike_adapters.postgres.times_queries import TimesBy
from tests.benchmarks.tenant_rows import fill
from tests.benchmarks.tenants import WALL, Way, ways

err = Console(stderr=True)

SHOWN = frozenset(
    {"job_number", "status", "paging_state", "priority", "osp_name", "responder_name"}
)

Ask = Callable[[Queries], Awaitable[Any]]


def pages(wanted: EcoFilter, sort: EcoSort = EcoSort.NEWEST, size: int = 50) -> Callable[..., Ask]:
    def of(tenant: UUID) -> Ask:
        return lambda q: q.lists.page(tenant, PageAsked(size), wanted, sort, columns=SHOWN)

    return of


NOW = datetime.now(UTC)
YEAR_AGO = Period(NOW - timedelta(days=400), NOW - timedelta(days=365))


def questions(contractor: UUID) -> dict[str, Callable[[UUID], Ask]]:
    """What is asked, for a NOC that gives much to that contractor."""
    return {
        "first page, newest": pages(EVERYTHING),
        "oldest": pages(EVERYTHING, EcoSort.OLDEST),
        "recently updated": pages(EVERYTHING, EcoSort.RECENTLY_UPDATED),
        "most urgent": pages(EVERYTHING, EcoSort.MOST_URGENT),
        "open, most urgent": pages(EcoFilter(status=["OPEN"]), EcoSort.MOST_URGENT),
        "exhausted": pages(EcoFilter(paging_state=["EXHAUSTED"])),
        "open and exhausted": pages(EcoFilter(status=["OPEN"], paging_state=["EXHAUSTED"])),
        "stale and closed, of which there is none": pages(EcoFilter(stale=True, status=["CLOSED"])),
        "one contractor": pages(EcoFilter(other_side=[contractor])),
        "critical, of one contractor": pages(
            EcoFilter(priority=["CRITICAL"], other_side=[contractor])
        ),
        "a month a year ago": pages(EcoFilter(created=YEAR_AGO)),
        "closed a year ago, urgent first": pages(EcoFilter(closed=YEAR_AGO), EcoSort.MOST_URGENT),
        "a rare word": pages(EcoFilter(search="inc000900001")),
        "the beginning of a word": pages(EcoFilter(search="inc00090")),
        "words of every ECO": pages(EcoFilter(search="cable digger")),
        "a town": pages(EcoFilter(within=Box(-104.51, 40.5, -104.5, 40.51))),
        "half a state": pages(EcoFilter(within=Box(-104.9, 40.1, -104.1, 40.9))),
        "half a state, open, urgent first": pages(
            EcoFilter(within=Box(-104.9, 40.1, -104.1, 40.9), status=["OPEN"]), EcoSort.MOST_URGENT
        ),
        "total count": lambda tenant: lambda q: q.lists.total(tenant),
        "total of the open": lambda tenant: (
            lambda q: q.lists.total(tenant, EcoFilter(status=["OPEN"]))
        ),
        "counts of all": lambda tenant: lambda q: q.lists.groups(tenant),
        "counts of the open": lambda tenant: (
            lambda q: q.lists.groups(tenant, EcoFilter(status=["OPEN", "IN_PROGRESS"]))
        ),
        "response times by contractor": lambda tenant: (
            lambda q: q.times.response_times(
                tenant, [TimesBy.CONTRACTOR], NOW - timedelta(days=90), NOW, "UTC"
            )
        ),
        "response times of 3 years by hour": lambda tenant: (
            lambda q: q.times.response_times(
                tenant, [TimesBy.HOUR], NOW - timedelta(days=1200), NOW, "America/Denver"
            )
        ),
    }


async def cost(way: Way, ask: Ask, rounds: int) -> tuple[float, float]:
    """Median and greatest CPU of one question, in ms, once its plan is made."""
    for _ in range(6):
        await ask(way.queries)
    found = []
    for _ in range(rounds):
        before = way.worked()
        await ask(way.queries)
        found.append(1000 * (way.worked() - before))
    return median(found), max(found)


async def measure(url: str, tenant: UUID, contractor: UUID, rounds: int) -> Table:
    table = Table("question", "CPU, ms", "greatest", "of the first page")
    async with ways(url) as found:
        way = found[WALL]
        plain = 0.0
        for name, of in questions(contractor).items():
            middle, most = await cost(way, of(tenant), rounds)
            plain = plain or middle
            table.add_row(name, f"{middle:.2f}", f"{most:.2f}", f"{middle / plain:.1f}")
            err.print(name, round(middle, 2))
    return table


class Largest(NamedTuple):
    """The NOC with the most ECOs, of all, and the contractor who gets the most of them."""

    noc: UUID
    contractor: UUID
    ecos: int
    of: int


def largest_of(connection: psycopg.Connection[Any]) -> Largest:
    counted = connection.execute(
        "SELECT noc_id, mode() WITHIN GROUP (ORDER BY osp_id), count(*) FROM eco_views GROUP BY 1"
    ).fetchall()
    noc, contractor, ecos = max(counted, key=lambda one: one[2])
    return Largest(noc, contractor, ecos, sum(one[2] for one in counted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ecos", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--keep", type=Path, help="a folder for the database, used again if full")
    parser.add_argument("--loaded", type=Path, help="the data folder that strike load has filled")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres(given.loaded or given.keep or Path(folder)) as server,
    ):
        url = server.url("strike") if given.loaded else server.url()
        prepare(url)
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT EXISTS (SELECT FROM eco_map)").fetchone()
            if not row or not row[0]:
                fill(url, given.ecos)
            largest = largest_of(connection)
        table = asyncio.run(measure(url, largest.noc, largest.contractor, given.rounds))
    table.title = f"The largest NOC: {largest.ecos:,} of {largest.of:,} ECOs"
    Console().print(table)


if __name__ == "__main__":
    main()
