"""Every fault does on the wire what its rule says: seen by a client, and by a server, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from strike_mock.clock import VirtualClock
from strike_mock.scenarios import FaultRule, Scenario
from strike_mock.server import Mock
from strike_mock.settings import DEFAULT_ACCOUNT, MockSettings
from strike_mock.testing import everybody_by_hand
from tests.listening import listening

CALLS = f"/2010-04-01/Accounts/{DEFAULT_ACCOUNT.sid}/Calls.json"
NUMBER = "+13035550101"


class Strike:
    """Notes every webhook, and whether it was signed."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[tuple[str, bool]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{what}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        what = request.match_info["what"]
        validator = RequestValidator(DEFAULT_ACCOUNT.token)
        proof = request.headers["X-Twilio-Signature"]
        is_signed = bool(validator.validate(f"{self.url}/{what}", form, proof))
        self.seen.append((form.get("CallStatus", "") if what == "status" else what, is_signed))
        return web.Response(
            text="<Response><Pause length='5'/></Response>", content_type="text/xml"
        )


class Wire:
    """A mock with fault rules, a client of it, and a Strike that it calls."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike
        self.clock = VirtualClock()
        self.deaths: list[str] = []
        self.mock: Mock | None = None

    async def with_faults(self, *rules: dict[str, Any], seed: int = 1) -> Wire:
        phones = everybody_by_hand().phones
        faults = tuple(FaultRule(**rule) for rule in rules)
        scenario: Scenario = everybody_by_hand().model_copy(
            update={"faults": faults, "phones": phones}
        )
        settings = MockSettings(seed=seed)
        self.mock = Mock(settings, clock=self.clock, scenario=scenario, on_death=self._die)
        await self.mock.start()
        return self

    async def _die(self, edge: str) -> None:
        self.deaths.append(edge)

    async def create(self) -> int:
        """Place a call; the status of the answer. Raises what the client sees otherwise."""
        order = {
            "To": NUMBER,
            "From": "+13035550100",
            "Url": f"{self.strike.url}/voice",
            "StatusCallback": f"{self.strike.url}/status",
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        }
        return (await self._ask("POST", CALLS, data=order)).status_code

    async def calls(self) -> int:
        assert self.mock is not None
        return len(self.mock.exchange.book.all())

    async def _ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        assert self.mock is not None
        auth = (DEFAULT_ACCOUNT.sid, DEFAULT_ACCOUNT.token)
        async with httpx.AsyncClient(auth=auth, timeout=5) as client:
            return await client.request(method, f"{self.mock.url}{path}", **kwargs)

    async def list(self) -> httpx.Response:
        return await self._ask("GET", CALLS)

    async def ring(self) -> None:
        """Place a call that rings, and let everything arrive that wants to."""
        await self.create()
        await self.pass_time(20)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with the pauses that real requests need."""
        for _ in range(round(seconds / 0.5)):
            await self.clock.advance(0.5)
            async with httpx.AsyncClient() as client:
                assert self.mock is not None
                await client.get(f"{self.mock.url}/_mock/health")


@pytest_asyncio.fixture
async def wire() -> AsyncIterator[Wire]:
    strike = Strike()
    async with listening(strike.app()) as strike.url:
        made = Wire(strike)
        yield made
        if made.mock is not None:
            await made.mock.stop()


def on_create(kind: str, **more: Any) -> dict[str, Any]:
    return {"edge": "twilio.calls.create", "kind": kind} | more


async def test_refused_is_an_answer_in_twilios_form_and_no_call(wire: Wire) -> None:
    rule = {"edge": "twilio.calls.list", "kind": "refuse", "status": 429, "retry_after": 7}
    await wire.with_faults(on_create("refuse", status=503), rule)
    assert await wire.create() == 503
    assert await wire.calls() == 0
    answer = await wire.list()
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "7.0"
    assert answer.json()["code"] == 20429 and answer.json()["status"] == 429


