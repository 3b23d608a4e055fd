"""Where the server's socket lies, and whether somebody answers there."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_PATH_BYTES = 100
_PREFIX = "strike-socket-"


def make_socket_folder(home: Path) -> Path:
    """`home`, or a new folder of mode 0700 under the temp folder where `home` takes no socket."""
    if _fits(home) and _takes_sockets(home):
        return home
    temp = Path(tempfile.gettempdir())
    if not _fits(temp / (_PREFIX + 8 * "x")):
        temp = Path("/tmp")  # noqa: S108 - mkdtemp makes a folder that is new and closed
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=temp))


def discard_socket_folder(folder: Path) -> None:
    """Remove a folder that `make_socket_folder` has made; leave any other alone."""
    if folder.name.startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def accepts(folder: Path) -> bool:
    """Whether a server listens on the socket in that folder (waits 1 s at most)."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(folder / SOCKET_NAME))
        except OSError:
            return False
    return True


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET_NAME)) <= _LONGEST_PATH_BYTES


def _takes_sockets(folder: Path) -> bool:
    """Some shared folders of virtual machines and containers take files but no sockets."""
    trial = folder / ".s.trial"
    try:
        trial.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(trial))
        trial.unlink()
    except OSError:
        return False
    return True
