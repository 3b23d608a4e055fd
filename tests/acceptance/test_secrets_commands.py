"""`strike secrets`, as whoever runs Strike uses it, and what other commands say without a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.prepare import prepare
from strike_adapters.secrets import SecretBox, SecretError, create_key, load_key
from strike_app.cli import app
from tests.integration.vaults import NOCS, OSPS, filled


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with embedded_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def url(postgres: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database in which all is sealed with the key file `old`; `new` is the present one."""
    postgres.ensure_database("strike")
    url = postgres.url("strike")
    prepare(url)
    old = SecretBox(create_key(tmp_path / "old"))
    create_key(tmp_path / "new")
    monkeypatch.setenv("STRIKE_DATABASE_URL", url)
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(tmp_path / "new"))
    with filled(url, old):
        yield url
    postgres.drop_database("strike")


@pytest.fixture
def rotating(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STRIKE_SECRETS_PREVIOUS_KEY_FILES", str(tmp_path / "old"))
    return url


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["secrets", *words])


def told(*words: str, status: int) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == status, result.output
    return json.loads(result.output)


def key_id(file: Path) -> str:
    return SecretBox(load_key(file)).key_id.hex()


def test_everything_is_rotated_and_told(rotating: str, tmp_path: Path) -> None:
    old, new = key_id(tmp_path / "old"), key_id(tmp_path / "new")
    before = run("status")
    assert before.exit_code == 1
    assert f"The present key is {new}: file {tmp_path / 'new'}." in before.output
    assert f"Twilio auth token     {old}" in before.output
    assert "run strike secrets rotate" in before.output
    done = run("rotate")
    assert done.exit_code == 0
    assert done.output == f"Moved to key {new}: {len(NOCS) + len(OSPS)}.\nEverything is under it.\n"
    after = run("status")
    assert after.exit_code == 0, after.output
    assert old not in after.output and "the present one" in after.output


def test_machines_are_told_the_same(rotating: str, tmp_path: Path) -> None:
    old, new = key_id(tmp_path / "old"), key_id(tmp_path / "new")
    status = told("status", status=1)
    assert status["present"] == {"key_id": new, "place": f"file {tmp_path / 'new'}"}
    assert status["previous"] == [{"key_id": old, "place": f"file {tmp_path / 'old'}"}]
    assert [(one["kind"], one["key_id"], one["count"]) for one in status["stored"]] == [
        ("render-client-secret", old, len(OSPS)),
        ("twilio-auth-token", old, len(NOCS)),
    ]
    assert status["closed"] == []
    moved = told("rotate", status=0)
    assert moved == {"key_id": new, "moved": len(NOCS) + len(OSPS), "left": 0, "closed": []}
    assert all(one["is_present"] for one in told("status", status=0)["stored"])


def test_what_cannot_be_moved_is_named_and_decides_the_exit_status(
    rotating: str, tmp_path: Path
) -> None:
    with psycopg.connect(rotating, autocommit=True) as connection:
        statement = "UPDATE twilio_accounts SET auth_token = 'plain' WHERE noc_id = %s"
        connection.execute(statement, (NOCS[0],))
    done = run("rotate")
    assert done.exit_code == 1
    assert f"Twilio auth token of tenant {NOCS[0]}: The stored secret" in done.output
    assert "saved meanwhile" not in done.output
    assert told("rotate", status=1)["closed"][0]["tenant_id"] == str(NOCS[0])
    (closed,) = told("status", status=1)["closed"]
    assert (closed["tenant_id"], closed["code"]) == (str(NOCS[0]), "SECRET_UNREADABLE")


@pytest.mark.usefixtures("url")
def test_the_status_is_told_also_where_the_key_is_the_wrong_one() -> None:
    status = told("status", status=1)
    assert [one["place"] for one in status["stored"]] == [None, None]
    assert len(status["closed"]) == len(NOCS) + len(OSPS)
    assert "not known" in run("status").output
    assert told("rotate", status=1)["moved"] == 0


def test_a_new_key_is_made_once_and_how_to_use_it_is_told(
    rotating: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "newer"
    made = run("new-key", str(file))
    assert made.exit_code == 0
    assert key_id(file) in made.output and file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert content.decode().strip() not in made.output
    for step in ("1. Add the new key", "2. Make it", "3. Run strike secrets rotate"):
        assert step in made.output
    again = run("new-key", str(file))
    assert isinstance(again.exception, SecretError) and again.exception.code == "KEY_EXISTS"
    assert file.read_bytes() == content
    other = tmp_path / "newest"
    told = json.loads(run("new-key", str(other), "--json").output)
    assert told == {"file": str(other), "key": key_id(other)}


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    ("words", "file", "code"),
    [
        (["work"], "new", "KEY_UNKNOWN"),
        (["follow"], "lost", "KEY_MISSING"),
        (["serve"], "new", "KEY_UNKNOWN"),
    ],
)
def test_without_the_key_nothing_starts_and_one_sentence_says_why(
    words: list[str], file: str, code: str, tmp_path: Path
) -> None:
    env = {
        **os.environ,
        "STRIKE_SECRETS_KEY_FILE": str(tmp_path / file),
        "STRIKE_OIDC_SIGNER": "arn:x",
        "STRIKE_PORT": "0",
    }
    command = [sys.executable, "-m", "strike_app", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("strike: ") and line.endswith(f"({code})")


def test_nothing_is_stored_in_a_fresh_database(
    postgres: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.ensure_database("fresh")
    monkeypatch.setenv("STRIKE_DATABASE_URL", postgres.url("fresh"))
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(tmp_path / "key"))
    assert "No secret is stored." in run("status").output
    assert run("rotate").exit_code == 0
    postgres.drop_database("fresh")
