"""How calls end: the status, the SIP code, and what the status callbacks say of both."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from strike_mock.calls import CallStatus
from tests.unit.telephone_line import ACCOUNT, Line, status_of

PRESSES = [{"key": "1", "after": 2}]


@pytest.mark.parametrize(
    ("phone", "status", "code"),
    [
        ({"answers_after": 3, "presses": PRESSES}, "completed", "200"),
        ({"fails_with": 486}, "busy", "486"),
        ({"fails_with": 600}, "busy", "600"),
        ({"rejects_after": 4}, "busy", "486"),
        ({"rejects_after": 4, "rejects_with": 603}, "busy", "603"),
        ({}, "no-answer", "487"),
        ({"fails_with": 404}, "failed", "404"),
        ({"fails_with": 480}, "failed", "480"),
        ({"fails_with": 484}, "failed", "484"),
        ({"fails_with": 503}, "failed", "503"),
    ],
)
async def test_every_ending_has_its_status_and_sip_code(
    phone: dict[str, Any], status: str, code: str
) -> None:
    line = Line(**phone)
    call = line.dial()
    await line.clock.advance(120)
    assert status_of(call) == status
    last = line.told()[-1]
    assert (last["CallStatus"], last["SipResponseCode"]) == (status, code)


async def test_a_busy_line_never_rings() -> None:
    line = Line(fails_with=486)
    call = line.dial()
    await line.clock.advance(60)
    assert line.strike.told(call.sid) == ["initiated", "busy"]


async def test_a_canceled_call_has_the_code_of_a_request_taken_back() -> None:
    line = Line(answers_after=20)
    call = line.dial()
    await line.clock.advance(5)
    line.exchange.cancel(call)
    await line.clock.settle()
    last = line.told()[-1]
    assert (last["CallStatus"], last["SipResponseCode"]) == ("canceled", "487")


async def test_sequence_numbers_rise_by_one() -> None:
    line = Line(answers_after=3, presses=PRESSES)
    line.dial()
    await line.clock.advance(60)
    told = line.told()
    assert [one["CallStatus"] for one in told] == [
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    ]
    assert [one["SequenceNumber"] for one in told] == ["0", "1", "2", "3"]


async def test_a_status_callback_carries_every_field() -> None:
    line = Line(answers_after=3, presses=PRESSES)
    call = line.dial()
    await line.clock.advance(60)
    for told in line.told():
        assert told["CallSid"] == call.sid
        assert told["AccountSid"] == ACCOUNT.sid
        assert told["From"] == told["Caller"] == "+15550100099"
        assert told["To"] == told["Called"] == "+15550100001"
        assert told["Direction"] == "outbound-api"
        assert told["ApiVersion"] == "2010-04-01"
        assert told["CallbackSource"] == "call-progress-events"
        assert parsedate_to_datetime(told["Timestamp"]) == at(call.times[told["CallStatus"]])
        is_over, rings = told["CallStatus"] == "completed", told["CallStatus"] == "ringing"
        assert ("CallDuration" in told) is ("SipResponseCode" in told) is is_over
        assert ("StirStatus" in told) is (rings or told["CallStatus"] == "in-progress")
    assert line.told()[-1]["CallDuration"] == str(call.duration)
    assert line.told()[-1]["Duration"] == "1"  # in minutes begun


def at(time: datetime) -> datetime:
    return time.replace(microsecond=0)


async def test_a_call_that_nobody_answered_lasted_no_time() -> None:
    line = Line()
    call = line.dial()
    await line.clock.advance(60)
    assert status_of(call) is CallStatus.NO_ANSWER
    assert line.told()[-1]["CallDuration"] == "0"
    assert "Duration" not in line.told()[-1]
