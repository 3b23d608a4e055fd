"""The test language: each step waits for what it expects, and says what happened instead."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_mock.settings import DEFAULT_ACCOUNT
from strike_mock.testing import NightShift, ScriptedStrike
from tests.listening import listening
from tests.unit.telephone_line import BASE, strike_that_asks

ANA, BEN = "+13035550101", "+13035550102"


def scripted() -> ScriptedStrike:
    return ScriptedStrike(strike_that_asks)


async def test_a_night_is_told_step_by_step() -> None:
    strike = scripted()
    async with NightShift(strike) as night:
        night.dial(ANA, f"{BASE}/voice")
        ana = night.phone(ANA)
        await ana.rings()
        await ana.picks_up()
        await ana.hears("press 1")
        await ana.presses("1")
        await ana.hears("you pressed 1")
        await ana.is_silent()
    digits = [dict(one.params).get("Digits") for one in strike.letters if one.kind == "twiml"]
    assert digits == [None, "1"]


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
        with pytest.raises(AssertionError, match=r"would ring did not happen") as failed:
            await night.phone(ANA).rings(within=10)
        assert f"{BEN}: busy" in str(failed.value)


async def test_nobody_at_all_was_called() -> None:
    async with NightShift(scripted()) as night:
        with pytest.raises(AssertionError, match="Nobody was called"):
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
        with pytest.raises(AssertionError, match="falling silent"):
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
        client = Client(DEFAULT_ACCOUNT.sid, DEFAULT_ACCOUNT.token)
        client.api.base_url = night.url
        order = {"to": ANA, "from_": "+13035550100", "url": f"{url}/voice"}
        await asyncio.to_thread(client.calls.create, **order)
        ana = await night.phone(ANA).picks_up()
        await ana.hears("press 1")
        await ana.presses("1")
        await ana.hears("thank you")
    assert pressed == ["1"]


def _twiml(verbs: str) -> web.Response:
    return web.Response(text=f"<Response>{verbs}</Response>", content_type="text/xml")
