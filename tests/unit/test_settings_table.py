"""`strike settings` shows what is set and where it came from, and nothing that is secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from strike_app.settings import Settings
from strike_app.settings_table import Row, rows, show, unknown
from strike_domain.errors import Rejected

SECRET = "not-for-eyes"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(("STRIKE_", "OTEL_")):
            monkeypatch.delenv(name)


def file_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> Path:
    path = tmp_path / "strike.toml"
    path.write_text(text)
    monkeypatch.setenv("STRIKE_SETTINGS_FILE", str(path))
    return path


def table() -> dict[str, Row]:
    return {one.name: one for one in rows(Settings())}


def test_the_environment_goes_before_the_file_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file_of(monkeypatch, tmp_path, 'port = 81\ncommand_threads = 3\nhost = "::1"\n')
    monkeypatch.setenv("STRIKE_PORT", "82")
    found = table()
    assert (found["STRIKE_PORT"].value, found["STRIKE_PORT"].origin) == ("82", "environment")
    threads = found["STRIKE_COMMAND_THREADS"]
    assert (threads.value, threads.origin) == ("3", "file")
    leases = found["STRIKE_LEASE_SECONDS"]
    assert (leases.value, leases.origin) == ("9.0", "default")
    assert Settings(port=83).port == 83


def test_every_setting_has_a_row_that_says_what_it_is() -> None:
    found = table()
    assert len(found) == len(Settings.model_fields)
    assert all(one.description.endswith(".") for one in found.values())


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        (
            "STRIKE_DATABASE_URL",
            f"postgresql://strike:{SECRET}@db.example:5433/strike",
            "postgresql://db.example:5433/[hidden]",
        ),
        ("STRIKE_DATABASE_URL", f"host=db password={SECRET}", "[hidden]"),
        (
            "STRIKE_HEARTBEAT_URL",
            f"https://hc-ping.com/{SECRET}",
            "https://hc-ping.com/[hidden]",
        ),
        (
            "STRIKE_NATS_URL",
            f"nats://{SECRET}@a:4222, nats://b:4222",
            "nats://a:4222/[hidden], nats://b:4222/[hidden]",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={SECRET}", "[hidden]"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            f"https://me:{SECRET}@collector:4318",
            "https://me:[hidden]@collector:4318",
        ),
    ],
)
def test_what_is_secret_is_hidden(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, shown: str
) -> None:
    monkeypatch.setenv(name, value)
    assert table()[name].value == shown
    for as_json in (True, False):
        console = Console(file=StringIO(), width=200)
        show(as_json=as_json, console=console)
        told = cast(StringIO, console.file).getvalue()
        assert name in told
        assert SECRET not in told


def test_machines_get_json_and_slips_of_the_pen_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIKE_PUBLC_URL", "https://strike.example")
    monkeypatch.setenv("STRIKE_LOG", "DEBUG")
    assert unknown() == ["STRIKE_PUBLC_URL"]
    command = [sys.executable, "-m", "strike_app", "settings", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["unknown"] == ["STRIKE_PUBLC_URL"]
    port = next(one for one in told["settings"] if one["name"] == "STRIKE_PORT")
    assert (port["value"], port["origin"]) == ("8080", "default")


@pytest.mark.parametrize(
    ("text", "said"),
    [("prot = 81\n", "has what is no setting: prot"), ("port = \n", "cannot be read: ")],
)
def test_a_file_with_a_mistake_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    path = file_of(monkeypatch, tmp_path, text)
    with pytest.raises(Rejected) as refused:
        Settings()
    assert refused.value.code == "SETTINGS_FILE_INVALID"
    assert f"STRIKE_SETTINGS_FILE {path} {said}" in refused.value.message


def test_a_file_that_is_not_there_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIKE_SETTINGS_FILE", "/nowhere/strike.toml")
    with pytest.raises(Rejected, match="cannot be read"):
        Settings()
