"""The way out: what `strike export` writes can be read without Strike, and is all of it."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from typer.testing import CliRunner, Result

from strike_adapters.postgres import plain
from strike_app.cli import app
from strike_domain.errors import Rejected
from tests.integration.stored import StoredNight, follow, stored_night, write_key
from tests.integration.stories import the_second_accepts_and_the_crew_repairs

COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name = ANY(%s)
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["export", *words])


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture
def night(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StoredNight]:
    """A callout from the cut to its end, and the settings that lead to it."""
    monkeypatch.setenv("STRIKE_DATABASE_URL", database_url)
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(write_key(tmp_path)))
    monkeypatch.setattr(plain, "AT_ONCE", 3)  # So that the log is read in several steps.
    with stored_night(database_url) as told:
        the_second_accepts_and_the_crew_repairs(told)
        follow(database_url)
        yield told


def test_events_and_tables_are_all_there_as_plain_csv(
    night: StoredNight, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    result = run(str(folder))
    assert result.exit_code == 0, result.exception
    events = rows(folder / "events.csv")
    end = night.strike.log.position()
    assert [int(one["position"]) for one in events] == list(range(1, end + 1))
    assert f"{len(events)} events and {len(plain.TABLES)} tables" in " ".join(result.stdout.split())
    accepted = next(one for one in events if one["event"] == "strike.eco.responder-assigned")
    assert json.loads(accepted["fields"])["responder"]["name"] == "Ana"
    [eco] = [one for one in rows(folder / "eco_views.csv") if one["eco_id"] == str(night.eco_id)]
    assert eco["job_number"] == night.eco.job_number
    with psycopg.connect(database_url) as connection:
        for name in plain.TABLES:
            found = connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(name)))
            assert found.fetchone() == (len(rows(folder / f"{name}.csv")),), name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_lines_of_json_go_on_behind_a_position(night: StoredNight) -> None:
    everything = [json.loads(line) for line in run("--json").stdout.splitlines()]
    assert len(everything) == night.strike.log.position()
    assert everything[0]["event"] == "strike.eco.created"
    assert everything[0]["fields"]["osp_id"] == str(night.eco.osp_id)
    later = run("--json", "--after", "4").stdout.splitlines()
    assert [json.loads(line) for line in later] == everything[4:]
    assert run("--json", "--after", "4711").stdout == ""


def test_no_secret_leaves_with_it(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(COLUMNS, [list(plain.TABLES)]).fetchall()
    assert {table for table, _, _ in found} == set(plain.TABLES)
    kept = ("secret", "token", "hash", "sealed")
    assert [
        (table, column)
        for table, column, kind in found
        if kind == "bytea" or any(word in column for word in kept)
    ] == []


def test_what_stands_there_already_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").touch()
    for words, code in (([str(tmp_path)], "FOLDER_NOT_EMPTY"), ([], "FOLDER_NEEDED")):
        error = run(*words).exception
        assert isinstance(error, Rejected) and error.code == code
    error = run(str(tmp_path / "mine.csv")).exception
    assert isinstance(error, Rejected) and error.code == "FOLDER_UNUSABLE"
