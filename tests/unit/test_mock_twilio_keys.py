"""Keys pressed early, late, wrong and twice, as on a real line."""

import pytest

from strike_mock.calls import Call, CallStatus
from strike_mock.courier import Letter
from strike_mock.testing import ScriptedStrike
from tests.unit.telephone_line import BASE, Line, status_of

GREETING = "<Say>Good morning, this is the network operations centre.</Say>"
GATHER = (
    '<Gather numDigits="1" timeout="5" action="/key" actionOnEmptyResult="true">'
    "<Say>Fibre cut at the bridge. Press 1 to accept, 2 to decline.</Say></Gather>"
)


def strike_that_greets(letter: Letter) -> str:
    """Greet, ask, ask again after a wrong key, and end after 1 or silence."""
    digits = dict(letter.params).get("Digits")
    if digits is None:
        return f"<Response>{GREETING}{GATHER}</Response>"
    if digits in ("", "1"):
        return f"<Response><Say>You pressed {digits or 'nothing'}.</Say></Response>"
    return f"<Response><Say>{digits} is wrong.</Say>{GATHER}</Response>"


def by_hand() -> tuple[Line, Call]:
    line = Line(ScriptedStrike(strike_that_greets), by_hand=True)
    return line, line.dial()


async def answered() -> tuple[Line, Call]:
    line, call = by_hand()
    await line.clock.advance(2)
    line.exchange.pick_up(call)
    return line, call


def heeded(call: Call) -> list[tuple[str, bool]]:
    return [(key.key, key.heeded) for key in call.keys]


async def test_a_key_during_the_greeting_is_lost() -> None:
    line, call = await answered()
    await line.clock.advance(1)
    line.exchange.press(call, "1")
    await line.clock.advance(60)
    assert heeded(call) == [("1", False)]
    assert call.heard[-1] == "You pressed nothing."


async def test_a_key_during_the_gathers_prompt_cuts_it_short() -> None:
    line, call = await answered()
    await line.clock.advance(4)  # the greeting takes 8/3 s, the prompt 4 s
    assert call.heard[-1].startswith("Fibre cut")
    line.exchange.press(call, "1")
    await line.clock.settle()
    assert call.heard[-1] == "You pressed 1."
    assert heeded(call) == [("1", True)]


async def test_a_key_after_the_gather_ended_is_lost() -> None:
    line, call = await answered()
    await line.clock.advance(8 / 3 + 12 / 3 + 5.1)
    assert call.heard[-1] == "You pressed nothing."
    line.exchange.press(call, "1")
    await line.clock.advance(60)
    assert heeded(call) == [("1", False)]
    assert call.heard[-1] == "You pressed nothing."
    assert [dict(asked.params).get("Digits") for asked in line.asked()] == [None, ""]


async def test_a_key_in_the_last_moment_counts() -> None:
    line, call = await answered()
    await line.clock.advance(8 / 3 + 12 / 3 + 4.9)
    line.exchange.press(call, "1")
    await line.clock.advance(1)
    assert call.heard[-1] == "You pressed 1."


async def test_a_wrong_key_is_delivered_and_the_next_gather_takes_the_right_one() -> None:
    line, call = await answered()
    await line.clock.advance(4)
    line.exchange.press(call, "7")
    await line.clock.advance(3)
    assert "7 is wrong." in call.heard
    line.exchange.press(call, "1")
    await line.clock.advance(30)
    assert heeded(call) == [("7", True), ("1", True)]
    assert call.heard[-1] == "You pressed 1."


async def test_a_key_pressed_twice_at_once_counts_once() -> None:
    line, call = await answered()
    await line.clock.advance(4)
    line.exchange.press(call, "1")
    line.exchange.press(call, "1")
    await line.clock.advance(30)
    assert heeded(call) == [("1", True), ("1", False)]
    assert [dict(asked.params).get("Digits") for asked in line.asked()] == [None, "1"]


async def test_the_second_press_is_lost_while_the_answer_to_the_first_is_spoken() -> None:
    line, call = await answered()
    await line.clock.advance(4)
    line.exchange.press(call, "7")
    await line.clock.advance(0.5)
    line.exchange.press(call, "7")
    await line.clock.advance(60)
    assert heeded(call) == [("7", True), ("7", False)]


async def test_the_second_press_is_taken_by_the_next_gather() -> None:
    line, call = await answered()
    await line.clock.advance(4)
    line.exchange.press(call, "7")
    await line.clock.advance(1.5)
    line.exchange.press(call, "7")
    await line.clock.advance(60)
    assert heeded(call) == [("7", True), ("7", True)]
    assert [dict(asked.params).get("Digits") for asked in line.asked()] == [None, "7", "7", ""]


async def test_a_key_while_strike_is_asked_what_to_do_is_lost() -> None:
    line, call = await answered()
    await line.clock.advance(4)
    line.exchange.press(call, "1")
    assert not call.waits_for_key
    line.exchange.press(call, "2")
    await line.clock.advance(30)
    assert heeded(call) == [("1", True), ("2", False)]


@pytest.mark.parametrize(("keys", "digits", "finished"), [("42#", "42", "#"), ("#", None, None)])
async def test_the_finish_key_ends_the_collection(
    keys: str, digits: str | None, finished: str | None
) -> None:
    asks = '<Response><Gather timeout="9" action="/code"><Say>Code?</Say></Gather></Response>'
    line = Line(
        ScriptedStrike(lambda letter: asks if letter.url == f"{BASE}/voice" else "<Response/>"),
        by_hand=True,
    )
    call = line.dial()
    await line.clock.advance(2)
    line.exchange.pick_up(call)
    await line.clock.advance(1)
    for key in keys:
        line.exchange.press(call, key)
    await line.clock.advance(1)
    told = dict(line.asked()[-1].params)
    assert (told.get("Digits"), told.get("FinishedOnKey")) == (digits, finished)
    assert status_of(call) is CallStatus.COMPLETED
