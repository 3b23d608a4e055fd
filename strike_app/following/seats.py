"""How many streams one user, one tenant and all of them together may have open in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from strike_app.limits import TooMany

AGAIN_SECONDS = 5
"""When it is worth trying again, in seconds: a stream of somebody who is gone ends by then."""


@dataclass(frozen=True)
class Most:
    """Open streams of a process: of one user, of one tenant, of all."""

    per_user: int = 100
    per_tenant: int = 1_000
    per_process: int = 10_000


class Seats:
    """Counts open streams."""

    def __init__(self, most: Most) -> None:
        self._most = most
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def taken(self, user_id: UUID, tenant_id: UUID) -> Iterator[None]:
        """While a stream is open. Raises `TooMany` (TOO_MANY_STREAMS)."""
        limits: tuple[tuple[str, Hashable, int], ...] = (
            ("user", ("user", user_id), self._most.per_user),
            ("tenant", ("tenant", tenant_id), self._most.per_tenant),
            ("server", "all", self._most.per_process),
        )
        for what, key, most in limits:
            if self._taken[key] >= most:
                message = f"More than {most} open streams of one {what}. Close others first."
                raise TooMany("TOO_MANY_STREAMS", message, AGAIN_SECONDS)
        self._taken.update(key for _, key, _ in limits)
        try:
            yield
        finally:
            self._taken.subtract(key for _, key, _ in limits)
            self._taken += Counter()  # Who has none is forgotten.
