"""Rebuilding a long log by processes: interrupted, killed, and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.rebuild import rebuild
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from tests.benchmarks.streams import write_log
from tests.integration.stored import eventually, rows, write_key
from tests.integration.test_followers import following, position
from tests.integration.test_rebuild import quietly

EVENTS = 60_000


@pytest.fixture
def long_log(database_url: str) -> str:
    write_log(database_url, EVENTS)
    return database_url


def counts(url: str) -> dict[str, int]:
    names = ("eco_views", "eco_timeline", "pager_run_views", "pager_calls")
    return {
        name: rows(url, f"SELECT count(*) AS rows FROM {name}")[0]["rows"]  # noqa: S608
        for name in names
    }


def events_taken_in(url: str) -> int:
    query = "SELECT coalesce(sum(events), 0)::int AS events FROM view_rebuilds WHERE view = %s"
    return int(rows(url, query, "eco_timeline")[0]["events"])


@pytest.fixture
def environment(long_log: str, tmp_path: Path) -> dict[str, str]:
    key = str(write_key(tmp_path))
    return {**os.environ, "STRIKE_DATABASE_URL": long_log, "STRIKE_SECRETS_KEY_FILE": key}


def rebuilding(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "strike_app", "rebuild", "--all", "--processes", "2"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def workers_of(pid: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if words[1] == str(pid) and words[0] != "Z":
            yield int(stat.parent.name)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_rebuild_that_was_ended_leaves_nothing_running_and_is_gone_on_with(
    long_log: str, environment: dict[str, str], number: signal.Signals
) -> None:
    first = rebuilding(environment)
    eventually(lambda: events_taken_in(long_log) > 0, 60)
    processes = [*workers_of(first.pid)]
    first.send_signal(number)
    said = first.communicate(timeout=30)[0].decode()
    assert first.returncode in (130, -signal.SIGKILL), said
    eventually(lambda: not any(Path(f"/proc/{one}").exists() for one in processes), 30)
    taken_in = events_taken_in(long_log)
    assert 0 < taken_in < EVENTS
    time.sleep(0.5)
    assert events_taken_in(long_log) == taken_in, "Somebody goes on filling."
    assert not any(counts(long_log).values())
    second = rebuilding(environment)
    said = second.communicate(timeout=110)[0].decode()
    assert second.returncode == 0 and "gone on with" in said, said
    assert counts(long_log)["eco_timeline"] == EVENTS
    made = counts(long_log)
    rebuild(long_log, VIEWS, quietly, processes=1)
    assert counts(long_log) == made


@pytest.mark.slow
def test_a_follower_killed_while_it_catches_up_is_replaced_within_five_seconds(
    long_log: str,
) -> None:
    def at() -> int:
        return position(long_log, EcoTimeline.name)

    with following(EcoTimeline.name, long_log) as first, following(EcoTimeline.name, long_log):
        eventually(lambda: at() > 0, 30)
        first.kill()
        first.wait()
        stood = at()
        eventually(lambda: at() > stood or at() == EVENTS, 5)
        eventually(lambda: at() == EVENTS, 60)
    assert counts(long_log)["eco_timeline"] == EVENTS
