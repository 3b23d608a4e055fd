"""Two versions of Strike side by side, under load, as during a rolling restart.

Of each kind one process runs the code of `PREVIOUS`, the other one ours, on a database that ours
has prepared; both are killed now and then. Then everything must be as if there were one version.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import strike_app
from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.prepare import prepare
from strike_app.cli import app
from strike_domain.errors import Rejected
from tests.faults.outage_clients import Clients
from tests.faults.outage_ending import ending_of
from tests.faults.outage_faults import Fault, afflict
from tests.faults.outage_world import outage_world
from tests.integration.stored import eventually

PREVIOUS = "57ce8051ba56ad94e2a9b37755edc6285d4961a8"
"""The version that this one takes over from; at a release, the commit of the last one."""

KILLS = int(os.environ.get("STRIKE_UPGRADE_KILLS", "4"))

HERE = Path(strike_app.__file__).parents[1]

BUILT = ("strike_app/web/assets", "strike_adapters/places/places.json.gz")
"""What the build fetches: no commit has it."""


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The code of the version before."""
    git = ["git", "-C", str(HERE), "archive", PREVIOUS]
    found = subprocess.run(git, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"the version before, {PREVIOUS[:7]}, is not in this copy of the repository")
    folder = tmp_path / "previous"
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    for one in BUILT:
        if (HERE / one).is_dir():
            shutil.copytree(HERE / one, folder / one, dirs_exist_ok=True)
        elif (HERE / one).is_file():
            shutil.copy(HERE / one, folder / one)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_versions_side_by_side_lose_nothing_and_repeat_nothing(previous: Path) -> None:
    faults: list[Fault] = []
    with outage_world(sources={1: previous}) as world:

        def under_load() -> None:
            with Clients(world.servers, world.token, world.folder / "clients.notes", seed=3):
                kinds = ["server", "follower", "worker", "writer"]
                faults.extend(afflict(world, 3, [kinds[n % 4] for n in range(KILLS)]))
                world.wait_ready()
            world.stop("writer")

        end = ending_of(world, under_load)
        assert end.problems == []
        done = Counter(one.by for one in end.notes if one.what == "acknowledged")
    assert len(faults) == KILLS
    both = {name: done[name] for name in ("server-1", "server-2", "writer-1", "writer-2")}
    assert all(both.values()), both


def test_the_old_code_is_really_what_runs(previous: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(previous), "PYTHONSAFEPATH": "1"}
    ask = [sys.executable, "-c", "import strike_app, strike_domain; print(strike_domain.__file__)"]
    told = subprocess.run(ask, env=env, capture_output=True, check=True, text=True, cwd=HERE)
    assert told.stdout.startswith(str(previous))


def test_nothing_is_archived_beside_the_version_before(previous: Path, tmp_path: Path) -> None:
    """It knows of no archive. Once a release that does is the one before, this test goes."""
    if (previous / "strike_adapters/postgres/archive").exists():
        pytest.skip("the version before knows of the archive")
    told = tmp_path / "ready.json"
    command = [sys.executable, "-m", "strike_app", "follow", "--ready-file", str(told)]
    with embedded_postgres(tmp_path / "data") as server:
        server.ensure_database("strike")
        ours = {
            "STRIKE_DATABASE_URL": server.url("strike"),
            "STRIKE_SECRETS_KEY_FILE": str(tmp_path / "key"),
        }
        prepare(server.url("strike"))
        env = {**os.environ, **ours, "PYTHONPATH": str(previous), "PYTHONSAFEPATH": "1"}
        with subprocess.Popen(command, env=env, cwd=tmp_path) as older:
            try:
                eventually(told.exists, 60)
                refused = archive(ours)
            finally:
                older.kill()
        assert isinstance(refused, Rejected) and refused.code == "OLDER_STRIKE_CONNECTED"
        eventually(lambda: archive(ours) is None)


def archive(env: dict[str, str]) -> BaseException | None:
    """What an archive run is refused by."""
    return CliRunner().invoke(app, ["archive", "run", "--older-than", "1h"], env=env).exception
