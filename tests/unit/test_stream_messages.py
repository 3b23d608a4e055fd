"""What is published of an event, for each side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("nats", reason="needs the extra jetstream")

from strike_adapters.jetstream.messages import Message, Parties, messages_of
from strike_domain import Side
from strike_domain.eventsourced import DomainEvent
from tests.unit.given import NOC, OSP
from tests.unit.test_events_golden import event_classes, example

ECO = UUID(int=0xEC0)
PARTIES = Parties(ECO, NOC, OSP)
CLASSES = [one for one in event_classes() if "TOPIC" in one.__dict__]


def both(event: Any, **options: Any) -> tuple[Message, Message]:
    noc, osp = messages_of(17, event, PARTIES, **options)
    assert (noc.side, osp.side) == (Side.NOC, Side.OSP)
    return noc, osp


def called(topic: str) -> DomainEvent:
    return next(example(one) for one in CLASSES if topic == one.TOPIC)


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda one: one.TOPIC)
def test_every_event_is_told_to_both_sides_under_their_own_subject(
    event_class: type[DomainEvent],
) -> None:
    event = example(event_class)
    noc, osp = both(event)
    kind = event.TOPIC.removeprefix("strike.")
    assert noc.subject == f"strike.noc.{NOC}.{kind}"
    assert osp.subject == f"strike.osp.{OSP}.{kind}"
    assert (noc.headers["Nats-Msg-Id"], osp.headers["Nats-Msg-Id"]) == ("17-noc", "17-osp")
    body = json.loads(osp.body)
    assert (body["position"], body["topic"], body["eco_id"]) == (17, event.TOPIC, str(ECO))
    assert body["payload_version"] == event.class_version
    assert not set(body["payload"]) & set(DomainEvent.model_fields)
    assert json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == (
        osp.body.decode()
    )


@pytest.mark.parametrize("event_class", CLASSES, ids=lambda one: one.TOPIC)
def test_no_full_phone_number_is_in_any_copy_of_the_noc(event_class: type[DomainEvent]) -> None:
    noc, osp = both(example(event_class))
    assert b"+1303" not in noc.body
    if b"+1303" in osp.body:
        assert "…01".encode() in noc.body
    else:
        assert noc.body == osp.body


def test_a_payload_that_is_too_large_is_left_out_and_all_else_is_told() -> None:
    event = called("strike.run.started")
    noc, osp = both(event, most_bytes=len(both(event)[1].body) - 1)
    assert json.loads(noc.body)["payload"] is None or len(noc.body) < len(both(event)[1].body)
    told = json.loads(osp.body)
    assert told["payload"] is None and told["event_id"] == str(event.event_id)


def test_the_two_copies_of_an_event_follow_each_other_in_the_order_of_the_log() -> None:
    event = called("strike.eco.note-added")
    one, other = messages_of(1, event, PARTIES), messages_of(2, event, PARTIES)
    messages = [*other, *one]
    assert sorted(messages, key=lambda message: message.place) == [*one, *other]


def test_where_messages_are_published_is_not_shown_with_its_password() -> None:
    from strike_adapters.jetstream import Target

    assert "hunter" not in repr(Target("nats://strike:hunter@nats.example"))


def test_the_golden_files_hold_phone_numbers_so_that_the_above_means_something() -> None:
    files = (Path(__file__).parent / "golden").glob("*.json")
    assert sum('"phone"' in file.read_text() for file in files) >= 3
