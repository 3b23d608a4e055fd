"""What is in deploy/ and beside it, read and rendered, for the tests that check it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from strike_app.settings import Settings

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"

OTHER_NAMES = {"STRIKE_DATA_DIR"}
"""Variables that are read, yet are no setting."""

Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """The manifests of an overlay, as kubectl makes them from its kustomization."""
    command = ["kubectl", "kustomize", str(KUBERNETES / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def loaded(path: Path) -> list[Manifest]:
    """The documents of a file as they are written."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def of_kind(manifests: tuple[Manifest, ...], *kinds: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] in kinds]


def pods(manifests: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """Name and template of every pod that would run."""
    for one in of_kind(manifests, "Deployment", "Job"):
        yield one["metadata"]["name"], one["spec"]["template"]


def are_settings(names: set[str]) -> bool:
    """Whether Strike reads each of these variables."""
    known = {f"STRIKE_{name.upper()}" for name in Settings.model_fields} | OTHER_NAMES
    return names <= known


def variables_in(text: str) -> set[str]:
    """The variables of Strike that a text sets."""
    return set(re.findall(r"\b(STRIKE_[A-Z_]+)(?==|:)", text))
