"""A question that names its tenant itself: seen is what is the tenant's, whatever the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from strike_adapters.embedded import EmbeddedServer
from strike_adapters.postgres.eco_lists import ecos_statement
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import open_async_pool
from strike_adapters.postgres.tenancy import rows_of
from tests.benchmarks.tenant_rows import fill, noc, osp

PLANNERS = (
    (),
    ("enable_indexscan", "enable_bitmapscan"),
    ("enable_seqscan", "enable_bitmapscan"),
    ("enable_indexscan", "enable_seqscan"),
    ("enable_nestloop", "enable_material", "enable_memoize"),
    ("enable_sort", "enable_incremental_sort"),
)
"""What the planner is kept from, to make it find other plans."""

EVERYTHING = "SELECT eco_id, noc_id, osp_id FROM eco_views"
COUNT = "SELECT count(*) AS seen FROM eco_views"
FAILS = "SELECT 1 / (count(*) - count(*)) FROM eco_views"

Test = Callable[[AsyncConnection[DictRow]], Awaitable[None]]


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedServer) -> Iterator[str]:
    postgres.ensure_database("filled")
    url = postgres.url("filled")
    prepare(url)
    fill(url, 1_500)
    yield url
    postgres.drop_database("filled")


def within(url: str, test: Test) -> None:
    async def main() -> None:
        pool = open_async_pool(url, size=1, for_tenants=True)
        async with pool, pool.connection() as connection:
            await test(connection)

    asyncio.run(main())


async def seen(connection: AsyncConnection[DictRow]) -> int:
    row = await (await connection.execute(COUNT)).fetchone()
    assert row is not None
    return int(row["seen"])


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("without", PLANNERS, ids=lambda names: " ".join(names) or "as it is")
def test_that_in_every_plan_a_tenant_sees_all_of_its_rows_and_no_other(
    filled: str, without: tuple[str, ...], mode: str
) -> None:
    own = "SELECT eco_id FROM eco_views WHERE %s IN (noc_id, osp_id)"
    newest = f"{own} ORDER BY created_at DESC, eco_id DESC LIMIT 21"

    async def test(connection: AsyncConnection[DictRow]) -> None:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        for name in without:
            await connection.execute(f"SET {name} = off")
        with psycopg.connect(filled) as owner:
            for tenant in (noc(1), osp(2), noc(50)):
                rows = await rows_of(connection, tenant, EVERYTHING, {})
                mine = owner.execute(own, (tenant,)).fetchall()
                assert sorted(row["eco_id"] for row in rows) == sorted(one for (one,) in mine)
                page = await rows_of(connection, tenant, ecos_statement(), {"limit": 21})
                first = owner.execute(newest, (tenant,)).fetchall()
                assert [row["eco_id"] for row in page] == [one for (one,) in first]

    within(filled, test)


def test_that_the_name_ends_with_the_question(filled: str) -> None:
    async def test(connection: AsyncConnection[DictRow]) -> None:
        assert await seen(connection) == 0
        assert await rows_of(connection, noc(1), EVERYTHING, {})
        assert await seen(connection) == 0

    within(filled, test)


def test_that_the_name_ends_with_a_question_that_fails(filled: str) -> None:
    async def test(connection: AsyncConnection[DictRow]) -> None:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await rows_of(connection, noc(1), FAILS, {})
        assert await seen(connection) == 0

    within(filled, test)


def test_that_a_stranger_sees_nothing(filled: str) -> None:
    async def test(connection: AsyncConnection[DictRow]) -> None:
        assert await rows_of(connection, uuid4(), EVERYTHING, {}) == []

    within(filled, test)
