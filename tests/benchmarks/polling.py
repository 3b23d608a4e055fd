"""How punctual are the polls of thousands of active ECOs, and what does one cost?

`tox -e polling` (or `python -m tests.benchmarks.polling --ecos 10000 --osps 50 --seconds 60`).
PostgreSQL is real (embedded, fsync on), Render is the mock over real HTTP, a process of its own,
and all are on the same cores. Four parts: the tasks are made; nothing changes; tasks change, and
each change must be stored once; one contractor's Render hangs, and the others must not feel it. The
limit taken in the same run: bare conditional requests to the same mock by the same HTTP client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import structlog
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.due import Claim, Done, Worker
from strike_adapters.postgres.due_work import field_work
from strike_adapters.postgres.people import save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.render_poll_state import TABLE, row_of
from strike_adapters.postgres.views.rows import Upsert
from strike_adapters.render import RememberedInstances, RenderFieldWork, RenderInstance
from strike_adapters.secrets import SecretBox
from strike_app.clock import ScaledClock
from strike_domain import CrewDesk, Eco, JobType, Side, Stamp, StrikeLog, Tenant, parse_location
from strike_mock import Mock, MockSettings, RenderClient
from strike_mock.scenarios import Crew, load
from tests.benchmarks.machine import busy, cpu, memory

INTERVAL = float(os.environ.get("STRIKE_BENCH_INTERVAL", "30"))
"""Seconds between two polls of one ECO."""

KEY = b"k" * 32
CLIENT = RenderClient(id="strike", secret="a-secret")
PLACE = parse_location({"type": "Point", "coordinates": [-105.27, 40.01]})
NOC = uuid4()


# Render, a process of its own ----------------------------------------------------------------


def serve() -> None:
    """Serve the mock until standard input ends.

    `change N SECONDS` begins to move N tasks, `changed` waits for that; `cpu` tells its CPU time.
    """

    async def main() -> None:
        quiet = load("happy-path").model_copy(update={"crew": Crew()})
        mock = Mock(MockSettings(render_clients=(CLIENT,), seed=1), scenario=quiet)
        await mock.start()
        hanging = await asyncio.start_server(_hang, "127.0.0.1", 0)
        port = hanging.sockets[0].getsockname()[1]
        _tell({"url": mock.url, "hanging": f"http://127.0.0.1:{port}"})
        loop = asyncio.get_running_loop()
        changing: asyncio.Task[int] | None = None
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            word, *rest = line.split()
            if word == "change":
                changing = asyncio.create_task(_change(mock, int(rest[0]), float(rest[1])))
            elif word == "changed" and changing:
                _tell(await changing)
            else:
                _tell(cpu())
        os._exit(0)

    asyncio.run(main())


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass
    writer.close()


async def _change(mock: Mock, count: int, seconds: float) -> int:
    """Move so many tasks, each of another ECO, evenly over that time."""
    found = [(p, s) for p in mock.render.projects.values() for s in p.subsectors()]
    for project, subsector in random.sample(found, count):
        task = subsector.tasks[0]
        project.move(task, "allocated" if task.state == "blueprinted" else "blueprinted")
        await asyncio.sleep(seconds / count)
    return count


def _tell(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# The worker, a process of its own -------------------------------------------------------------


def work(url: str, threads: int) -> None:
    """Work until standard input ends; at each line tell what was done since the last one."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    clock, stop = ScaledClock(1.0, None), threading.Event()
    noted: list[tuple[str, float]] = []
    with (
        StrikeLog(store_env(url, pool_size=threads, max_overflow=4)) as log,
        open_pool(url) as pool,
    ):
        instances = RememberedInstances(PostgresAccounts(pool, SecretBox(KEY)))
        crews = RenderFieldWork(instances, clock=clock)
        table = field_work(CrewDesk(log, crews, clock, instances))

        def handle(row: Claim) -> Done:
            noted.append((str(row["osp_id"]), -clock.seconds_until(row["deadline"])))
            return table.handle(row)

        worker = Worker(replace(table, handle=handle), url, clock, threads=threads)
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        began, before = cpu(), _sums(crews)
        while sys.stdin.readline():
            seen, noted[:] = list(noted), []
            used, sums = cpu(), _sums(crews)
            counts = [now - old for now, old in zip(sums, before, strict=True)]
            _tell({"seen": seen, "cpu": used - began, "counts": counts, "memory": memory()})
            began, before = used, sums
        stop.set()
        thread.join()


def _sums(crews: RenderFieldWork) -> list[int]:
    """Polls answered, of them unchanged, and failures, of all OSPs."""
    pulses = crews.pulses()
    return [sum(getattr(p, name) for p in pulses) for name in ("polls", "unchanged", "failures")]


