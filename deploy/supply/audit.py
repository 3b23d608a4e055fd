"""Known holes in what constraints.txt names: `python -m deploy.supply.audit`.

The exit status is 1 if there are any, and 2 if nobody could be asked: then nothing is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

HOLES, UNKNOWN = 1, 2


def ask(constraints: Path) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package; None if it cannot ask."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(constraints)]
    command += [
        "--require-hashes",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return found


def tell(found: Sequence[dict[str, Any]] | None) -> tuple[int, list[str]]:
    """The exit status, and a line for each thing that a person should know."""
    if not found or all("skip_reason" in one for one in found):
        return UNKNOWN, ["Nothing was audited: whoever knows of holes is out of reach."]
    lines = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in found
        for hole in one.get("vulns", [])
    ]
    unknown = [one["name"] for one in found if "skip_reason" in one]
    if unknown:
        return max(UNKNOWN, len(lines) and HOLES), [*lines, f"Not audited: {', '.join(unknown)}."]
    return (HOLES, lines) if lines else (0, [f"{len(found)} packages, no known holes."])


def main() -> int:
    status, lines = tell(ask(ROOT / "constraints.txt"))
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
