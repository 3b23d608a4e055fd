"""How many events a second are published and acknowledged, beside the client alone?

`tox -e stream` (or `python -m tests.benchmarks.stream --events 20000`). PostgreSQL and the NATS
server are real, on the same cores. The limit taken in the same run: the same bytes, read and
encoded before, published by plain nats-py with as many unacknowledged messages, in turn with it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import structlog
from nats.aio.client import Client
from rich.console import Console
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.jetstream import Publisher, Target
from strike_adapters.jetstream.messages import Message
from strike_adapters.jetstream.publisher import BATCH
from strike_adapters.jetstream.reader import LogReader
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_domain import Eco, JobType, Stamp, StrikeLog, parse_location
from tests.benchmarks.machine import cpu
from tests.integration.nats_server import NatsServer, nats_server

NOTES = 24
"""Events of each ECO after its first."""

MOST_BYTES = 2**20


class Finish:
    """Stops the publisher when it has published so many events."""

    def __init__(self, events: int) -> None:
        self.left = events
        self.stop = threading.Event()
        self.at = 0.0

    def published(self, events: int) -> None:
        self.left -= events
        if self.left <= 0 and not self.stop.is_set():
            self.at = time.perf_counter()
            self.stop.set()

    def published_until(self, position: int, lag: int) -> None:
        pass


def stamp() -> Stamp:
    cause, now = uuid4(), datetime.now(UTC)
    return Stamp(at=now, actor="nina", tenant_id=None, correlation_id=cause, causation_id=cause)


def eco(number: int) -> Eco:
    made = Eco.create(
        eco_id=uuid4(),
        noc_id=UUID(int=number % 20),
        osp_id=UUID(int=100 + number % 50),
        location=parse_location({"type": "Point", "coordinates": [-105.27, 40.01]}),
        job_type=JobType.FNOL,
        description="A digger went through the 288-fibre cable at the bridge.",
        job_number=f"J-{number}",
        stamp=stamp(),
    )
    for note in range(NOTES):
        made.add_note(
            f"Note {note}: the crew is at the bridge, and the lid does not open.", stamp()
        )
    return made


def fill(url: str, events: int) -> None:
    with StrikeLog(store_env(url)) as log:
        ecos = [eco(number) for number in range(events // (NOTES + 1))]
        for first in range(0, len(ecos), 20):
            log.store(*ecos[first : first + 20])


def read(url: str, events: int) -> tuple[list[Message], float]:
    """All messages, and the seconds it took to read and encode them."""
    with StrikeLog(store_env(url)) as log:
        reader, messages = LogReader(log), list[Message]()
        began = time.perf_counter()
        while len(messages) < 2 * events:
            after = messages[-1].position if messages else 0
            messages += reader.read(after, BATCH, MOST_BYTES)
        return messages, time.perf_counter() - began


async def publish_plainly(client: Client, messages: Sequence[Message]) -> float:
    stream = client.jetstream()
    await stream.add_stream(name="PLAIN", subjects=["strike.>"], duplicate_window=3600)
    began = time.perf_counter()
    for first in range(0, len(messages), 2 * BATCH):
        waiting = [
            await stream.publish_async(one.subject, one.body, headers=dict(one.headers))
            for one in messages[first : first + 2 * BATCH]
        ]
        await asyncio.gather(*waiting)
    took = time.perf_counter() - began
    await stream.delete_stream("PLAIN")
    return took


def publish(url: str, server: NatsServer, events: int) -> tuple[float, float]:
    """Seconds, from the start of the publisher to the last acknowledgement; and of CPU."""
    finish = Finish(events)
    began, used = time.perf_counter(), cpu()
    Publisher(url, Target(server.url), finish).run(finish.stop)
    used = cpu() - used
    server.ask(lambda client: client.jetstream().delete_stream("STRIKE"))
    return finish.at - began, used


def measure(url: str, server: NatsServer, events: int, rounds: int) -> None:
    messages, reading = read(url, events)
    plain, ours, used = [], [], []
    for _ in range(rounds):
        plain.append(server.ask(lambda client: publish_plainly(client, messages)))
        took, cpu_seconds = publish(url, server, events)
        ours.append(took)
        used.append(cpu_seconds)
    table = Table(title=f"{events:,} events, {len(messages):,} messages, {rounds} rounds, medians")
    for heading in ("", "events a second", "messages a second", "time to the client alone"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, seconds in (
        ("read and encoded only", reading),
        ("plain nats-py, the same bytes", median(plain)),
        ("strike publish, from the log", median(ours)),
    ):
        rates = (f"{events / seconds:,.0f}", f"{2 * events / seconds:,.0f}")
        table.add_row(name, *rates, f"{seconds / median(plain):.2f}")
    console = Console(width=100)
    console.print(table)
    size = sum(len(one.body) for one in messages) / len(messages)
    console.print(
        f"{size:.0f} bytes a message; {1e6 * median(used) / events:.0f} µs of CPU an event; "
        f"plain {min(plain):.2f} to {max(plain):.2f} s, published {min(ours):.2f} to "
        f"{max(ours):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    events = chosen.events // (NOTES + 1) * (NOTES + 1)
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name, "pg")) as database:
        database.ensure_database("bench")
        url = database.url("bench")
        prepare(url)
        fill(url, events)
        Path(name, "nats").mkdir()
        with nats_server(Path(name, "nats")) as server:
            measure(url, server, events, chosen.rounds)


if __name__ == "__main__":
    main()
