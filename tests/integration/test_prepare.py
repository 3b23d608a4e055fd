"""Two versions of Strike prepare one database while one takes the other's place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.row_security import WALLS, raise_walls
from tests.integration.stored import eventually, execute, is_waited_for, rows

VERSION = "SELECT version_num FROM strike_migrations"


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
        raising = threads.submit(raise_walls, preparing)
        eventually(lambda: is_waited_for(database_url, first))
        for name in others:
            reader.execute(COUNT.format(Identifier(name)))
        reader.rollback()
        raising.result()


COUNT = SQL("SELECT count(*) FROM {}")
