"""A test of your own program, in which you play the person who is rung.

`NightShift` is Twilio over real HTTP with time that you move: your program places a call with the
official SDK, and you pick up, listen and press a key. Run it with
`python examples/02_playing_the_technician.py`.
"""

import asyncio

from aiohttp import web
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_mock.settings import DEFAULT_ACCOUNT
from strike_mock.testing import NightShift

ANA = "+13035550101"


async def what_to_say(request: web.Request) -> web.Response:
    """Your program's webhook: asks for a key, and says what it did."""
    key = (await request.post()).get("Digits")
    if key == "1":
        verbs = "<Say>Thank you. The job is yours.</Say>"
    else:
        verbs = '<Gather numDigits="1"><Say>A fibre is cut. To accept, press 1.</Say></Gather>'
    return web.Response(text=f"<Response>{verbs}</Response>", content_type="text/xml")


def place_a_call(twilio_url: str, webhook: str) -> None:
    """Your program, with nothing changed but the address of Twilio."""
    client = Client(DEFAULT_ACCOUNT.sid, DEFAULT_ACCOUNT.token)
    client.api.base_url = twilio_url
    client.calls.create(to=ANA, from_="+13035550100", url=webhook)


async def main() -> None:
    app = web.Application()
    app.router.add_post("/voice", what_to_say)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    webhook = f"http://127.0.0.1:{runner.addresses[0][1]}/voice"

    async with NightShift() as night:
        await asyncio.to_thread(place_a_call, night.url, webhook)
        ana = night.phone(ANA)
        await ana.rings()
        print(f"{night.clock.now():%d %B %H:%M:%S} Ana's phone rings")
        await ana.picks_up()
        await ana.hears("press 1")
        await ana.presses("1")
        await ana.hears("yours")
        print(f"{night.clock.now():%d %B %H:%M:%S} Ana heard: {ana.call.heard if ana.call else ''}")
        await night.fast_forward(24 * 3600)
        print(f"{night.clock.now():%d %B %H:%M:%S} A day later nobody else was called")
    await runner.cleanup()


asyncio.run(main())
