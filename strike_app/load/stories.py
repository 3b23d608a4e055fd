"""What becomes of callouts: stories that the domain itself has lived through, to be told again.

Each is run once in memory, by the same commands, process and workers as always. Its events are
kept as they would be stored, with gaps where one callout differs from another: ids, times, place,
people. Filled in, they are what the domain would have stored for that callout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from strike_adapters.memory import FakeFieldWork
from strike_domain import (
    Actor,
    Callouts,
    Contact,
    EcoOrder,
    Link,
    LinkStatus,
    ManualClock,
    PagerList,
    PaperTelephone,
    Role,
    Side,
    StrikeInMemory,
)
from strike_domain.geometry import length_m, parse_location
from strike_domain.new_ids import derived_id
from strike_domain.pager_run import CallRequested, PagerRunStarted

START = datetime(2026, 1, 15, 3, tzinfo=UTC)
NOC, OSP, LIST = UUID(int=0x10AD1), UUID(int=0x10AD2), UUID(int=0x10AD3)
POINT = {"type": "Point", "coordinates": [-105.123456, 40.654321]}
PEOPLE = tuple(Contact(name=f"CONTACT-{n}", phone=f"+1303555010{n}") for n in range(3))
CREW = PagerList(id=LIST, osp_id=OSP, name="CONTACT-LIST", contacts=PEOPLE)
NINA = Actor(name="NOC-OPERATOR", tenant_id=NOC, side=Side.NOC, role=Role.OPERATOR)
OSKAR = Actor(name="OSP-DISPATCHER", tenant_id=OSP, side=Side.OSP, role=Role.OPERATOR)
ORDER = EcoOrder(
    osp_id=OSP,
    location=POINT,
    job_type="FNOL",
    description="WHAT-HAPPENED",
    ticket="TICKET-NUMBER",
    affected_customers=424_242,
)

_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_SID = r"paper-\d+"


class World:
    """One callout in memory, and the people who have to do with it."""

    def __init__(self, random: Random, *, has_list: bool = True) -> None:
        self.random = random
        self.phone = PaperTelephone()
        clock = ManualClock(START)
        self.strike = StrikeInMemory(self.phone, FakeFieldWork(clock), clock=clock)
        link = Link(noc_id=NOC, osp_id=OSP, status=LinkStatus.ACTIVE)
        self.strike.directory.add(link, *([CREW] if has_list else []))
        self.eco_id = self.strike.callouts.create_eco(ORDER, NINA).aggregate.id
        self.strike.settle()

    @property
    def callouts(self) -> Callouts:
        return self.strike.callouts

    def wait(self, at_least: int, at_most: int) -> None:
        """Some seconds."""
        self.strike.advance(self.random.randint(at_least, at_most))

    def sleeps(self, number: int) -> None:
        """It rings until it is the next one's turn."""
        self._rings(number)
        self.strike.advance(30)

    def presses(self, number: int, key: str) -> None:
        """Somebody answers and presses a key."""
        self._rings(number)
        self.wait(3, 12)
        call = self.phone.answers(PEOPLE[number].phone)
        self.strike.paging.answered(call)
        self.wait(4, 15)
        self.strike.paging.key_pressed(call, key)
        self.strike.settle()

    def _rings(self, number: int) -> None:
        self.wait(1, 4)
        self.strike.paging.reported(self.phone.rings(PEOPLE[number].phone))
        self.strike.settle()

    def works(self) -> None:
        """The crew arrives and begins."""
        self.wait(1_200, 5_400)
        self.callouts.start_work(self.eco_id, OSKAR)

    def is_done(self) -> None:
        """The crew has done it, and the grace period passes."""
        self.wait(5_400, 36_000)
        self.callouts.complete_eco(self.eco_id, OSKAR)
        self.strike.settle()
        self.strike.advance(25 * 3600)


def first_accepts(world: World) -> None:
    world.presses(0, "1")


def second_accepts(world: World) -> None:
    world.sleeps(0)
    world.presses(1, "1")


def third_accepts(world: World) -> None:
    world.presses(0, "2")
    world.sleeps(1)
    world.presses(2, "1")


