"""The log as messages, batch by batch."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cachetools import LRUCache

from strike_adapters.jetstream.messages import Message, Parties, messages_of
from strike_domain.log import StrikeLog
from strike_domain.pager_run import PagerRunStarted

REMEMBERED = 100_000
"""Of how many aggregates it is kept whose they are."""


class LogReader:
    """Reads events in the order of the log. For one thread at a time."""

    def __init__(self, log: StrikeLog) -> None:
        self._log = log
        self._parties: LRUCache[UUID, Parties] = LRUCache(REMEMBERED)

    def read(self, after: int, limit: int, most_bytes: int) -> list[Message]:
        """The messages of the next `limit` events; none if there are none yet.

        Raises `MapperDeserialisationError` for an event that only a newer version can read.
        """
        recorder = self._log.recorder
        found = recorder.select_notifications(after, limit, inclusive_of_start=False)
        messages: list[Message] = []
        for one in found:
            event = self._log.mapper.to_domain_event(one)
            messages += messages_of(one.id, event, self._parties_of(event), most_bytes)
        return messages

    def event_id_at(self, position: int) -> str | None:
        """The id of the event at a position; None if there is none."""
        for one in self._log.recorder.select_notifications(position, 1, stop=position):
            event: Any = self._log.mapper.to_domain_event(one)
            return str(event.event_id)
        return None

    def _parties_of(self, event: Any) -> Parties:
        """They stand in an aggregate's first event, and nothing changes them."""
        aggregate_id: UUID = event.originator_id
        known = self._parties.get(aggregate_id)
        if known is None:
            first: Any = event
            if event.originator_version != 1:
                first = next(iter(self._log.events.get(aggregate_id, lte=1)))
            eco_id = first.eco_id if isinstance(first, PagerRunStarted) else aggregate_id
            known = self._parties[aggregate_id] = Parties(eco_id, first.noc_id, first.osp_id)
        return known
