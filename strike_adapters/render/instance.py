"""One OSP's Render instance, and where the adapter finds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol
from uuid import UUID

from cachetools import TTLCache

from strike_adapters.secrets import SecretError
from strike_domain.outside import RenderInstance
from strike_domain.ports import FieldTerms

__all__ = ["RememberedInstances", "RenderInstance", "RenderInstances"]


class RenderInstances(Protocol):
    """The configured instances. Asked for every request, so that a change takes effect."""

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        """The OSP's instance; None if it has none."""


class RememberedInstances:
    """Instances that are read again from `source` only after some seconds.

    Opening a secret and asking the database for every poll would be half the cost of a poll.
    `terms` is asked how field work is followed where the instance's secret does not open.
    """

    def __init__(
        self,
        source: RenderInstances,
        seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
        terms: Callable[[UUID], FieldTerms] | None = None,
    ) -> None:
        self._source = source
        self._terms = terms
        self._lock = Lock()
        self._known: TTLCache[UUID, RenderInstance | None] = TTLCache(10_000, seconds, monotonic)

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        with self._lock:
            if osp_id in self._known:
                return self._known[osp_id]
        found = self._source.for_osp(osp_id)
        with self._lock:
            self._known[osp_id] = found
        return found

    def field_terms(self, osp_id: UUID) -> FieldTerms:
        """As `Directory.field_terms`."""
        try:
            instance = self.for_osp(osp_id)
        except SecretError:
            # They are no secret, and what goes wrong is to be recorded by them.
            if self._terms is None:
                raise
            return self._terms(osp_id)
        return instance.field_terms if instance else FieldTerms()
