"""`python -m strike_mock` as another program starts and stops it."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PEOPLE = [{"sub": "u-9", "email": "nine@noc.example", "name": "Nine"}]


@contextmanager
def running(tmp_path: Path, *flags: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "strike_mock", "--exit-with-parent", *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--ready-file", str(tmp_path / "ready.json")],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def ready_line(program: "subprocess.Popen[str]") -> str:
    assert program.stdout is not None
    return program.stdout.readline()


def read(url: str, told: dict[str, Any] | None = None) -> str:
    body = None if told is None else json.dumps(told).encode()
    with urllib.request.urlopen(url, body, timeout=5) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


def test_it_says_where_it_is_and_ends_with_its_parent(tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    people.write_text(json.dumps(PEOPLE))
    flags = ["--scenario", "pager-timeout", "--speed", "20", "--people", str(people)]
    with running(tmp_path, *flags) as program:
        line = ready_line(program)
        ready: dict[str, Any] = json.loads((tmp_path / "ready.json").read_text())
        assert {"url", "gateway_url", "signer", "kid_endpoint"} <= set(ready)
        assert ready["url"] in line
        assert ready["gateway_url"] in line
        health = json.loads(read(ready["url"] + "/_mock/health"))
        assert health["scenario"] == "pager-timeout"
        assert "nine@noc.example" in read(ready["gateway_url"] + "/login")
        _, errors = program.communicate(timeout=10)
        assert (program.returncode, errors) == (0, "")


def test_it_stops_on_sigterm(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        assert ready_line(program).startswith("strike_mock: http://127.0.0.1:")
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0


def test_a_wrong_scenario_is_said_in_one_line(tmp_path: Path) -> None:
    with running(tmp_path, "--scenario", "nope") as program:
        _, errors = program.communicate(timeout=10)
    assert program.returncode == 2
    assert errors.startswith("strike_mock: no scenario 'nope'")
    assert errors.count("\n") == 1


def test_started_paused_its_time_stands_still_until_it_is_told_to_go_on(tmp_path: Path) -> None:
    with running(tmp_path, "--paused", "--speed", "1000") as program:
        ready_line(program)
        url = json.loads((tmp_path / "ready.json").read_text())["url"]
        first, second = read(url + "/_mock/clock"), read(url + "/_mock/clock")
        assert first == second
        assert json.loads(first)["paused"] is True
        went_on = json.loads(read(url + "/_mock/clock", {"paused": False}))
        assert went_on["paused"] is False
        assert went_on["now"] < json.loads(read(url + "/_mock/clock"))["now"]
