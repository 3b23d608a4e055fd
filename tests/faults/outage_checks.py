"""What must be so when everything has come to rest. Each check says what is wrong, in words."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.rebuild import rebuild
from strike_adapters.postgres.rebuild.beside import tables_of
from strike_adapters.postgres.views.pager_process_state import PagerProcessState
from strike_adapters.postgres.views.render_poll_state import RenderPollState
from strike_domain.pager_process import PAGER
from tests.faults.outage_notes import Note
from tests.integration.stored import follow, forget, table

WORDS = {
    "strike.eco.created": "client_reference",
    "strike.eco.note-added": "text",
    "strike.eco.amended": "description",
    "strike.eco.cancelled": "reason",
}
"""Where in an event the word of the command stands that it came of."""


STOPS_WITHIN = timedelta(seconds=3)
"""In which a phone stops that began to ring while Strike was told so."""

LONG_BEFORE = timedelta(seconds=60)
"""Ten seconds of a world of outages, in which whatever was killed is replaced."""


@dataclass(frozen=True)
class Logged:
    """An event of the log."""

    position: int
    stream: UUID
    version: int
    topic: str
    state: dict[str, Any]


def read_log(url: str) -> list[Logged]:
    """All of it, in its order."""
    query = (
        "SELECT notification_id, originator_id, originator_version, topic, state "
        "FROM strike_events ORDER BY notification_id"
    )
    with psycopg.connect(url, row_factory=tuple_row) as connection:
        return [
            Logged(position, stream, version, topic, json.loads(state))
            for position, stream, version, topic, state in connection.execute(query)
        ]


# Commands -----------------------------------------------------------------------------------


def commands(notes: Sequence[Note], log: Sequence[Logged]) -> Iterator[str]:
    """An acknowledged command is in the log once; a refused one never; any other not twice."""
    found: dict[str, list[Logged]] = defaultdict(list)
    for event in log:
        word = event.state.get(WORDS.get(event.topic, ""))
        if word:
            found[word].append(event)
    for word in {one.word for one in notes if not one.word.startswith("see-")}:
        if len(found[word]) > 1:
            yield f"{word} is in the log {len(found[word])} times"
    for note in notes:
        if note.what == "refused" and found[note.word]:
            yield f"{note.word} was refused ({note.why}), and stored"
        if note.what == "acknowledged":
            yield from _acknowledged(note, found[note.word])


def _acknowledged(note: Note, found: Sequence[Logged]) -> Iterator[str]:
    if not found:
        yield f"{note.word} was acknowledged at position {note.position}, and is not in the log"
    for event in found:
        if event.stream != note.eco_id:
            yield f"{note.word} was acknowledged of {note.eco_id}, and is in {event.stream}"
        if note.position is None or event.position > note.position:
            yield f"{note.word} is at position {event.position}, and was told as {note.position}"


# The log ------------------------------------------------------------------------------------


def order(log: Sequence[Logged], seen: Sequence[int]) -> Iterator[str]:
    """A reader has seen each event once; streams have no gap; ids and job numbers no repeat."""
    if list(seen) != (stored := [one.position for one in log]):
        missed, more = (
            set(stored) - set(seen),
            [n for n, times in Counter(seen).items() if times > 1],
        )
        yield f"the reader has missed {sorted(missed)[:5]}, and seen twice {more[:5]}"
    versions: dict[UUID, list[int]] = defaultdict(list)
    for event in log:
        versions[event.stream].append(event.version)
    for stream, found in versions.items():
        if found != list(range(1, len(found) + 1)):
            yield f"the versions of {stream} are {found}"
    for what, numbers in (
        ("event id", [one.state["event_id"] for one in log]),
        ("job number", [(one.state["osp_id"], one.state["job_number"]) for one in _created(log)]),
    ):
        if twice := _more_than_once(numbers):
            yield f"{what} given twice: {twice[:5]}"


def _more_than_once(things: Iterable[Hashable]) -> list[Any]:
    return [one for one, times in Counter(things).items() if times > 1]


def _created(log: Sequence[Logged]) -> list[Logged]:
    return [one for one in log if one.topic == "strike.eco.created"]


# Paging -------------------------------------------------------------------------------------


def runs(log: Sequence[Logged]) -> Iterator[str]:
    """The process has answered each event once: one run where one is due, and one end of it."""
    started = Counter(one.state["eco_id"] for one in log if one.topic == "strike.run.started")
    cancelled = {one.stream for one in log if one.topic == "strike.eco.cancelled"}
    for eco in _created(log):
        count = started[str(eco.stream)]
        is_due = eco.state["paging_policy"] == "AUTOMATIC"
        if count > is_due:
            yield f"{eco.stream} has {count} runs, where {is_due:d} is due"
        if is_due and not count and eco.stream not in cancelled:
            topics = [one.topic for one in log if one.stream == eco.stream]
            yield f"nobody was rung for {eco.stream}: {topics}"
    ended = Counter(
        one.stream
        for one in log
        if one.topic in ("strike.run.exhausted", "strike.run.cancelled", "strike.run.call-accepted")
    )
    for run in (one.stream for one in log if one.topic == "strike.run.started"):
        if not ended[run]:
            yield f"the run {run} has no end"
    answers = Counter(
        (one.state["causation_id"], one.topic) for one in log if one.state["actor"] == PAGER.name
    )
    twice = [one for one, times in answers.items() if times > 1]
    if twice:
        yield f"the process has answered twice: {twice[:5]}"


def _told(log: Sequence[Logged], placed: Sequence[dict[str, Any]], run: str) -> str:
    """What the log and the provider say of a run, to find out how it came to that."""
    events = [
        f"{one.state.get('timestamp', '')} {one.topic} {one.state.get('attempt', '')}".strip()
        for one in log
        if str(one.stream) == run
    ]
    theirs = [str(one) for one in placed if run in str(one["twiml_url"])]
    return "\n  ".join(["", *events, *theirs])


Turn: TypeAlias = tuple[str, ...]
"""A run and a call of it."""

RINGS = ("call-ringing", "call-answered", "call-ended", "second-call-counts")
"""Events of a turn that has rung, or is over."""


@dataclass(frozen=True)
class Doubles:
    """The turns for which the provider had more than one call: those in which one rang at the
    most; those in which more did; and of these the ones of which Strike knew everything long
    before."""

    ended: list[Turn]
    rang: list[Turn]
    known: list[Turn]


def doubles(log: Sequence[Logged], placed: Sequence[dict[str, Any]]) -> Doubles:
    """What became of each turn that was placed more than once."""
    found, knows = Doubles([], [], []), _Knowledge(log)
    of_turn: dict[Turn, list[dict[str, Any]]] = defaultdict(list)
    for call in placed:
        of_turn[_turn_of(call)].append(call)
    for turn, of_it in of_turn.items():
        rang = [one for one in of_it if not _was_ended_in_time(one)]
        if len(rang) > 1:
            found.rang.append(turn)
            if any(knows.better(one) for one in rang):
                found.known.append(turn)
        elif len(of_it) > 1:
            found.ended.append(turn)
    return found


class _Knowledge:
    """Since when the log has the provider's id of a call, and that something of a turn had rung."""

    def __init__(self, log: Sequence[Logged]) -> None:
        self._sids: dict[str, datetime] = {}
        self._rang: dict[str, datetime] = {}
        for one in log:
            if not one.topic.startswith("strike.run.") or "timestamp" not in one.state:
                continue
            at = datetime.fromisoformat(one.state["timestamp"])
            self._sids.setdefault(one.state.get("sid", ""), at)
            if one.topic.removeprefix("strike.run.") in RINGS:
                self._rang.setdefault(one.state["call_id"], at)

    def better(self, placed: dict[str, Any]) -> bool:
        """Whether that call could have been ended long before it rang."""
        rings_at = placed.get("times", {}).get("ringing")
        known = self._sids.get(placed["sid"]), self._rang.get(_turn_of(placed)[-1])
        if rings_at is None or None in known:
            return False
        by = datetime.fromisoformat(rings_at) - LONG_BEFORE
        return all(at is not None and at < by for at in known)


