"""New ids: random as `uuid4` makes them, with one call of the system for many of them."""

from __future__ import annotations

import os
from uuid import UUID

_AT_ONCE = 256
_BYTES = 16

_random: list[bytes] = []

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
        drawn = fresh[:_BYTES]
        _random.extend(fresh[at : at + _BYTES] for at in range(_BYTES, len(fresh), _BYTES))
    return UUID(bytes=drawn, version=4)
