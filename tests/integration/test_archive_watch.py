"""Whoever runs Strike is told how the archive fares: by metrics, by the doctor, by its status."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from strike_adapters.postgres.archive.closed import Archiving
from strike_adapters.postgres.archive.moving import Archive
from strike_adapters.postgres.archive.runs import noted
from strike_adapters.postgres.follower_states import EventFailed
from strike_adapters.postgres.sessions import named, unnamed
from strike_app.archive_watch import ArchiveReporter, archive_status
from strike_app.bootstrap import Strike
from strike_app.cli import app
from strike_app.doctor import Finding, Verdict, examine_archive
from strike_app.metrics import Metrics
from tests.integration.stored import execute, rows
from tests.integration.test_backup import cancelled

pytestmark = pytest.mark.usefixtures("followers")

AGE = timedelta(0)


def archive(strike: Strike, limit: int | None = None) -> None:
    """What has been over for no time at all."""
    now = strike.clock.now()
    Archiving(strike.log, strike.pool).run(now - AGE, now, limit, lambda _: None)


def measured(strike: Strike) -> dict[str, float]:
    """The gauges, as one look of the reporter leaves them."""
    registry, stop = CollectorRegistry(), Once()
    ArchiveReporter(strike, Metrics(registry)).run(stop)
    names = ("ecos", "events", "ready_ecos", "run_timestamp_seconds", "failing")
    found = {one: registry.get_sample_value(f"strike_archive_{one}") for one in names}
    return {name: value for name, value in found.items() if value is not None}


class Once(threading.Event):
    """Is set by whoever first waits for it."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def told(strike: Strike) -> list[tuple[Verdict, str]]:
    found: list[Finding] = [*examine_archive(strike)]
    assert all(one.what == "archive" and bool(one.cure) != (one.verdict == "ok") for one in found)
    return [(one.verdict, one.said) for one in found]


def status(strike: Strike) -> Any:
    settings = strike.settings
    env = {
        "STRIKE_DATABASE_URL": settings.database_url,
        "STRIKE_SECRETS_KEY_FILE": str(settings.secrets_key_file),
    }
    plain = CliRunner().invoke(app, ["archive", "status"], env=env)
    result = CliRunner().invoke(app, ["archive", "status", "--json"], env=env)
    assert result.exit_code == plain.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout) | {"plain": plain.stdout}


def test_who_never_archives_hears_nothing_of_it(strike: Strike) -> None:
    cancelled(strike, 1)
    assert told(strike) == []
    assert set(measured(strike).values()) == {0}
    found = status(strike)
    assert found["last_run"] is None and found["ready_ecos"] is None


def test_what_is_archived_and_what_could_be_is_counted(strike: Strike) -> None:
    cancelled(strike, 3)
    archive(strike, limit=2)
    [kept] = rows(strike.url, "SELECT count(*) AS n FROM strike_events_archived")
    [began] = rows(
        strike.url, "SELECT extract(epoch FROM began_at)::float8 AS at FROM archive_runs"
    )
    found = measured(strike)
    assert 0 <= found.pop("run_timestamp_seconds") - began["at"] < 60
    assert found == {"ecos": 2, "events": kept["n"], "ready_ecos": 1, "failing": 0}
    assert told(strike) == [(Verdict.OK, "2 ECOs archived, 1 ECO more could be.")]
    said = status(strike)
    assert said["ready_ecos"] == 1 and said["last_run"]["error"] is None
    assert "1 ECO more could be archived." in said["plain"] and "has ended" in said["plain"]
    archive(strike)
    assert measured(strike)["ready_ecos"] == 0


