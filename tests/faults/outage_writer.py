"""A process that gives commands through the domain library, as fast as its share of the machine.

`python -m tests.faults.outage_writer NOTES NAME`, with Strike's settings in the environment. Killed
and started again, it first repeats with the same client references what it has no answer to.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.store import store_env
from strike_app.clock import ScaledClock
from strike_app.demo.seed import NOCS, _id
from strike_app.health import Health
from strike_app.processes import run_until_stopped, stop_event, tell_ready
from strike_app.services import DATABASE_FAILURES
from strike_app.settings import Settings
from strike_domain import (
    Actor,
    Callouts,
    EcoOrder,
    Receipt,
    Role,
    Side,
    StrikeError,
    StrikeLog,
    Unavailable,
)
from strike_domain.eco import Eco
from tests.faults.outage_notes import Asked, Notebook, read, unanswered

NOC_ID = _id(NOCS[1])
"""The NOC whose ECOs are dispatched by hand: they fill the log and ring nobody."""

QUIET_OSP = _id("Outages, quiet")
"""Its contractor, with neither list nor Render."""

ACTOR = Actor(name="writer", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)

THREADS = 4

PAUSE = 0.5
"""Seconds between two commands of a thread."""

SHARED_SECONDS = 5
"""How long all threads of all writers put their remarks into the same ECO."""


class Writer:
    """One thread that gives commands."""

    def __init__(self, callouts: Callouts, book: Notebook, name: str, old: list[str]) -> None:
        self.name = name
        self._callouts, self._book, self._old = callouts, book, old

    def run(self, stop: threading.Event) -> None:
        chance = random.Random()
        while not stop.wait(PAUSE):
            reference = self._old.pop() if self._old else f"ref-{uuid4()}"
            eco_id = self._create(reference, stop)
            if eco_id and chance.random() < 0.5:
                self._remark(eco_id)
            if eco_id and chance.random() < 0.2:
                self._cancel(eco_id)
            # Every few seconds a new one, under a reference that all writers know.
            shared = self._create(f"ref-shared-{time.time() // SHARED_SECONDS:.0f}", stop)
            if shared:
                self._remark(shared)

    def _create(self, reference: str, stop: threading.Event) -> UUID | None:
        order = EcoOrder(
            osp_id=QUIET_OSP,
            location={"type": "Point", "coordinates": [-105.27, 40.01]},
            job_type="FNOL",
            description="A cut under load",
            client_reference=reference,
        )
        while not stop.is_set():
            done = self._try(reference, lambda: self._callouts.create_eco(order, ACTOR))
            if done:
                return done
            stop.wait(0.1)
        return None

    def _remark(self, eco_id: UUID) -> None:
        text = f"remark-{uuid4()}"
        self._try(text, lambda: self._callouts.add_note(eco_id, text, ACTOR))

    def _cancel(self, eco_id: UUID) -> None:
        reason = f"cancel-{uuid4()}"
        self._try(reason, lambda: self._callouts.cancel_eco(eco_id, reason, ACTOR))

    def _try(self, word: str, command: Callable[[], Receipt[Eco]]) -> UUID | None:
        asked: Asked = self._book.ask(word, self.name)
        try:
            receipt = command()
        except (*DATABASE_FAILURES, Unavailable) as error:
            asked.failed(type(error).__name__)
        except StrikeError as error:
            asked.refused(error.code)
        else:
            asked.acknowledged(receipt.aggregate.id, receipt.position)
            return receipt.aggregate.id
        return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("notes", type=Path)
    parser.add_argument("name")
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--exit-with-parent", action="store_true")
    given = parser.parse_args()
    stop = stop_event(exit_with_parent=given.exit_with_parent)
    old = sorted(unanswered(list(read(given.notes)), "ref-"))
    settings = Settings()
    url, clock = str(settings.database_url), ScaledClock(settings.clock_speed, settings.clock_epoch)
    with open_pool(url) as pool, StrikeLog(store_env(url)) as log:
        callouts = Callouts(log, PostgresDirectory(pool), clock)
        book = Notebook(given.notes)
        writers = [Writer(callouts, book, given.name, old) for _ in range(THREADS)]
        tell_ready(given.ready_file, {"pid": os.getpid()})
        run_until_stopped(writers, stop, Health())


if __name__ == "__main__":
    main()
