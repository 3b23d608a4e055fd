"""A backup taken while everything runs goes on elsewhere, without a gap and without a repeat."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.embedded.programs import program
from strike_adapters.postgres.archive import moving
from strike_adapters.postgres.archive.closed import Archiving
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.queries import open_async_pool
from strike_adapters.postgres.row_security import TENANT_ROLE
from strike_adapters.postgres.tenancy import rows_of
from strike_app.bootstrap import Strike, open_strike
from strike_app.cli import app
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
EVENTS = "SELECT count(*) AS n FROM strike_events_everything"
ARCHIVED = "SELECT DISTINCT callout_id AS id FROM strike_events_archived_streams"
IN_THE_MIDDLE = 4_711
"""Key of an advisory lock: whoever holds it, keeps a batch from being committed."""
BATCH_WAITS = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
DUMP_WAITS = "SELECT 1 FROM pg_locks WHERE relation = 'audits'::regclass AND NOT granted"


def create(strike: Strike) -> UUID:
    return strike.callouts().create_eco(ORDER, OPERATOR).aggregate.id


def cancelled(strike: Strike, count: int) -> list[UUID]:
    """ECOs that are over, as every follower knows."""
    found = [create(strike) for _ in range(count)]
    for eco_id in found:
        strike.callouts().cancel_eco(eco_id, "It was nothing.", OPERATOR)
    eventually(lambda: is_caught_up(strike.url))
    return found


def archive(strike: Strike, limit: int | None = None) -> None:
    """All that is over by now, or the first of it."""
    now = strike.clock.now() + timedelta(hours=1)
    Archiving(strike.log, strike.pool).run(now, now, limit, lambda _: None)


def archived(url: str) -> set[UUID]:
    return {one["id"] for one in rows(url, ARCHIVED)}


def everything(strike: Strike) -> Sequence[Any]:
    """The whole log, wherever its events lie."""
    return strike.log.recorder.select_notifications(None, 1_000_000)


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


def shown(strike: Strike, *words: str) -> Any:
    """What a command says of that database."""
    settings = strike.settings
    env = {
        "STRIKE_DATABASE_URL": settings.database_url,
        "STRIKE_SECRETS_KEY_FILE": str(settings.secrets_key_file),
    }
    result = CliRunner().invoke(app, [*words, "--json"], env=env)
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_a_backup_taken_under_load_goes_on_in_another_cluster(
    strike: Strike, followers: None, elsewhere: EmbeddedServer, tmp_path: Path
) -> None:
    file, bundle = tmp_path / "strike.dump", str(tmp_path / "over.zip")
    over = cancelled(strike, 3)
    archive(strike)
    assert archived(strike.url) == {*over}
    shown(strike, "evidence", "export", str(over[0]), bundle)
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
        assert [restored.log.eco(one) for one in over] == [strike.log.eco(one) for one in over]
    told = rows(url, LINES)[0]
    assert told["n"] == told["different"] == rows(url, EVENTS)[0]["n"]
    assert_views_equal_a_rebuild(url)
    assert asyncio.run(seen_by(url, NOC_ID)) > 20
    assert asyncio.run(seen_by(url, _id(NOCS[1]))) == 0, "The second wall came along."
    assert_the_archive_works(replace(strike, settings=settings), over, bundle)


def assert_the_archive_works(strike: Strike, over: Sequence[UUID], bundle: str) -> None:
    """Commands on it go on as they would have where it was dumped."""
    assert shown(strike, "verify", bundle, "--against")["holds"]
    before = shown(strike, "archive", "status")
    assert sum(one["callouts"] for one in before["months"]) == len(over)
    back = shown(strike, "archive", "restore", str(over[0]))
    url = str(strike.settings.database_url)
    assert back["events"] > 1 and archived(url) == {*over[1:]}
    live = shown(strike, "archive", "status")["live"]["events"]
    assert live == before["live"]["events"] + back["events"]
    assert shown(strike, "verify", bundle, "--against")["holds"]
    with open_strike(strike.settings) as opened:
        opened.callouts().add_note(over[1], "Somebody has asked.", OPERATOR)
        with Running(*opened.followers()):
            eventually(lambda: is_caught_up(url))
        archive(opened)
    assert archived(url) == {*over}


def test_a_backup_taken_in_the_middle_of_an_archive_run_has_each_event_once(
    strike: Strike,
    followers: None,
    elsewhere: EmbeddedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dump looks while a batch is half done, and reads the tables when the run is over."""
    file = tmp_path / "strike.dump"
    over = cancelled(strike, 5)
    archive(strike, limit=2)
    before, first = everything(strike), archived(strike.url)
    gone = f"WITH gone AS ({moving.DELETE} RETURNING 1)"
    waits = f"{gone} SELECT count(*), pg_advisory_xact_lock({IN_THE_MIDDLE}) FROM gone"  # noqa: S608
    monkeypatch.setattr(moving, "DELETE", waits)
    with (
        psycopg.connect(strike.url) as table_held,
        psycopg.connect(strike.url) as batch_held,
        ThreadPoolExecutor(2) as threads,
    ):
        batch_held.execute("SELECT pg_advisory_lock(%s)", (IN_THE_MIDDLE,))
        running = threads.submit(archive, strike)
        eventually(lambda: rows(strike.url, BATCH_WAITS))
        table_held.execute("LOCK TABLE audits")
        dumping = threads.submit(dump, strike.url, file)
        eventually(lambda: rows(strike.url, DUMP_WAITS))
        batch_held.execute("SELECT pg_advisory_unlock(%s)", (IN_THE_MIDDLE,))
        running.result()
        assert archived(strike.url) == {*over}
        table_held.rollback()
        dumping.result()
    monkeypatch.undo()
    url = restore(file, elsewhere)
    assert archived(url) == first
    settings = strike.settings.model_copy(update={"database_url": url})
    with open_strike(settings) as restored:
        assert everything(restored) == before
        archive(restored)
        assert archived(url) == {*over}
        assert everything(restored) == before
        back = create(restored)
        assert everything(restored)[: len(before)] == before
        assert restored.log.eco(back).version == 1


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