def test_an_event_that_cannot_be_read_stops_the_runs_and_is_named(strike: Strike) -> None:
    broken, _ = cancelled(strike, 2)
    [event] = rows(
        strike.url,
        "SELECT notification_id AS position, state FROM strike_events WHERE originator_id = %s "
        "ORDER BY 1 DESC LIMIT 1",
        broken,
    )
    change = "UPDATE strike_events SET state = %s WHERE notification_id = %s"
    execute(strike.url, change, b"nonsense", event["position"])
    for _ in range(2):
        with pytest.raises(EventFailed, match=f"position {event['position']} cannot be processed"):
            archive(strike)
    assert measured(strike)["failing"] == 1
    [(verdict, said)] = told(strike)
    assert verdict is Verdict.WRONG and f"position {event['position']}" in said
    assert "has failed" in status(strike)["plain"]
    execute(strike.url, change, event["state"], event["position"])
    archive(strike)
    assert measured(strike)["failing"] == 0
    assert [one for one, _ in told(strike)] == [Verdict.OK]


def test_a_run_that_goes_on_is_no_run_that_died(strike: Strike) -> None:
    archive(strike)
    dying = noted(strike.pool, AGE)
    with Archive(strike.log.recorder).alone():  # type: ignore[arg-type]
        dying.__enter__()
        assert measured(strike)["failing"] == 0
        [(verdict, said)] = told(strike)
        assert verdict is Verdict.OK and "moves events since" in said
        assert status(strike)["last_run"]["is_going_on"]
    assert measured(strike)["failing"] == 1
    [(verdict, said)] = told(strike)
    assert verdict is Verdict.WARNING and "has never ended" in said
    assert status(strike)["last_run"]["was_cut_off"]
    archive(strike)
    assert measured(strike)["failing"] == 0


def test_who_interrupts_a_run_need_not_be_told(strike: Strike) -> None:
    with suppress(KeyboardInterrupt), noted(strike.pool, AGE):
        raise KeyboardInterrupt
    found = measured(strike)
    assert (found["failing"], found["run_timestamp_seconds"]) == (0, 0)
    assert archive_status(strike).last is not None


def test_somebody_who_has_not_run_it_for_long_is_reminded_if_there_is_anything_to_do(
    strike: Strike,
) -> None:
    cancelled(strike, 1)
    archive(strike)
    execute(strike.url, "UPDATE archive_runs SET done_at = done_at - interval '31 days'")
    assert [one for one, _ in told(strike)] == [Verdict.OK]
    cancelled(strike, 1)
    [(verdict, said)] = told(strike)
    assert verdict is Verdict.WARNING and said.startswith("1 ECO could be archived; no run since")


def test_who_may_not_see_what_is_archived_is_told(strike: Strike, database_url: str) -> None:
    cancelled(strike, 1)
    with psycopg.connect(database_url):
        archive(strike, limit=0)
        assert [one for one, _ in told(strike)] == [Verdict.OK]
        archive(strike)
        [_, (verdict, said)] = told(strike)
        assert verdict is Verdict.WARNING and said.startswith("1 session of the database")
    assert [one for one, _ in told(strike)] == [Verdict.OK]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a@b/c", "strike"),
        ("postgresql://a@b/c?", "strike"),
        ("postgresql://a@/c?host=%2Ftmp", "strike"),
        ("host=/tmp dbname=c", "strike"),
        ("postgresql://a@b/c?application_name=mine", "mine"),
    ],
)
def test_a_session_says_whose_it_is_unless_it_has_a_name(url: str, expected: str) -> None:
    found = conninfo_to_dict(named(url))
    assert found.get("application_name", found["fallback_application_name"]) == expected
    before = conninfo_to_dict(url)
    assert {key: found[key] for key in before} == before


def test_every_session_of_strike_has_a_name(strike: Strike) -> None:
    with strike.pool.connection() as connection:
        assert unnamed(connection) == []
    found = rows(
        strike.url,
        "SELECT application_name AS n FROM pg_stat_activity WHERE datname = "
        "current_database() AND backend_type = 'client backend'",
    )
    assert len(found) > 5 and {one["n"] for one in found} == {"strike"}


def test_without_the_database_the_reporter_goes_on(strike: Strike) -> None:
    lost = replace(strike, pool=None)  # type: ignore[arg-type]
    assert set(measured(lost).values()) == {0}
