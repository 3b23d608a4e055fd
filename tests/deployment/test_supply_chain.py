"""What Strike is made of is written down, may be used, and is looked through for holes."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.supply import audit, sbom
from deploy.supply.licences import (
    FREE,
    LINKED,
    PAGE,
    TOOLS,
    handed_out,
    licence,
    may_be,
    tools,
)
from tests.deployment.files import ROOT

PACKAGE = {"name": "a", "version": "1", "vulns": []}
HOLE = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        ([PACKAGE], 0, "1 packages, no known holes."),
        ([PACKAGE, HOLE], audit.HOLES, "b 2: CVE-1, mended in 3"),
        (None, audit.UNKNOWN, "Nothing was audited: whoever knows of holes is out of reach."),
        ([SKIPPED], audit.UNKNOWN, "Nothing was audited: whoever knows of holes is out of reach."),
        ([PACKAGE, SKIPPED], audit.UNKNOWN, "Not audited: c."),
        ([HOLE, SKIPPED], audit.UNKNOWN, "Not audited: c."),
    ],
)
def test_an_audit_says_what_it_knows_and_what_it_does_not(
    found: Sequence[dict[str, Any]] | None, status: int, said: str
) -> None:
    """Silence is no answer: pip-audit itself ends well where it could ask nobody."""
    told = audit.tell(found)
    assert told[0] == status
    assert told[1][-1] == said


def test_holes_are_told_also_where_not_everybody_was_asked_for() -> None:
    assert "b 2: CVE-1, mended in 3" in audit.tell([HOLE, SKIPPED])[1]


def test_every_package_that_is_handed_out_may_be() -> None:
    every = {name: licence(one) for name, one in handed_out().items()}
    assert len(every) > 60
    assert {name: one for name, one in every.items() if not may_be(one, FREE | LINKED)} == {}


def test_every_tool_may_be_used() -> None:
    every = {name: licence(one) for name, one in tools().items()}
    assert {n: one for n, one in every.items() if not may_be(one, FREE | LINKED | TOOLS)} == {}


@pytest.mark.parametrize(
    ("expression", "may"),
    [
        ("MIT", True),
        ("MIT OR AGPL-3.0-only", True),
        ("MIT AND AGPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", False),
        ("Commercial", False),
        ("", False),
    ],
)
def test_a_licence_allows_what_every_part_of_it_allows(expression: str, may: bool) -> None:
    assert may_be(expression, FREE) is may


def test_the_page_says_what_the_packages_say() -> None:
    said = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    every = {**handed_out(), **tools()}
    assert {name: licence(one) for name, one in every.items()}.items() <= said.items(), (
        "Write it anew: tox -e licences"
    )


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return sbom.made(Path(sys.executable))


def test_a_bill_of_materials_names_everything_with_its_version(bill: dict[str, Any]) -> None:
    assert bill["metadata"]["component"]["name"] == "osprey-strike"
    found = {one["name"]: one["version"] for one in bill["components"]}
    for name in ("eventsourcing", "psycopg", "aiohttp"):
        assert found[name] == importlib.metadata.version(name)
    assert found["htmx.org"] and found["leaflet"]


def test_a_bill_is_valid_or_its_flaw_is_told(bill: dict[str, Any]) -> None:
    # A few: the whole takes half a minute, and is checked whenever it is written.
    few = [*bill["components"][:5], *list(sbom.browser_files())[:5]]
    part = {**bill, "components": few, "dependencies": []}
    assert sbom.flaw(part) is None
    nameless = {key: value for key, value in few[0].items() if key != "name"}
    assert "name" in (sbom.flaw({**part, "components": [nameless]}) or "")


def test_the_bill_is_the_same_each_time(bill: dict[str, Any]) -> None:
    assert sbom.made(Path(sys.executable)) == bill


def test_the_browser_files_have_the_hashes_of_the_lock_file() -> None:
    lock = json.loads(sbom.LOCK.read_text())["packages"]
    every = list(sbom.browser_files())
    assert len(every) == len(lock) - 1
    assert {len(one["hashes"][0]["content"]) for one in every} == {128}


@pytest.mark.parametrize("page", ["docs/releasing.md", "docs/security.md", "docs/licences.md"])
def test_the_readme_leads_to_it(page: str) -> None:
    assert (ROOT / page).is_file()
    assert f"]({page})" in (ROOT / "README.md").read_text()
