"""What TwiML does on the line: recordings, repetition, nesting, leaving for another document."""

import pytest

from strike_mock.calls import Call, CallStatus, Document
from strike_mock.courier import Letter
from strike_mock.errors import TwilioRefusal
from strike_mock.scenarios import Timing
from strike_mock.testing import ScriptedStrike
from tests.unit.telephone_line import ASK, BASE, Line, status_of

SONG = "https://strike.example/song.mp3"


async def hears(twiml: str, **timing: float) -> Call:
    line = Line(timing=Timing(**timing), answers_after=3)
    call = line.dial(url=None, twiml=f"<Response>{twiml}</Response>")
    await line.clock.advance(120)
    assert status_of(call) is CallStatus.COMPLETED
    return call


async def test_a_recording_takes_its_time() -> None:
    call = await hears(f"<Play>{SONG}</Play><Say>Done.</Say>", play_seconds=6)
    assert call.heard == [f"(a recording: {SONG})", "Done."]
    assert call.duration == 6


async def test_a_recording_in_a_gather_is_cut_short_by_a_key() -> None:
    asks = f'<Response><Gather numDigits="1" action="/key"><Play>{SONG}</Play></Gather></Response>'
    line = Line(
        ScriptedStrike(lambda letter: asks if letter.url == f"{BASE}/voice" else "<Response/>"),
        timing=Timing(play_seconds=60),
        answers_after=3,
        presses=[{"key": "1", "after": 2}],
    )
    call = line.dial()
    await line.clock.advance(10)
    assert dict(line.asked()[-1].params)["Digits"] == "1"
    assert call.duration == 2


async def test_tones_are_not_heard_and_take_no_time() -> None:
    call = await hears('<Play digits="ww12"/><Say>Done.</Say>')
    assert call.heard == ["Done."]
    assert call.duration == 0


async def test_what_is_repeated_is_heard_again() -> None:
    call = await hears(f'<Say loop="3">Hello.</Say><Play loop="2">{SONG}</Play>')
    assert call.heard == ["Hello."] * 3 + [f"(a recording: {SONG})"] * 2


async def test_what_is_repeated_for_ever_ends_with_the_call() -> None:
    line = Line(answers_after=3, hangs_up_after=10)
    call = line.dial(url=None, twiml='<Response><Say loop="0">One two three.</Say></Response>')
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.COMPLETED
    assert len(call.heard) == 10


@pytest.mark.parametrize(
    "twiml",
    [
        "<Gather><Gather/></Gather>",
        "<Gather><Redirect>/x</Redirect></Gather>",
        "<Gather><Hangup/></Gather>",
        "<Say><Pause/></Say>",
        "<Say>Hello <Play>x</Play></Say>",
        "<Play><Say>x</Say></Play>",
        "<Play/>",
        "<Hangup><Say>x</Say></Hangup>",
        "<Redirect><Say>x</Say></Redirect>",
        "<Pause><Say>x</Say></Pause>",
        '<Pause length="long"/>',
        '<Gather numDigits="some"/>',
        "<say>x</say>",
        "<Dial>+15550100001</Dial>",
    ],
)
async def test_what_the_schema_does_not_allow_is_an_application_error(twiml: str) -> None:
    call = await hears(twiml)
    assert call.errors[0].startswith("12200")
    assert "application error" in call.heard[-1]


@pytest.mark.parametrize(
    "twiml",
    [
        "<Gather timeout='1'><Say>a</Say><Pause/><Play>b</Play></Gather>",
        "<Say>This is <emphasis>very<break time='1s'/></emphasis> urgent.</Say>",
        "<Gather timeout='1'><Say>Call <sub alias='us'>112</sub></Say></Gather>",
    ],
)
async def test_what_the_schema_allows_is_obeyed(twiml: str) -> None:
    call = await hears(twiml)
    assert call.errors == []


async def test_relative_addresses_need_a_document_with_an_address() -> None:
    call = await hears("<Redirect>/next</Redirect>")
    assert call.errors[0].startswith("15004")


def strike_with_news(letter: Letter) -> str:
    if letter.url.endswith("/news"):
        return "<Response><Say>Somebody else accepted.</Say></Response>"
    return ASK


async def ringing_then_answered() -> tuple[Line, Call]:
    line = Line(ScriptedStrike(strike_with_news), by_hand=True)
    call = line.dial()
    await line.clock.advance(3)
    line.exchange.pick_up(call)
    await line.clock.advance(1)
    return line, call


async def test_an_answered_call_leaves_its_document_for_another() -> None:
    line, call = await ringing_then_answered()
    assert call.waits_for_key
    line.exchange.redirect(call, Document(f"{BASE}/news"))
    assert not call.waits_for_key
    line.exchange.press(call, "1")
    await line.clock.advance(30)
    assert call.heard == ["Fibre cut. Press 1 to accept.", "Somebody else accepted."]
    assert [(key.key, key.heeded) for key in call.keys] == [("1", False)]
    assert [letter.url for letter in line.asked()] == [f"{BASE}/voice", f"{BASE}/news"]
    assert line.strike.told(call.sid).count("completed") == 1


async def test_the_other_document_may_come_with_the_order() -> None:
    line, call = await ringing_then_answered()
    asks = f'<Gather numDigits="1" action="{BASE}/news"><Say>Still there?</Say></Gather>'
    line.exchange.redirect(call, Document(twiml=f"<Response>{asks}</Response>"))
    await line.clock.settle()
    assert call.waits_for_key
    line.exchange.press(call, "9")
    await line.clock.advance(30)
    assert call.heard[1:] == ["Still there?", "Somebody else accepted."]


async def test_the_other_document_may_be_fetched_with_get() -> None:
    line, call = await ringing_then_answered()
    line.exchange.redirect(call, Document(f"{BASE}/news", "GET"))
    await line.clock.settle()
    assert line.asked()[-1].method == "GET"


async def test_a_script_that_hangs_up_does_so_in_the_other_document_too() -> None:
    line = Line(ScriptedStrike(strike_with_news), answers_after=3, hangs_up_after=5)
    call = line.dial()
    await line.clock.advance(6)
    line.exchange.redirect(call, Document(twiml="<Response><Pause length='60'/></Response>"))
    await line.clock.advance(60)
    assert call.duration == 5


@pytest.mark.parametrize("passed", [0.1, 2, 120])
async def test_only_a_call_in_progress_can_be_redirected(passed: float) -> None:
    line = Line()
    call = line.dial()
    await line.clock.advance(passed)
    with pytest.raises(TwilioRefusal, match="not in-progress") as refused:
        line.exchange.redirect(call, Document(f"{BASE}/news"))
    assert (refused.value.status, refused.value.code) == (400, 21220)
