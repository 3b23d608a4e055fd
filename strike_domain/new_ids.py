"""New ids: random as `uuid4` makes them, with one call of the system for many; or derived."""

from __future__ import annotations

import os
from hashlib import sha1
from uuid import UUID

_AT_ONCE = 256
_BYTES = 16

_random: list[int] = []

_MARKED = ~((0xF000 << 64) | (0xC000 << 48))
"""All bits of an id but those that say how it was made."""

_DRAWN, _DERIVED = (4 << 76) | (0x8000 << 48), (5 << 76) | (0x8000 << 48)
"""Those bits of an id of version 4, and of version 5."""

# A child that went on with its parent's bytes would give the same ids.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.clear)


def new_id() -> UUID:
    """A random UUID (version 4).

    A call of the system lets another thread have the interpreter, which a caller among many then
    has to wait for: twice for each command, if each id is a call.
    """
    try:
        drawn = _random.pop()
    except IndexError:
        fresh = os.urandom(_AT_ONCE * _BYTES)
        drawn, *rest = (
            int.from_bytes(fresh[at : at + _BYTES], "big") for at in range(0, len(fresh), _BYTES)
        )
        _random.extend(rest)
    return UUID(int=drawn & _MARKED | _DRAWN)


def derived_id(namespace: UUID, name: str) -> UUID:
    """The id that `uuid5` gives, in half the time: every event has one."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(digest[:_BYTES], "big") & _MARKED | _DERIVED)
