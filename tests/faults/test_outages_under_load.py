"""Any process of Strike, and the database, die again and again while commands are given.

Everything acknowledged is in the log once, every view equals a fresh rebuild, nobody is rung twice.
The long form, `tox -e outages`, kills 100 times and restarts the database 20 times:
`STRIKE_OUTAGE_KILLS=100 STRIKE_OUTAGE_RESTARTS=20 pytest tests/faults -k outages`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from rich.console import Console

from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.store import store_env
from strike_app.evidence import collect, pack, verify
from strike_domain import Side, StrikeLog
from tests.faults import outage_checks as checks
from tests.faults.outage_clients import Clients
from tests.faults.outage_faults import Fault, afflict, figures, schedule
from tests.faults.outage_notes import Note, read
from tests.faults.outage_world import LogReader, World, outage_world
from tests.integration.stored import eventually, is_caught_up, rows

KILLS = int(os.environ.get("STRIKE_OUTAGE_KILLS", "4"))
RESTARTS = int(os.environ.get("STRIKE_OUTAGE_RESTARTS", "2"))
SEED = int(os.environ.get("STRIKE_OUTAGE_SEED", "7"))

REST = 400.0
"""Seconds in which everything must have come to rest: the last people have been rung by then."""

SAMPLE = 10
"""ECOs whose evidence is looked at."""

EXPECTED = {"OUTCOME_UNKNOWN", "UNAVAILABLE", "DATABASE_UNAVAILABLE", "WAIT_TIMED_OUT"}
"""Codes that a client may get while something is away."""


@pytest.mark.slow
@pytest.mark.timeout(900 + 30 * (KILLS + RESTARTS))
def test_outages_under_load_lose_nothing_and_repeat_nothing(
    request: pytest.FixtureRequest,
) -> None:
    with outage_world() as world:
        reader = LogReader(world.url)
        reader.start()
        try:
            faults = _faults(world)
            _come_to_rest(world)
        finally:
            seen = reader.end()
        placed = httpx.get(f"{world.mock_url}/_mock/calls").json()["calls"]
        for kind in ("server", "follower", "worker"):
            world.stop(kind)
        notes = [note for path in world.notes() for note in read(path)]
        _print(request, faults, notes, placed)
        problems = [*_problems(world.url, notes, seen, placed)]
        assert not problems, "\n".join(problems[:20])
        assert len(faults) == KILLS + RESTARTS
        assert {one.why for one in notes if one.by.startswith("server") and one.why}


def _faults(world: World) -> list[Fault]:
    notes = world.folder / "clients.notes"
    with Clients(world.servers, world.token, notes, SEED):
        faults = list(afflict(world, SEED, schedule(SEED, KILLS, RESTARTS)))
        world.wait_ready()
    world.stop("writer")
    return faults


def _come_to_rest(world: World) -> None:
    """The last people are rung, and the followers have taken everything in."""
    eventually(lambda: is_caught_up(world.url) and not _unrest(world), REST)
    world.stop("worker")
    eventually(lambda: is_caught_up(world.url), REST)


def _unrest(world: World) -> list[dict[str, Any]]:
    """Whatever is still going on, or still found to be wrong by Strike itself."""
    ringing = "SELECT run_id FROM pager_process_state WHERE state = 'RUNNING'"
    found = "SELECT code, subject, said FROM audit_findings WHERE cleared_at IS NULL"
    failing = "SELECT name, error FROM follower_states WHERE error IS NOT NULL"
    return [one for query in (ringing, found, failing) for one in rows(world.url, query)]


def _problems(
    url: str, notes: list[Note], seen: list[int], placed: list[dict[str, Any]]
) -> Iterator[str]:
    log = checks.read_log(url)
    yield from checks.commands(notes, log)
    yield from checks.order(log, seen)
    yield from checks.runs(log)
    yield from checks.calls(log, placed)
    yield from checks.views(url, log)
    yield from _evidence(url, notes)
    yield from _strange_answers(notes)


def _evidence(url: str, notes: list[Note]) -> Iterator[str]:
    """The bundle of some ECOs holds against the log."""
    ecos = sorted({one.eco_id for one in notes if one.eco_id}, key=str)
    with StrikeLog(store_env(url, pool_size=1)) as log:
        for eco_id in random.Random(SEED).sample(ecos, min(SAMPLE, len(ecos))):
            eco = log.eco(eco_id)
            companies: dict[UUID, str] = {eco.noc_id: "NOC", eco.osp_id: "OSP"}
            now = datetime.now(UTC)
            bundle = collect(log, eco_id, at=now, by="t", side=Side.NOC, companies=companies)
            verdict = verify(pack(bundle.parts), log)
            yield from (f"evidence of {eco_id}: {one}" for one in verdict.problems)


def _strange_answers(notes: list[Note]) -> Iterator[str]:
    """Answers of servers that blame no outage."""
    for why, times in Counter(one.why for one in notes if one.what == "failed").items():
        if why is not None and why.isupper() and why not in EXPECTED:
            yield f"{times} times a client was told {why}"


def _print(
    request: pytest.FixtureRequest,
    faults: list[Fault],
    notes: list[Note],
    placed: list[dict[str, Any]],
) -> None:
    console = Console(file=request.config.get_terminal_writer()._file, width=100)
    console.print("", figures(faults, notes))
    done = [one for one in notes if one.what == "acknowledged"]
    seconds = max(one.at for one in done) - min(one.at for one in done)
    over_http = sum(one.by.startswith("server") for one in done)
    console.print(
        f"{len(done):,} commands acknowledged in {seconds:.0f} s, {over_http:,} of them over "
        f"GraphQL; {len(placed):,} calls; {len(VIEWS)} views."
    )
    for what in ("failed", "refused"):
        console.print(what, dict(Counter(one.why for one in notes if one.what == what)))