def _turn_of(placed: dict[str, Any]) -> Turn:
    """The run and the call of it, as the address of its TwiML has them."""
    return tuple(urlsplit(str(placed["twiml_url"])).path.split("/")[-2:])


def _was_ended_in_time(placed: dict[str, Any]) -> bool:
    """Whether it was ended before it rang for longer than it takes to end it."""
    times = placed.get("times", {})
    if placed["status"] != "canceled":
        return False
    began = datetime.fromisoformat(times.get("ringing", times["ended"]))
    return datetime.fromisoformat(times["ended"]) - began < STOPS_WITHIN


def calls(
    log: Sequence[Logged], placed: Sequence[dict[str, Any]], *, are_answers_lost: bool = False
) -> Iterator[str]:
    """By the mock's own list: each turn rang once, each phone of a run once, none rings on.

    `are_answers_lost`: the provider takes calls and does not say so. Then a turn may ring again
    of which Strike did not know in time.
    """
    turns = [_turn_of(one) for one in placed]
    again = doubles(log, placed)
    for turn in again.known if are_answers_lost else again.rang:
        yield f"the turn {turn} has rung more than once: {_told(log, placed, turn[0])}"
    requested = {one.state["call_id"] for one in log if one.topic == "strike.run.call-requested"}
    for turn in turns:
        if turn[-1] not in requested:
            yield f"nobody has decided to ring {turn}"
    rung = {(*turn, one["to"]) for turn, one in zip(turns, placed, strict=True)}
    phones = Counter((run, to) for run, _, to in rung)
    for (run, phone), times in phones.items():
        if times > 1:
            yield f"{phone} was rung {times} times in the run {run}"
    final = {"completed", "busy", "failed", "no-answer", "canceled"}
    for one in placed:
        if one["status"] not in final:
            yield f"a phone is left {one['status']}: {one['to']}"
    told = {one.state["sid"] for one in log if one.topic == "strike.run.call-placed"}
    if strange := told - {one["sid"] for one in placed}:
        yield f"Twilio knows nothing of {sorted(strange)[:5]}"


