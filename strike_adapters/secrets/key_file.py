"""The file that holds a key-encryption key: base64, mode 0600."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from strike_adapters.secrets.aead import KEY_BYTES
from strike_adapters.secrets.errors import SecretError


def load_key(path: str | os.PathLike[str]) -> bytes:
    """Return the 32-byte key in the file `path`, and never make one.

    Raises `SecretError`: KEY_MISSING, KEY_UNREADABLE, KEY_EXPOSED, KEY_INVALID.
    """
    file = Path(path)
    with _usable(file):
        try:
            return _read(file)
        except FileNotFoundError:
            raise _missing(file) from None


def load_or_create_key(path: str | os.PathLike[str]) -> bytes:
    """Return the 32-byte key in the file `path`, made if there is none.

    Processes that start at once all get the same key. Raises `SecretError`: KEY_UNREADABLE,
    KEY_EXPOSED, KEY_INVALID.
    """
    file = Path(path)
    with _usable(file):
        if not file.exists():
            _write_new(file)
        return _read(file)


def create_key(path: str | os.PathLike[str]) -> bytes:
    """Make a key in the file `path` and return its 32 bytes.

    Raises `SecretError`: KEY_EXISTS if there is anything under that name, KEY_UNREADABLE.
    """
    file = Path(path)
    with _usable(file):
        if not _write_new(file):
            raise SecretError("KEY_EXISTS", f"There is a file {file} already. It was left alone.")
        return _read(file)


@contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or "it is not a file's name"
        raise SecretError(
            "KEY_UNREADABLE", f"The key file {file} cannot be used: {why}."
        ) from error


def _missing(file: Path) -> SecretError:
    return SecretError(
        "KEY_MISSING",
        f"There is no key file {file}. Name the right one with STRIKE_SECRETS_KEY_FILE. If the "
        "key is lost, make a new one; secrets sealed with the lost key must be entered anew.",
    )


def _write_new(file: Path) -> bool:
    """Write a key aside and link it into place: it is there whole or not at all, and once.

    Returns whether it is this one; if not, the name was taken.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        _write(aside)
        made = _linked(aside, file)
        _sync_directory(file.parent)
    finally:
        aside.unlink(missing_ok=True)
    return made


def _write(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as writing:
        writing.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        writing.flush()
        os.fsync(writing.fileno())


def _linked(aside: Path, file: Path) -> bool:
    """Whoever links first has made the key; the others read that one."""
    try:
        os.link(aside, file)
    except FileExistsError:
        return False
    return True


def _sync_directory(directory: Path) -> None:
    """A key that a power cut takes away would take every secret with it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> bytes:
    with file.open("rb") as reading:
        mode = os.fstat(reading.fileno()).st_mode & 0o777
        content = reading.read(200)
    if mode & 0o077:
        raise SecretError(
            "KEY_EXPOSED",
            f"The key file {file} has mode {mode:04o}, so others may have read it. "
            "Allow its owner only: chmod 600.",
        )
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise SecretError(
            "KEY_INVALID", f"The key file {file} does not hold {KEY_BYTES} bytes in base64."
        )
    return key
