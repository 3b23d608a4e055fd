"""Identifiers: random, or the same in every run when there is a seed."""

from __future__ import annotations

from random import Random, SystemRandom


class Ids:
    """Hands out identifiers as Twilio and Render shape them."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = SystemRandom() if seed is None else Random(seed)  # noqa: S311 - to be repeated, not to be secret

    def new(self, prefix: str) -> str:
        """Return `prefix` and 32 hexadecimal digits."""
        return f"{prefix}{self._random.getrandbits(128):032x}"