# Views --------------------------------------------------------------------------------------


def views(url: str, log: Sequence[Logged]) -> Iterator[str]:
    """Every view is the same after a rebuild, row by row; the timeline has a line for each event.

    What workers write is in no event: a rebuild keeps it. Made anew from nothing the tables of
    workers must be the same but for that.
    """
    told = [row["position"] for row in table(url, "eco_timeline")]
    if told != [one.position for one in log]:
        yield f"the timeline has {len(told)} lines for {len(log)} events"
    before = _tables(url)
    rebuild(url, VIEWS, lambda _: None)
    yield from _differences("rebuilt", before, _tables(url))
    before = _tables(url, without_kept=True)
    for view in (PagerProcessState, RenderPollState):
        forget(url, view)
        follow(url, view)
    yield from _differences("made anew", before, _tables(url, without_kept=True))


def _tables(url: str, *, without_kept: bool = False) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for view in VIEWS:
        kept = view.recorder_class.kept if without_kept else None
        names = {*kept.always, *kept.if_same} if kept else set()
        for name in (*tables_of(view), f"{view.name}_tracking"):
            rows = table(url, name)
            found[name] = [{k: v for k, v in row.items() if k not in names} for row in rows]
    return found


def _differences(
    what: str, before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]
) -> Iterator[str]:
    for name, rows in before.items():
        pairs = zip_longest(rows, after[name])
        if other := [(was, now) for was, now in pairs if was != now]:
            yield f"{name}, {what}: {len(other)} rows are others; first {other[0]}"
