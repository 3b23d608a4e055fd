"""How a world of outages ends: it comes to rest, and everything in it is looked at."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from strike_adapters.postgres.store import store_env
from strike_app.evidence import collect, pack, verify
from strike_domain import Side, StrikeLog
from tests.faults import outage_checks as checks
from tests.faults.outage_notes import Note, read
from tests.faults.outage_world import LogReader, World
from tests.integration.stored import eventually, is_caught_up, rows

REST = 400.0
"""Seconds in which everything must have come to rest: the last people have been rung by then."""

SAMPLE = 10
"""ECOs whose evidence is looked at."""

EXPECTED = {"OUTCOME_UNKNOWN", "UNAVAILABLE", "DATABASE_UNAVAILABLE", "WAIT_TIMED_OUT"}
"""Codes that a client may get while something is away."""


@dataclass(frozen=True)
class Ending:
    """What was noted of commands, the ids of events and the calls at Twilio, and which turns have
    more than one; what is wrong."""

    notes: list[Note]
    seen: list[int]
    placed: list[dict[str, Any]]
    doubles: checks.Doubles
    problems: list[str]


def ending_of(
    world: World,
    under_load: Callable[[], object],
    tell: Callable[[str], object] = str,
    *,
    are_answers_lost: bool = False,
) -> Ending:
    """Follow the log while the world is under load; let it come to rest, stop it, look at it.

    `tell`: is told what is done. `are_answers_lost`: as for `outage_checks.calls`.
    """
    reader = LogReader(world.url)
    reader.start()
    try:
        under_load()
        tell("coming to rest")
        _come_to_rest(world)
    finally:
        seen = reader.end()
    placed = httpx.get(f"{world.mock_url}/_mock/calls").json()["calls"]
    for kind in ("server", "follower", "worker"):
        world.stop(kind)
    tell("looking at everything that was stored")
    notes = [note for path in world.notes() for note in read(path)]
    log = checks.read_log(world.url)
    problems = [*_problems(world.url, log, notes, seen)]
    problems += checks.calls(log, placed, are_answers_lost=are_answers_lost)
    return Ending(notes, seen, placed, checks.doubles(log, placed), problems)


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
    url: str, log: list[checks.Logged], notes: list[Note], seen: list[int]
) -> Iterator[str]:
    yield from checks.commands(notes, log)
    yield from checks.order(log, seen)
    yield from checks.runs(log)
    yield from checks.views(url, log)
    yield from _evidence(url, notes)
    yield from _strange_answers(notes)


def _evidence(url: str, notes: list[Note]) -> Iterator[str]:
    """The bundle of some ECOs holds against the log."""
    ecos = sorted({one.eco_id for one in notes if one.eco_id}, key=str)
    with StrikeLog(store_env(url, pool_size=1)) as log:
        for eco_id in random.Random(SAMPLE).sample(ecos, min(SAMPLE, len(ecos))):
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
