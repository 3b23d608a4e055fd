"""The plugin that fails a run whose log holds a secret: planted leaks are found, not printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "tr0ub4dor-and-three"
PLANT = """
import logging
from uuid import uuid4
import pytest, structlog
from strike_adapters.secrets import SecretBox
from strike_mock.clock import VirtualClock
from strike_mock.identity import IdentitySigner
from strike_mock.settings import Person

SECRET = "tr0ub4dor-and-" + "three"

def seal():
    SecretBox(bytes(32)).seal(uuid4(), "password", SECRET)

def token():
    signer = IdentitySigner(VirtualClock(), signer="s", issuer="i", client="c")
    return signer.sign(Person(sub="1", email="a@b.example", name="A"))

"""
LEAKS = {
    "in_an_event": "seal(); structlog.get_logger().info('sealed', value=[SECRET])",
    "before_it_is_known": "structlog.get_logger().info(SECRET); seal()",
    "captured_by_the_test": """seal()
    with structlog.testing.capture_logs():
        structlog.get_logger().warning("sealed", value=SECRET)""",
    "in_the_text_of_an_error": """seal()
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        structlog.get_logger().exception("failed")""",
    "by_a_library": "seal(); logging.getLogger('other').debug('asked %s', SECRET)",
    "as_a_signed_login": "structlog.get_logger().info('login', header=token())",
}
SILENT = "seal(); structlog.get_logger().info('sealed', of=len(SECRET)); token()"


def _run(folder: Path, bodies: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    tests = [f"def test_{name}():\n    {body}\n" for name, body in bodies.items()]
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(PLANT + "\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-p", "tests.leaks", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *flags, "--rootdir", str(folder), "-c", str(folder / "pytest.ini"), str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


@pytest.mark.parametrize("flags", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_every_planted_leak_is_named_fails_the_run_and_is_not_printed(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    run = _run(tmp_path, LEAKS, *flags)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    summary = run.stdout.partition("secrets in the log")[2]
    assert [name for name in LEAKS if f"::test_{name} " not in summary] == []
    assert SECRET not in summary and "eyJ" not in summary


def test_a_run_that_logs_no_secret_passes(tmp_path: Path) -> None:
    run = _run(tmp_path, {"silent": SILENT})
    assert run.returncode == pytest.ExitCode.OK, run.stdout
