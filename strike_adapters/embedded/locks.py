"""File locks that the kernel releases when their holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def open_lock(path: Path) -> int:
    """A descriptor to lock by; closing it releases the lock unless a child has inherited it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def lock_shared(descriptor: int) -> None:
    """Wait until nobody holds the lock alone, then hold it beside others."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def lock_alone(descriptor: int) -> bool:
    """Hold the lock alone if nobody else holds it; whether that was so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Release the lock, for children that have inherited the descriptor too."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked_alone(path: Path) -> Iterator[None]:
    """Hold the lock of that file alone within the block, waiting for it."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        unlock(descriptor)
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock of that file."""
    descriptor = open_lock(path)
    try:
        return lock_alone(descriptor)
    finally:
        os.close(descriptor)
