"""`strike demo` as a new user runs it: a program, its output, its exit status, what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

DEMO = [sys.executable, "-m", "strike_app", "demo", "--speed", "20"]


def test_a_story_ends_as_told() -> None:
    done = subprocess.run([*DEMO, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ended_as_told"] is True
    kinds = [one["kind"] for one in told["eco"]["timeline"]]
    assert kinds[0] == "strike.eco.created"
    assert kinds.count("strike.eco.pager-dispatched") == 1


def test_a_geometry_that_is_no_place_is_one_sentence_and_an_exit_status(tmp_path: Path) -> None:
    file = tmp_path / "cut.geojson"
    file.write_text('{"type": "Point", "coordinates": [39.7, -104.9]}')
    done = subprocess.run(
        [*DEMO, "--geojson", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "COORDINATES_SWAPPED" in done.stderr


@pytest.mark.parametrize("seconds", [0.2, 1.5, 4.0, 8.0])
def test_ctrl_c_at_any_time_leaves_no_process_behind(seconds: float) -> None:
    mark = f"STRIKE_TEST_MARK={uuid.uuid4()}"
    process = _start_demo(mark)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(signal.SIGINT)
    # A program that is still being loaded is ended by the signal itself.
    assert process.wait(30) in (130, -signal.SIGINT)
    assert _wait_until_gone(mark) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_whose_terminal_is_closed_leaves_no_server_of_a_database_behind(
    number: signal.Signals,
) -> None:
    mark = f"STRIKE_TEST_MARK={uuid.uuid4()}"
    # The path of a socket has to be short.
    with TemporaryDirectory() as folder:
        process = _start_demo(mark, STRIKE_DATA_DIR=folder)
        deadline = time.monotonic() + 60
        while len(_alive(mark)) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert _wait_until_gone(mark) == []
        assert not (Path(folder) / "postgresql" / "cluster" / "postmaster.pid").exists()


def test_not_even_a_demo_that_is_killed_leaves_one_behind() -> None:
    mark = f"STRIKE_TEST_MARK={uuid.uuid4()}"
    process = _start_demo(mark)
    deadline = time.monotonic() + 60
    while len(_alive(mark)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait(10)
    # PostgreSQL itself goes on until its next user leaves: it is shared, and safe to find.
    assert _wait_until_gone(mark) == []


def _start_demo(mark: str, **environ: str) -> subprocess.Popen[bytes]:
    name, _, value = mark.partition("=")
    return subprocess.Popen(
        DEMO,
        env={**os.environ, name: value, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # These tests may have been started by nohup, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


def _wait_until_gone(mark: str) -> list[str]:
    deadline = time.monotonic() + 20
    while (alive := _alive(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return alive


def _alive(mark: str) -> list[str]:
    """Command lines of the processes that were started with `mark` in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environ = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if mark.encode() in environ and command and "postgres" not in command:
            found.append(command)
    return found