def nobody_accepts(world: World) -> None:
    world.sleeps(0)
    world.presses(1, "2")
    world.sleeps(2)


def dispatched_again(world: World) -> None:
    nobody_accepts(world)
    world.wait(120, 900)
    world.strike.paging.dispatch(world.eco_id, NINA)
    world.strike.settle()
    first_accepts(world)


def repaired(world: World) -> None:
    world.works()
    world.is_done()


def noted(world: World) -> None:
    world.works()
    world.wait(600, 3_600)
    world.callouts.add_note(world.eco_id, "The duct is full of water; a pump is on its way.", OSKAR)
    world.is_done()


def cancelled(world: World) -> None:
    world.wait(60, 1_800)
    world.callouts.cancel_eco(world.eco_id, "It was another cable.", NINA)
    world.strike.settle()


def called_off(world: World) -> None:
    world.sleeps(0)
    world.callouts.cancel_eco(world.eco_id, "The light is back.", NINA)
    world.strike.settle()


def goes_on(world: World) -> None:
    world.works()
    stays_open(world)


def stays_open(world: World) -> None:
    """Longer than what is new by then: silence has its consequences, too."""
    world.strike.advance(30 * 24 * 3600)


Part = Callable[[World], None]


@dataclass(frozen=True)
class Kind:
    """A kind of story, and its share among those that are over, or among those that go on."""

    share: int
    parts: tuple[Part, ...]
    has_list: bool = True


OVER = (
    Kind(38, (first_accepts, repaired)),
    Kind(25, (second_accepts, repaired)),
    Kind(12, (third_accepts, noted)),
    Kind(9, (dispatched_again, repaired)),
    Kind(5, (nobody_accepts, repaired)),
    Kind(3, (nobody_accepts, cancelled)),
    Kind(2, (second_accepts, cancelled)),
    Kind(3, (called_off,)),
    Kind(3, (cancelled,), has_list=False),
)
UNDER_WAY = (
    Kind(40, (second_accepts, goes_on)),
    Kind(35, (first_accepts, stays_open)),
    Kind(15, (nobody_accepts, stays_open)),
    Kind(10, (stays_open,), has_list=False),
)


@dataclass(frozen=True)
class Line:
    """An event with gaps: `pieces` of its state, and between them the names of what is missing."""

    after: timedelta
    stream: str
    version: int
    topic: str
    pieces: tuple[str, ...]
    gaps: tuple[str, ...]

    def state(self, values: dict[str, str]) -> str:
        """The state as it is stored."""
        parts = [self.pieces[0]]
        for gap, piece in zip(self.gaps, self.pieces[1:], strict=True):
            parts += (values[gap], piece)
        return "".join(parts)


@dataclass(frozen=True)
class Derived:
    """An id that follows from another: by a name, or by the version in a stream."""

    gap: str
    parent: str
    name: str
    stream: str = ""

    def id(self, ids: dict[str, UUID]) -> UUID:
        """What it is in a callout that has those ids."""
        name = f"{ids[self.stream]}/{self.name}" if self.stream else self.name
        return derived_id(ids[self.parent], name)


@dataclass(frozen=True)
class Story:
    """The events of one callout, in their order.

    `eco` names its id, `drawn` those that follow from nothing, `derived` all others, each behind
    what it follows from. `times` are all moments that are named, `sids` what the provider calls
    the calls.
    """

    eco: str
    lines: tuple[Line, ...]
    drawn: tuple[str, ...]
    derived: tuple[Derived, ...]
    times: tuple[tuple[str, timedelta], ...]
    sids: tuple[str, ...]


def stories(kinds: Sequence[Kind], random: Random, variants: int) -> tuple[list[Story], list[int]]:
    """Each kind lived through so many times, and the weight of each."""
    every = [kind for kind in kinds for _ in range(variants)]
    return [told(kind, random) for kind in every], [kind.share for kind in every]


def told(kind: Kind, random: Random) -> Story:
    """One of a kind, lived through."""
    world = World(random, has_list=kind.has_list)
    for part in kind.parts:
        part(world)
    return _Teller(world).story()


