"""A phone taken by hand: whoever watches may pick up, decline, press keys and hang up."""

from collections.abc import Callable
from typing import Any

import pytest

from strike_mock.calls import Call, CallStatus
from strike_mock.errors import InvalidScenario, MockError, NotNow
from strike_mock.exchange import Exchange
from strike_mock.scenarios import parse
from tests.unit.telephone_line import Line, status_of

Deed = Callable[[Exchange, Call], None]


def press_one(exchange: Exchange, call: Call) -> None:
    exchange.press(call, "1")


async def test_a_phone_by_hand_rings_until_the_caller_gives_up() -> None:
    line = Line(by_hand=True)
    call = line.dial()
    await line.clock.advance(30)
    assert status_of(call) is CallStatus.RINGING
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.NO_ANSWER


async def test_a_person_picks_up_presses_a_key_and_hears_what_it_did() -> None:
    line = Line(by_hand=True)
    call = line.dial()
    await line.clock.advance(5)
    line.exchange.pick_up(call)
    assert status_of(call) is CallStatus.IN_PROGRESS
    await line.clock.advance(1)
    line.exchange.press(call, "1")
    await line.clock.advance(10)
    assert call.heard == ["Fibre cut. Press 1 to accept.", "You pressed 1."]
    assert status_of(call) is CallStatus.COMPLETED
    assert line.strike.told(call.sid) == ["initiated", "ringing", "in-progress", "completed"]
    assert call.sip_code == 200


async def test_onlookers_see_when_a_key_is_waited_for() -> None:
    line = Line(by_hand=True)
    call = line.dial()
    await line.clock.advance(5)
    assert not call.waits_for_key
    line.exchange.pick_up(call)
    await line.clock.advance(1)
    assert call.waits_for_key
    assert call.as_story()["waits_for_key"] is True
    line.exchange.press(call, "1")
    assert not call.waits_for_key


async def test_nothing_is_waited_for_once_the_call_ended() -> None:
    line = Line(by_hand=True)
    call = line.dial()
    await line.clock.advance(5)
    line.exchange.pick_up(call)
    await line.clock.advance(1)
    line.exchange.put_down(call)
    assert not call.waits_for_key
    assert status_of(call) is CallStatus.COMPLETED
    await line.clock.advance(60)
    assert line.strike.told(call.sid).count("completed") == 1


@pytest.mark.parametrize("code", [486, 603])
async def test_a_declined_call_is_busy(code: int) -> None:
    line = Line(by_hand=True, rejects_with=code)
    call = line.dial()
    await line.clock.advance(5)
    line.exchange.reject(call)
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.BUSY
    assert line.told()[-1]["SipResponseCode"] == str(code)


@pytest.mark.parametrize(
    "script",
    [
        {},
        {"answers_after": 20, "presses": [{"key": "3", "after": 1}], "hangs_up_after": 9},
        {"answers_after": 20, "presses": [{"key": "3", "after": 1, "since": "answer"}]},
        {"rejects_after": 20},
    ],
)
async def test_a_scripted_phone_taken_by_hand_leaves_its_script(script: dict[str, Any]) -> None:
    line = Line(**script)
    call = line.dial()
    await line.clock.advance(5)
    line.exchange.pick_up(call)
    await line.clock.advance(8)
    assert status_of(call) is CallStatus.IN_PROGRESS
    assert call.keys == []
    line.exchange.press(call, "1")
    await line.clock.advance(30)
    assert call.heard[-1] == "You pressed 1."
    assert [key.key for key in call.keys] == ["1"]


async def test_a_key_by_hand_stops_the_scripted_ones_and_the_scripted_hanging_up() -> None:
    presses = [{"key": "3", "after": 9}, {"key": "4", "after": 9, "since": "answer"}]
    line = Line(answers_after=3, presses=presses, hangs_up_after=5)
    call = line.dial(url=None, twiml="<Response><Pause length='30'/></Response>")
    await line.clock.advance(6)
    line.exchange.press(call, "1")
    await line.clock.advance(60)
    assert [key.key for key in call.keys] == ["1"]
    assert call.duration == 30


@pytest.mark.parametrize(
    ("passed", "deed", "sentence"),
    [
        (0.1, Exchange.pick_up, "cannot be picked up now: the call to it is queued, not ringing"),
        (0.5, Exchange.reject, "cannot be rejected now: the call to it is initiated, not ringing"),
        (
            3,
            Exchange.put_down,
            "cannot be put down now: the call to it is ringing, not in-progress",
        ),
        (3, press_one, "cannot be used to press a key now: the call to it is ringing"),
        (6, Exchange.pick_up, "cannot be picked up now: the call to it is in-progress"),
        (6, Exchange.reject, "cannot be rejected now: the call to it is in-progress"),
        (99, Exchange.pick_up, "cannot be picked up now: the call to it is completed"),
        (99, Exchange.put_down, "cannot be put down now: the call to it is completed"),
        (99, press_one, "cannot be used to press a key now: the call to it is completed"),
    ],
)
async def test_what_the_state_does_not_allow_is_refused_in_words(
    passed: float, deed: Deed, sentence: str
) -> None:
    line = Line(answers_after=3)
    call = line.dial()
    await line.clock.advance(passed)
    before = status_of(call)
    with pytest.raises(NotNow, match=sentence) as refused:
        deed(line.exchange, call)
    assert isinstance(refused.value, MockError)
    assert status_of(call) is before


async def test_a_refused_deed_leaves_the_script_alone() -> None:
    line = Line(answers_after=3, presses=[{"key": "2"}])
    call = line.dial()
    await line.clock.advance(2)
    with pytest.raises(NotNow):
        line.exchange.press(call, "1")
    await line.clock.advance(60)
    assert call.heard[-1] == "You pressed 2."


@pytest.mark.parametrize("key", ["", "12", "A", "+"])
async def test_there_are_twelve_keys(key: str) -> None:
    line = Line(answers_after=3)
    call = line.dial()
    await line.clock.advance(6)
    with pytest.raises(ValueError, match="no key"):
        line.exchange.press(call, key)


async def test_by_hand_goes_with_no_other_fate() -> None:
    scenario = """
        name = "x"
        title = "t"
        story = "s"
        phones = [{ number = "*", by_hand = true, answers_after = 3 }]
        ending = { status = "OPEN", paging = "EXHAUSTED", render = "TASKED" }
    """
    with pytest.raises(InvalidScenario, match="give one of"):
        parse(scenario)
