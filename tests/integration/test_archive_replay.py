"""Callouts that are over go into the archive, and everything is told from the log as before."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from rich.console import Console
from typer.testing import CliRunner, Result

from strike_adapters.embedded import EmbeddedServer
from strike_adapters.jetstream.reader import LogReader
from strike_adapters.postgres.archive import closed
from strike_adapters.postgres.archive.closed import Archiving, Told, passed_by_all
from strike_adapters.postgres.archive.moving import Archive, Moved
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.overview import latest_audits
from strike_adapters.postgres.past import past_of
from strike_adapters.postgres.plain import plain_events
from strike_adapters.postgres.rebuild import rebuild
from strike_adapters.postgres.row_security import TENANT_ROLE
from strike_adapters.postgres.sessions import named
from strike_app import archive as command
from strike_app.cli import app
from strike_app.evidence import collect, pack
from strike_domain import Side, StrikeLog
from strike_domain.errors import NotFound, Rejected
from tests.integration.stored import (
    StoredNight,
    execute,
    follow,
    forget,
    rows,
    stored_night,
    write_key,
)
from tests.integration.stories import tell_all
from tests.integration.test_rebuild import everything, quietly
from tests.unit.given import NOC, OPERATOR, OSP, START

AGE, DAY = timedelta(days=90), 86_400.0

ECOS = "SELECT eco_id, status FROM eco_views ORDER BY created_at, eco_id"


@pytest.fixture(scope="module")
def told(postgres: EmbeddedServer) -> Iterator[float]:
    """A database in which every story was told and followed; how many seconds that took."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE told TEMPLATE prepared")
    with stored_night(postgres.url("told")) as night:
        tell_all(night)
        follow(night.url)
        took = (night.clock.now() - START).total_seconds()
    yield took
    postgres.drop_database("told")


@pytest.fixture
def night(
    told: float, postgres: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StoredNight]:
    """A copy of it as it then was, and the settings that lead to it."""
    name = f"told_{tmp_path.name}"[:60]
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE told").format(Identifier(name)))
    url = named(postgres.url(name))
    monkeypatch.setenv("STRIKE_DATABASE_URL", url)
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(write_key(tmp_path)))
    with open_pool(url) as pool:
        copied = StoredNight(url, pool)
        copied.clock.advance(told)
        try:
            yield copied
        finally:
            copied.strike.process.close()
            copied.strike.log.close()
    postgres.drop_database(name)


def archive_all(night: StoredNight, limit: int | None = None, days: int = 91) -> Moved:
    """What was over by the end of the stories, some days later."""
    now = night.clock.now() + timedelta(days=days)
    return Archiving(night.strike.log, night.pool).run(now - AGE, now, limit, lambda _: None)


def over(night: StoredNight) -> set[Any]:
    return {
        one["eco_id"] for one in rows(night.url, ECOS) if one["status"] in ("CLOSED", "CANCELLED")
    }


def archived(night: StoredNight) -> set[Any]:
    query = "SELECT DISTINCT callout_id AS id FROM strike_events_archived_streams"
    return {one["id"] for one in rows(night.url, query)}


def told_from_the_log(night: StoredNight) -> dict[str, Any]:
    """Whatever is made from events and not from rows."""
    log, ids = night.strike.log, [one["eco_id"] for one in rows(night.url, ECOS)]
    who: dict[str, Any] = {
        "at": night.clock.now(),
        "by": "nina",
        "companies": {NOC: "Nordlicht", OSP: "Splice"},
    }
    reader = LogReader(log)
    return {
        "evidence": [
            pack(collect(log, one, side=side, **who).parts) for one in ids for side in Side
        ],
        "export": list(plain_events(log, 0, log.position())),
        "stream": reader.read(0, 1_000_000, 10**6),
        "ids": [reader.event_id_at(position) for position in range(1, log.position() + 1)],
        "as of": [past_of(log.histories([one])[one], night.clock.now()) for one in ids],
        "aggregates": [repr(log.eco(one).__dict__) for one in ids],
        "position": log.position(),
    }


