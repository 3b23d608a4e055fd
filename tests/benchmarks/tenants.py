"""What does the second wall cost? The list of ECOs with row-level security, and without.

`tox -e tenants` (or `python -m tests.benchmarks.tenants --ecos 1000000 --rounds 3000`). A million
ECOs of a hundred companies in an embedded PostgreSQL. The same questions are asked in several ways,
in random order, by the code that serves the edge: behind the wall; with the tenant filter alone,
as the owner of the tables; and behind the wall by statements of their own that name the tenant, in
a pipeline or in an ordinary transaction. Then the plans, what the server alone takes, and eight who
ask at once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier, Literal
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.cursors import read_cursor, write_cursor
from strike_adapters.postgres.eco_lists import (
    KEYS,
    EcoFilter,
    EcoSort,
    Page,
    PageAsked,
)
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import (
    AsyncPool,
    Queries,
    open_async_pool,
)
from strike_adapters.postgres.row_security import NAME_TENANT
from tests.benchmarks.tenant_rows import NOCS, OSPS, fill, noc, osp

LIMIT = 1.10
"""The wall may cost so many times the filter alone."""

PAGE = 50
ASKERS = 8
SLICES = 5
RESAMPLES = 2_000

COUNTED = """
SELECT name, generic_plans + custom_plans AS uses, generic_plans
FROM pg_prepared_statements
WHERE statement LIKE '%eco_views%' AND statement NOT LIKE '%generic_plans%'
"""

err = Console(stderr=True)


# The ways to ask ------------------------------------------------------------------------------


class FilterAlone(Queries):
    """The same statements, as the owner of the tables: the limit."""

    async def _mine(self, statement: str, *, tenant: UUID, **values: Any) -> list[DictRow]:
        return await self._all(statement, tenant=tenant, **values)


class OwnRoundTrips(Queries):
    """Behind the wall in an ordinary transaction: BEGIN, the name, the question, COMMIT."""

    async def _mine(self, statement: str, *, tenant: UUID, **values: Any) -> list[DictRow]:
        async with self._tenants.connection() as connection, connection.transaction():
            await connection.execute(NAME_TENANT, (str(tenant),))
            cursor = await connection.execute(statement.encode(), {"tenant": tenant, **values})
            return await cursor.fetchall()


class InPipeline(Queries):
    """Behind the wall: the name and the question sent together, one transaction up to the sync."""

    async def _mine(self, statement: str, *, tenant: UUID, **values: Any) -> list[DictRow]:
        async with self._tenants.connection() as connection:
            async with connection.pipeline():
                await connection.execute(NAME_TENANT, (str(tenant),))
                cursor = await connection.execute(statement.encode(), {"tenant": tenant, **values})
            return await cursor.fetchall()


WALL, ALONE = "behind the wall", "the filter alone"
PIPELINE, TRIPS = "named in a pipeline", "named by round trips"
WAYS: dict[str, type[Queries]] = {
    WALL: Queries,
    ALONE: FilterAlone,
    PIPELINE: InPipeline,
    TRIPS: OwnRoundTrips,
}


class Held:
    """As a pool with one connection, which it does not check before each use.

    The check is a round trip on both sides of a comparison, and would flatter their ratio.
    """

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self._connection = connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        yield self._connection


@dataclass(frozen=True)
class Way:
    """A way to ask, with its one connection."""

    queries: Queries
    connection: AsyncConnection[DictRow]

    def worked(self) -> float:
        """Seconds of CPU of this process and of the server's for this connection.

        Unlike what is waited, they do not grow with what else the machine has to do.
        """
        schedule = Path(f"/proc/{self.connection.info.backend_pid}/schedstat")
        return time.process_time() + int(schedule.read_text().split()[0]) / 1e9


@asynccontextmanager
async def ways(url: str) -> AsyncIterator[dict[str, Way]]:
    async with AsyncExitStack() as stack:
        found = {}
        for name, kind in WAYS.items():
            pool = open_async_pool(url, size=1, for_tenants=name != ALONE)
            await stack.enter_async_context(pool)
            connection = await stack.enter_async_context(pool.connection())
            held = cast(AsyncPool, Held(connection))
            found[name] = Way(kind(held, held, Changes(url), 1), connection)
        yield found


# The questions --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    kind: str
    tenant: UUID
    values: Mapping[str, Any]

    async def ask(self, queries: Queries) -> Page:
        asked = PageAsked(PAGE, self.values.get("after"))
        return await queries.lists.page(self.tenant, asked, self.wanted)

    @property
    def wanted(self) -> EcoFilter:
        """What is filtered by."""
        return EcoFilter(status=self.values.get("status"), paging_state=self.values.get("paging"))

    @property
    def parameters(self) -> list[Any]:
        """As the statement takes them, in their order."""
        after = self.values.get("after")
        keys = KEYS[EcoSort.NEWEST]
        read = read_cursor(after, EcoSort.NEWEST, keys, ("after",)) if after else {}
        place = (read.get("created_at"), read.get("eco_id"))
        lists = (self.values.get("status"), self.values.get("paging"))
        every = [self.tenant, *lists, *place, PAGE + 1]
        return [value for value in every if value is not None]


Asks = Callable[[str | None], dict[str, Any]]

KINDS: dict[str, Asks] = {
    "first page": lambda _: {},
    "later page": lambda cursor: {"after": cursor},
    "open ones": lambda _: {"status": ["OPEN", "IN_PROGRESS"]},
    "nobody came": lambda _: {"paging": ["EXHAUSTED"]},
}


async def cursors(queries: Queries, tenant: UUID, pages: int) -> str | None:
    """Where a reader of so many pages stands."""
    after = None
    for _ in range(pages):
        page = await queries.lists.page(tenant, PageAsked(PAGE, after))
        if not page.has_next:
            break
        after = write_cursor(page.rows[-2], EcoSort.NEWEST, KEYS[EcoSort.NEWEST])
    return after


async def questions(queries: Queries) -> list[Question]:
    """Of every company each kind of question; a later page is one of the first twenty."""
    tenants = [noc(n) for n in range(1, NOCS + 1)] + [osp(n) for n in range(1, OSPS + 1)]
    found = []
    for tenant in tenants:
        cursor = await cursors(queries, tenant, random.randint(1, 20))
        found += [Question(kind, tenant, asks(cursor)) for kind, asks in KINDS.items()]
    return found


def drawn(all_questions: Sequence[Question], count: int) -> Iterator[Question]:
    """So many, each about as often as any other, in random order."""
    for first in range(0, count, len(all_questions)):
        yield from random.sample(all_questions, min(len(all_questions), count - first))


# Measuring ------------------------------------------------------------------------------------

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Found:
    """Milliseconds of each way, the n-th of one and the same question.

    `asked` is what the asker waits, `worked` what its process and that of the server work.
    """

    kinds: list[str]
    asked: Times
    worked: Times
    server: Times
    plans: dict[str, Any]
    generic: dict[str, tuple[int, int]]
    throughput: dict[str, float]


async def race(found: dict[str, Way], asked: Sequence[Question]) -> tuple[Times, Times]:
    """Ask each question in every way, in random order: what is waited, and what is worked."""
    waited: Times = {name: [] for name in found}
    worked: Times = {name: [] for name in found}
    for question in track(asked, "Asking", console=err):
        for name in random.sample(list(found), len(found)):
            way = found[name]
            before, began = way.worked(), time.perf_counter()
            await question.ask(way.queries)
            waited[name].append(1000 * (time.perf_counter() - began))
            worked[name].append(1000 * (way.worked() - before))
    return waited, worked


async def warm(found: dict[str, Way], every: Sequence[Question]) -> None:
    """All tables read once, all statements prepared, which psycopg does after five uses."""
    for question in track(every, "Warming up", console=err):
        pages = [await question.ask(way.queries) for way in found.values()]
        if any(page != pages[0] for page in pages):
            raise AssertionError(f"not the same answer: {question}")


async def explain(way: Way, question: Question, options: str) -> dict[str, Any]:
    """The plan of the prepared statement that this connection really has for the question."""
    connection = way.connection
    before = {row["name"]: row["uses"] for row in await _counted(connection)}
    await question.ask(way.queries)
    after = await _counted(connection)
    (name,) = [row["name"] for row in after if row["uses"] != before.get(row["name"])]
    values = SQL(", ").join(Literal(value) for value in question.parameters)
    text = SQL("EXPLAIN (ANALYZE, FORMAT JSON, " + options + ") EXECUTE {} ({})")
    cursor = await connection.execute(text.format(Identifier(name), values))
    return cast(dict[str, Any], (await cursor.fetchall())[0]["QUERY PLAN"][0])


async def _counted(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    return await (await connection.execute(COUNTED)).fetchall()


async def server_times(found: dict[str, Way], asked: Sequence[Question]) -> Times:
    """Execution alone, as the server measures it."""
    times: Times = {WALL: [], ALONE: []}
    for question in track(asked, "Asking the server", console=err):
        for name in random.sample([WALL, ALONE], 2):
            plan = await explain(found[name], question, "TIMING OFF, BUFFERS OFF")
            times[name].append(plan["Execution Time"] + plan["Planning Time"])
    return times


async def throughput(url: str, every: Sequence[Question], seconds: float) -> dict[str, float]:
    """Questions a second of eight who ask at once, through the pools that the edge has."""
    counts = dict.fromkeys((WALL, ALONE), 0)
    async with AsyncExitStack() as stack:
        sets = {}
        for name in counts:
            pool = open_async_pool(url, size=ASKERS, for_tenants=name == WALL)
            await stack.enter_async_context(pool)
            sets[name] = WAYS[name](pool, pool, Changes(url), 1)
            await _ask_until(sets[name], every, 1)
        for _ in track(range(SLICES), "Eight at once", console=err):
            for name in random.sample(list(counts), 2):
                counts[name] += await _ask_until(sets[name], every, seconds / SLICES)
    return {name: count / seconds for name, count in counts.items()}


async def _ask_until(queries: Queries, every: Sequence[Question], seconds: float) -> int:
    end = time.perf_counter() + seconds

    async def asker() -> int:
        count = 0
        while time.perf_counter() < end:
            await random.choice(every).ask(queries)
            count += 1
        return count

    return sum(await asyncio.gather(*(asker() for _ in range(ASKERS))))


async def measure(url: str, rounds: int, seconds: float) -> Found:
    async with ways(url) as found:
        every = await questions(found[ALONE].queries)
        await warm(found, every)
        asked = list(drawn(every, rounds))
        times, worked = await race(found, asked)
        server = await server_times(found, list(drawn(every, max(100, rounds // 5))))
        plans = {
            f"{kind}, {side}": await explain(found[WALL], _of(every, kind, tenant), "COSTS ON")
            for kind in KINDS
            for side, tenant in (("NOC", noc(1)), ("OSP", osp(1)))
        }
        generic = {name: await _generic(found[name]) for name in (WALL, ALONE)}
    kinds = [question.kind for question in asked]
    return Found(
        kinds, times, worked, server, plans, generic, await throughput(url, every, seconds)
    )


def _of(every: Sequence[Question], kind: str, tenant: UUID) -> Question:
    return next(one for one in every if (one.kind, one.tenant) == (kind, tenant))


async def _generic(way: Way) -> tuple[int, int]:
    """How often plans of prepared statements were used as they are, and how often any was."""
    rows = await _counted(way.connection)
    return sum(row["generic_plans"] for row in rows), sum(row["uses"] for row in rows)


# Plans ----------------------------------------------------------------------------------------


def nodes(plan: dict[str, Any], depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every node with its depth, from the top."""
    yield depth, plan
    for part in plan.get("Plans", ()):
        yield from nodes(part, depth + 1)