@pytest.mark.parametrize(
    ("kind", "placed", "died"),
    [
        ("lose", 0, False),
        ("lose_answer", 1, False),
        ("die", 0, True),
        ("die_after", 1, True),
    ],
)
async def test_a_broken_connection_tells_nothing_of_the_effect(
    wire: Wire, kind: str, placed: int, died: bool
) -> None:
    await wire.with_faults(on_create(kind, times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        await wire.create()
    assert await wire.calls() == placed
    assert wire.deaths == (["twilio.calls.create"] if died else [])
    assert await wire.create() == 201


async def test_an_answer_is_cut_in_the_middle(wire: Wire) -> None:
    await wire.with_faults(on_create("cut"))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await wire.create()
    assert await wire.calls() == 1


async def test_a_hanging_connection_breaks_when_its_time_has_come(wire: Wire) -> None:
    await wire.with_faults(on_create("hang", seconds=(0.0, 0.0)))
    with pytest.raises(httpx.RemoteProtocolError):
        await wire.create()
    assert await wire.calls() == 0


async def test_a_delayed_request_is_done_all_the_same(wire: Wire) -> None:
    await wire.with_faults(on_create("delay", seconds=(0.0, 0.0)))
    assert await wire.create() == 201


async def test_times_and_skip_say_which_requests_are_hit(wire: Wire) -> None:
    await wire.with_faults(on_create("refuse", skip=1, times=2))
    assert [await wire.create() for _ in range(5)] == [201, 503, 503, 201, 201]
    assert wire.mock is not None
    assert wire.mock.faults.counts == {"twilio.calls.create refuse": 2}


async def test_a_fault_has_its_time_in_the_story(wire: Wire) -> None:
    await wire.with_faults(on_create("refuse", from_seconds=10, until_seconds=20))
    found = []
    for _ in range(3):
        found.append(await wire.create())
        await wire.clock.advance(12)
    assert found == [201, 503, 201]


async def test_a_share_is_drawn_by_the_seed(wire: Wire) -> None:
    drawn = []
    for seed in (1, 1, 2):
        await wire.with_faults(on_create("refuse", share=0.5), seed=seed)
        drawn.append([await wire.create() for _ in range(20)])
        assert wire.mock is not None
        await wire.mock.stop()
    assert drawn[0] == drawn[1] != drawn[2]
    assert 3 < drawn[0].count(503) < 17


def on_status(kind: str, **more: Any) -> dict[str, Any]:
    return {"edge": "webhook.status", "kind": kind} | more


async def test_without_faults_each_webhook_comes_once_and_signed(wire: Wire) -> None:
    await wire.with_faults()
    await wire.ring()
    assert wire.strike.seen == [("initiated", True), ("ringing", True)]


async def test_a_lost_webhook_never_comes_and_is_not_tried_again(wire: Wire) -> None:
    await wire.with_faults(on_status("lose", times=1))
    await wire.ring()
    assert wire.strike.seen == [("ringing", True)]


async def test_a_refused_webhook_is_tried_again(wire: Wire) -> None:
    await wire.with_faults(on_status("refuse", times=1))
    await wire.ring()
    assert sorted(wire.strike.seen) == [("initiated", True), ("ringing", True)]


async def test_a_doubled_webhook_comes_twice(wire: Wire) -> None:
    await wire.with_faults(on_status("double", times=1))
    await wire.ring()
    assert [status for status, _ in wire.strike.seen].count("initiated") == 2


async def test_a_webhook_whose_answer_is_lost_comes_again(wire: Wire) -> None:
    await wire.with_faults(on_status("lose_answer", times=1))
    await wire.ring()
    assert [status for status, _ in wire.strike.seen].count("initiated") == 2


async def test_a_spoilt_webhook_is_not_what_was_signed(wire: Wire) -> None:
    await wire.with_faults(on_status("corrupt", times=1))
    await wire.ring()
    assert wire.strike.seen == [("initiated", False), ("ringing", True)]


async def test_twice_spoilt_is_not_whole_again(wire: Wire) -> None:
    await wire.with_faults(on_status("corrupt"), on_status("corrupt"))
    await wire.ring()
    assert {signed for _, signed in wire.strike.seen} == {False}


async def test_a_late_webhook_is_overtaken(wire: Wire) -> None:
    await wire.with_faults(on_status("delay", times=1, seconds=(10, 10)))
    await wire.ring()
    assert wire.strike.seen == [("ringing", True), ("initiated", True)]