def test_everything_is_told_as_before(night: StoredNight, monkeypatch: pytest.MonkeyPatch) -> None:
    views, told = everything(night.url), told_from_the_log(night)
    moved = archive_all(night)
    assert archived(night) == over(night)
    assert moved.callouts == len(over(night)) > 3 and moved.streams > moved.callouts
    assert told_from_the_log(night) == told
    rebuild(night.url, VIEWS, quietly, processes=1)
    assert everything(night.url) == views
    monkeypatch.setattr("strike_adapters.postgres.rebuild.MANY", 0)
    rebuild(night.url, VIEWS, quietly, processes=2)
    assert everything(night.url) == views
    with StrikeLog(night.strike.log.env) as nobody_knows_yet:
        ids = [one["eco_id"] for one in rows(night.url, ECOS)]
        assert [repr(nobody_knows_yet.eco(one).__dict__) for one in ids] == told["aggregates"]


def test_a_follower_that_begins_anew_reads_the_archive(night: StoredNight) -> None:
    views = everything(night.url)
    archive_all(night)
    for view in VIEWS:
        forget(night.url, view)
    follow(night.url)
    assert everything(night.url) == views


def test_no_more_lies_in_the_live_table_than_what_is_not_over(night: StoredNight) -> None:
    log = night.strike.log
    end = log.position()
    archive_all(night)
    left = {one["id"] for one in rows(night.url, "SELECT originator_id AS id FROM strike_events")}
    gone = set()
    for records in log.records(over(night)).values():
        gone |= {one.originator_id for one in records}
    assert not left & gone
    assert left | gone == {
        one.originator_id for one in log.recorder.select_notifications(1, end + 1)
    }


def test_what_was_touched_lately_stays_with_its_runs(night: StoredNight) -> None:
    long_over = over(night)
    ours = min(long_over)
    night.clock.advance(50 * DAY)
    night.strike.callouts.add_note(ours, "The report is filed.", OPERATOR)
    night.after(1)
    follow(night.url)
    archive_all(night, days=89)
    assert archived(night) == long_over - {ours}
    archive_all(night)
    assert archived(night) == over(night) >= long_over


def test_what_a_follower_has_not_taken_in_stays(night: StoredNight) -> None:
    with psycopg.connect(night.url, row_factory=psycopg.rows.dict_row) as connection:
        assert passed_by_all(connection).position == night.strike.log.position()
    first = min(rows(night.url, ECOS), key=lambda one: one["eco_id"] not in over(night))["eco_id"]
    end = night.strike.log.records([first])[first][-1].id
    execute(night.url, "UPDATE eco_map_tracking SET notification_id = %s", end)
    before = archive_all(night).callouts
    assert first in archived(night) and before < len(over(night))
    execute(night.url, "UPDATE eco_map_tracking SET notification_id = %s", 10**6)
    execute(night.url, "INSERT INTO publisher_positions VALUES ('nats', 1)")
    assert archive_all(night).callouts == 0
    execute(night.url, "UPDATE publisher_positions SET position = %s", 10**6)
    archive_all(night)
    assert archived(night) == over(night)


def test_life_goes_on_with_what_is_archived(night: StoredNight) -> None:
    archive_all(night)
    ours = min(over(night))
    before = night.strike.log.eco(ours).version
    night.strike.callouts.add_note(ours, "Somebody has asked.", OPERATOR)
    follow(night.url)
    [row] = rows(night.url, "SELECT version FROM eco_views WHERE eco_id = %s", ours)
    assert row["version"] == before + 1
    night.after(1)
    archive_all(night)
    with pytest.raises(NotFound):
        Archive(night.strike.log.recorder).restore(NOC)  # type: ignore[arg-type]
    [kept] = rows(
        night.url,
        "SELECT last_version AS n FROM strike_events_archived_streams WHERE originator_id = %s",
        ours,
    )
    assert kept["n"] == before + 1


def test_an_order_that_comes_again_finds_the_archived_eco(night: StoredNight) -> None:
    archive_all(night)
    count = len(rows(night.url, ECOS))
    again = night.create(client_reference="cancelled")
    assert again.eco_id in archived(night)
    follow(night.url)
    assert len(rows(night.url, ECOS)) == count


