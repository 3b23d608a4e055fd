"""Does a bundle hold? What is proven, what is not, in plain words. No I/O, and never an exception.

Whatever somebody made of a bundle is an answer here, not an error.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from strike_domain.actors import Side
from strike_domain.contacts import mask_phone
from strike_domain.eco import EcoCreated, PagerDispatched
from strike_domain.evidence import (
    CALLS,
    EVENTS,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    NAMES,
    SEAL,
    STATED,
    Parts,
    calls_seen_by,
    unsealed,
)
from strike_domain.evidence_chain import (
    Chain,
    Record,
    check_links,
    digest,
    happened_of,
)
from strike_domain.evidence_parts import DERIVED, derive, eco_of, pretty
from strike_domain.pager_run import PagerRunStarted

PROVEN = (
    "Every file is as the manifest states, and the manifest as it was sealed.",
    "The events are one chain: none was changed, moved, put in or taken out before its head.",
    "Of the callout and of each ring-down, no event is missing between the first and the last.",
    "Calls, timeline, response times and map say what the events say.",
)

NOT_PROVEN = (
    "That the exporter did not leave out the end, or write a history and a chain of their own: "
    "compare the head with one that was told to somebody earlier, or with the other company's.",
    "Who exported it, and when: the manifest only states it.",
)

OF_THE_LOG = (
    "The log holds exactly these events, up to where it was when this was exported.",
    "The telephone numbers are those of the log.",
)

UNCOMPARED_NUMBERS = (
    "The telephone numbers in calls.json beyond their last four digits: the chain has only those."
)


@dataclass(frozen=True)
class Verdict:
    """What came of checking a bundle. It holds if there are no problems."""

    problems: tuple[str, ...]
    proven: tuple[str, ...] = ()
    not_proven: tuple[str, ...] = NOT_PROVEN
    eco: str | None = None
    job_number: str | None = None
    events: int = 0
    head: str | None = None

    @property
    def holds(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class Log:
    """What the log holds of the ECO now, to compare with."""

    records: Sequence[Record]


def check(parts: Parts, log: Log | None = None) -> Verdict:
    """Check everything in a bundle; with `log`, also that the log says the same."""
    try:
        return _check(parts, log)
    except Exception as error:
        # Made by somebody to be found wrong in a way that nobody foresaw: found.
        return Verdict((f"It cannot be read: {type(error).__name__}: {error}.",))


def _check(parts: Parts, log: Log | None) -> Verdict:
    missing = [f"{name} is missing." for name in NAMES if name not in parts]
    strange = [f"{name} does not belong in it." for name in parts if name not in NAMES]
    if missing or strange:
        return Verdict((*missing, *strange))
    manifest = json.loads(parts[MANIFEST])
    if (manifest["format"], manifest["format_version"]) != (FORMAT, FORMAT_VERSION):
        known = f"{FORMAT} {FORMAT_VERSION}"
        return Verdict((f"Its format is another one; this Strike knows {known} only.",))
    problems = [*_files(parts, manifest)]
    text = parts[EVENTS].decode()
    records, wrong = check_links(text.removesuffix("\n").split("\n"))
    problems += wrong
    if not text.endswith("\n"):
        problems.append("events.jsonl does not end with a whole line.")
    if not wrong:
        problems += [
            *_streams(records),
            *_facts(manifest, records),
            *_derived(parts, manifest, records),
        ]
    if log is not None and not wrong:
        problems += _against(parts, manifest, log)
    proven, open_ = _conclusions(manifest, log)
    return Verdict(
        problems=tuple(problems),
        proven=proven if not problems else (),
        not_proven=open_,
        eco=str(manifest["eco"]),
        job_number=str(manifest["job_number"]),
        events=len(records),
        head=str(manifest["head"]),
    )


def _conclusions(manifest: Any, log: Log | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if log is not None:
        return (*PROVEN, *OF_THE_LOG), (*NOT_PROVEN[1:], *_since(manifest, log))
    numbers = (UNCOMPARED_NUMBERS,) if manifest["exported_for"] == Side.OSP else ()
    return PROVEN, (*NOT_PROVEN, *numbers)


def _since(manifest: Any, log: Log) -> Iterator[str]:
    """What the log holds beyond; an exporter might state an earlier end to leave that out."""
    later = [one for one in log.records if one["position"] > manifest["log_position"]]
    if later:
        yield (
            f"That it was exported before what the log holds since: {len(later)} more, the first "
            f"of {later[0]['timestamp']}. The manifest states {manifest['exported_at']}."
        )


def _files(parts: Parts, manifest: Any) -> Iterator[str]:
    data = parts[MANIFEST]
    if pretty(manifest) != data or data.decode().split("\n")[-3:-2] != [
        f'{SEAL}"{manifest["seal"]}"'
    ]:
        yield "manifest.json is not written as Strike writes it."
    if digest(unsealed(data)) != manifest["seal"]:
        yield "manifest.json was changed: its seal is another."
    if tuple(manifest) != STATED:
        yield "manifest.json does not state exactly what belongs into it."
    if list(manifest["parts"]) != [name for name in NAMES if name != MANIFEST]:
        yield "manifest.json does not name exactly the files of a bundle."
    for name, stated in manifest["parts"].items():
        if digest(parts.get(name, b"")) != stated:
            yield f"{name} was changed: its SHA-256 is not the one in the manifest."


def _streams(records: Sequence[Record]) -> Iterator[str]:
    """Each aggregate from its first event without a gap, all in the order of the log."""
    expected: defaultdict[str, int] = defaultdict(int)
    before = 0
    for record in records:
        expected[record["aggregate"]] += 1
        if record["version"] != expected[record["aggregate"]]:
            yield (
                f"Of {record['aggregate']}, version {record['version']} stands where "
                f"{expected[record['aggregate']]} belongs: an event is missing or out of place."
            )
            return
        if record["position"] <= before:
            yield f"Position {record['position']} stands after {before}: it is out of place."
            return
        before = record["position"]


def _facts(manifest: Any, records: Sequence[Record]) -> Iterator[str]:
    """The manifest's own statements, where the events say the same or another thing."""
    history = [happened_of(record) for record in records]
    eco = eco_of(history)
    created = history[0].event
    stated = {
        "eco": str(eco.id),
        "job_number": eco.job_number,
        "events": len(records),
        "head": Chain.of(records).head,
        "phone_numbers": "full" if manifest["exported_for"] == Side.OSP else "last four digits",
    }
    for name, value in stated.items():
        if manifest[name] != value:
            yield f"manifest.json states {name} {manifest[name]!r}; the events say {value!r}."
    if not isinstance(created, EcoCreated):
        yield "It does not begin with the creation of the callout."
    if (manifest["noc"]["id"], manifest["osp"]["id"]) != (str(eco.noc_id), str(eco.osp_id)):
        yield "manifest.json names other companies than the events."
    if manifest["log_position"] < records[-1]["position"]:
        yield "manifest.json states a position of the log that its events are beyond."
    events = [one.event for one in history]
    wanted = {one.run_id for one in events if isinstance(one, PagerDispatched)}
    started = {one.originator_id for one in events if isinstance(one, PagerRunStarted)}
    strangers = {one.originator_id for one in events} - {eco.id} - wanted
    if wanted != started or strangers:
        yield "The ring-downs in it are not those that the callout started."