class Child:
    """A process that answers each line with one of JSON."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.polling", *words]
        pipe = subprocess.PIPE
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, text=True)

    def ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def told(self, line: str) -> Any:
        self.ask(line)
        return self.hear()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


# The day --------------------------------------------------------------------------------------


def found_companies(url: str, osps: Sequence[UUID], render: str) -> None:
    with open_pool(url) as pool:
        save_tenant(pool, Tenant(id=NOC, name="NOC", side=Side.NOC))
        for number, osp in enumerate(osps):
            save_tenant(pool, Tenant(id=osp, name=f"Contractor {number}", side=Side.OSP))
            PostgresAccounts(pool, SecretBox(KEY)).save_render(_instance(osp, render))


def _instance(osp: UUID, url: str) -> RenderInstance:
    return RenderInstance(
        osp_id=osp,
        base_url=url,
        client_id=CLIENT.id,
        client_secret=SecretStr(CLIENT.secret),
        project=f"P-{osp}",
        polling_seconds=INTERVAL,
    )


def fill(url: str, ecos: int, osps: Sequence[UUID], seconds: float) -> None:
    """`ecos` callouts whose tasks are to be made, falling due over so many seconds from now."""
    with StrikeLog(store_env(url)) as log, psycopg.connect(url) as connection:
        start = datetime.now(UTC) + timedelta(seconds=ecos / 400)
        for first in track(range(0, ecos, 100), "Calling out", console=Console(stderr=True)):
            made = [_eco(osps[n % len(osps)]) for n in range(first, min(first + 100, ecos))]
            log.save(*made)
            for offset, eco in enumerate(made, first):
                row = row_of(eco, start + timedelta(seconds=seconds * offset / ecos), start)
                connection.execute(Upsert(TABLE, "eco_id", row).statement(), row)
        connection.commit()


def _eco(osp: UUID) -> Eco:
    cause, at = uuid4(), datetime.now(UTC)
    stamp = Stamp(at=at, actor="bench", tenant_id=None, correlation_id=cause, causation_id=cause)
    return Eco.create(
        uuid4(),
        stamp,
        noc_id=NOC,
        osp_id=osp,
        location=PLACE,
        job_type=JobType.FNOL,
        description="A digger went through the cable.",
        job_number="26-0001",
        has_render=True,
    )


def one(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        return (connection.execute(query).fetchone() or (None,))[0]


def pause(seconds: float, why: str) -> None:
    for _ in track(range(int(seconds)), why, console=Console(stderr=True)):
        time.sleep(1)


def stored_changes(url: str) -> int:
    return int(
        one(
            url, "SELECT count(*) FROM strike_events WHERE topic = 'strike.eco.field-tasks-changed'"
        )
    )


class Day:
    """Everything that runs, and what is measured of it."""

    def __init__(self, url: str, render: Child, workers: list[Child]) -> None:
        self.url, self.render, self.workers = url, render, workers

    def measure(self, seconds: float, why: str) -> dict[str, Any]:
        self._collect()
        render_cpu, machine = self.render.told("cpu"), busy()
        pause(seconds, why)
        parts = self._collect()
        return {
            "seconds": seconds,
            "seen": [pair for part in parts for pair in part["seen"]],
            "cpu": sum(part["cpu"] for part in parts) / seconds,
            "counts": [sum(values) for values in zip(*(p["counts"] for p in parts), strict=True)],
            "memory": max(part["memory"] for part in parts),
            "render_cpu": (self.render.told("cpu") - render_cpu) / seconds,
            "machine": (busy() - machine) / seconds,
        }

    def _collect(self) -> list[dict[str, Any]]:
        for worker in self.workers:
            worker.ask("now")
        return [worker.hear() for worker in self.workers]


@contextmanager
def running(url: str, processes: int, threads: int, render: Child) -> Iterator[Day]:
    workers = [Child("--worker", url, "--threads", str(threads)) for _ in range(processes)]
    try:
        yield Day(url, render, workers)
    finally:
        for worker in workers:
            worker.kill()


def measure(ecos: int, companies: int, seconds: float, processes: int, threads: int) -> Any:
    osps = [uuid4() for _ in range(companies)]
    render = Child("--serve")
    try:
        places = render.hear()
        with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
            server.ensure_database("bench")
            url = server.url("bench")
            prepare(url)
            found_companies(url, osps, places["url"])
            limit = bare_requests(places["url"])
            fill(url, ecos, osps, seconds=ecos / 40)
            with running(url, processes, threads, render) as day:
                return limit, _the_day(day, ecos, osps, seconds, places["hanging"])
    finally:
        render.kill()


def _the_day(
    day: Day, ecos: int, osps: Sequence[UUID], seconds: float, hanging: str
) -> dict[str, Any]:
    began = time.monotonic()
    followed = f"SELECT count(*) FROM {TABLE} WHERE etag IS NOT NULL"  # noqa: S608
    with Console(stderr=True).status("Making tasks"):
        while (made := one(day.url, followed)) < ecos:
            if time.monotonic() - began > 60 + ecos / 10:
                raise TimeoutError(f"only {made} of {ecos} ECOs have their tasks")
            time.sleep(1)
    found: dict[str, Any] = {"made_in": time.monotonic() - began}
    pause(max(30, 2 * INTERVAL), "Settling")
    found["quiet"] = day.measure(seconds, "Nothing changes")
    before = stored_changes(day.url)
    changes = min(ecos, max(10, ecos // 20))
    day.render.ask(f"change {changes} {seconds - 1}")
    found["changing"] = day.measure(seconds, "Tasks change")
    changes = day.render.told("changed")
    pause(INTERVAL + 10, "Hearing of the last changes")
    found["changes"], found["stored"] = changes, stored_changes(day.url) - before
    with open_pool(day.url) as pool:
        PostgresAccounts(pool, SecretBox(KEY)).save_render(_instance(osps[0], hanging))
    pause(5, "One Render begins to hang")
    found["hanging"] = day.measure(seconds, "One Render hangs")
    found["hanging"]["seen"] = [
        (osp, late) for osp, late in found["hanging"]["seen"] if osp != str(osps[0])
    ]
    return found


def bare_requests(url: str, count: int = 2_000) -> float:
    """The limit: milliseconds of CPU for one bare conditional GET by the same client."""
    api = f"{url}/api/v1/projects/limit"
    form = {"grant_type": "client_credentials"}
    with httpx.Client() as client:
        auth = (CLIENT.id, CLIENT.secret)
        token = client.post(f"{url}/oauth/token", data=form, auth=auth).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        body = {"external_reference": "x", "name": "x", "geometry": PLACE.geojson()}
        subsector = client.post(f"{api}/subsectors", json=body).json()["id"]
        query = {"subsector_id": subsector}
        tag = client.get(f"{api}/tasks", params=query).headers["ETag"]
        began = cpu()
        for _ in range(count):
            client.get(f"{api}/tasks", params=query, headers={"If-None-Match": tag})
        return 1000 * (cpu() - began) / count


# The figures ----------------------------------------------------------------------------------


def show(ecos: int, companies: int, workers: int, limit: float, found: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        title=f"{ecos:,} active ECOs of {companies} contractors, polled every {INTERVAL:g} s"
    )
    for heading in ("", "polls/s", "late p50", "p99", "most", "saved", "failed", "CPU a poll"):
        table.add_column(heading, justify="left" if not heading else "right")
    parts = (("quiet", "nothing changes"), ("changing", "tasks change"))
    for name, what in (*parts, ("hanging", "one Render hangs: the others")):
        part = found[name]
        late = [late for _, late in part["seen"]]
        cuts = quantiles(late, n=100)
        polls, unchanged, failures = part["counts"]
        table.add_row(
            what,
            f"{len(late) / part['seconds']:.0f}",
            *(f"{one * 1000:,.0f} ms" for one in (cuts[49], cuts[98], max(late))),
            f"{unchanged / max(1, polls):.1%}",
            str(failures),
            f"{1000 * part['cpu'] * part['seconds'] / max(1, polls):.2f} ms",
        )
    console.print(table)
    quiet = found["quiet"]
    console.print(
        f"Cores used while nothing changes: {workers} workers {quiet['cpu']:.2f}, the mock "
        f"{quiet['render_cpu']:.2f}, the whole machine {quiet['machine']:.2f}; "
        f"memory of a worker {quiet['memory']:.0f} MiB"
    )
    each = 1000 * quiet["cpu"] * quiet["seconds"] / max(1, quiet["counts"][0])
    console.print(
        f"A bare conditional GET by the same client costs {limit:.2f} ms of CPU: "
        f"a poll costs {each / limit:.1f} times that"
    )
    console.print(f"Tasks of {ecos:,} callouts made in {found['made_in']:.0f} s")
    console.print(f"Tasks changed: {found['changes']}; events stored for them: {found['stored']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ecos", type=int, default=10_000)
    parser.add_argument("--osps", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve()
    elif chosen.worker:
        work(chosen.worker, chosen.threads)
    else:
        limit, found = measure(
            chosen.ecos, chosen.osps, chosen.seconds, chosen.workers, chosen.threads
        )
        show(chosen.ecos, chosen.osps, chosen.workers, limit, found)


if __name__ == "__main__":
    main()
