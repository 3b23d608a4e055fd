"""The port `Directory`: in memory and in PostgreSQL, what a new ECO takes from it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_domain import Directory, Link, LinkStatus, MemoryDirectory, Side, Tenant
from strike_domain.eco import PagingPolicy

NOC, OSP, OTHER, PENDING, STRANGER = (UUID(int=number) for number in range(1, 6))
AT = datetime(2026, 6, 1, tzinfo=UTC)
LINKS = (
    Link(noc_id=NOC, osp_id=OSP, status=LinkStatus.ACTIVE, paging_policy=PagingPolicy.MANUAL),
    Link(noc_id=NOC, osp_id=OTHER, status=LinkStatus.ACTIVE),
    Link(noc_id=NOC, osp_id=PENDING, status=LinkStatus.PENDING),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_postgres(tmp_path_factory.mktemp("directory")) as server:
        prepare(server.url())
        with open_pool(server.url()) as pool:
            save_tenant(pool, Tenant(id=NOC, name="NOC", side=Side.NOC))
            for osp_id in (OSP, OTHER, PENDING):
                save_tenant(pool, Tenant(id=osp_id, name=str(osp_id), side=Side.OSP))
            for one in LINKS:
                save_link(pool, one)
        yield server.url()


@pytest.fixture(params=["memory", "PostgreSQL"])
def directory(request: pytest.FixtureRequest) -> Iterator[Directory]:
    if request.param == "memory":
        memory = MemoryDirectory()
        memory.add(*LINKS)
        yield memory
        return
    with open_pool(request.getfixturevalue("url")) as pool:
        with pool.connection() as connection:
            connection.execute("DELETE FROM job_sequences")
        yield PostgresDirectory(pool)


def numbers(directory: Directory, osp_id: UUID, *years: int) -> list[str | None]:
    return [directory.open_job(NOC, osp_id, AT.replace(year=one)).job_number for one in years]


def test_an_opening_tells_the_link_and_takes_the_next_number(directory: Directory) -> None:
    opening = directory.open_job(NOC, OSP, AT)
    assert (opening.link, opening.has_render, opening.job_number) == (LINKS[0], False, "26-0001")
    assert numbers(directory, OSP, 2026, 2026) == ["26-0002", "26-0003"]


def test_numbers_are_those_of_the_contractor_and_of_the_year(directory: Directory) -> None:
    assert numbers(directory, OSP, 2026, 2027, 2026) == ["26-0001", "27-0001", "26-0002"]
    assert numbers(directory, OTHER, 2026) == ["26-0001"]


def test_without_an_active_link_no_number_is_taken(directory: Directory) -> None:
    for osp_id, link in ((PENDING, LINKS[2]), (STRANGER, None)):
        opening = directory.open_job(NOC, osp_id, AT)
        assert (opening.link, opening.job_number) == (link, None)
    assert directory.open_job(uuid4(), OSP, AT).job_number is None
    assert numbers(directory, OSP, 2026) == ["26-0001"]


def test_however_many_ask_at_once_no_number_comes_twice_and_each_caller_sees_them_rise(
    url: str,
) -> None:
    """Two processes' worth of pools, so that groups of questions meet each other's locks."""
    begin = Barrier(32)

    def take(number: int) -> list[tuple[UUID, int, str | None]]:
        chance, directory = random.Random(number), directories[number % 2]
        begin.wait()
        asked = [
            (chance.choice((OSP, OTHER, PENDING, STRANGER)), chance.choice((2030, 2031)))
            for _ in range(25)
        ]
        return [(osp, year, numbers(directory, osp, year)[0]) for osp, year in asked]

    with open_pool(url) as one, open_pool(url) as two, ThreadPoolExecutor(32) as threads:
        directories = (PostgresDirectory(one), PostgresDirectory(two))
        taken = [*threads.map(take, range(32))]
    found: defaultdict[tuple[UUID, int], list[str]] = defaultdict(list)
    for each in taken:
        latest: dict[tuple[UUID, int], str] = {}
        for osp, year, number in each:
            assert (number is None) == (osp in (PENDING, STRANGER))
            if number is not None:
                assert number > latest.get((osp, year), "")
                latest[osp, year] = number
                found[osp, year].append(number)
    assert len(found) == 4
    for (_, year), mine in found.items():
        assert sorted(mine) == [f"{year % 100}-{one:04d}" for one in range(1, len(mine) + 1)]
