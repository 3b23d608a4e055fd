"""The life of every kind of call, on the virtual clock, with a scripted Strike at the other end."""

import pytest

from strike_mock.calls import CallStatus, Detection
from strike_mock.courier import Letter
from strike_mock.testing import ScriptedStrike
from tests.unit.telephone_line import ACCOUNT, ASK, BASE, Line, status_of

pytestmark = pytest.mark.asyncio


async def test_a_person_who_presses_a_key_is_told_what_it_did() -> None:
    line = Line(answers_after=3, presses=[{"key": "1", "after": 2}])
    call = line.dial()
    assert status_of(call) is CallStatus.QUEUED
    await line.clock.advance(30)
    assert status_of(call) is CallStatus.COMPLETED
    assert call.heard == ["Fibre cut. Press 1 to accept.", "You pressed 1."]
    assert [(key.key, key.heeded) for key in call.keys] == [("1", True)]
    assert line.strike.told(call.sid) == ["initiated", "ringing", "in-progress", "completed"]
    assert call.duration == 3  # two seconds of thought, one of goodbye


async def test_the_key_goes_to_the_action_relative_to_the_document() -> None:
    line = Line(answers_after=3, presses=[{"key": "1"}])
    line.dial()
    await line.clock.advance(30)
    asked = [letter for letter in line.strike.letters if letter.kind == "twiml"]
    assert [letter.url for letter in asked] == [f"{BASE}/voice", f"{BASE}/key?run=7"]
    assert dict(asked[1].params)["Digits"] == "1"
    assert dict(asked[1].params)["CallStatus"] == "in-progress"


async def test_status_callbacks_carry_every_field() -> None:
    line = Line(answers_after=3, presses=[{"key": "1"}])
    call = line.dial()
    await line.clock.advance(30)
    last = dict([letter for letter in line.strike.letters if letter.kind == "status"][-1].params)
    assert last["CallSid"] == call.sid
    assert last["AccountSid"] == ACCOUNT.sid
    assert last["From"] == "+15550100099"
    assert last["To"] == "+15550100001"
    assert last["Direction"] == "outbound-api"
    assert last["ApiVersion"] == "2010-04-01"
    assert last["Timestamp"] == "Thu, 01 Jan 2026 00:00:07 +0000"
    assert last["CallbackSource"] == "call-progress-events"
    assert last["SequenceNumber"] == "3"
    assert last["SipResponseCode"] == "200"
    assert last["CallDuration"] == "3"


async def test_nobody_answers_and_it_rings_five_seconds_longer_than_asked() -> None:
    line = Line()
    call = line.dial()
    await line.clock.advance(120)
    assert status_of(call) is CallStatus.NO_ANSWER
    assert call.sip_code == 487
    assert line.seconds(call, "no-answer") - line.seconds(call, "ringing") == 35
    assert line.strike.told(call.sid) == ["initiated", "ringing", "no-answer"]
    assert call.heard == []


async def test_an_answer_after_the_time_out_comes_too_late() -> None:
    line = Line(answers_after=40)
    call = line.dial()
    await line.clock.advance(120)
    assert status_of(call) is CallStatus.NO_ANSWER


async def test_a_rejected_call_is_busy() -> None:
    line = Line(rejects_after=4)
    call = line.dial()
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.BUSY
    assert call.sip_code == 486
    assert line.strike.told(call.sid)[-1] == "busy"


async def test_a_dead_number_fails_without_ringing() -> None:
    line = Line(fails_with=404)
    call = line.dial()
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.FAILED
    assert call.sip_code == 404
    assert line.strike.told(call.sid) == ["initiated", "failed"]


async def test_a_voicemail_hears_the_prompt_and_presses_nothing() -> None:
    line = Line(answers_after=12, answered_by="machine_start")
    call = line.dial(detection=Detection())
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.COMPLETED
    assert call.heard == ["Fibre cut. Press 1 to accept.", "We heard nothing."]
    assert call.answered_by == "machine_start"
    assert call.keys == []
    asked = next(letter for letter in line.strike.letters if letter.kind == "twiml")
    assert dict(asked.params)["AnsweredBy"] == "machine_start"


async def test_without_detection_a_machine_is_not_recognised() -> None:
    line = Line(answers_after=12, answered_by="machine_start")
    call = line.dial()
    await line.clock.advance(60)
    assert call.answered_by is None


async def test_a_queued_or_ringing_call_can_be_cancelled() -> None:
    for passed in (0.1, 10):
        line = Line(answers_after=20)
        call = line.dial()
        await line.clock.advance(passed)
        line.exchange.cancel(call)
        await line.clock.advance(120)
        assert status_of(call) is CallStatus.CANCELED
        assert call.heard == []
        assert line.strike.told(call.sid)[-1] == "canceled"


async def test_cancelling_does_not_end_an_answered_call_but_hanging_up_does() -> None:
    line = Line(answers_after=3)
    call = line.dial()
    await line.clock.advance(6)
    line.exchange.cancel(call)
    assert status_of(call) is CallStatus.IN_PROGRESS
    line.exchange.hang_up(call)
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.COMPLETED
    assert call.heard == ["Fibre cut. Press 1 to accept."]
    assert line.strike.told(call.sid).count("completed") == 1


