"""The bill of materials of an installation: `python -m deploy.supply.sbom PYTHON FILE`.

CycloneDX 1.6 in JSON: the packages that are installed for that Python, and the browser files'
packages of npm, which are inside our wheel. The same installation gives the same file.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "strike_app" / "web" / "package-lock.json"
VERSION = "1.6"


def made(python: Path) -> dict[str, Any]:
    """The whole of it."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", str(python)]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--spec-version", VERSION]
    command += ["--output-reproducible", "--output-format", "JSON", "--no-validate"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    bill: dict[str, Any] = json.loads(done.stdout)
    bill["components"] += browser_files()
    return bill


def browser_files() -> Iterator[dict[str, Any]]:
    """As npm's lock file names them."""
    for path, about in sorted(json.loads(LOCK.read_text("utf-8"))["packages"].items()):
        if not path:
            continue
        name = path.rpartition("node_modules/")[2]
        kind, _, digest = about["integrity"].partition("-")
        at = f"pkg:npm/{name.replace('@', '%40')}@{about['version']}"
        yield {
            "type": "library",
            "bom-ref": at,
            "name": name,
            "version": about["version"],
            "purl": at,
            "hashes": [
                {"alg": kind.replace("sha", "SHA-"), "content": base64.b64decode(digest).hex()}
            ],
        }


def flaw(bill: dict[str, Any]) -> str | None:
    """What is wrong with it by CycloneDX' own schema."""
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    return None if wrong is None else str(wrong)


def main(python: str, file: str) -> int:
    bill = made(Path(python))
    if wrong := flaw(bill):
        sys.stderr.write(f"{wrong}\n")
        return 1
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", "utf-8")
    sys.stdout.write(f"{path}: {len(bill['components'])} components.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
