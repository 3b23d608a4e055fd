"""The steps of the image, done without Docker: built from what it is given, run as it is run.

What Docker itself would do with them is not tried here: docs/deployment.md.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

from strike_app.web import build_assets
from strike_mock.settings import DEFAULT_SIGNER
from tests.deployment.files import ROOT

DOCKERFILE = ROOT / "deploy" / "image" / "Dockerfile"
LINES = re.sub(r"\\\n", "", DOCKERFILE.read_text("utf-8")).splitlines()

# As a container with a read-only root: nothing can be written but the one folder, by nobody.
CLOSED = """
mount --make-rprivate / && mount -o remount,ro,bind / && mount -t tmpfs tmpfs "$1" || exit 77
shift
exec unshare --user --map-user=65532 --map-group=65532 "$@"
"""


def given(path: str) -> bool:
    """Whether .dockerignore lets the file through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    shown = False
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(fnmatch(one, bare) for one in (path, *map(str, Path(path).parents))):
            shown = pattern.startswith("!")
        elif bare.startswith("**/") and fnmatch(f"/{path}", f"*/{bare[3:]}*"):
            shown = False
    return shown


def copied() -> list[str]:
    """What the first stage takes from the project's folder."""
    words = [line.split() for line in LINES if line.startswith("COPY") and "--from" not in line]
    return [name for line in words for name in line[1:-1]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the very script of the image, from nothing but what the image is given."""
    source = tmp_path_factory.mktemp("context")
    for name in copied():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("image") / "strike"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    [step] = [line.removeprefix("RUN ") for line in LINES if line.startswith("RUN")]
    words = step.replace("/opt/strike", str(target)).split()
    subprocess.run(words, cwd=source, env={**os.environ, "PATH": path}, check=True, timeout=300)
    return target


def test_the_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint on PATH")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_whatever_is_copied_is_given_and_no_more() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    shown = [path for path in tracked if given(path)]
    assert [path for path in shown if not path.startswith(tuple(copied()))] == []
    assert all(any(path.startswith(name) for path in shown) for name in copied())
    assert not given(".env") and not given("tests/conftest.py") and not given(".git/config")


def test_the_image_is_nobodys_and_fetches_nothing_when_it_runs() -> None:
    second = LINES[max(n for n, line in enumerate(LINES) if line.startswith("FROM")) :]
    assert "USER 65532:65532" in second
    assert [line for line in second if line.startswith(("RUN", "ADD"))] == []
    assert 'ENTRYPOINT ["strike"]' in second


def test_the_image_knows_its_version_and_carries_the_browser_files(installed: Path) -> None:
    done = subprocess.run(
        [installed / "bin" / "strike", "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"strike \d+\.\d+\.\d+\n", done.stdout)
    [assets] = installed.glob("lib/python*/site-packages/strike_app/web/assets")
    wanted = build_assets.wanted(ROOT / "strike_app" / "web").values()
    assert all((assets / name).is_file() for name in wanted)


def test_the_image_has_what_it_may_be_asked_for_and_no_tools(installed: Path) -> None:
    [packages] = installed.glob("lib/python*/site-packages")
    assert all((packages / name).is_dir() for name in ("boto3", "nats", "mcp", "strike_mock"))
    assert not any((packages / name).exists() for name in ("pytest", "mypy", "pip", "hatchling"))


@pytest.fixture
def serving(installed: Path) -> Iterator[str]:
    """strike serve as nobody, with one folder to write to, and where it answers."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root may close the file system for a test")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "PATH": f"{installed}/bin:/usr/bin:/bin",
            "STRIKE_DATA_DIR": f"{folder}/data",
            "STRIKE_PORT": str(port),
            "STRIKE_OIDC_SIGNER": DEFAULT_SIGNER,
        }
        shell = ["unshare", "--mount", "sh", "-c", CLOSED, "sh", folder, "strike", "serve"]
        with subprocess.Popen(
            shell, env=env, cwd="/", stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield answering(f"http://127.0.0.1:{port}", process)
            finally:
                process.terminate()
                process.communicate(timeout=30)


def answering(url: str, process: subprocess.Popen[str]) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() == 77:
            pytest.skip("this machine lets nobody close the file system")
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return url
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("It did not answer within a minute.")


def test_the_api_starts_as_nobody_where_nothing_can_be_written(serving: str) -> None:
    assert httpx.get(f"{serving}/readyz").json()["ready"] is True
    assert httpx.get(f"{serving}/assets/htmx.min.js").status_code == 200
    assert httpx.get(f"{serving}/graphql").status_code in (400, 401)
