"""Signing keys that change, and flaws to be had on demand: what all signers have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from strike_mock.clock import Clock

KEEP_SECONDS = 300.0
"""How long an old public key stays published after a rotation, in simulated seconds."""

Private = TypeVar("Private")
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Key(Generic[Private]):
    """A private key with the id of its public one, which is published up to `until`, or for good.

    `until` is simulated time.
    """

    kid: str
    private: Private
    until: datetime | None = None


class Keyring(Generic[Private]):
    """The key that signs and those that did before; `new` makes one when it is first needed."""

    def __init__(self, clock: Clock, new: Callable[[], Key[Private]]) -> None:
        self._clock = clock
        self._new = new
        self._current: Key[Private] | None = None
        self._old: list[Key[Private]] = []

    @property
    def current(self) -> Key[Private]:
        """The key that signs now."""
        if self._current is None:
            self._current = self._new()
        return self._current

    def rotate(self, keep_seconds: float) -> str:
        """Sign with a new key from now on, and return its id.

        The old one stays published for `keep_seconds` of simulated time.
        """
        until = self._clock.now() + timedelta(seconds=keep_seconds)
        self._old.append(replace(self.current, until=until))
        self._current = self._new()
        return self._current.kid

    def published(self) -> Iterator[Key[Private]]:
        """Return the keys whose public half can be had now, that which signs first."""
        yield self.current
        now = self._clock.now()
        yield from (key for key in self._old if key.until is None or now < key.until)


class Flaws(Generic[Kind]):
    """What is to be wrong with the next tokens."""

    def __init__(self) -> None:
        self._next: list[Kind] = []

    def ask(self, flaw: Kind, times: int) -> None:
        """Let the next `times` tokens have this flaw, and forget what was asked for before."""
        self._next = [flaw] * times

    def take(self) -> Kind | None:
        """Return the flaw of the token that is made now."""
        return self._next.pop(0) if self._next else None
