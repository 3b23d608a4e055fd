"""What is installed is what was meant: the files in the wheel, the versions, the hashes."""

import ast
import gzip
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from strike_app.web import build_assets
from tests.acceptance.newcomer import Step, saved, steps, typed

ROOT = Path(__file__).parents[2]
FIRST_STEPS = ROOT / "docs" / "first-steps.md"
WEB = ROOT / "strike_app" / "web"
BUILD_ONLY = ["build_assets.py", "package.json", "package-lock.json", ".npmrc"]
PACKAGES = ["strike_domain", "strike_adapters", "strike_app", "strike_mock"]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(target: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def newcomer(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as they are handed out, in which somebody has followed the page to its
    installation: word for word, in an environment that holds nothing."""
    source = tmp_path_factory.mktemp("source")
    shutil.unpack_archive(sdist, source, filter="data")
    [project] = source.iterdir()
    saved(FIRST_STEPS, project)
    printed = typed(next(steps(FIRST_STEPS)), project)
    assert "Emergency callouts for cut fibre" in printed
    return project


@pytest.fixture(scope="module")
def wheel(newcomer: Path) -> Path:
    """Made from the source distribution."""
    [made] = (newcomer / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_carries_each_package_and_says_that_it_is_typed(
    package: str, names: set[str]
) -> None:
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names


def test_the_wheel_carries_every_file_that_is_not_for_the_build_alone(names: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    only = {f"strike_app/web/{name}" for name in BUILD_ONLY}
    assert files - names == only | {"strike_adapters/places/build_places.py"}


def test_the_wheel_carries_the_browser_files_and_their_licences(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        for name in build_assets.wanted(WEB).values():
            assert archive.read(f"strike_app/web/assets/{name}")
        licences = archive.read(f"strike_app/web/assets/{build_assets.LICENCES}").decode()
    for name in ("graphiql 3.8.3 (MIT)", "react 18.3.1 (MIT)", "codemirror", "graphql-ws"):
        assert name in licences
    assert "GeoNames (CC BY 4.0)" in licences


def test_the_wheel_carries_the_names_of_places(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = archive.read("strike_adapters/places/places.json.gz")
    assert len(packed) < 500_000
    assert len(json.loads(gzip.decompress(packed))["populations"]) > 24_000


def test_the_wheel_carries_nothing_beside_the_packages(names: set[str]) -> None:
    folders = {name.partition("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_works_away_from_its_source(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + "\n".join(
        f"import {package}; print({package}.__file__)" for package in PACKAGES
    )
    printed = run(sys.executable, "-I", "-c", code, cwd=tmp_path).splitlines()
    assert printed == [str(tmp_path / package / "__init__.py") for package in PACKAGES]


def test_a_newcomer_gets_through_the_first_steps(newcomer: Path) -> None:
    """What is installed there is the wheel, not the sources beside it."""
    where = '.venv/bin/python -c "import strike_domain; print(strike_domain.__file__)"'
    asked = typed(Step(f"cd mine && ../{where}", ""), newcomer)
    assert "/.venv/lib/" in asked
    _, *rest = steps(FIRST_STEPS)
    assert len(rest) == 3
    for step in rest:
        assert step.shown and step.shown in typed(step, newcomer)


def test_the_wheel_gives_the_command_strike(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "strike = strike_app.cli:main" in archive.read(path).decode().splitlines()


def test_the_browser_files_are_fetched_with_no_node_on_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(WEB / name, tmp_path)
    monkeypatch.setenv("PATH", "")
    build_assets.build(tmp_path)
    assert build_assets.up_to_date(tmp_path)
    assert "window.GraphiQL = " in (tmp_path / "assets" / "graphiql.min.js").read_text()
    assert not list(tmp_path.glob(".building-*"))

    (tmp_path / "package.json").write_text((WEB / "package.json").read_text() + "\n")
    assert not build_assets.up_to_date(tmp_path)


def test_a_build_that_cannot_fetch_the_browser_files_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(WEB / name, tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(build_assets.AssetsNotBuilt, match=r"npm ci failed.*within reach\?"):
        build_assets.build(tmp_path)
    assert not (tmp_path / "assets").exists()


@pytest.mark.parametrize(
    "path", ["constraints.txt", "strike_app/web/package-lock.json", "strike_app/web/.npmrc"]
)
def test_no_lock_file_names_a_host(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert '"resolved"' not in text
    assert not re.search(r"^ *(-i|-f|--\w*(index|links|host)\w*)\b", text, re.MULTILINE)


def constraints() -> dict[str, list[str]]:
    """The versions of each package; two where they differ by version of Python."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if pinned := re.match(r"([a-z0-9-]+)==([^ ]+)", line):
            found.setdefault(pinned[1], []).append(pinned[2])
    return found


def asked_for(project: dict[str, Any]) -> Iterator[Requirement]:
    """Every requirement that pyproject.toml states, by whatever name."""
    texts: list[Any] = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        texts += extra
    for group in project["dependency-groups"].values():
        texts += [entry for entry in group if isinstance(entry, str)]
    hook = project["tool"]["hatch"]["build"]["hooks"]["custom"]
    texts += [hook["npm"], hook["places"]]
    return map(Requirement, texts)


def test_the_constraints_satisfy_every_requirement(project: dict[str, Any]) -> None:
    pinned = constraints()
    for requirement in asked_for(project):
        versions = pinned[canonicalize_name(requirement.name)]
        assert all(version in requirement.specifier for version in versions), requirement


def test_every_constraint_has_its_hash() -> None:
    text = (ROOT / "constraints.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == sum(map(len, constraints().values()))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="installed by other means than tox")
def test_tox_installs_nothing_but_what_the_constraints_hold() -> None:
    pinned = constraints()
    installed: dict[str, str] = {
        canonicalize_name(found.name): found.version for found in importlib.metadata.distributions()
    }
    del installed["osprey-strike"]
    assert {
        name: version for name, version in installed.items() if version not in pinned[name]
    } == {}


def test_every_dependency_has_its_reason_written_down(project: dict[str, Any]) -> None:
    reasons = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
    missing = {each.name for each in asked_for(project) if f"| `{each.name}`" not in reasons}
    assert missing == set()


def test_the_domain_imports_five_libraries_and_no_more() -> None:
    allowed = {"eventsourcing", "pydantic", "pydantic_core", "shapely", "geojson", "phonenumbers"}
    allowed |= {"strike_domain"} | sys.stdlib_module_names
    assert {
        f"{path.name}: {name}"
        for path in (ROOT / "strike_domain").rglob("*.py")
        for name in imported(path)
        if name.partition(".")[0] not in allowed
    } == set()


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