class _Teller:
    """Finds in the events of a world what another callout would have instead."""

    def __init__(self, world: World) -> None:
        log = world.strike.log
        self._stored = log.recorder.select_notifications(1, 10_000)
        self._events: list[Any] = [log.mapper.to_domain_event(one) for one in self._stored]
        self._eco = str(world.eco_id)
        self._ids: dict[str, Derived | None] = {}
        self._times: dict[str, timedelta] = {}
        self._sids: dict[str, None] = {}
        self._fragments = _fragments(log.eco(world.eco_id).job_number)
        texts = sorted(self._fragments, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, texts), _ID, _TIME, _SID]))

    def story(self) -> Story:
        """Raises AssertionError if the domain makes its ids otherwise by now."""
        for event in self._events:
            self._note_ids(event)
        lines = tuple(map(self._line, self._stored, self._events))
        asked = {gap for line in lines for gap in line.gaps if re.fullmatch(_ID, gap)}
        if missing := asked - self._ids.keys():
            raise AssertionError(f"Nobody knows where these ids come from: {missing}")
        return Story(
            self._eco,
            lines,
            tuple(gap for gap, made in self._ids.items() if made is None),
            tuple(made for made in self._ids.values() if made),
            tuple(self._times.items()),
            tuple(self._sids),
        )

    def _note_ids(self, event: Any) -> None:
        stream, version = event.originator_id, event.originator_version
        if isinstance(event, PagerRunStarted):
            self._note(_numbered(stream, event.eco_id, "run"))
        elif isinstance(event, CallRequested):
            self._note(_numbered(event.call_id, stream, "call"))
        for root in (self._eco, str(event.correlation_id), str(event.causation_id)):
            self._ids.setdefault(root, None)
        if derived_id(event.causation_id, f"{stream}/{version}") != event.event_id:
            raise AssertionError(f"{event.TOPIC}: its id follows from something else.")
        cause = str(event.causation_id)
        self._note(Derived(str(event.event_id), cause, str(version), str(stream)))

    def _note(self, made: Derived) -> None:
        self._ids.setdefault(made.gap, made)

    def _line(self, stored: Any, event: Any) -> Line:
        text, pieces, gaps, at = stored.state.decode(), [], [], 0
        for match in self._pattern.finditer(text):
            pieces.append(text[at : match.start()])
            gaps.append(self._gap(match[0]))
            at = match.end()
        return Line(
            event.timestamp - START,
            str(stored.originator_id),
            stored.originator_version,
            stored.topic,
            (*pieces, text[at:]),
            tuple(gaps),
        )

    def _gap(self, text: str) -> str:
        if text in self._fragments:
            return self._fragments[text]
        if re.fullmatch(_TIME, text):
            self._times[text] = datetime.fromisoformat(text) - START
        elif re.fullmatch(_SID, text):
            self._sids[text] = None
        return {str(NOC): "noc", str(OSP): "osp", str(LIST): "list"}.get(text, text)


def _numbered(made: UUID, parent: UUID, word: str) -> Derived:
    for number in range(1, 100):
        if derived_id(parent, f"{word}/{number}") == made:
            return Derived(str(made), str(parent), f"{word}/{number}")
    raise AssertionError(f"The id of a {word} follows from something else.")


def _fragments(number: str) -> dict[str, str]:
    """Texts of the stories, and what stands there in another callout."""
    location = parse_location(POINT)
    people = {one.name: f"name{n}" for n, one in enumerate(PEOPLE)}
    return {
        **people,
        **{one.phone: f"phone{n}" for n, one in enumerate(PEOPLE)},
        CREW.name: "list_name",
        NINA.name: "operator",
        OSKAR.name: "dispatcher",
        ORDER.description: "description",
        number: "job_number",
        f'"location":{_json(location)}': "location",
        f'"place":{_json(location.describe())}': "place",
        f'"position":{_json(location.positions[0])}': "position",
        f'"length_m":{_json(length_m(location.positions))}': "length",
        '"job_type":"FNOL"': "job_type",
        '"priority":"NORMAL"': "priority",
        '"client_reference":null': "reference",
        '"ticket":"TICKET-NUMBER"': "ticket",
        '"affected_customers":424242': "customers",
    }


def _json(value: object) -> str:
    return to_json(value).decode()
