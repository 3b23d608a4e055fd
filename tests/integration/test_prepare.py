"""Two versions of Strike prepare one database while one takes the other's place."""

from __future__ import annotations

from strike_adapters.postgres.prepare import prepare
from tests.integration.stored import execute, rows

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