def test_months_that_come_later_are_out_of_a_tenants_reach(night: StoredNight) -> None:
    archive_all(night)
    months = "SELECT relname AS name FROM pg_class WHERE relispartition AND relkind = 'r'"
    found = [one["name"] for one in rows(night.url, months)]
    assert found == ["strike_events_archived_2026_01"]
    with psycopg.connect(night.url, autocommit=True) as connection:
        connection.execute(SQL("SET ROLE {}").format(Identifier(TENANT_ROLE)))
        for name in found:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(SQL("SELECT 1 FROM {}").format(Identifier(name)))


# On the command line ---------------------------------------------------------------------------


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def shown(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_it_is_moved_told_and_brought_back(night: StoredNight, tmp_path: Path) -> None:
    ours = night.strike.log.eco(min(over(night)))
    file = str(tmp_path / "cut.zip")
    run("evidence", "export", str(ours.id), file)
    before = shown("archive", "status")
    assert before["months"] == [] and before["live"]["events"] == night.strike.log.position()
    first = shown("archive", "run", "--older-than", "1h", "--limit", "2")
    assert (first["callouts"], first["interrupted"]) == (2, False)
    rest = shown("archive", "run", "--older-than", "1h")
    assert first["callouts"] + rest["callouts"] == len(over(night))
    status = shown("archive", "status")
    [month] = status["months"]
    assert month["month"] == "2026-01" and month["callouts"] == len(over(night))
    assert month["events"] + status["live"]["events"] == before["live"]["events"]
    assert month["events"] == first["events"] + rest["events"]
    assert shown("verify", file, "--against")["holds"]
    back = shown("archive", "restore", str(ours.id))
    assert back["events"] > 0 and ours.id not in archived(night)
    assert isinstance(run("archive", "restore", str(ours.id)).exception, NotFound)
    compacted = shown("archive", "compact")
    assert compacted["bytes_after"] <= compacted["bytes_before"]
    assert shown("verify", file, "--against")["holds"]
    audits = [one.action for one in latest_audits(night.pool, None, 10)]
    assert audits == ["archive.compact", "archive.restore", "archive.run", "archive.run"]
    assert "2026-01" in run("archive", "status").stdout


def test_nothing_is_moved_while_somebody_may_not_know_of_the_archive(night: StoredNight) -> None:
    nameless = night.url.partition("&fallback")[0]
    with psycopg.connect(nameless) as older:
        refused = run("archive", "run", "--older-than", "1h").exception
        assert isinstance(refused, Rejected) and refused.code == "OLDER_STRIKE_CONNECTED"
        assert f"pid {older.info.backend_pid}" in refused.message
        assert archived(night) == set()
    with psycopg.connect(nameless, application_name="psql"):
        run("archive", "run", "--older-than", "1h", "--limit", "1")
    assert len(archived(night)) == 1


def test_nothing_to_do_says_who_is_last(night: StoredNight) -> None:
    assert "Nothing is over for 500w" in run("archive", "run", "--older-than", "500w").stdout


@pytest.mark.parametrize("age", ["90", "d", "-1d", "1.5d", "90 days", ""])
def test_what_is_no_age_is_refused(age: str) -> None:
    with pytest.raises(Rejected):
        command.age_of(age)


def test_an_interrupted_run_is_noted_and_gone_on_with(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed, "BATCH", 1)
    move, calls = Archive.move, []

    def interrupt(*args: Any) -> Moved:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return move(*args)

    monkeypatch.setattr(Archive, "move", interrupt)
    said = io.StringIO()
    console = Console(file=said, width=120, force_terminal=True)
    assert command.run_archive("1h", None, as_json=True, console=console) == 130
    assert len(archived(night)) == 2 and "callouts" in said.getvalue()
    [audit] = latest_audits(night.pool, None, 10)
    assert audit.after is not None and audit.after["callouts"] == 2
    assert command.run_archive("1h", None, as_json=True, console=console) == 0
    assert archived(night) == over(night)


def test_a_run_tells_how_far_it_is(night: StoredNight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "BATCH", 2)
    told: list[Told] = []
    now = night.clock.now() + 2 * AGE
    moved = Archiving(night.strike.log, night.pool).run(now - AGE, now, 3, told.append)
    assert [(one.done, one.found) for one in told] == [(0, 3), (2, 3), (3, 3)]
    assert told[-1].moved == moved and moved.callouts == 3 and moved.seconds > 0
