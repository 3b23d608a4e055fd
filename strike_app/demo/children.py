"""The demo's processes: started, killed, started again, and never left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
"""Real seconds that one process may take to be ready, on a slow and busy machine."""

STOP_SECONDS = 10.0


class ChildFailed(Exception):
    """A process of the demo ended, or was not ready in time; the message has its last words."""


class Child:
    """One process of Strike, which ends when we do: it watches the pipe that we hold."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._ready = folder / f"{name}.json"
        self._command = [sys.executable, "-m", *arguments, "--exit-with-parent"]
        self._command += ["--ready-file", str(self._ready)]
        self._env = {**os.environ, **env}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches us alone, and we stop the others in order.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )

    def wait_ready(self) -> dict[str, Any]:
        """What the process tells about itself once it is ready. Raises `ChildFailed`."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready:
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailed(
                    f"{self.name} was not ready in {START_SECONDS:g} s.{self._tail()}"
                )
            time.sleep(0.02)
        facts: dict[str, Any] = json.loads(self._ready.read_text())
        return facts

    @property
    def is_ready(self) -> bool:
        """Whether the process has said that it is."""
        return self._ready.exists()

    def check(self) -> None:
        """Raise `ChildFailed` if the process has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise ChildFailed(f"{self.name} ended unexpectedly.{self._tail()}")

    def kill(self) -> None:
        """SIGKILL, as a machine that fails would do."""
        if self._process is not None:
            self._process.kill()
            self._close(self._process)

    def stop(self) -> None:
        """Ask it to stop, and make sure that it has."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close(self._process)

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if process.stdin:
            process.stdin.close()
        self._process = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _tail(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-8:]
        return "\n  ".join(["", *lines])