def _derived(parts: Parts, manifest: Any, records: Sequence[Record]) -> Iterator[str]:
    made = derive([happened_of(record) for record in records])
    found = {name: parts[name] for name in DERIVED}
    if manifest["exported_for"] == Side.OSP:
        calls = json.loads(found[CALLS])
        if pretty(calls) != found[CALLS]:
            yield "calls.json is not written as Strike writes it."
        found[CALLS] = pretty([_masked_call(call) for call in calls])
    for name in DERIVED:
        if found[name] != made[name]:
            yield (
                f"{name} does not say what the events say. (Strike {manifest['strike_version']} "
                "wrote it: if this is another version, check with that one; words may differ.)"
            )


def _masked_call(call: dict[str, Any]) -> dict[str, Any]:
    number = call["phone"]
    short = mask_phone(number)
    text = json.dumps(call, ensure_ascii=False).replace(number, short)
    masked: dict[str, Any] = json.loads(text)
    return masked


def _against(parts: Parts, manifest: Any, log: Log) -> Iterator[str]:
    until = manifest["log_position"]
    then = [record for record in log.records if record["position"] <= until]
    if not then:
        yield "The log holds no such callout."
        return
    chain = Chain.of(then)
    lines = parts[EVENTS].decode().removesuffix("\n").split("\n")
    pairs = zip(lines, chain.lines, strict=False)
    differs = next((n for n, (mine, logged) in enumerate(pairs, 1) if mine != logged), None)
    if differs is not None:
        yield f"The log holds something else than line {differs} of events.jsonl."
    elif len(lines) != len(chain.lines):
        yield (
            f"The log held {len(chain.lines)} events when this was exported, and {len(lines)} are "
            "in it: the rest was left out, or put in."
        )
    else:
        if calls_seen_by(Side(manifest["exported_for"]), then) != parts[CALLS]:
            yield "calls.json has other telephone numbers than the log."
