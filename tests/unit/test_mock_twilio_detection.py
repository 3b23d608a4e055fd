"""Answering machine detection: before the call's document is fetched, or in the background."""

import pytest

from strike_mock.calls import CallStatus, Detection
from strike_mock.scenarios import Timing
from strike_mock.signing import signature
from tests.unit.telephone_line import ACCOUNT, BASE, Line, status_of

AMD = f"{BASE}/amd"


def background(**more: object) -> Detection:
    return Detection(in_background=True, callback=AMD, **more)  # type: ignore[arg-type]


def verdicts(line: Line) -> list[dict[str, str]]:
    return [dict(letter.params) for letter in line.strike.letters if letter.kind == "amd"]


async def test_the_document_is_fetched_after_a_synchronous_detection() -> None:
    line = Line(answers_after=3)
    call = line.dial(detection=Detection())
    await line.clock.advance(5)
    assert status_of(call) is CallStatus.IN_PROGRESS
    assert line.asked() == []
    await line.clock.advance(2)
    assert dict(line.asked()[0].params)["AnsweredBy"] == "human"
    assert verdicts(line) == []


@pytest.mark.parametrize(
    ("answered_by", "mode", "word", "milliseconds"),
    [
        ("human", "Enable", "human", 2000),
        ("human", "DetectMessageEnd", "human", 2000),
        ("machine_start", "Enable", "machine_start", 2000),
        ("machine_start", "DetectMessageEnd", "machine_end_beep", 10_000),
        ("machine_end_beep", "Enable", "machine_start", 2000),
        ("fax", "DetectMessageEnd", "fax", 2000),
        ("unknown", "Enable", "unknown", 2000),
    ],
)
async def test_who_answered_has_twilios_word_for_it(
    answered_by: str, mode: str, word: str, milliseconds: int
) -> None:
    line = Line(answers_after=3, answered_by=answered_by)
    call = line.dial(detection=Detection(mode=mode))  # type: ignore[arg-type]
    await line.clock.advance(60)
    assert (call.answered_by, call.detection_ms) == (word, milliseconds)
    assert line.told()[-1]["AnsweredBy"] == word


async def test_a_detection_that_takes_too_long_ends_as_unknown() -> None:
    line = Line(answers_after=3, answered_by="machine_start")
    call = line.dial(detection=Detection("DetectMessageEnd", timeout=5))
    await line.clock.advance(9)
    assert line.asked() == []
    await line.clock.advance(1)
    assert dict(line.asked()[0].params)["AnsweredBy"] == "unknown"
    assert call.detection_ms == 5000


async def test_the_document_is_fetched_at_once_when_detection_runs_in_the_background() -> None:
    line = Line(answers_after=3, answered_by="machine_start")
    call = line.dial(detection=background())
    await line.clock.advance(5)
    assert "AnsweredBy" not in dict(line.asked()[0].params)
    assert call.answered_by is None
    await line.clock.advance(1.5)
    assert verdicts(line) == [
        {
            "CallSid": call.sid,
            "AccountSid": ACCOUNT.sid,
            "AnsweredBy": "machine_start",
            "MachineDetectionDuration": "2000",
        }
    ]
    await line.clock.advance(60)
    assert dict(line.asked()[-1].params)["AnsweredBy"] == "machine_start"
    assert line.told()[-1]["AnsweredBy"] == "machine_start"


async def test_the_verdict_is_signed_and_takes_no_sequence_number() -> None:
    line = Line(answers_after=3)
    call = line.dial(detection=background())
    await line.clock.advance(60)
    letter = next(letter for letter in line.strike.letters if letter.kind == "amd")
    assert (letter.method, letter.url) == ("POST", AMD)
    assert letter.signature() == signature(ACCOUNT.token, AMD, letter.params)
    assert [one["SequenceNumber"] for one in line.told()] == ["0", "1", "2", "3"]
    assert [sent.event for sent in call.callbacks] == [
        "initiated",
        "ringing",
        "answered",
        "amd",
        "completed",
    ]


async def test_without_a_callback_the_verdict_is_only_on_the_call() -> None:
    line = Line(answers_after=3)
    call = line.dial(detection=Detection(in_background=True))
    await line.clock.advance(60)
    assert call.answered_by == "human"
    assert verdicts(line) == []


async def test_a_verdict_that_reaches_nobody_is_tried_again() -> None:
    line = Line(by_hand=True)
    call = line.dial(
        url=None, twiml="<Response><Pause length='60'/></Response>", detection=background()
    )
    await line.clock.advance(2)
    line.exchange.pick_up(call)
    line.strike.reachable = False
    await line.clock.advance(2.5)
    line.strike.reachable = True
    await line.clock.advance(5)
    assert len(verdicts(line)) == 1


async def test_who_hangs_up_first_is_never_found_out() -> None:
    line = Line(answers_after=3, hangs_up_after=1)
    call = line.dial(detection=background())
    await line.clock.advance(60)
    assert call.answered_by is None
    assert verdicts(line) == []


async def test_detection_takes_as_long_as_the_scenario_says() -> None:
    line = Line(timing=Timing(machine_detection_seconds=4), answers_after=3)
    call = line.dial(detection=Detection())
    await line.clock.advance(60)
    assert call.detection_ms == 4000
