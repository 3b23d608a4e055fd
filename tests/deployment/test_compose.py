"""compose.yaml is what compose takes, and any part can be started without those one works on."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from strike_app.cli import app
from strike_mock.settings import DEFAULT_SIGNER
from tests.deployment.files import ROOT, are_settings, loaded

FILE = ROOT / "compose.yaml"
PARTS = ("db", "mock", "api", "followers", "workers", "poller")


@pytest.fixture
def services() -> dict[str, Any]:
    services: dict[str, Any] = loaded(FILE)[0]["services"]
    return services


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    """By the schema of the Compose specification."""
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_file_is_what_compose_takes(tmp_path: Path) -> None:
    done = validated(FILE)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("[db, all]", "everything"))
    assert validated(wrong).returncode == 1


def test_every_part_has_a_profile_of_its_name_and_all_has_all(services: dict[str, Any]) -> None:
    for name in PARTS:
        assert {name, "all"} <= set(services[name]["profiles"])
    assert all("all" in one["profiles"] for one in services.values())


def test_whatever_is_started_has_what_it_cannot_do_without(services: dict[str, Any]) -> None:
    for count in range(1, len(PARTS) + 1):
        for profiles in map(set, combinations(PARTS, count)):
            started = {n for n, one in services.items() if profiles & set(one["profiles"])}
            needed = {
                other
                for name in started
                for other, how in services[name].get("depends_on", {}).items()
                if how.get("required", True)
            }
            assert needed <= started, profiles


def test_the_database_may_run_elsewhere(services: dict[str, Any]) -> None:
    assert services["api"]["depends_on"]["db"]["required"] is False


def test_every_command_is_one_of_strike(services: dict[str, Any]) -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for name in ("seed", "mock", "api", "followers", "workers", "poller"):
        assert services[name]["command"][0] in root.commands


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    for name in ("seed", "api", "followers", "workers", "poller"):
        assert are_settings(set(services[name]["environment"]))
    assert services["api"]["environment"]["STRIKE_OIDC_SIGNER"] == DEFAULT_SIGNER


def test_nothing_is_open_to_other_machines(services: dict[str, Any]) -> None:
    ports = [port for one in services.values() for port in one.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_no_part_has_more_rights_than_it_needs(services: dict[str, Any]) -> None:
    for name in ("seed", "mock", "api", "followers", "workers", "poller"):
        one = services[name]
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and one["user"] == "65532:65532"


def test_the_file_holds_no_password() -> None:
    assert re.findall(r"PASSWORD: (?!\$\{)\S+", FILE.read_text()) == []
