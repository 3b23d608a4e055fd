"""The command line as a person meets it: help is instant, mistakes are one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strike_app.bootstrap import WORK
from strike_app.cli.options import Work
from strike_mock.scenarios import names

STRIKE = [sys.executable, "-m", "strike_app"]

HEAVY = (
    "aiohttp",
    "strawberry",
    "psycopg",
    "shapely",
    "eventsourcing",
    "twilio",
    "rich.markdown",
    "nats",
)


def test_help_loads_nothing_heavy() -> None:
    # What makes help take less than 0.3 s; times themselves are kept in docs/performance.md.
    code = f"""
import sys
from strike_app.cli import app
try:
    app(["--help"])
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_command_explains_itself_with_an_example() -> None:
    """As a person sees it; tests/unit/test_command_examples.py looks at every command."""
    words = [*STRIKE, "lists", "check", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 'Example: strike lists check "Front Range" --map regions.svg' in done.stdout


def test_the_demo_names_its_stories() -> None:
    done = subprocess.run([*STRIKE, "demo", "--help"], capture_output=True, text=True, check=True)
    # A line may be broken after a hyphen.
    told = done.stdout.replace("-\n  ", "-")
    assert [name for name in names() if name not in told] == []


def test_a_worker_is_for_one_kind_of_work_or_for_both() -> None:
    assert tuple(one.value for one in Work) == WORK
    done = _run(["work", "gardening"])
    assert done.returncode == 2
    assert "paging" in done.stderr


def test_a_program_says_which_it_is() -> None:
    assert _run(["--version"]).stdout.startswith("strike ")


def test_a_follower_that_does_not_exist_is_named_with_those_that_do() -> None:
    done = subprocess.run(
        [*STRIKE, "follow", "eco_view"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "eco_views" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named() -> None:
    done = _run(["work"], STRIKE_LEASE_SECONDS="soon")
    assert done.returncode == 2
    assert done.stderr.startswith("strike: STRIKE_LEASE_SECONDS: ")


def test_nobody_is_served_without_a_trusted_signer() -> None:
    done = _run(["serve"], STRIKE_OIDC_SIGNER="")
    assert done.returncode == 2
    assert done.stderr.startswith("strike: Set STRIKE_OIDC_SIGNER")


def test_a_database_that_is_not_there_is_one_sentence() -> None:
    done = _run(["work"], STRIKE_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 2
    assert done.stderr.startswith("strike: The database cannot be reached")
    assert "Traceback" not in done.stderr


def test_the_doctor_says_what_is_wrong_with_its_cure(tmp_path: Path) -> None:
    done = _run(
        ["doctor", "--json"],
        STRIKE_DATA_DIR=str(tmp_path),
        STRIKE_TWILIO_BASE_URL="http://127.0.0.1:1",
    )
    assert done.returncode == 1
    findings = {one["what"]: one for one in json.loads(done.stdout)}
    assert findings["public callback URL"]["verdict"] == "wrong"
    assert "STRIKE_PUBLIC_URL" in findings["public callback URL"]["cure"]
    assert findings["database"] == {
        "what": "database",
        "verdict": "ok",
        "said": "PostgreSQL 18, embedded.",
        "cure": "",
    }
    assert findings["twilio"]["verdict"] == "wrong"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("strike lists ch", "check"),
        ("strike foll", "followers"),
        ("strike demo --sc", "--scenario"),
    ],
)
def test_a_shell_completes_commands_and_options(typed: str, offered: str) -> None:
    begun = "import sys; sys.argv = ['strike']; from strike_app.cli import main; main()"
    asked = {"_STRIKE_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    asked["COMP_CWORD"] = str(typed.count(" "))
    done = subprocess.run(
        [sys.executable, "-c", begun],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **asked},
    )
    assert offered in done.stdout.split()


def _run(arguments: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STRIKE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