def faults(plan: dict[str, Any]) -> list[str]:
    """Why a plan is not what is wanted; empty if it is."""
    every = [node for _, node in nodes(plan)]
    used = {
        node["Index Name"]
        for node in every
        if node["Node Type"] == "Index Scan" and node["Scan Direction"] == "Backward"
    }
    missing = {"eco_views_noc", "eco_views_osp"} - used
    found = [f"{name} is not read in its order" for name in sorted(missing)]
    found += ["a Seq Scan" for node in every if node["Node Type"] == "Seq Scan"]
    for node in every:
        rows = max((part["Actual Rows"] for part in node.get("Plans", ())), default=0)
        if "Sort" in node["Node Type"] and rows > 2 * (PAGE + 1):
            found.append(f"a {node['Node Type']} of {rows} rows")
    return found


def written(plan: dict[str, Any]) -> str:
    """A plan as psql would show it, without costs."""
    lines = []
    for depth, node in nodes(plan):
        at = f" on {node['Index Name']}" if "Index Name" in node else ""
        way = " Backward" if node.get("Scan Direction") == "Backward" else ""
        rows = f"rows={node['Actual Rows']:g} of {node['Plan Rows']}"
        name = f"{node['Subplan Name']}: " if "Subplan Name" in node else ""
        conditions = [
            f"{key}: {node[key]}" for key in ("Index Cond", "Filter", "Sort Key") if key in node
        ]
        pad = "  " * depth
        lines.append(f"{pad}{name}{node['Node Type']}{way}{at} ({rows})")
        lines += [f"{pad}    {condition}" for condition in conditions]
    return "\n".join(lines)


