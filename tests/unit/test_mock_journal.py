"""The list of requests: what arrived, what came of it, and nothing that should not be read."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from strike_mock.clock import VirtualClock
from strike_mock.courier import Letter, Reply
from strike_mock.errors import Undeliverable
from strike_mock.journal import KEPT, NO_ANSWER, Journal
from strike_mock.testing import ScriptedStrike

ASK = Letter("twiml", "CA1", "POST", "https://strike.example/voice?token=x", (), "token")


async def test_a_letter_is_noted_without_its_query() -> None:
    clock = VirtualClock()
    journal = Journal(clock)
    await clock.advance(5)
    await journal.around(ScriptedStrike()).deliver(ASK)
    (entry,) = journal.entries
    assert (entry.asked_by, entry.asked, entry.method, entry.path) == (
        "Twilio",
        "Strike",
        "POST",
        "/voice",
    )
    assert entry.answer == "200" and entry.at == clock.now()


@pytest.mark.parametrize(
    ("letter", "about"),
    [
        (ASK, "what to say"),
        (replace(ASK, params=(("Digits", "1"),)), "key 1"),
        (replace(ASK, kind="status", params=(("CallStatus", "ringing"),)), "ringing"),
        (replace(ASK, kind="amd", params=(("AnsweredBy", "human"),)), "human"),
    ],
)
async def test_it_says_what_a_letter_was_about(letter: Letter, about: str) -> None:
    journal = Journal(VirtualClock())
    await journal.around(ScriptedStrike()).deliver(letter)
    assert journal.entries[0].about == about


async def test_a_letter_that_reaches_nobody_has_no_answer() -> None:
    journal, strike = Journal(VirtualClock()), ScriptedStrike()
    strike.reachable = False
    with pytest.raises(Undeliverable):
        await journal.around(strike).deliver(ASK)
    assert journal.entries[0].answer == NO_ANSWER


async def test_a_letter_is_under_way_until_it_is_answered() -> None:
    journal, may_answer = Journal(VirtualClock()), asyncio.Event()

    class Thinking:
        async def deliver(self, letter: Letter) -> Reply:
            await may_answer.wait()
            return Reply(503, "")

    delivery = asyncio.create_task(journal.around(Thinking()).deliver(ASK))
    await asyncio.sleep(0)
    assert journal.entries[0].answer == ""
    may_answer.set()
    await delivery
    assert journal.entries[0].answer == "503"


async def test_only_the_newest_are_kept() -> None:
    journal = Journal(VirtualClock())
    for _ in range(KEPT + 3):
        await journal.around(ScriptedStrike()).deliver(ASK)
    assert [entry.number for entry in journal.entries] == list(range(4, KEPT + 4))
