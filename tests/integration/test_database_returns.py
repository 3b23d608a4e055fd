"""Commands on what is no event, when the server ends the very connection that they are on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from strike_adapters.postgres import pools
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.queries import open_async_pool
from strike_adapters.postgres.registry import PostgresRecords, PostgresRegistry
from strike_adapters.secrets import SecretBox
from strike_domain.errors import OutcomeUnknown, StrikeError, Unavailable
from strike_domain.geometry import parse_location
from strike_domain.ports import Opening
from tests.integration.stored import KEY, LISTS, TENANTS, eventually, execute, opened, rows
from tests.unit.given import NOC, OSP, START

PLACE = parse_location({"type": "Point", "coordinates": [-105.27, 40.01]})
YEAR = datetime(2026, 3, 1, tzinfo=UTC)


class Cut:
    """A pool that hands a good connection out, which the server ends before it is used."""

    def __init__(self, url: str, pool: Pool, times: int = 1) -> None:
        self._url, self._pool, self.left = url, pool, times

    @contextmanager
    def connection(self) -> Iterator[Connection[DictRow]]:
        with self._pool.connection() as connection:
            if self.left:
                self.left -= 1
                end(self._url, connection)
            yield connection


def end(url: str, connection: Connection[Any] | AsyncConnection[Any]) -> None:
    """As the server does when it is shut down."""
    pid = connection.info.backend_pid
    execute(url, "SELECT pg_terminate_backend(%s)", pid)
    eventually(lambda: not rows(url, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with opened(database_url) as found:
        yield found


COMMANDS: dict[str, Callable[[PostgresDirectory], object]] = {
    "tenant": lambda it: it.tenant(NOC),
    "link": lambda it: it.link(NOC, OSP),
    "has_render": lambda it: it.has_render(OSP),
    "field_terms": lambda it: it.field_terms(OSP),
    "open_job": lambda it: it.open_job(NOC, OSP, YEAR),
    "matches": lambda it: it.matches(OSP, PLACE),
    "matches_of": lambda it: it.matches_of([(OSP, PLACE), (NOC, PLACE)]),
    "get": lambda it: it.get(OSP, LISTS[0].id),
    "lists_of": lambda it: it.lists_of(OSP),
    "save_list": lambda it: it.save_list(LISTS[0]),
    "runs_ringing": lambda it: it.runs_ringing("+13035550101", START),
    "seen_by": lambda it: it.seen_by(NOC).lists_of(OSP),
}


def test_every_command_of_the_directory_is_here() -> None:
    assert {name for name in vars(PostgresDirectory) if not name.startswith("_")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_directory_is_done_on_another_connection(
    database_url: str, pool: Pool, name: str
) -> None:
    command = COMMANDS[name]
    cut = Cut(database_url, pool)
    found = command(PostgresDirectory(cut))
    assert cut.left == 0
    expected = command(PostgresDirectory(pool))
    if isinstance(found, Opening):
        # A number whose answer was lost is left out.
        assert found.job_number == "26-0001"
        found = replace(found, job_number=cast(Opening, expected).job_number)
    assert found == expected


def test_a_directory_that_stays_away_is_not_asked_for_ever(database_url: str, pool: Pool) -> None:
    with pytest.raises(psycopg.OperationalError):
        PostgresDirectory(Cut(database_url, pool, times=9)).tenant(NOC)


# What admins keep -----------------------------------------------------------------------------


def rename(registry: PostgresRegistry, name: str) -> None:
    with registry.acting_for(NOC) as records:
        records.save_tenant(TENANTS[0].model_copy(update={"name": name}))


def name_of(url: str) -> str:
    return str(rows(url, "SELECT name FROM tenants WHERE id = %s", NOC)[0]["name"])


def test_an_admins_command_without_a_database_says_that_nothing_was_stored(
    database_url: str, pool: Pool
) -> None:
    cut: Any = Cut(database_url, pool)
    registry = PostgresRegistry(cut, SecretBox(KEY))
    with pytest.raises(Unavailable, match="nothing was stored") as raised:
        rename(registry, "Another")
    assert raised.value.code == "DATABASE_UNAVAILABLE" and raised.value.can_retry
    assert name_of(database_url) == TENANTS[0].name
    rename(registry, "Another")
    assert name_of(database_url) == "Another"


def test_an_admins_command_that_lost_its_answer_says_that_nobody_knows(
    database_url: str, pool: Pool
) -> None:
    registry = PostgresRegistry(pool, SecretBox(KEY))

    def lose_answer() -> None:
        with registry.acting_for(NOC) as records:
            records.save_tenant(TENANTS[0].model_copy(update={"name": str(uuid4())}))
            assert isinstance(records, PostgresRecords)
            end(database_url, records._connection)

    with pytest.raises(OutcomeUnknown, match="Look whether"):
        lose_answer()


def test_what_is_wrong_with_the_command_is_still_told_as_that(
    database_url: str, pool: Pool
) -> None:
    registry = PostgresRegistry(pool, SecretBox(KEY))
    with pytest.raises(StrikeError) as raised, registry.acting_for(NOC) as records:
        records.save_tenant(TENANTS[1].model_copy(update={"name": "Not mine"}))
    assert raised.value.code in ("NOT_FOUND", "CONFLICT")


async def test_a_question_never_meets_a_connection_that_was_ended_a_moment_ago(
    database_url: str,
) -> None:
    """It was found in order so lately that the pool asks only whether the server has said so."""
    pool = open_async_pool(database_url, size=1)
    async with pool:
        for _ in range(3):
            async with pool.connection() as connection:
                await connection.execute("SELECT 1")
            end(database_url, connection)
    assert pool.get_stats()["connections_lost"] == 2


async def test_a_connection_that_was_checked_a_moment_ago_is_not_checked_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = 0
    check = AsyncConnectionPool.check_connection

    async def counted(connection: AsyncConnection[Any]) -> None:
        nonlocal checks
        checks += 1
        await check(connection)

    monkeypatch.setattr(AsyncConnectionPool, "check_connection", staticmethod(counted))
    monkeypatch.setattr(pools, "FRESH_SECONDS", 1_000)
    async with open_async_pool(database_url, size=1) as pool:
        for _ in range(5):
            async with pool.connection():
                pass
    assert checks == 1
