"""The official Twilio SDK works against the mock unchanged, and callbacks come over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_mock.clock import VirtualClock
from strike_mock.server import Mock
from strike_mock.settings import Account, MockSettings

pytestmark = pytest.mark.asyncio

NOC = Account(sid="AC" + "1" * 32, token="token of the first")
OTHER = Account(sid="AC" + "2" * 32, token="token of the other")
EVENTS = ["initiated", "ringing", "answered", "completed"]
# Fast enough for the tests, slow enough that the SDK gets a word in between.
SPEED = 50.0


class Strike:
    """A small Strike on a real port: checks every signature, asks for a key, notes what comes."""

    def __init__(self) -> None:
        self.callbacks: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.verdicts: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.forged = 0
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/twilio/voice", self._voice)
        app.router.add_post("/twilio/key", self._key)
        app.router.add_post("/twilio/news", self._news)
        app.router.add_post("/twilio/status", self._status)
        app.router.add_post("/twilio/amd", self._amd)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def read(self, request: web.Request) -> dict[str, str]:
        params = {k: str(v) for k, v in (await request.post()).items()}
        token = {a.sid: a.token for a in (NOC, OTHER)}[params["AccountSid"]]
        given = request.headers["X-Twilio-Signature"]
        url = self.url + request.raw_path
        self.forged += not RequestValidator(token).validate(url, params, given)
        return params

    async def _voice(self, request: web.Request) -> web.Response:
        await self.read(request)
        twiml = (
            '<Response><Gather numDigits="1" timeout="20" action="/twilio/key?page=a%20b" '
            'actionOnEmptyResult="true"><Say>Press 1.</Say></Gather></Response>'
        )
        return web.Response(text=twiml, content_type="text/xml")

    async def _key(self, request: web.Request) -> web.Response:
        digits = (await self.read(request))["Digits"]
        twiml = f"<Response><Say>Pressed {digits}.</Say></Response>"
        return web.Response(text=twiml, content_type="text/xml")

    async def _news(self, request: web.Request) -> web.Response:
        await self.read(request)
        twiml = "<Response><Say>Somebody else accepted.</Say></Response>"
        return web.Response(text=twiml, content_type="text/xml")

    async def _amd(self, request: web.Request) -> web.Response:
        self.verdicts.put_nowait(await self.read(request))
        return web.Response(status=204)

    async def _status(self, request: web.Request) -> web.Response:
        self.callbacks.put_nowait(await self.read(request))
        return web.Response(status=204)

    async def until(self, status: str) -> list[dict[str, str]]:
        """Return the callbacks up to the one with `status`."""
        seen: list[dict[str, str]] = []
        while not seen or seen[-1]["CallStatus"] != status:
            seen.append(await asyncio.wait_for(self.callbacks.get(), 10))
        return seen


@pytest_asyncio.fixture
async def strike() -> AsyncIterator[Strike]:
    server = Strike()
    runner = await server.start()
    yield server
    await runner.cleanup()


@pytest_asyncio.fixture
async def mock() -> AsyncIterator[Mock]:
    async with Mock(MockSettings(speed=SPEED, accounts=(NOC, OTHER))) as running:
        yield running


@pytest_asyncio.fixture
async def still() -> AsyncIterator[tuple[Mock, VirtualClock]]:
    """A mock whose time stands still, so that a call stays as it is while the SDK speaks."""
    clock = VirtualClock()
    async with Mock(MockSettings(accounts=(NOC, OTHER)), clock=clock) as running:
        yield running, clock


def sdk(mock: Mock, account: Account = NOC) -> Any:
    client = Client(account.sid, account.token)
    client.api.base_url = mock.url
    return client


async def dial(mock: Mock, strike: Strike, to: str, **more: Any) -> Any:
    asked = {
        "to": to,
        "from_": "+15550100099",
        "url": f"{strike.url}/twilio/voice",
        "timeout": 30,
        "status_callback": f"{strike.url}/twilio/status",
        "status_callback_event": EVENTS,
    }
    return await asyncio.to_thread(sdk(mock).calls.create, **asked | more)


async def test_a_call_is_created_answered_and_fetched_by_the_sdk(
    mock: Mock, strike: Strike
) -> None:
    call = await dial(mock, strike, "+15550100001")
    assert call.sid.startswith("CA")
    assert call.status == "queued"
    assert call.start_time is None
    seen = await strike.until("completed")
    assert [one["CallStatus"] for one in seen] == [
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    ]
    assert [one["SequenceNumber"] for one in seen] == ["0", "1", "2", "3"]
    assert strike.forged == 0
    fetched = await asyncio.to_thread(sdk(mock).calls(call.sid).fetch)
    assert fetched.status == "completed"
    assert int(fetched.duration) > 0
    assert fetched.to == "+15550100001"
    assert fetched.end_time >= fetched.start_time


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
async def test_the_asynchronous_sdk_works_too(mock: Mock, strike: Strike) -> None:
    async with AsyncTwilioHttpClient() as http:
        client = Client(NOC.sid, NOC.token, http_client=http)
        client.api.base_url = mock.url
        call = await client.calls.create_async(
            to="+15550100001", from_="+15550100099", url=f"{strike.url}/twilio/voice"
        )
        fetched = await client.calls(call.sid).fetch_async()
        assert fetched.sid == call.sid


async def test_everything_heard_and_pressed_is_kept(mock: Mock, strike: Strike) -> None:
    await dial(mock, strike, "+15550100001")
    await strike.until("completed")
    async with ClientSession() as http, http.get(f"{mock.url}/_mock/calls") as answer:
        (call,) = (await answer.json())["calls"]
    assert call["heard"] == ["Press 1.", "Pressed 1."]
    assert [key["key"] for key in call["keys"]] == ["1"]
    assert call["twiml_url"] == f"{strike.url}/twilio/voice"
    assert [sent["event"] for sent in call["callbacks"]] == EVENTS
    assert {"created", "initiated", "ringing", "in-progress", "ended"} <= set(call["times"])


async def test_calls_are_listed_by_to_and_start_newest_first(mock: Mock, strike: Strike) -> None:
    for to in ("+15550100001", "+15550100002", "+15550100001"):
        await dial(mock, strike, to)
        await strike.until("initiated")
    calls = sdk(mock).calls
    now = mock.clock.now()
    found = await asyncio.to_thread(
        calls.list, to="+15550100001", start_time_after=now - timedelta(hours=1)
    )
    assert len(found) == 2
    assert found[0].date_created >= found[1].date_created
    later = await asyncio.to_thread(calls.list, start_time_after=now + timedelta(hours=1))
    assert later == []
    before = await asyncio.to_thread(calls.list, start_time_before=now + timedelta(hours=1))
    assert len(before) == 3
    today = await asyncio.to_thread(calls.list, start_time=now, status="canceled")
    assert today == []


async def test_long_lists_come_in_pages(mock: Mock, strike: Strike) -> None:
    sids = {(await dial(mock, strike, "+15550100003")).sid for _ in range(5)}
    found = await asyncio.to_thread(sdk(mock).calls.list, page_size=2)
    assert {call.sid for call in found} == sids
    assert len(found) == 5


async def test_a_ringing_call_is_cancelled(
    still: tuple[Mock, VirtualClock], strike: Strike
) -> None:
    mock, clock = still
    call = await dial(mock, strike, "+15550100003")
    await clock.advance(2)
    await strike.until("ringing")
    updated = await asyncio.to_thread(sdk(mock).calls(call.sid).update, status="canceled")
    assert updated.status == "canceled"
    await strike.until("canceled")
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(sdk(mock).calls(call.sid).update, status="completed")
    assert refused.value.code == 21220


async def test_an_answered_call_is_ended_with_completed_only(
    still: tuple[Mock, VirtualClock], strike: Strike
) -> None:
    mock, clock = still
    call = await dial(mock, strike, "+15550100001")
    await clock.advance(4.5)
    await strike.until("in-progress")
    untouched = await asyncio.to_thread(sdk(mock).calls(call.sid).update, status="canceled")
    assert untouched.status == "in-progress"
    updated = await asyncio.to_thread(sdk(mock).calls(call.sid).update, status="completed")
    assert updated.status == "completed"
    (last,) = await strike.until("completed")
    assert last["CallStatus"] == "completed"


async def test_a_queued_call_is_in_no_list_by_start_time(
    still: tuple[Mock, VirtualClock], strike: Strike
) -> None:
    mock, clock = still
    call = await dial(mock, strike, "+15550100003")
    hour_ago = clock.now() - timedelta(hours=1)
    calls = sdk(mock).calls
    assert [c.sid for c in await asyncio.to_thread(calls.list, to=call.to)] == [call.sid]
    assert await asyncio.to_thread(calls.list, start_time_after=hour_ago) == []
    await clock.advance(1)
    assert len(await asyncio.to_thread(calls.list, start_time_after=hour_ago)) == 1


async def test_an_answer_can_be_lost_after_the_call_was_placed(strike: Strike) -> None:
    """The fault that makes a second POST dangerous, put on the edge where REST requests come in."""

    async def lose(edge: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        return web.Response(status=502) if edge == "twilio.calls.create" else answer

    async with Mock(MockSettings(accounts=(NOC,)), clock=VirtualClock(), faults=[lose]) as mock:
        with pytest.raises(TwilioRestException) as lost:
            await dial(mock, strike, "+15550100001")
        assert lost.value.status == 502
        found = await asyncio.to_thread(sdk(mock).calls.list, to="+15550100001")
        assert len(found) == 1


async def test_an_answered_call_is_given_another_document(
    still: tuple[Mock, VirtualClock], strike: Strike
) -> None:
    mock, clock = still
    call = await dial(mock, strike, "+15550100001")
    update = sdk(mock).calls(call.sid).update
    with pytest.raises(TwilioRestException) as too_early:
        await asyncio.to_thread(update, url=f"{strike.url}/twilio/news")
    assert (too_early.value.status, too_early.value.code) == (400, 21220)
    await clock.advance(4.5)
    await strike.until("in-progress")
    with pytest.raises(TwilioRestException) as wrong:
        await asyncio.to_thread(update, url="news")
    assert wrong.value.code == 21205
    twiml = "<Response><Say>One moment.</Say><Pause length='60'/></Response>"
    assert (await asyncio.to_thread(update, twiml=twiml)).status == "in-progress"
    updated = await asyncio.to_thread(update, url=f"{strike.url}/twilio/news", method="POST")
    assert updated.status == "in-progress"
    ended = asyncio.ensure_future(strike.until("completed"))
    while not ended.done():  # the request for the news goes over a real socket, in its own time
        await clock.advance(1)
    assert mock.exchange.book.all()[0].heard[-2:] == ["One moment.", "Somebody else accepted."]
    assert strike.forged == 0


async def test_the_result_of_a_detection_in_the_background_comes_signed(
    mock: Mock, strike: Strike
) -> None:
    call = await dial(
        mock,
        strike,
        "+15550100001",
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=f"{strike.url}/twilio/amd",
        async_amd_status_callback_method="POST",
    )
    told = await asyncio.wait_for(strike.verdicts.get(), 10)
    assert told == {
        "CallSid": call.sid,
        "AccountSid": NOC.sid,
        "AnsweredBy": "human",
        "MachineDetectionDuration": "2000",
    }
    await strike.until("completed")
    assert strike.forged == 0
    fetched = await asyncio.to_thread(sdk(mock).calls(call.sid).fetch)
    assert fetched.answered_by == "human"


async def test_each_account_has_its_own_token_and_calls(mock: Mock, strike: Strike) -> None:
    call = await dial(mock, strike, "+15550100001")
    with pytest.raises(TwilioRestException) as stranger:
        await asyncio.to_thread(sdk(mock, OTHER).calls(call.sid).fetch)
    assert stranger.value.status == 404
    thief = Account(sid=NOC.sid, token=OTHER.token)
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(sdk(mock, thief).calls(call.sid).fetch)
    assert (refused.value.status, refused.value.code) == (401, 20003)


async def test_the_second_scenario_plays_after_a_change(mock: Mock, strike: Strike) -> None:
    async with ClientSession() as http:
        change = {"name": "second-accepts"}
        async with http.post(f"{mock.url}/_mock/scenario", json=change) as answer:
            assert answer.status == 200
            assert (await answer.json())["ending"]["accepted_by"] == "02"
        async with http.post(f"{mock.url}/_mock/scenario", json={"name": "none"}) as answer:
            assert answer.status == 400
            assert "happy-path" in (await answer.json())["error"]
    await dial(mock, strike, "+15550100001")
    await strike.until("completed")
    assert mock.exchange.book.all()[-1].heard[-1] == "Pressed 2."


async def test_times_are_simulated() -> None:
    epoch = datetime.now(UTC) - timedelta(minutes=1)
    async with (
        Mock(MockSettings(speed=20, epoch=epoch)) as mock,
        ClientSession() as http,
        http.get(f"{mock.url}/_mock/health") as answer,
    ):
        now = datetime.fromisoformat((await answer.json())["now"])
    assert now - epoch >= timedelta(minutes=20)
