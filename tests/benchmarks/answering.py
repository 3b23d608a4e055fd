"""How many callouts a second does the pager answer when many have come at once?

`tox -e answering` (or `python -m tests.benchmarks.answering --callouts 3000`). The callouts are
there before the pager is: a storm, or a pager that was away. PostgreSQL is real (embedded, fsync
on); the contractor has as many lists as asked for, each with its region, so that a list has to be
found for every place. The limit, in the same run: the rows that the pager stored, stored by a bare
connection, those of twenty callouts in a transaction.
"""

from __future__ import annotations

import argparse
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from strike_adapters.postgres.catch_up import TOGETHER
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.follower_states import PAGER
from strike_adapters.postgres.followers import Follower
from strike_adapters.postgres.reading import SharedReading
from strike_adapters.postgres.regions import regions_of
from strike_adapters.postgres.store import store_env
from strike_domain import Callouts, PagerList, Router, StrikeLog, SystemClock
from strike_domain.geometry import parse_location
from tests.benchmarks.given import OPERATOR, OSP, RealTime, an_order, prepared
from tests.benchmarks.machine import cpu
from tests.unit.given import ANA, BEN, BOULDER

CALLERS = 16

COPY = """
INSERT INTO bare (originator_id, originator_version, topic, state)
SELECT originator_id, originator_version, topic, state FROM strike_events
WHERE notification_id BETWEEN %s AND %s
"""

ANSWERED = "SELECT count(*) FROM strike_events WHERE topic = 'strike.run.started'"


def save_lists(directory: PostgresDirectory, number: int) -> None:
    """So many beside each other; the place is in the first."""
    [(longitude, latitude)] = parse_location(BOULDER).positions
    for one in range(number):
        west, south = longitude - 0.1 + one / 2, latitude - 0.1
        corners = ((0, 0), (0.2, 0), (0.2, 0.2), (0, 0.2), (0, 0))
        ring = [[west + x, south + y] for x, y in corners]
        region = {"type": "Polygon", "coordinates": [ring]}
        directory.save_list(
            PagerList(
                id=UUID(int=one + 1),
                osp_id=OSP,
                name=f"List {one}",
                contacts=(ANA, BEN),
                region=region,
            )
        )


def answered(url: str, directory: PostgresDirectory, callouts: int) -> tuple[float, float]:
    """Seconds until all are answered, and CPU seconds of this process."""
    stop = threading.Event()
    follower = Follower(PAGER, url, Router(directory), SystemClock(), SharedReading(url))
    thread = threading.Thread(target=follower.run, args=(stop,))
    began, cpu_began = time.monotonic(), cpu()
    thread.start()
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(ANSWERED).fetchone() != (callouts,):
            time.sleep(0.01)
    took, used = time.monotonic() - began, cpu() - cpu_began
    stop.set()
    thread.join()
    return took, used


def copied(url: str, after: int, callouts: int) -> float:
    """Seconds for the same rows, with their commits and nothing else."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (LIKE strike_events INCLUDING ALL)")
        rows = connection.execute("SELECT max(notification_id) FROM strike_events").fetchone()
        newest = rows[0] if rows else 0
        step = TOGETHER * (newest - after) // callouts
        began = time.monotonic()
        for first in range(after + 1, newest + 1, step):
            connection.execute(COPY, (first, first + step - 1))
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callouts", type=int, default=3_000)
    parser.add_argument("--lists", type=int, default=20, help="lists with regions")
    chosen = parser.parse_args()
    console = Console(width=100)
    with ExitStack() as stack:
        _, url = stack.enter_context(prepared())
        log = stack.enter_context(StrikeLog(store_env(url)))
        pool = stack.enter_context(open_pool(url))
        directory = PostgresDirectory(pool, regions_of(pool))
        save_lists(directory, chosen.lists)
        callouts = Callouts(log, directory, RealTime())
        with ThreadPoolExecutor(CALLERS) as threads:
            orders = range(chosen.callouts)
            list(threads.map(lambda _: callouts.create_eco(an_order(), OPERATOR), orders))
        newest = log.position()
        took, used = answered(url, directory, chosen.callouts)
        bare = copied(url, newest, chosen.callouts)
    table = Table(title=f"{chosen.callouts:,} callouts that wait for the pager")
    for heading in ("", "callouts a second", "CPU of the process, µs each"):
        table.add_column(heading, justify="right" if heading else "left")
    each = f"{1e6 * used / chosen.callouts:,.0f}"
    table.add_row("answered by the pager", f"{chosen.callouts / took:,.0f}", each)
    table.add_row("its rows, bare", f"{chosen.callouts / bare:,.0f}", "")
    console.print(table)
    console.print(f"The pager reaches {bare / took:.2f} of what its rows alone would take.")


if __name__ == "__main__":
    main()
