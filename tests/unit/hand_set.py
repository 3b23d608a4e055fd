"""A clock in seconds that moves when it is told to."""

from __future__ import annotations


class HandSet:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds
