"""Many open callouts and many changes of them, by the commands that everybody uses.

No phone rings: stop the world's worker before, or every callout is worked on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.store import store_env
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_domain import Actor, Callouts, EcoOrder, Role, Side, StrikeLog
from strike_domain.eco import Priority
from tests.benchmarks.given import RealTime

OPERATOR = Actor(name="night", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)

CRITICAL, NORMAL = Priority.CRITICAL, Priority.NORMAL

CALLERS = 8

WEST, EAST, SOUTH, NORTH = -120.0, -75.0, 30.0, 48.0


@dataclass
class Told:
    """Changes by their number: when each was durable, in seconds of the machine's clock."""

    committed: dict[int, float] = field(default_factory=dict)
    late: float = 0.0
    """How much later than due the latest one was begun, in seconds."""


@dataclass
class Night:
    """`ecos`: those that are open, in the order in which they were created."""

    callouts: Callouts
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    ecos: list[UUID] = field(default_factory=list)

    def create(self, number: int, priority: Priority = Priority.NORMAL) -> UUID:
        """A callout somewhere in the country."""
        place = [self.chance.uniform(WEST, EAST), self.chance.uniform(SOUTH, NORTH)]
        order = EcoOrder(
            osp_id=CONTRACTORS[number % len(CONTRACTORS)].id,
            location={"type": "Point", "coordinates": place},
            job_type="FNOL",
            description=f"Cable cut number {number}, seen by the alarms of both ends of the span",
            priority=priority,
        )
        return self.callouts.create_eco(order, OPERATOR).aggregate.id

    def open(self, count: int) -> None:
        """So many of them, one of forty critical."""
        with ThreadPoolExecutor(CALLERS) as callers:
            wanted = (CRITICAL if number % 40 == 0 else NORMAL for number in range(count))
            self.ecos += callers.map(self.create, range(count), wanted)

    def changes(self, seen: Sequence[UUID], spared: UUID) -> Iterator[partial[Any]]:
        """Changes to make, each of which is given its number, for ever.

        Half correct a description among those `seen`; the others correct one elsewhere, change a
        priority, create and cancel. `spared`: nothing happens to it.
        """
        seen = [one for one in seen if one != spared]
        others = [one for one in self.ecos if one not in {*seen, spared}]
        while True:
            one, second = self.chance.choice(seen), self.chance.choice(seen)
            other = self.chance.choice(others)
            yield partial(self.correct, one)
            yield partial(self.correct, other)
            yield partial(self.correct, second)
            kind = self.chance.choice(("priority", "create", "cancel"))
            if kind == "priority":
                level = self.chance.choice((Priority.LOW, Priority.HIGH, CRITICAL))
                yield partial(self.give, other, level)
            elif kind == "create":
                yield partial(self.create)
            else:
                yield partial(self.cancel, others.pop(self.chance.randrange(len(others))))

    def correct(self, eco: UUID, number: int) -> None:
        """Its description names the change from then on."""
        text = f"Cable cut between two towers; the newest word is change {number}."
        self.callouts.amend_eco(eco, OPERATOR, description=text)

    def give(self, eco: UUID, priority: Priority, _: int) -> None:
        self.callouts.amend_eco(eco, OPERATOR, priority=priority)

    def cancel(self, eco: UUID, _: int) -> None:
        self.callouts.cancel_eco(eco, "mended", OPERATOR)
        self.ecos.remove(eco)

    def go_on(self, seen: Sequence[UUID], spared: UUID, rate: float, seconds: float) -> Told:
        """Make `rate` changes a second, at fixed times."""
        told, began = Told(), time.monotonic()
        for number, change in enumerate(self.changes(seen, spared)):
            due = began + number / rate
            if due > began + seconds:
                return told
            time.sleep(max(0.0, due - time.monotonic()))
            told.late = max(told.late, time.monotonic() - due)
            change(number)
            told.committed[number] = time.time()
        raise AssertionError("changes never end")


@contextmanager
def night_at(database_url: str) -> Iterator[Night]:
    """Commands given in this process to the world's database."""
    with StrikeLog(store_env(database_url)) as log, open_pool(database_url) as pool:
        yield Night(Callouts(log, PostgresDirectory(pool), RealTime()))