async def test_a_person_may_hang_up_in_the_middle_of_the_prompt() -> None:
    line = Line(answers_after=3, hangs_up_after=1)
    call = line.dial()
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.COMPLETED
    assert call.duration == 1


async def test_only_the_events_asked_for_are_told() -> None:
    line = Line(answers_after=3, hangs_up_after=5)
    call = line.dial(status_callback_events=frozenset({"answered"}))
    await line.clock.advance(60)
    assert line.strike.told(call.sid) == ["in-progress"]
    assert [sent.sequence for sent in call.callbacks] == [0]


async def test_a_callback_that_reaches_nobody_is_tried_again_within_fifteen_seconds() -> None:
    line = Line()
    call = line.dial()
    line.strike.reachable = False
    await line.clock.advance(3)
    line.strike.reachable = True
    await line.clock.advance(15)
    assert sorted(line.strike.told(call.sid)) == ["initiated", "ringing"]
    assert all(sent.attempts > 1 and sent.answer == 204 for sent in call.callbacks)


async def test_an_outage_longer_than_that_loses_callbacks_for_good() -> None:
    line = Line()
    call = line.dial()
    line.strike.reachable = False
    await line.clock.advance(20)
    line.strike.reachable = True
    await line.clock.advance(5)
    assert line.strike.told(call.sid) == []
    assert call.callbacks[0].attempts == 4
    assert call.callbacks[0].error is not None


@pytest.mark.parametrize(
    ("twiml", "code"),
    [("<html/>", "12102"), ("<Response", "12100"), ("<Response><Dial/></Response>", "12200")],
)
async def test_bad_twiml_is_an_application_error_in_the_callees_ear(twiml: str, code: str) -> None:
    line = Line(ScriptedStrike(lambda letter: twiml), answers_after=3)
    call = line.dial()
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.COMPLETED
    assert "application error" in call.heard[-1]
    assert call.errors[0].startswith(code)


async def test_unreachable_twiml_is_an_application_error_too() -> None:
    line = Line(answers_after=3)
    line.strike.reachable = False
    call = line.dial()
    await line.clock.advance(60)
    assert "application error" in call.heard[-1]
    assert call.errors[0].startswith("11200")


async def test_a_redirect_that_carries_the_key_is_followed() -> None:
    def slow_database(letter: Letter) -> str:
        if letter.url.endswith("/voice"):
            return ASK
        if "try=2" in letter.url:
            return "<Response><Say>Accepted.</Say></Response>"
        onward = f"key?digit={dict(letter.params)['Digits']}&amp;try=2"
        return f"<Response><Pause length='2'/><Redirect>{onward}</Redirect></Response>"

    line = Line(ScriptedStrike(slow_database), answers_after=3, presses=[{"key": "1"}])
    call = line.dial()
    await line.clock.advance(60)
    assert call.heard[-1] == "Accepted."
    assert any(x.url == f"{BASE}/key?digit=1&try=2" for x in line.strike.letters)


async def test_inline_twiml_needs_no_request() -> None:
    line = Line(answers_after=3)
    call = line.dial(url=None, twiml="<Response><Say>A drill.</Say></Response>")
    await line.clock.advance(60)
    assert call.heard == ["A drill."]
    assert all(letter.kind == "status" for letter in line.strike.letters)


async def test_without_an_action_on_silence_the_next_verb_follows() -> None:
    again = "<Response><Gather timeout='3'/><Say>Goodbye.</Say></Response>"
    line = Line(ScriptedStrike(lambda letter: again), answers_after=3)
    call = line.dial()
    await line.clock.advance(60)
    assert call.heard == ["Goodbye."]
    assert call.duration == 3


async def test_a_key_pressed_before_anybody_asks_is_lost() -> None:
    late = "<Response><Pause length='5'/><Gather timeout='3'/></Response>"
    line = Line(
        ScriptedStrike(lambda letter: late),
        answers_after=3,
        presses=[{"key": "1", "after": 1, "since": "answer"}],
    )
    call = line.dial()
    await line.clock.advance(60)
    assert [(key.key, key.heeded) for key in call.keys] == [("1", False)]


async def test_several_digits_end_with_the_finish_key() -> None:
    def code(letter: Letter) -> str:
        digits = dict(letter.params).get("Digits")
        return f"<Response><Say>{digits}</Say></Response>" if digits else ask_code

    ask_code = "<Response><Gather timeout='9'><Say>Your code?</Say></Gather></Response>"
    presses = [{"key": key, "after": 1} for key in "42#"]
    line = Line(ScriptedStrike(code), answers_after=3, presses=presses)
    call = line.dial()
    await line.clock.advance(60)
    assert call.heard == ["Your code?", "42"]


async def test_the_same_seed_gives_the_same_sids() -> None:
    first, second = Line().dial(), Line().dial()
    assert first.sid == second.sid
    assert len(first.sid) == 34
