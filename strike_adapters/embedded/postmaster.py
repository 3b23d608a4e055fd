"""What a running server says of itself in `postmaster.pid`."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Postmaster:
    """Number of the server's first process, folder of its socket, and whether it takes sessions.

    A killed server leaves its file behind, so this is hearsay until somebody answers.
    """

    pid: int
    socket_folder: Path
    ready: bool

    def interrupt(self) -> bool:
        """Ask for a fast shutdown; False if there is no such process any more."""
        try:
            os.kill(self.pid, signal.SIGINT)
        except ProcessLookupError:
            return False
        return True


def read_postmaster(data: Path) -> Postmaster | None:
    """The server's own word, None before it has opened its socket and after it has ended."""
    try:
        lines = postmaster_file(data).read_text().splitlines()
    except FileNotFoundError:
        return None
    # Line 1 is the pid, 5 the folder of the socket, 8 the state (PostgreSQL's pidfile.h).
    if len(lines) < 5:
        return None
    return Postmaster(int(lines[0]), Path(lines[4]), lines[7:8] == ["ready   "])


def postmaster_file(data: Path) -> Path:
    """Where the server of that data folder writes about itself."""
    return data / "postmaster.pid"
