"""Aggregates kept in mind: a load reads what is new of them, not all that ever happened."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Any
from uuid import UUID

from eventsourcing.application import Repository

from strike_domain.eventsourced import project

KEPT = 1_000
"""How many aggregates an application keeps, those that were used last."""

SHARES = 256
"""Among so many locks the aggregates are shared out."""

PATIENCE = 1.0
"""Seconds that a load waits for another one of the same share, which may wait for the database."""


class KeptAggregates(Repository[UUID]):
    """The library's repository with its cache, one load of an aggregate at a time.

    What it keeps is brought up to date from the log at each load, so it does not matter which
    process wrote. The library does that under a lock and copies after it, when the next thread may
    be changing what is being copied; here both are one step. Nobody gets what is kept itself.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shares = [Lock() for _ in range(SHARES)]
        self._times_forgotten = 0

    def get(
        self,
        aggregate_id: UUID,
        *,
        version: int | None = None,
        projector_func: Any = project,
        **options: Any,
    ) -> Any:
        """As the library's; an earlier version is always read from the beginning."""
        share = self._shares[aggregate_id.int % SHARES]
        if version is not None or not share.acquire(timeout=PATIENCE):
            return self._reconstruct_aggregate(aggregate_id, version, projector_func)
        try:
            while True:
                times = self._times_forgotten
                found = super().get(aggregate_id, projector_func=projector_func, **options)
                # The load itself may have been what met another server.
                if times == self._times_forgotten:
                    return found
        except BaseException:
            # What is kept may have been changed halfway.
            self.forget(aggregate_id)
            raise
        finally:
            share.release()

    def forget_all(self) -> None:
        """The next load of each aggregate reads all of it."""
        self._times_forgotten += 1
        if self.cache is not None:
            for aggregate_id in tuple(self.cache.cache):
                self.forget(aggregate_id)

    def forget(self, aggregate_id: UUID) -> None:
        """The next load of it reads all of it."""
        if self.cache is not None:
            with suppress(KeyError):
                self.cache.get(aggregate_id, evict=True)
