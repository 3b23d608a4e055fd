"""What can go wrong, as one error with a cause and a cure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CURES = {
    "No space left": "Free some disk space and start again.",
    "Permission denied": "Make that path accessible, or set STRIKE_DATA_DIR to a folder of yours.",
    "Read-only file system": "Set STRIKE_DATA_DIR to a folder that can be written.",
    "Not a directory": "Set STRIKE_DATA_DIR to a folder.",
    "File exists": "Set STRIKE_DATA_DIR to a folder.",
    "initialized by PostgreSQL": "Dump the data with that version and load it into this one.",
    "pre-existing shared memory": "End the PostgreSQL that still uses these data, then retry.",
}


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be started, joined or stopped.

    `cause` says in one sentence what is wrong, `cure` what to do about it.
    """

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(cause, cure)
        self.cause = cause
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.cause} {self.cure}"


def failure(cause: str, details: str) -> EmbeddedPostgresError:
    """The error of `cause`, with the cure that `details` (of a log or the system) calls for."""
    known = (cure for sign, cure in _CURES.items() if sign in details)
    cure = next(known, "The server's own words may tell what to do.")
    return EmbeddedPostgresError(cause, f"{cure}\n{details}".rstrip())


@contextmanager
def one_tree(home: Path) -> Iterator[None]:
    """Turn an OSError met while working in `home` into an EmbeddedPostgresError."""
    try:
        yield
    except OSError as error:
        raise failure(f"The embedded PostgreSQL cannot use {home}.", str(error)) from error
