"""Whom the server runs as: PostgreSQL refuses root, and we change no account and no folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strike_adapters.embedded.errors import EmbeddedPostgresError
from strike_adapters.embedded.programs import program

if sys.platform != "win32":
    import pwd

_NOBODY = 65534


@dataclass(frozen=True)
class Account:
    """`uid` owns the server's files; a command that begins with `prefix` runs as that account."""

    uid: int
    prefix: tuple[str, ...]


def choose_account(home: Path, data: Path) -> Account:
    """The first account that owns `data` (if it exists already) and can work in `home`.

    Raises EmbeddedPostgresError if there is none.
    """
    owner = data.stat().st_uid if data.exists() else None
    for account in _accounts(os.geteuid()):
        if owner in (None, account.uid) and _works(account, home):
            return account
    raise EmbeddedPostgresError(
        f"PostgreSQL will not run in {home} as uid {os.geteuid()}: it wants a user who is not root "
        "and has a name, and neither a user namespace nor another uid can be had here.",
        "Run as an ordinary user, allow user namespaces, or set STRIKE_DATABASE_URL to a server.",
    )


def _accounts(uid: int) -> Sequence[Account]:
    if uid == 0:
        return [Account(uid, _namespace()), Account(_NOBODY, _as_nobody())]
    return [Account(uid, () if _has_name(uid) else _namespace())]


def _namespace() -> tuple[str, ...]:
    """Files still belong to the real uid, PostgreSQL sees one with a name, which initdb wants."""
    named = (user.pw_uid for user in pwd.getpwall() if user.pw_uid not in (0, _NOBODY))
    uid = next(named, _NOBODY)
    return ("unshare", "--user", f"--map-user={uid}", f"--map-group={uid}")


def _as_nobody() -> tuple[str, ...]:
    """The one capability reaches a folder inside root's closed home without opening it to others.

    It is a little more than the namespace gives, so this is only what remains where namespaces
    are refused: such a server could write files of root, which it never tries to.
    """
    return (
        "setpriv",
        f"--reuid={_NOBODY}",
        f"--regid={_NOBODY}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _works(account: Account, home: Path) -> bool:
    if not account.prefix:
        return True
    look = ("sh", "-c", 'cd "$1" && exec "$2" --bindir', "sh", str(home), str(program("pg_config")))
    try:
        trial = subprocess.run([*account.prefix, *look], check=False, capture_output=True, cwd="/")
    except OSError:
        return False
    return trial.returncode == 0
