"""A story in lines that a person can read, and the shortest story that goes wrong the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from strike_app.simulate.invariants import broken
from strike_app.simulate.loop import EPOCH
from strike_app.simulate.story import Luck, Told, tell
from strike_domain.timeline import Teller
from strike_mock.scenarios import Scenario

MOST_TRIES = 60
"""How often a story is told again to make it shorter."""


def lines(told: Told) -> list[str]:
    """What happened, in order: the log, the phones, the faults, the deaths."""
    happened: list[tuple[datetime, int, str]] = []
    for order, (at, line) in enumerate([*_log(told), *_phones(told), *_bad_luck(told)]):
        happened.append((at, order, line))
    return [f"{(at - EPOCH).total_seconds():9.2f} s  {line}" for at, _, line in sorted(happened)]


def _log(told: Told) -> Iterator[tuple[datetime, str]]:
    teller = Teller()
    after: dict[Any, Any] = {}
    for position, event in told.events():
        now: Any = event.mutate(after.get(event.originator_id))
        after[event.originator_id] = now
        yield event.timestamp, f"{position:4d} {teller.line(event, now)}"


def _phones(told: Told) -> Iterator[tuple[datetime, str]]:
    for call in told.system.mock.exchange.book.all():
        who = f"     phone {call.request.to[-4:]} ({call.sid[:6]})"
        yield call.created, f"{who}: placed"
        for status, at in call.times.items():
            if status != "ended":
                yield at, f"{who}: {status}"
        for key in call.keys:
            yield key.at, f"{who}: presses {key.key}{'' if key.heeded else ', unheeded'}"


def _bad_luck(told: Told) -> Iterator[tuple[datetime, str]]:
    for hit in told.system.mock.faults.hits:
        yield hit.at, f"     fault on {hit.edge}: {hit.kind} ({hit.about[-40:]})"
    for process in told.system.processes:
        for at in process.died_at:
            yield at, f"     {process.name} dies"


def shortest(seed: int, scenario: Scenario, luck: Luck, check: str) -> tuple[Scenario, Luck]:
    """Leave out whatever the failure of `check` does not need."""
    tries = 0
    shrunk = True
    while shrunk and tries < MOST_TRIES:
        shrunk = False
        for shorter in _shorter(scenario, luck):
            tries += 1
            if check in broken(tell(seed, *shorter)):
                scenario, luck = shorter
                shrunk = True
                break
            if tries >= MOST_TRIES:
                break
    return scenario, luck


def _shorter(scenario: Scenario, luck: Luck) -> Iterator[tuple[Scenario, Luck]]:
    if len(luck.callouts) > 1:
        for number in range(len(luck.callouts)):
            yield scenario, replace(luck, callouts=_without(luck.callouts, number))
    for calmer in (
        replace(luck, kills=()),
        replace(luck, outages=()),
        replace(luck, forgeries=()),
        replace(luck, slips=0.0),
    ):
        if calmer != luck:
            yield scenario, calmer
    for name in ("faults", "operator"):
        for number in range(len(getattr(scenario, name))):
            kept = _without(getattr(scenario, name), number)
            yield scenario.model_copy(update={name: kept}), luck
    if scenario.crew.steps:
        idle = scenario.crew.model_copy(update={"steps": ()})
        yield scenario.model_copy(update={"crew": idle}), luck
    for number in range(len(luck.kills)):
        yield scenario, replace(luck, kills=_without(luck.kills, number))


def _without(items: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return items[:number] + items[number + 1 :]