# The figures ----------------------------------------------------------------------------------


def interval(ones: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Where 95 % of the ratios of medians lie if the pairs are drawn again and again."""
    pairs = list(zip(ones, others, strict=True))
    ratios = []
    for _ in range(RESAMPLES):
        again = random.choices(pairs, k=len(pairs))
        ratios.append(median(one for one, _ in again) / median(other for _, other in again))
    cuts = quantiles(ratios, n=40)
    return cuts[0], cuts[-1]


def _row(name: str, times: Sequence[float], limit: Sequence[float]) -> list[str]:
    cuts = quantiles(times, n=20)
    cells = [name, *(f"{cuts[place]:.3f} ms" for place in (1, 9, 18))]
    if times is limit:
        return [*cells, "1", ""]
    low, high = interval(times, limit)
    return [*cells, f"{median(times) / median(limit):.3f}", f"{low:.3f} to {high:.3f}"]


def show_times(console: Console, title: str, times: Times) -> None:
    table = Table(title=title)
    for heading in ("", "p10", "p50", "p95", "ratio of medians", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, values in times.items():
        table.add_row(*_row(name, values, times[ALONE]))
    console.print(table)


def show(ecos: int, found: Found) -> None:
    console = Console(width=100)
    title = f"{ecos:,} ECOs of {NOCS + OSPS} companies, {len(found.kinds):,} questions each way: "
    show_times(console, f"{title}waited", found.asked)
    show_times(console, f"{title}CPU of asker and server", found.worked)
    for kind in KINDS:
        places = [n for n, one in enumerate(found.kinds) if one == kind]
        part = {name: [values[n] for n in places] for name, values in found.worked.items()}
        show_times(console, f"CPU, {kind}", part)
    show_times(console, "The server's own word: planning and execution", found.server)
    show_plans(console, found)
    wall, alone = found.throughput[WALL], found.throughput[ALONE]
    console.print(
        f"Eight who ask at once: {wall:.0f} questions a second {WALL}, {alone:.0f} with {ALONE}"
        f" ({wall / alone:.3f})"
    )
    for what, times in (("waited", found.asked), ("CPU", found.worked)):
        ratio = median(times[WALL]) / median(times[ALONE])
        console.print(f"{'OK' if ratio < LIMIT else 'NOT'}: {what}: {ratio:.3f} (under {LIMIT})")


def show_plans(console: Console, found: Found) -> None:
    console.print(written(found.plans["first page, NOC"]["Plan"]), soft_wrap=True, markup=False)
    for name, plan in found.plans.items():
        reasons = faults(plan["Plan"])
        words = ", ".join(reasons) or "both indexes in their order, no Seq Scan, no large Sort"
        console.print(f"{'NOT' if reasons else 'OK'}: {name}: {words}")
    for name, (generic, uses) in found.generic.items():
        console.print(f"Plans used again without planning, {name}: {generic:,} of {uses:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ecos", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3_000, help="questions asked in every way")
    parser.add_argument("--seconds", type=float, default=10, help="of eight who ask at once")
    parser.add_argument("--repeat", type=int, default=2, help="measure so many times")
    parser.add_argument("--url", help="a database that was filled before")
    chosen = parser.parse_args()
    if chosen.url:
        _repeat(chosen.url, chosen)
        return
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("bench")
        url = server.url("bench")
        prepare(url)
        fill(url, chosen.ecos)
        _repeat(url, chosen)


def _repeat(url: str, chosen: argparse.Namespace) -> None:
    for _ in range(chosen.repeat):
        show(chosen.ecos, asyncio.run(measure(url, chosen.rounds, chosen.seconds)))


if __name__ == "__main__":
    main()
