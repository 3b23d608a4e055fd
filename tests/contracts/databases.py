"""A PostgreSQL of the system's with PostGIS, started for the tests where it is installed.

No wheel has PostGIS. `.ci/run` installs it by apt; elsewhere the tests that need it are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SYSTEM = Path("/usr/lib/postgresql")
CONTROL = "/usr/share/postgresql/{version}/extension/postgis.control"

NO_POSTGIS = "PostGIS is not installed (apt: postgresql-postgis)."


def postgis_programs() -> Path | None:
    """The folder of the newest installed PostgreSQL that has PostGIS."""
    versions = sorted((one for one in SYSTEM.glob("*") if one.name.isdigit()), reverse=True)
    return next(
        (one / "bin" for one in versions if Path(CONTROL.format(version=one.name)).exists()), None
    )


@contextmanager
def postgis_server(programs: Path, folder: Path) -> Iterator[str]:
    """The URL of a database with PostGIS in it, on a server of our own below `folder`."""
    data, run = folder / "data", folder / "run"
    run.mkdir(parents=True)
    prefix: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root; the package made it a user.
        prefix = ["runuser", "-u", "postgres", "--"]
        for one in (folder, run):
            shutil.chown(one, "postgres")
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and len(parent.parts) > 2:
                parent.chmod(parent.stat().st_mode | 0o011)
    options = f"-k {run} -c listen_addresses= -c fsync=off -c unix_socket_permissions=0777"
    _run([*prefix, str(programs / "initdb"), "-D", str(data), "-U", "strike", "-A", "trust"])
    control = [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-w"]
    _run([*control, "-o", options, "-l", str(folder / "run" / "log"), "start"])
    try:
        yield f"postgresql://strike@/postgres?host={run}"
    finally:
        _run([*control, "-m", "immediate", "stop"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr + done.stdout
