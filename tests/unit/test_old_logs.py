"""A log that an earlier version wrote replays in this one, to what was true then.

`golden/log-N.jsonl` is a whole log as version N of the events wrote it: one stored event a line,
in order. `golden/log-N.state.jsonl` has what followed from it: each aggregate's state, one a line,
and the head of its chain. Both are never written again. When an event gets a new version (see
test_events_golden.py), add a log of the new forms beside the old ones: run this file once with
`STRIKE_WRITE_GOLDEN=1`, which writes the next number if any form of an event is in no log yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from pydantic_core import to_jsonable_python

from strike_domain.evidence_chain import Chain, record_of
from strike_domain.evidence_parts import derive
from strike_domain.history import Happened, replay
from strike_domain.timeline import Teller
from tests.integration.stored import LongNight
from tests.integration.stories import tell_all
from tests.unit.given import mapper
from tests.unit.test_events_golden import CLASSES, GOLDEN

CHAIN = "chain"

LOGS = sorted(GOLDEN.glob("log-*[0-9].jsonl"))


def events(log: Path) -> list[Happened]:
    through: Any = mapper()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [
        Happened(number, through.to_domain_event(stored(line)))
        for number, line in enumerate(lines, 1)
    ]


def stored(line: dict[str, Any]) -> StoredEvent:
    return StoredEvent(
        originator_id=UUID(line["originator_id"]),
        originator_version=line["originator_version"],
        topic=line["topic"],
        state=json.dumps(line["state"]).encode(),
    )


def states(history: list[Happened]) -> dict[str, dict[str, Any]]:
    """Every aggregate at the end, by its id, as plain JSON."""
    latest: dict[str, Any] = {str(after.id): after for _, after in replay(history)}
    return {key: to_jsonable_python(vars(latest[key])) for key in sorted(latest)}


def head(log: Path) -> str:
    """The head of the chain that an evidence bundle of the whole log would have."""
    lines = enumerate(map(json.loads, log.read_text().splitlines()), 1)
    return Chain.of(record_of(number, stored(line), line["state"]) for number, line in lines).head


def pinned(log: Path) -> dict[str, dict[str, Any]]:
    lines = log.with_suffix(".state.jsonl").read_text().splitlines()
    return dict(json.loads(line) for line in lines)


def forms(log: Path) -> set[tuple[str, int]]:
    """Which versions of which events a log holds."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return {(line["topic"], line["state"].get("class_version", 1)) for line in lines}


PRESENT = {(each.TOPIC, each.class_version) for each in CLASSES}


def present_log() -> Iterator[dict[str, Any]]:
    """Every story that the tests tell, as this version stores it: every event there is."""
    night = LongNight()
    tell_all(night)
    log = night.strike.log
    for one in log.recorder.select_notifications(1, 1_000_000):
        yield {
            "originator_id": str(one.originator_id),
            "originator_version": one.originator_version,
            "topic": one.topic,
            "state": log.state_of(one),
        }


@pytest.fixture(scope="session", autouse=True)
def _write_the_next_log() -> None:
    known = {form for log in LOGS for form in forms(log)}
    if os.environ.get("STRIKE_WRITE_GOLDEN") and not known >= PRESENT:
        log = GOLDEN / f"log-{len(LOGS) + 1}.jsonl"
        log.write_text(_lines(present_log()))
        state = states(events(log)) | {CHAIN: {"head": head(log)}}
        log.with_suffix(".state.jsonl").write_text(_lines(state.items()))


def _lines(things: Any) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in things)


def test_every_event_of_this_version_is_in_a_log() -> None:
    assert {form for log in LOGS for form in forms(log)} >= PRESENT


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_log_of_an_earlier_version_replays_to_what_was_true_then(log: Path) -> None:
    now = states(events(log))
    then = pinned(log)
    assert {*now, CHAIN} == then.keys()
    del then[CHAIN]
    for key, state in then.items():
        # What an aggregate has learnt to know since is no change of what it knew.
        assert _of_what_was_known(now[key], state) == state


def _of_what_was_known(now: Any, then: Any) -> Any:
    """`now` without the fields, of the aggregate or a part of it, that there were none of then."""
    if not (isinstance(now, dict) and isinstance(then, dict)):
        return now
    learnt = {name for name in now.keys() - then.keys() if name.isidentifier()}
    return {
        name: _of_what_was_known(one, then.get(name))
        for name, one in now.items()
        if name not in learnt
    }


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_every_line_of_an_old_log_can_still_be_told_and_proven(log: Path) -> None:
    history = events(log)
    teller = Teller()
    assert all(teller.line(one.event, after) for one, after in replay(history))
    for eco_id in {
        one.event.originator_id for one in history if one.event.TOPIC.startswith("strike.eco.")
    }:
        own = [one for one in history if one.event.originator_id == eco_id]
        assert derive(own)["timeline.txt"]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_an_old_log_has_the_same_chain_however_new_the_version_is(log: Path) -> None:
    """Else an evidence bundle of then would no longer be the beginning of one of now."""
    assert head(log) == pinned(log)[CHAIN]["head"]
