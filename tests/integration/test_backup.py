"""A backup taken while everything runs goes on elsewhere, without a gap and without a repeat."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.embedded.programs import program
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.queries import open_async_pool
from strike_adapters.postgres.row_security import TENANT_ROLE
from strike_adapters.postgres.tenancy import rows_of
from strike_app.bootstrap import Strike, open_strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID, NOCS, _id
from strike_domain import Actor, EcoOrder, Role, Side
from tests.integration.stored import (
    Running,
    eventually,
    follow,
    forget,
    is_caught_up,
    rows,
    table,
    tables_of,
)

OPERATOR = Actor(name="nina", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)
ORDER = EcoOrder(
    osp_id=CONTRACTORS[0].id,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="Cut",
)
POSITION = "SELECT max(notification_id) AS position FROM strike_events"
LINES = "SELECT count(*) AS n, count(DISTINCT position) AS different FROM eco_timeline"
EVENTS = "SELECT count(*) AS n FROM strike_events"


def create(strike: Strike) -> UUID:
    return strike.callouts().create_eco(ORDER, OPERATOR).aggregate.id


@contextmanager
def busy(strike: Strike) -> Iterator[None]:
    """Callouts are created all the time."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            create(strike)

    with ThreadPoolExecutor(3) as threads:
        going = [threads.submit(go_on) for _ in range(3)]
        try:
            yield
        finally:
            stop.set()
    for one in going:
        one.result()


def dump(url: str, file: Path) -> None:
    subprocess.run([program("pg_dump"), "-Fc", "-f", file, url], check=True, timeout=60)


def restore(file: Path, server: EmbeddedServer) -> str:
    """As docs/backup.md says."""
    server.ensure_database("restored")
    with psycopg.connect(server.url(), autocommit=True) as boss:
        boss.execute(f"CREATE ROLE {TENANT_ROLE} NOLOGIN NOINHERIT".encode())
    url = server.url("restored")
    command: list[str | Path] = [program("pg_restore"), "--exit-on-error", "--no-owner"]
    subprocess.run([*command, "-d", url, file], check=True, timeout=60)
    return url


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with embedded_postgres(tmp_path / "elsewhere") as server:
        yield server


def test_a_backup_taken_under_load_goes_on_in_another_cluster(
    strike: Strike, followers: None, elsewhere: EmbeddedServer, tmp_path: Path
) -> None:
    file = tmp_path / "strike.dump"
    for _ in range(20):
        create(strike)
    with busy(strike):
        dump(strike.url, file)
    url = restore(file, elsewhere)
    saved = rows(url, EVENTS)[0]["n"]
    assert 20 <= saved < rows(strike.url, EVENTS)[0]["n"], "Otherwise nothing went on meanwhile."

    settings = strike.settings.model_copy(update={"database_url": url})
    with open_strike(settings) as restored:
        with Running(*restored.followers()):
            before = rows(url, POSITION)[0]["position"]
            later = create(restored)
            eventually(lambda: is_caught_up(url))
        assert restored.log.eco(later).job_number not in numbers_before(url, later)
        assert rows(url, POSITION)[0]["position"] > before
        account = restored.accounts.for_noc(NOC_ID)
        assert account and account == strike.accounts.for_noc(NOC_ID), "Secrets open."
    told = rows(url, LINES)[0]
    assert told["n"] == told["different"] == rows(url, EVENTS)[0]["n"]
    assert_views_equal_a_rebuild(url)
    assert asyncio.run(seen_by(url, NOC_ID)) > 20
    assert asyncio.run(seen_by(url, _id(NOCS[1]))) == 0, "The second wall came along."


def numbers_before(url: str, but: UUID) -> set[str]:
    found = rows(url, "SELECT job_number FROM eco_views WHERE eco_id <> %s", but)
    return {row["job_number"] for row in found}


def assert_views_equal_a_rebuild(url: str) -> None:
    for view in VIEWS:
        before = {name: table(url, name) for name in tables_of(view)}
        forget(url, view)
        follow(url, view)
        assert {name: table(url, name) for name in tables_of(view)} == before


async def seen_by(url: str, tenant_id: UUID) -> int:
    pool = open_async_pool(url, size=1, for_tenants=True)
    async with pool, pool.connection() as connection:
        found = await rows_of(connection, tenant_id, "SELECT eco_id FROM eco_views", {})
    return len(found)
