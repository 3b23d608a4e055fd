"""The licence of every package: `python -m deploy.supply.licences` writes docs/licences.md anew.

Handed out is what a user gets: the packages that Strike needs with the image's extras. Tools build
and test it; they go to nobody.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
CONSTRAINTS = ROOT / "constraints.txt"
PROJECT = "osprey-strike"
EXTRAS = ("jetstream", "kms", "mcp")
"""Of the image."""

FREE = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "HPND",
    "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "PostgreSQL", "Unlicense", "ZPL-2.1", "Zlib",
}  # fmt: skip
"""May be handed out with any program."""

LINKED = {"LGPL-3.0-only", "LGPL-3.0-or-later", "LGPL-2.1-or-later", "MPL-1.1", "MPL-2.0"}
"""May be handed out as it is, beside ours: who gets it can put another version in its place."""

TOOLS = {"GPL-3.0-only", "GPL-3.0-or-later"}
"""May be used, and is not handed out."""

WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "GPL-3.0": "GPL-3.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSF": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""How packages without an SPDX expression call the same."""

LOOKED_UP = {"axe-playwright-python": "MIT AND MPL-2.0", "promql-parser": "MIT"}
"""Of packages that do not say it where it can be read."""

HEAD = """# Licences

Written by `python -m deploy.supply.licences` from what the packages say of themselves; a test
holds it against what is installed. Versions and hashes are in `constraints.txt`. The licences of
the browser files and the place names are in the wheel, in full:
`strike_app/web/assets/THIRD-PARTY-LICENCES.txt`.

Handed out may be what asks for no more than its notice (MIT, BSD, Apache, ISC, PSF and the like),
and LGPL or MPL as separate packages that can be replaced. GPL may be used as a tool. AGPL, SSPL, a
licence that is not free, and none at all are not taken.

## Handed out
"""


def licence(found: Distribution) -> str:
    """As an SPDX expression where the package has one; empty if it says nothing that is known."""
    name = canonicalize_name(found.name)
    if name in LOOKED_UP:
        return LOOKED_UP[name]
    said = found.metadata.json.get("license_expression")
    if said:
        return str(said)
    kinds = [
        line.rpartition(" :: ")[2]
        for line in found.metadata.get_all("Classifier", [])
        if line.startswith("License ::") and not line.endswith((" approved", " Approved"))
    ]
    short = str(found.metadata.json.get("license") or "").splitlines()[:1]
    return " AND ".join(sorted({WORDS.get(one, one) for one in kinds or short}))


def parts(expression: str) -> list[set[str]]:
    """What has to be kept to: of each of these sets one may be chosen."""
    bare = expression.replace("(", "").replace(")", "")
    return [
        {one.partition(" WITH ")[0].strip() for one in part.split(" OR ")}
        for part in bare.split(" AND ")
    ]


def may_be(expression: str, allowed: set[str]) -> bool:
    """Whether every part of an expression allows it, by one choice at least."""
    return all(choices & allowed for choices in parts(expression))


def handed_out() -> dict[str, Distribution]:
    """The packages that a user gets, by name."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(PROJECT, EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        for requirement in requirements(name, extras):
            other = canonicalize_name(requirement.name)
            if other in found:
                continue
            try:
                found[other] = distribution(other)
            except PackageNotFoundError:  # Of an extra that is not installed here.
                continue
            waiting.append((other, tuple(requirement.extras)))
    return found


def requirements(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in (*extras, "")):
            yield requirement


def tools() -> dict[str, Distribution]:
    """Whatever else of constraints.txt is installed here."""
    names = set(re.findall(r"^([a-z0-9-]+)==", CONSTRAINTS.read_text("utf-8"), re.MULTILINE))
    every = {canonicalize_name(one.name): one for one in distributions()}
    return {name: every[name] for name in names - set(handed_out()) if name in every}


def page() -> str:
    """The whole of docs/licences.md."""
    tables = [table(handed_out()), "\n## Tools\n", table(tools())]
    return "\n".join([HEAD, *tables])


def table(found: dict[str, Distribution]) -> str:
    rows = [f"| `{name}` | {licence(one)} |" for name, one in sorted(found.items())]
    return "\n".join(["| package | licence |", "|---|---|", *rows, ""])


def main() -> int:
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
