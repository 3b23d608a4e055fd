"""`strike simulate`: many stories on all cores, with a bar, a table and, if need be, a story."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from strike_app.simulate.invariants import broken
from strike_app.simulate.report import lines, shortest
from strike_app.simulate.story import Told, plan_of, tell
from strike_domain.eco import EcoCreated
from strike_domain.errors import Rejected

SHOWN = 3
"""How many of the broken stories are shown."""

AT_ONCE = 8
"""Stories that a process is given at once."""


@dataclass(frozen=True)
class Outcome:
    """What one story came to; small enough to be sent between processes."""

    seed: int
    digest: str
    seconds: float
    broken: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


def parse_seeds(text: str) -> range:
    """`1-1000` or `7`. Raises `Rejected` (SEEDS_INVALID)."""
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise Rejected("SEEDS_INVALID", f"{text!r} are no seeds; write 7 or 1-1000.", ("seeds",))
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise Rejected("SEEDS_INVALID", f"{text!r} are no seeds: 1-1000 rises.", ("seeds",))
    return seeds


def judge(seed: int) -> Outcome:
    """Tell one story, and look at everything that must hold after it."""
    _be_quiet()
    started = time.perf_counter()
    told = tell(seed)
    wrongs = broken(told)
    seconds = time.perf_counter() - started
    return Outcome(seed, told.digest(), seconds, wrongs, _counts(told), _faults(told))


def run_simulation(seeds: range, jobs: int, *, as_json: bool, console: Console) -> int:
    """Judge all `seeds` in `jobs` processes; show what came of it, return the exit status."""
    started = time.perf_counter()
    outcomes = list(_with_bar(_judged(seeds, jobs), len(seeds), console))
    seconds = time.perf_counter() - started
    failed = [one for one in outcomes if one.broken]
    if as_json:
        console.file.write(json.dumps(_as_json(outcomes, seconds)) + "\n")
    else:
        console.print(_table(outcomes, seconds))
        for one in failed[:SHOWN]:
            _show_failure(one, console)
    return 1 if failed else 0


def show_story(seed: int, console: Console) -> int:
    """Print one story line by line; the exit status says whether all is well in it."""
    _be_quiet()
    told = tell(seed)
    wrongs = broken(told)
    _print_story(told, wrongs, console)
    return 1 if wrongs else 0


def _judged(seeds: range, jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(judge, seeds)
        return
    # Forked processes would inherit locks in whatever state they are.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(judge, seeds, chunksize=min(AT_ONCE, -(-len(seeds) // jobs)))


def _with_bar(outcomes: Iterator[Outcome], total: int, console: Console) -> Iterator[Outcome]:
    columns = (
        TextColumn("Stories"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} broken"),
    )
    bars = Console(stderr=True)
    with Progress(*columns, console=bars, transient=True, disable=not bars.is_terminal) as bar:
        task = bar.add_task("", total=total, failed=0)
        failed = 0
        for one in outcomes:
            failed += bool(one.broken)
            bar.update(task, advance=1, failed=failed)
            yield one


def _table(outcomes: Sequence[Outcome], seconds: float) -> Table:
    failed = [one for one in outcomes if one.broken]
    title = f"{len(outcomes)} stories in {seconds:.1f} s, {len(failed)} broken"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("What happened")
    table.add_column("Times", justify="right")
    counts, faults = _sum(outcomes)
    for name, count in [*sorted(counts.items(), key=_place), *sorted(faults.items())]:
        table.add_row(name, f"{count:,}")
    for name, count in Counter(name for one in failed for name in one.broken).items():
        table.add_row(f"[red]broken: {name.replace('_', ' ')}[/red]", f"{count:,}")
    table.caption = f"Digest of all logs: {_digest(outcomes)[:16]}"
    table.caption_justify = "left"
    return table


def _place(row: tuple[str, int]) -> tuple[int, str]:
    """Callouts and what became of them first, then how they came to it."""
    name, _ = row
    first = ("callouts", "paging", "ECO", "calls", "webhooks", "events", "deaths", "forgeries")
    return next(i for i, word in enumerate(first) if name.startswith(word)), name


def _sum(outcomes: Sequence[Outcome]) -> tuple[Counter[str], Counter[str]]:
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for one in outcomes:
        counts.update(one.counts)
        faults.update(one.faults)
    return counts, faults


def _digest(outcomes: Sequence[Outcome]) -> str:
    return hashlib.sha256("".join(one.digest for one in outcomes).encode()).hexdigest()


def _as_json(outcomes: Sequence[Outcome], seconds: float) -> dict[str, object]:
    counts, faults = _sum(outcomes)
    return {
        "stories": len(outcomes),
        "seconds": round(seconds, 3),
        "digest": _digest(outcomes),
        "counts": dict(counts),
        "faults": dict(faults),
        "broken": {one.seed: one.broken for one in outcomes if one.broken},
    }


def _show_failure(one: Outcome, console: Console) -> None:
    """The story of a broken seed, without whatever is not needed to break it."""
    _be_quiet()
    check = next(iter(one.broken))
    console.print(f"\n[bold red]Seed {one.seed}[/bold red]: {check.replace('_', ' ')}")
    scenario, luck = shortest(one.seed, *plan_of(one.seed), check)
    told = tell(one.seed, scenario, luck)
    _print_story(told, broken(told), console)
    console.print(f"The whole of it: strike simulate --story {one.seed}")


def _print_story(told: Told, wrongs: dict[str, list[str]], console: Console) -> None:
    for phone in told.scenario.phones:
        console.print(f"{phone.number} {phone.who}", highlight=False)
    for line in lines(told):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for check, sentences in wrongs.items():
        for sentence in sentences[:3]:
            console.print(f"{check.replace('_', ' ')}: {sentence}", style="red", markup=False)


def _counts(told: Told) -> Counter[str]:
    calls = told.system.mock.exchange.book.all()
    ecos = [
        told.system.log.eco(event.originator_id)
        for _, event in told.events()
        if isinstance(event, EcoCreated)
    ]
    counts = Counter({"callouts": len(ecos), "calls": len(calls)})
    counts.update(f"paging {eco.paging_state}" for eco in ecos)
    counts.update(f"ECO {eco.status}" for eco in ecos)
    counts["events"] = sum(1 for _ in told.events())
    counts["webhooks"] = len(told.system.courier.told)
    counts["deaths"] = sum(len(one.died_at) for one in told.system.processes)
    counts["forgeries"] = len(told.forged)
    return counts


def _faults(told: Told) -> Counter[str]:
    return Counter(f"fault: {name}" for name in told.system.mock.faults.counts.elements())


def _be_quiet() -> None:
    """What goes wrong on purpose is no news."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def all_cores() -> int:
    """How many processes are of use here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
