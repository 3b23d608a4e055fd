"""The test language: each step waits for what it expects, and says what happened instead."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_mock.calls import CallStatus
from strike_mock.scenarios import Phone
from strike_mock.settings import DEFAULT_ACCOUNT
from strike_mock.testing import NightShift, ScriptedStrike, everybody_by_hand
from tests.listening import listening
from tests.unit.telephone_line import BASE, strike_that_asks

ANA, BEN = "+13035550101", "+13035550102"


def scripted() -> ScriptedStrike:
    return ScriptedStrike(strike_that_asks)


def digits(strike: ScriptedStrike) -> list[str | None]:
    """The key of each request for TwiML."""
    return [dict(one.params).get("Digits") for one in strike.letters if one.kind == "twiml"]


def place(twilio: str, url: str) -> None:
    client = Client(DEFAULT_ACCOUNT.sid, DEFAULT_ACCOUNT.token)
    client.api.base_url = twilio
    client.calls.create(to=ANA, from_="+13035550100", url=url)


async def test_a_night_is_told_step_by_step() -> None:
    strike = scripted()
    async with NightShift(strike) as night:
        night.dial(ANA, f"{BASE}/voice")
        ana = night.phone(ANA)
        await ana.rings()
        await ana.picks_up()
        await ana.hears("PRESS 1")
        await ana.presses("1")
        await ana.hears("you pressed 1")
        await ana.is_silent()
    assert digits(strike) == [None, "1"]


async def test_it_reads_like_the_phone_call() -> None:
    strike = scripted()
    async with NightShift(strike) as night:
        night.dial(ANA, f"{BASE}/voice")
        ana = night.phone(ANA)
        await ana.rings().picks_up().hears("press 1").presses("1").hears("pressed 1").is_silent()
    assert digits(strike) == [None, "1"]


def test_a_test_that_blocks_plays_it_too() -> None:
    strike = scripted()
    with NightShift(strike) as night:
        night.dial(ANA, f"{BASE}/voice")
        night.play(night.phone(ANA).picks_up().hears("press 1").presses("1").is_silent())
        before = night.clock.now()
        night.play(night.fast_forward(3600))
        assert (night.clock.now() - before).total_seconds() == 3600
    assert digits(strike) == [None, "1"]


def test_a_test_that_blocks_uses_the_official_sdk_as_it_is() -> None:
    with NightShift(scripted()) as night:
        place(night.url, f"{BASE}/voice")
        night.play(night.phone(ANA).rings().rejects())


def ben_is_rung_in_a_test_that_blocks() -> None:
    with NightShift(scripted()) as night:
        night.dial(BEN, f"{BASE}/voice")
        with pytest.raises(AssertionError, match="did not ring"):
            night.play(night.phone(ANA).rings(within=3))


def test_what_fails_fails_in_a_test_that_blocks_too() -> None:
    with pytest.raises(AssertionError, match="nobody expected"):
        ben_is_rung_in_a_test_that_blocks()


async def test_playing_is_for_tests_that_block() -> None:
    async with NightShift(scripted()) as night:
        with pytest.raises(RuntimeError, match="await the steps"):
            night.play(night.phone(ANA))


async def test_steps_that_nobody_awaited_fail_the_test() -> None:
    with pytest.raises(AssertionError, match="nobody awaited rings, hears"):
        async with NightShift(scripted()) as night:
            night.phone(ANA).rings().hears("press 1")


async def test_steps_after_one_that_failed_are_not_waited_for() -> None:
    async with NightShift(scripted()) as night:
        with pytest.raises(AssertionError, match="did not ring"):
            await night.phone(ANA).rings(within=1).hears("press 1")
        assert night.phone(ANA).pending == []


async def rung_and_forgotten(*, is_heeded: bool) -> None:
    async with NightShift(scripted()) as night:
        ana = night.phone(ANA)
        night.dial(ANA, f"{BASE}/voice")
        await ana.rejects()
        night.dial(ANA, f"{BASE}/voice", timeout=10)
        if is_heeded:
            await ana.rings()
        await night.fast_forward(60)


async def test_a_call_that_the_test_left_unanswered_fails_it() -> None:
    with pytest.raises(AssertionError, match="left unanswered") as failed:
        await rung_and_forgotten(is_heeded=False)
    assert f"{ANA}: no-answer" in str(failed.value) and "busy" not in str(failed.value)


async def test_nobody_has_to_answer_a_phone_that_was_heard_ringing() -> None:
    await rung_and_forgotten(is_heeded=True)


async def test_phones_that_act_by_themselves_need_no_word() -> None:
    sleeps = everybody_by_hand().model_copy(update={"phones": (Phone(number="*"),)})
    async with NightShift(scripted(), scenario=sleeps) as night:
        night.phone(ANA)
        call = night.dial(ANA, f"{BASE}/voice", timeout=10)
        await night.fast_forward_until(lambda: call.status.is_final)
        assert call.status is CallStatus.NO_ANSWER


async def test_something_else_that_never_happens_is_told_with_every_call() -> None:
    async with NightShift(scripted()) as night:
        with pytest.raises(AssertionError, match=r"The moon did not happen within 2 s.*\n.*nobody"):
            await night.fast_forward_until(lambda: False, within=2, what="The moon")


async def test_what_is_said_later_is_not_what_was_said_before() -> None:
    async with NightShift(scripted()) as night:
        night.dial(ANA, f"{BASE}/voice")
        ana = night.phone(ANA)
        await ana.picks_up()
        await ana.hears("press 1")
        await ana.presses("2")
        with pytest.raises(AssertionError, match="hear 'press 1'"):
            await ana.hears("press 1", within=5)


async def ben_is_rung_too() -> None:
    async with NightShift(scripted()) as night:
        night.dial(ANA, f"{BASE}/voice")
        night.dial(BEN, f"{BASE}/voice")
        await night.phone(ANA).rings()


async def ben_is_rung_and_then_it_breaks() -> None:
    async with NightShift(scripted()) as night:
        night.dial(BEN, f"{BASE}/voice")
        raise ZeroDivisionError


async def test_a_call_that_nobody_expected_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"nobody expected") as failed:
        await ben_is_rung_too()
    assert BEN in str(failed.value) and ANA not in str(failed.value)


async def test_the_first_failure_is_the_one_that_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        await ben_is_rung_and_then_it_breaks()


async def test_a_phone_that_does_not_ring_says_what_happened_instead() -> None:
    async with NightShift(scripted()) as night:
        night.dial(BEN, f"{BASE}/voice")
        await night.phone(BEN).rejects()
        with pytest.raises(AssertionError, match=r"did not ring within 10 s") as failed:
            await night.phone(ANA).rings(within=10)
        assert f"Elsewhere:\n  00:00:00 {BEN}: busy" in str(failed.value)


async def test_nobody_at_all_was_called() -> None:
    async with NightShift(scripted()) as night:
        with pytest.raises(AssertionError, match="nobody called it"):
            await night.phone(ANA).rings(within=1)


async def test_what_cannot_be_done_now_fails() -> None:
    async with NightShift(scripted()) as night:
        ana = night.phone(ANA)
        with pytest.raises(AssertionError, match="Nobody has called"):
            await ana.hangs_up()
        night.dial(ANA, f"{BASE}/voice")
        await ana.rings()
        with pytest.raises(AssertionError, match="ringing"):
            await ana.hangs_up()
        await ana.picks_up()
        await ana.hangs_up()
        await ana.is_silent()


async def test_a_phone_that_rings_for_ever_does_not_fall_silent() -> None:
    async with NightShift(scripted()) as night:
        night.dial(ANA, f"{BASE}/voice", timeout=300)
        await night.phone(ANA).rings()
        with pytest.raises(AssertionError, match="did not fall silent"):
            await night.phone(ANA).is_silent(within=20)


async def test_hours_pass_in_no_time() -> None:
    async with NightShift(scripted()) as night:
        before = night.clock.now()
        await night.fast_forward(48 * 3600)
        assert (night.clock.now() - before).total_seconds() == 48 * 3600


async def test_the_official_sdk_and_a_real_server_can_stand_at_both_ends() -> None:
    app = web.Application()
    pressed: list[str] = []

    async def voice(request: web.Request) -> web.Response:
        digits = (await request.post()).get("Digits")
        if digits is not None:
            pressed.append(str(digits))
            return _twiml("<Say>Thank you.</Say>")
        return _twiml('<Gather numDigits="1"><Say>Press 1 to accept.</Say></Gather>')

    app.router.add_post("/voice", voice)
    async with listening(app) as url, NightShift() as night:
        await asyncio.to_thread(place, night.url, f"{url}/voice")
        ana = await night.phone(ANA).picks_up()
        await ana.hears("press 1")
        await ana.presses("1")
        await ana.hears("thank you")
    assert pressed == ["1"]


def _twiml(verbs: str) -> web.Response:
    return web.Response(text=f"<Response>{verbs}</Response>", content_type="text/xml")
