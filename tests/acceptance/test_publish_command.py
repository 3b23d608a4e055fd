"""`strike publish` as an operator meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.prepare import prepare
from tests.integration.nats_server import free_port, nats_server
from tests.integration.stored import eventually, stored_night

STRIKE = [sys.executable, "-m", "strike_app", "publish"]

WITHOUT_NATS = """
import sys
sys.modules["nats"] = None
from strike_app.cli import main
main()
"""


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    assert "Traceback" not in done.stderr
    return done


def test_without_a_server_that_is_named_it_says_what_to_set() -> None:
    done = run(*STRIKE)
    assert done.returncode == 2
    assert done.stderr.startswith("strike: Set STRIKE_NATS_URL")


def test_without_the_extra_it_says_what_to_install() -> None:
    done = run(sys.executable, "-c", WITHOUT_NATS, "publish", STRIKE_NATS_URL="nats://127.0.0.1:1")
    assert done.returncode == 2
    assert "pip install 'osprey-strike[jetstream]'" in done.stderr


def test_a_server_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    url = "nats://strike:not-for-the-log@127.0.0.1:1"
    done = run(*STRIKE, STRIKE_NATS_URL=url, STRIKE_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("strike: The NATS server cannot be reached: ")
    assert "not-for-the-log" not in done.stderr


def told(port: int, position: int) -> list[str]:
    """The metrics, as soon as everything is published."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return lines if f"strike_stream_position {position:.1f}" in lines else []


def test_it_publishes_says_that_it_is_ready_tells_its_metrics_and_stops(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    (tmp_path / "nats").mkdir()
    port = free_port()
    with nats_server(tmp_path / "nats") as server, embedded_postgres(tmp_path / "data") as database:
        database.ensure_database("strike")
        url = database.url("strike")
        prepare(url)
        env = {
            **os.environ,
            "STRIKE_DATABASE_URL": url,
            "STRIKE_NATS_URL": server.url,
            "STRIKE_METRICS_PORT": str(port),
        }
        command = [*STRIKE, "--ready-file", str(ready), "--exit-with-parent"]
        log = (tmp_path / "log").open("w")
        with log, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=env) as process:
            eventually(ready.exists, 20)
            with stored_night(url) as night:
                night.create()
                position = night.strike.log.position()
            eventually(lambda: len(server.received()) == 2 * position)
            metrics = eventually(lambda: told(port, position))
        assert process.returncode == 0
    said = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert {"stream made", "publishing"} <= set(said)
    assert f"strike_stream_events_published_total {position:.1f}" in metrics
    assert "strike_stream_lag_positions 0.0" in metrics
