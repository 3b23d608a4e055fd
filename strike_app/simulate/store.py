"""The library's in-memory recorder, with a network in front of it that can fail.

What PostgreSQL's recorder does on a failure is done here as well: it tries again by itself, ten
times, also where the first try had been stored and only the answer was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar
from uuid import UUID, uuid4

from eventsourcing.persistence import (
    ApplicationRecorder,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
)
from eventsourcing.popo import POPOFactory, POPOProcessRecorder

from strike_app.simulate.loop import is_fibre, wait

T = TypeVar("T")

KEY = "STRIKE_SIMULATED_LOG"
ATTEMPTS = 10
PAUSE = 0.2

_logs: dict[str, SimulatedRecorder] = {}


class SimulatedRecorder(POPOProcessRecorder):
    """`trouble` says what goes wrong with the next statement: "", "before" or "after"."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = Random(0)  # noqa: S311 - to be repeated
        self.trouble: Callable[[str], str] = lambda what: ""
        self.on_stored: Callable[[Sequence[StoredEvent]], None] = lambda events: None

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """As the library's, after some milliseconds, unless something goes wrong."""
        if not is_fibre():
            return super().insert_events(stored_events, **kwargs)
        return self._trying("insert", lambda: self._insert(stored_events, **kwargs))

    def _insert(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        stored = super().insert_events(stored_events, **kwargs)
        self.on_stored(stored_events)
        return stored

    def select_events(self, originator_id: UUID | str, **kwargs: Any) -> Sequence[StoredEvent]:
        """As the library's, after some milliseconds, unless something goes wrong."""
        select = super().select_events
        if not is_fibre():
            return select(originator_id, **kwargs)
        return self._trying("select", lambda: select(originator_id, **kwargs))

    def _trying(self, what: str, statement: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS):
            wait(asyncio.sleep(self.chance.uniform(0.001, 0.01)))
            trouble = self.trouble(what)
            if trouble != "before":
                result = statement()
                if not trouble:
                    return result
            wait(asyncio.sleep(PAUSE))
        raise OperationalError("the database is away")


class Factory(POPOFactory):
    """Gives every application of one environment the same recorder."""

    def application_recorder(self) -> ApplicationRecorder:
        """The recorder of the environment's log."""
        return self._shared()

    def process_recorder(self) -> ProcessRecorder:
        """The same."""
        return self._shared()

    def _shared(self) -> SimulatedRecorder:
        return _logs.setdefault(self.env[KEY], SimulatedRecorder())


del POPOFactory  # The library takes the one factory class that it finds in this module.


def new_log() -> dict[str, str]:
    """The environment of a new, empty log."""
    return {"PERSISTENCE_MODULE": __name__, KEY: uuid4().hex}


def drop_log(env: dict[str, str]) -> None:
    """Forget it."""
    _logs.pop(env[KEY], None)
