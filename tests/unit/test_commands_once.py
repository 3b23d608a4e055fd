"""Idempotency: a command that names itself is done once, however often it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from strike_app.graphql.mutation import Once
from strike_domain import Actor, InvalidTransition, Rejected
from tests.unit.given import ANA, DISPATCHER, OPERATOR, Night

Do = Callable[[Night, Actor], Any]

COMMANDS: dict[str, Do] = {
    "cancel": lambda night, who: night.strike.callouts.cancel_eco(night.eco_id, "over", who),
    "note": lambda night, who: night.strike.callouts.add_note(night.eco_id, "hello", who),
    "amend": lambda night, who: night.strike.callouts.amend_eco(
        night.eco_id, who, description="Two cables."
    ),
    "start": lambda night, who: night.strike.callouts.start_work(night.eco_id, who),
    "complete": lambda night, who: night.strike.callouts.complete_eco(night.eco_id, who),
    "dispatch": lambda night, who: night.strike.paging.dispatch(night.eco_id, who),
}


def named(command_id: UUID, actor: Actor = OPERATOR) -> Actor:
    return actor.model_copy(update={"command_id": command_id})


@pytest.fixture
def night() -> Night:
    """An ECO for which nobody is being rung any more."""
    made = Night(ANA)
    made.create()
    made.phone(ANA).rings().presses("2")
    return made.after(60)


@pytest.mark.parametrize("do", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_comes_again_is_answered_and_changes_nothing(night: Night, do: Do) -> None:
    who = named(uuid4())
    first = do(night, who)
    length = night.strike.log.position()
    again = do(night, who)
    assert night.strike.log.position() == length
    assert again.aggregate.version == first.aggregate.version
    assert again.position >= first.position


def test_a_repeat_is_known_after_others_have_changed_the_eco(night: Night) -> None:
    who = named(uuid4())
    night.strike.callouts.add_note(night.eco_id, "hello", who)
    night.strike.callouts.cancel_eco(night.eco_id, "over", OPERATOR)
    length = night.strike.log.position()
    night.strike.callouts.add_note(night.eco_id, "hello", who)
    assert night.strike.log.position() == length


def test_without_a_name_each_command_is_a_new_one(night: Night) -> None:
    length = night.strike.log.position()
    for _ in range(2):
        night.strike.callouts.add_note(night.eco_id, "hello", OPERATOR)
    assert night.strike.log.position() == length + 2


def test_what_was_refused_may_be_tried_again(night: Night) -> None:
    who = named(uuid4())
    with pytest.raises(Rejected):
        night.strike.callouts.add_note(night.eco_id, " ", who)
    night.strike.callouts.add_note(night.eco_id, "now", who)
    night.strike.callouts.cancel_eco(night.eco_id, "over", OPERATOR)
    with pytest.raises(InvalidTransition):
        night.strike.callouts.start_work(night.eco_id, named(uuid4()))


def test_the_same_command_at_the_same_time_is_done_once(night: Night) -> None:
    who = named(uuid4())
    length = night.strike.log.position()
    start = threading.Barrier(8)

    def note() -> None:
        start.wait()
        night.strike.callouts.add_note(night.eco_id, "hello", who)

    threads = [threading.Thread(target=note) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert night.strike.log.position() == length + 1


def command_of(key: str, *what: Any, actor: Actor = OPERATOR) -> UUID | None:
    return Once(key, what).said_by(actor).command_id


def test_a_key_means_one_command_of_one_company_with_these_arguments() -> None:
    one = command_of("k", "add_note", UUID(int=1), "hello")
    assert one is not None and one == command_of("k", "add_note", UUID(int=1), "hello")
    others = [
        command_of("l", "add_note", UUID(int=1), "hello"),
        command_of("k", "cancel_eco", UUID(int=1), "hello"),
        command_of("k", "add_note", UUID(int=2), "hello"),
        command_of("k", "add_note", UUID(int=1), "hullo"),
        command_of("k", "add_note", UUID(int=1), "hello", actor=DISPATCHER),
    ]
    assert len({one, *others}) == 6
    assert Once(None, ("add_note",)).said_by(OPERATOR).command_id is None


@pytest.mark.parametrize("key", ["", "  ", "x" * 201, "a\x00", "\ud800"])
def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    with pytest.raises(Rejected) as refused:
        command_of(key, "add_note")
    assert (refused.value.code, refused.value.path) == (
        "IDEMPOTENCY_KEY_INVALID",
        ("idempotencyKey",),
    )
