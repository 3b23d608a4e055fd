"""Stored forms are pinned: one golden file per event class, and an old log always replays.

A new event class gets its file by `STRIKE_WRITE_GOLDEN=1 pytest tests/unit/test_events_golden.py`.
A file that exists is never written again: a changed event gets a new version and an upcaster, and
the old file stays as `TOPIC.v1.json` beside the new one.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent
from eventsourcing.utils import get_topic, resolve_topic

from strike_domain import (
    CallOutcome,
    Eco,
    FieldProblem,
    FieldTask,
    JobType,
    Offer,
    PagerList,
    PagerRun,
    PagingPolicy,
    Priority,
    RenderState,
    Responder,
    RingAgain,
    TaskSnapshot,
    TaskState,
    parse_location,
)
from strike_domain.eco import EcoCreated
from strike_domain.eventsourced import AggregateCreated, AggregateEvent, DomainEvent
from strike_domain.pager_run import Briefing, RunPlan
from tests.unit.given import ANA, CEM, LIST, NOC, OSP, at, mapper

GOLDEN = Path(__file__).parent / "golden"

STREAM, CALL, RUN = UUID(int=0xEC0), UUID(int=0xCA11), UUID(int=0x40)


def event_classes(root: type[DomainEvent] = DomainEvent) -> Iterator[type[DomainEvent]]:
    """Every event class of the domain; those that tests make up are not among them."""
    for each in root.__subclasses__():
        if "TOPIC" in each.__dict__ and each.__module__.startswith("strike_domain."):
            yield each
        yield from event_classes(each)


CLASSES = sorted(set(event_classes()), key=lambda each: each.TOPIC)

SNAPSHOT = TaskSnapshot.of(
    [
        FieldTask(id="t1", name="Investigate", state=TaskState.COMPLETED),
        FieldTask(id="t2", name="Splice", state=TaskState.RELEASED, cloned_from="t1"),
    ]
)

# A value for every field of every event, by the field's name.
VALUES: dict[str, Any] = {
    "originator_id": STREAM,
    "originator_version": 2,
    "timestamp": at(1.5),
    "event_id": UUID(int=1),
    "actor": "nina@noc.example",
    "tenant_id": NOC,
    "correlation_id": UUID(int=2),
    "causation_id": UUID(int=3),
    "eco_id": STREAM,
    "noc_id": NOC,
    "osp_id": OSP,
    "location": parse_location(
        {"type": "LineString", "coordinates": [[-105.27, 40.01], [-105.2, 40.05]]}
    ),
    "job_type": JobType.FNOL,
    "description": "Câble coupé: a digger went through it.",
    "job_number": "26-0042",
    "priority": Priority.HIGH,
    "paging_policy": PagingPolicy.AUTOMATIC,
    "render_state": RenderState.PENDING,
    "client_reference": "alarm-7",
    "ticket": None,
    "affected_customers": 1200,
    "text": "The crew is on site.",
    "project": "P1",
    "subsector_id": "S1",
    "task_id": "T1",
    "attempts": 5,
    "attempt": 2,
    "run_id": RUN,
    "call_id": CALL,
    "list_id": LIST,
    "list_name": "nights",
    "responder": Responder(name="Ana", run_id=RUN, call_id=CALL),
    "late": True,
    "calls": 4,
    "snapshot": SNAPSHOT,
    "fingerprint": SNAPSHOT.fingerprint,
    "summary": SNAPSHOT.summary,
    "closes_at": at(86_400),
    "by_hand": False,
    "unchanged_since": at(),
    "problem": FieldProblem(
        code="RENDER_NOT_FOUND", reason="Render does not know the subsector.", since=at(60)
    ),
    "plan": RunPlan.snapshot(
        PagerList(
            id=LIST,
            osp_id=OSP,
            name="nights",
            contacts=(ANA, CEM),
            rounds=2,
            ring_again=RingAgain(after_minutes=10, times=3),
        )
    ),
    "briefing": Briefing(
        job_number="26-0042",
        job_type="FNOL",
        place="Near Boulder",
        description="A cut.",
        position=(-105.27, 40.01),
        length_m=7_421.5,
    ),
    "offer": Offer(name="Ana", run_id=RUN, call_id=CALL, minutes=60),
    "next_run_id": UUID(int=0x41),
    "contact": ANA,
    "deadline": at(30),
    "again_at": at(30),
    "sid": "CA1",
    "answered_by": "human",
    "outcome": CallOutcome.NO_ANSWER,
    "reason": "covers 83 % of the span; smaller of two",
}


def example(event_class: type[DomainEvent]) -> DomainEvent:
    values = {name: VALUES[name] for name in event_class.model_fields if name in VALUES}
    if issubclass(event_class, AggregateCreated):
        values["originator_topic"] = get_topic(Eco if "eco" in event_class.TOPIC else PagerRun)
        values["originator_version"] = 1
    return event_class(**values)


def stored_form(event: DomainEvent) -> dict[str, Any]:
    stored = mapper().to_stored_event(event)
    return {
        "topic": stored.topic,
        "originator_id": str(stored.originator_id),
        "originator_version": stored.originator_version,
        "state": json.loads(stored.state),
    }


def load(golden: dict[str, Any]) -> DomainEvent:
    return mapper().to_domain_event(stored_event(golden))  # type: ignore[return-value]


def stored_event(golden: dict[str, Any]) -> StoredEvent:
    return StoredEvent(
        originator_id=UUID(golden["originator_id"]),
        originator_version=golden["originator_version"],
        topic=golden["topic"],
        state=json.dumps(golden["state"], separators=(",", ":")).encode(),
    )


def path_of(event_class: type[DomainEvent]) -> Path:
    return GOLDEN / f"{event_class.TOPIC}.json"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="session", autouse=True)
def _write_missing_files() -> None:
    if os.environ.get("STRIKE_WRITE_GOLDEN"):
        for each in CLASSES:
            if not path_of(each).exists():
                form = json.dumps(stored_form(example(each)), indent=2, ensure_ascii=False)
                path_of(each).write_text(form + "\n")


def test_every_event_of_the_specification_is_there() -> None:
    names = {each.__name__ for each in CLASSES}
    wanted = (
        "EcoCreated EcoAmended NoteAdded RenderTasked RenderTaskingFailed PagerDispatched "
        "ResponderAssigned PagingExhausted PagingUnroutable WorkStarted FieldTasksChanged "
        "EcoCompleted EcoReactivated EcoClosed EcoCancelled EcoWentStale"
    )
    assert names >= set(wanted.split())


def test_every_event_class_has_a_fixed_topic_of_its_own() -> None:
    topics = [each.TOPIC for each in CLASSES]
    assert len(set(topics)) == len(topics)
    for each in CLASSES:
        assert get_topic(each) == each.TOPIC
        assert resolve_topic(each.TOPIC) is each


def test_no_event_class_goes_without_a_topic() -> None:
    bases = {"AggregateEvent", "AggregateCreated", "EcoEvent", "RunEvent"}
    assert {each.__name__ for each in untopical(DomainEvent)} == bases


def untopical(root: type[DomainEvent]) -> Iterator[type[DomainEvent]]:
    for each in root.__subclasses__():
        if "TOPIC" not in each.__dict__ and each.__module__.startswith("strike_domain."):
            yield each
        yield from untopical(each)


def test_every_event_class_has_a_golden_file_and_every_file_its_class() -> None:
    files = {path.name.removesuffix(".json").partition(".v")[0] for path in GOLDEN.glob("*.json")}
    assert files == {each.TOPIC for each in CLASSES}


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda each: each.__name__)
def test_an_event_comes_back_from_the_log_as_it_was(event_class: type[DomainEvent]) -> None:
    event = example(event_class)
    assert load(stored_form(event)) == event


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda each: each.__name__)
def test_the_stored_form_is_that_of_the_golden_file(event_class: type[DomainEvent]) -> None:
    assert stored_form(example(event_class)) == read(path_of(event_class))


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda each: each.__name__)
def test_the_state_is_byte_for_byte_what_the_library_would_store(
    event_class: type[DomainEvent],
) -> None:
    event: Any = example(event_class)
    assert mapper().to_stored_event(event) == Mapper.to_stored_event(mapper(), event)


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda each: each.__name__)
def test_events_that_are_read_together_are_those_that_are_read_alone(
    event_class: type[DomainEvent],
) -> None:
    reader: Any = mapper()
    old = [path for path in GOLDEN.glob(f"{event_class.TOPIC}.v*.json")]
    forms = [stored_form(example(event_class)), *map(read, old)]
    for some in (forms[:1] * 3, forms * 2):
        stored = [stored_event(one) for one in some]
        assert [*reader.to_domain_events(stored)] == [reader.to_domain_event(one) for one in stored]


def test_parts_of_events_are_no_events_although_together_they_would_be_json() -> None:
    reader: Any = mapper()
    one = reader.to_stored_event(example(EcoCreated))
    place = one.state.index(b"-104") if b"-104" in one.state else one.state.index(b"[-") + 1
    begun = one.state[:place] + b"1"
    rest = one.state[:-1] + b"]}}"
    broken = [replace(one, state=begun), replace(one, state=rest)]
    with pytest.raises(MapperDeserialisationError):
        [*reader.to_domain_events(broken)]
    doubled = replace(one, state=one.state + b"," + one.state)
    with pytest.raises(MapperDeserialisationError):
        [*reader.to_domain_events([doubled, one])]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_golden_file_still_loads(path: Path) -> None:
    golden = read(path)
    event = load(golden)
    assert golden["topic"] == type(event).TOPIC
    assert str(event.originator_id) == golden["originator_id"]


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda each: each.__name__)
def test_every_event_carries_who_when_and_why(event_class: type[DomainEvent]) -> None:
    carried = set(DomainEvent.model_fields)
    assert carried <= set(event_class.model_fields)
    state = stored_form(example(event_class))["state"]
    assert {"actor", "tenant_id", "correlation_id", "causation_id", "timestamp"} <= set(state)


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda each: each.__name__)
def test_an_event_cannot_be_changed(event_class: type[DomainEvent]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        example(event_class).actor = "somebody else"  # type: ignore[misc]


# Old versions -------------------------------------------------------------------------------


class DoorOpened(AggregateEvent):
    """As it is after two changes: `colour` was added, then `who` became `opened_by`."""

    TOPIC = "test.door-opened"
    class_version = 3
    opened_by: str
    colour: str

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["colour"] = "green"

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["opened_by"] = state.pop("who")


STAMPED = {
    name: VALUES[name] for name in DomainEvent.model_fields if not name.startswith("originator")
}


def old_door(**state: Any) -> DomainEvent:
    plain: dict[str, Any] = json.loads(mapper().transcoder.encode(STAMPED | state))
    return load(
        {
            "topic": DoorOpened.TOPIC,
            "originator_id": str(STREAM),
            "originator_version": 2,
            "state": plain,
        }
    )


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ({"who": "Ana"}, "green"),
        ({"who": "Ana", "colour": "red", "class_version": 2}, "red"),
        ({"opened_by": "Ana", "colour": "blue", "class_version": 3}, "blue"),
    ],
    ids=["version 1", "version 2", "version 3"],
)
def test_an_old_event_is_brought_up_to_date_when_it_is_read(
    state: dict[str, Any], colour: str
) -> None:
    door = old_door(**state)
    assert isinstance(door, DoorOpened)
    assert (door.opened_by, door.colour) == ("Ana", colour)


def test_a_changed_event_is_stored_with_its_version_and_comes_back() -> None:
    door = old_door(who="Ana")
    form = stored_form(door)
    assert form["state"]["class_version"] == 3
    assert load(form) == door


def test_an_event_of_a_newer_version_is_an_error_and_never_guessed_at() -> None:
    with pytest.raises(MapperDeserialisationError, match="version 4 of it is newer"):
        old_door(opened_by="Ana", colour="blue", class_version=4)


def test_an_event_that_cannot_be_read_says_which_one_and_why() -> None:
    with pytest.raises(MapperDeserialisationError, match=rf"test.door-opened.*{STREAM} version 2"):
        old_door(opened_by="Ana", class_version=3)
