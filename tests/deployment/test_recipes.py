"""Every recipe of the justfile runs commands that there are; some are run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from strike_app.cli import app
from strike_mock.__main__ import parser
from strike_mock.settings import DEFAULT_SIGNER, MockSettings
from tests.deployment.files import ROOT, are_settings, variables_in

WANTED = {
    "setup",
    "check",
    "doctor",
    "services::up",
    "services::down",
    "db::fresh",
    "api::dev",
    "web::dev",
    "mock::dev",
}
"""What the seed system has."""

pytestmark = pytest.mark.skipif(shutil.which("just") is None, reason="no just on PATH")


def just(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    # Unless told otherwise, nothing that this machine has set.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STRIKE_")}
    return subprocess.run(
        ["just", "--justfile", ROOT / "justfile", *words],
        cwd=ROOT,
        env={**clean, "VIRTUAL_ENV": sys.prefix, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def recipes() -> dict[str, list[str]]:
    """The commands of each recipe as they would be run, by its name."""
    described = json.loads(just("--dump", "--dump-format", "json").stdout)
    return {name: dry(name) for name in names(described, "")}


def names(module: dict[str, Any], before: str) -> Iterator[str]:
    yield from (before + name for name in module["recipes"])
    for name, inner in module["modules"].items():
        yield from names(inner, f"{before}{name}::")


def dry(name: str) -> list[str]:
    done = just("--dry-run", name)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def strikes(lines: list[str]) -> Iterator[list[str]]:
    """The words of each call of strike."""
    for line in lines:
        for part in line.replace(";", "\n").splitlines():
            words = shlex.split(part.strip().removeprefix("then ").removeprefix("else "))
            if words and words[0].endswith("/strike"):
                yield words[1:]


def takes(words: list[str]) -> None:
    """Fail unless strike has such a command with such options."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    name, command, rest = root.resolve_command(root.make_context("strike", ["doctor"]), words)
    assert name and command
    if name == "mock":
        parser().parse_args(rest)
    else:
        command.make_context(name, [one for one in rest if one not in (">",)][: len(rest)])


def test_every_recipe_of_the_seed_is_there() -> None:
    assert set(recipes()) >= WANTED


def test_every_recipe_says_what_it_does() -> None:
    listed = just("--list", "--list-submodules").stdout.splitlines()
    told = [line for line in listed[1:] if line.strip() and not line.rstrip().endswith(":")]
    assert [line for line in told if "#" not in line] == []


def test_every_command_of_strike_that_a_recipe_runs_is_one() -> None:
    called = {name: list(strikes(lines)) for name, lines in recipes().items()}
    assert {name for name, calls in called.items() if calls} == {
        "doctor",
        "db::fresh",
        "db::renew",
        "api::dev",
        "api::schema",
        "web::dev",
        "mock::dev",
    }
    for calls in called.values():
        for words in calls:
            takes([word for word in words if word not in (">", "strike_app/schema.graphql")])


def test_a_command_that_is_none_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        takes(["serve", "--workesr"])


def test_every_environment_of_tox_that_a_recipe_runs_is_there() -> None:
    [line] = [line for line in recipes()["supply"] if "tox" in line]
    wanted = shlex.split(line)[-1].split(",")
    assert all(f"[testenv:{name}]" in (ROOT / "tox.ini").read_text() for name in wanted)


def test_any_parts_can_be_started() -> None:
    assert (
        "--profile db --profile api up" in just("--dry-run", "services", "up", "db", "api").stderr
    )


def test_a_fresh_database_has_the_demos_companies(tmp_path: Path) -> None:
    done = just("db", "fresh", STRIKE_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "2 NOCs, 4 contractors" in done.stdout
    settings = json.loads((tmp_path / "mock-settings.json").read_text())
    assert MockSettings.model_validate(settings).accounts


def test_no_database_but_the_embedded_one_is_thrown_away(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "strike_app", "prepare", "--fresh"],
        env={**os.environ, "STRIKE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "only the embedded one" in done.stderr


def test_the_settings_for_development_are_settings() -> None:
    script = ROOT / "deploy" / "just" / "env.sh"
    done = subprocess.run(["sh", script], capture_output=True, text=True, cwd=ROOT, check=True)
    names = variables_in(done.stdout)
    assert are_settings(names - {"STRIKE_DB_PASSWORD"})
    assert f"STRIKE_OIDC_SIGNER={DEFAULT_SIGNER}" in done.stdout
    # Of compose alone, and another one each time.
    again = subprocess.run(["sh", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert again.stdout != done.stdout


def test_mise_brings_what_the_recipes_need() -> None:
    mise = tomllib.loads((ROOT / ".mise.toml").read_text())
    assert {"python", "just"} <= set(mise["tools"])
    assert mise["env"]["_"]["file"] == ".env"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert min(mise["tools"]["python"]) == project["requires-python"].removeprefix(">=")
