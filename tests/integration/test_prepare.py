"""Two versions of Strike prepare one database while one takes the other's place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres import giving_way
from strike_adapters.postgres.giving_way import TablesInUse
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.row_security import TENANT_ROLE, WALLS, walls
from tests.integration.stored import eventually, execute, is_waited_for, rows

VERSION = "SELECT version_num FROM strike_migrations"
COUNT = SQL("SELECT count(*) FROM {}")


def test_what_a_newer_version_has_migrated_is_left_as_it_is(database_url: str) -> None:
    prepare(database_url)
    execute(database_url, "UPDATE strike_migrations SET version_num = '9999'")
    execute(database_url, "DELETE FROM strike_prepared")
    prepare(database_url)
    assert rows(database_url, VERSION) == [{"version_num": "9999"}]


def test_an_older_database_is_migrated(database_url: str) -> None:
    prepare(database_url)
    (newest,) = rows(database_url, VERSION)
    assert newest["version_num"] < "9999"
    execute(database_url, "DELETE FROM strike_prepared")
    prepare(database_url)
    assert rows(database_url, VERSION) == [newest]


def test_a_reader_of_two_tables_is_not_ended_for_the_walls(database_url: str) -> None:
    """An upgrade puts the walls up anew while the version before is being used."""
    first, *others = reversed(WALLS)
    with (
        psycopg.connect(database_url) as reader,
        psycopg.connect(database_url, autocommit=True) as preparing,
        ThreadPoolExecutor(1) as threads,
    ):
        reader.execute("SET deadlock_timeout = '100ms'")
        reader.execute(COUNT.format(Identifier(first)))
        raising = threads.submit(lambda: [step() for step in walls(preparing)])
        eventually(lambda: is_waited_for(database_url, first))
        for name in others:
            reader.execute(COUNT.format(Identifier(name)))
        reader.rollback()
        raising.result()


def test_a_user_of_the_database_without_rights_also_sees_who_is_in_the_way(
    database_url: str,
) -> None:
    prepare(database_url)
    role = SQL("SET ROLE {}").format(Identifier(TENANT_ROLE))
    with psycopg.connect(database_url, application_name="nightly backup") as backup:
        backup.execute(COUNT.format(Identifier("eco_views")))
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(role)
            (found,) = giving_way.users(connection)
        pid = backup.info.backend_pid
    assert str(found) == f"process {pid} (nightly backup, user postgres) has used eco_views"


def prepared_anew(url: str) -> None:
    """As the next version does, which has other tables."""
    execute(url, "DELETE FROM strike_prepared")
    prepare(url)


LOCKED = ("pager_process_state", "render_poll_state", "eco_views", "eco_history", "users")
"""Tables that an upgrade wants for itself: at every step of another kind one at least."""


@pytest.mark.parametrize("table", LOCKED)
def test_beside_a_long_reader_an_upgrade_keeps_nobody_waiting(
    database_url: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup reads for an hour; a worker that came after the upgrade would wait as long."""
    monkeypatch.setattr(giving_way, "REST_SECONDS", 0.1)
    prepare(database_url)
    with psycopg.connect(database_url) as backup, ThreadPoolExecutor(1) as threads:
        backup.execute(COUNT.format(Identifier(table)))
        preparing = threads.submit(prepared_anew, database_url)
        for _ in range(3):
            eventually(lambda: is_waited_for(database_url, table))
            # It waits behind the upgrade, which waits behind the backup.
            with psycopg.connect(database_url, options="-c statement_timeout=5000") as worker:
                worker.execute(COUNT.format(Identifier(table)))
        assert not preparing.done()
        backup.rollback()
        preparing.result(30)
    assert rows(database_url, "SELECT count(*) AS n FROM strike_prepared") == [{"n": 1}]


def test_who_is_in_the_way_for_too_long_is_named(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "PATIENCE_SECONDS", 0.0)
    prepare(database_url)
    with psycopg.connect(database_url, application_name="nightly backup") as backup:
        backup.execute(COUNT.format(Identifier("eco_views")))
        with pytest.raises(TablesInUse) as caught:
            prepared_anew(database_url)
        pid = backup.info.backend_pid
        assert caught.value.code == "TABLES_IN_USE"
        assert f"process {pid} (nightly backup, user postgres) has used eco_views for" in str(
            caught.value
        )
    prepared_anew(database_url)


def test_what_is_told_meanwhile_is_not_part_of_the_answer(database_url: str) -> None:
    """Somebody's script reads stdout, as with `strike rebuild --json`."""
    prepare(database_url)
    execute(database_url, "DELETE FROM strike_prepared")
    with psycopg.connect(database_url, application_name="nightly backup") as backup:
        backup.execute(COUNT.format(Identifier("eco_views")))
        preparing = subprocess.Popen(
            [sys.executable, "-m", "strike_app", "prepare"],
            env={**os.environ, "STRIKE_DATABASE_URL": database_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert preparing.stderr is not None
        told = preparing.stderr.readline()
        backup.rollback()
    answer, _ = preparing.communicate(timeout=60)
    assert preparing.returncode == 0
    assert "nightly backup" in told and "in use" not in answer


@dataclass
class Watch:
    """A clock that only waiting, and what else is said to take time, moves."""

    at: float = 0.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_an_upgrade_waits_for_so_long_in_all_and_its_own_work_does_not_count(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployment's job has an end: one that waited at each table would be cut off untold."""
    watch = Watch()
    monkeypatch.setattr(giving_way, "time", watch)
    half = giving_way.PATIENCE_SECONDS / 2

    def a_step(waits: float) -> Callable[[], None]:
        ends: float | None = None

        def step() -> None:
            nonlocal ends
            ends = watch.at + waits if ends is None else ends
            if watch.at < ends:
                raise psycopg.errors.LockNotAvailable
            watch.sleep(3 * half)

        return step

    with psycopg.connect(database_url, autocommit=True) as connection:
        giving_way.give_way(connection, [a_step(half), a_step(half - 1), a_step(0)])
        with pytest.raises(TablesInUse):
            giving_way.give_way(connection, [a_step(half), a_step(half), a_step(2)])
