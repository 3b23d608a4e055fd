"""What a line of the log looks like, whoever wrote it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SAID = """
import logging
import structlog
from strike_app.logs import configure

configure(as_json=True)
structlog.contextvars.bind_contextvars(correlation_id="c-1")
structlog.get_logger().warning("ours", to="+13035550101")
logging.getLogger("aiohttp.server").error("theirs: %s", "+13035550101")
try:
    raise ValueError("auth_token=abcdefghijkl")
except ValueError:
    logging.getLogger("library").exception("failed")
"""


def test_a_librarys_line_is_json_with_the_correlation_id_and_without_secrets() -> None:
    command = [sys.executable, "-c", SAID]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "STRIKE_LOG": "INFO"},
    )
    ours, theirs, failed = [json.loads(line) for line in done.stderr.splitlines()]
    assert {one["correlation_id"] for one in (ours, theirs, failed)} == {"c-1"}
    assert (ours["event"], ours["to"]) == ("ours", "***0101")
    assert (theirs["event"], theirs["logger"]) == ("theirs: ***0101", "aiohttp.server")
    assert (theirs["level"], failed["level"]) == ("error", "error")
    assert "ValueError: auth_token=[hidden]" in failed["exception"]
    assert "timestamp" in theirs
