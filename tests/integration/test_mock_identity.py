"""Wrong proofs on demand: Strike's own verifier refuses each, and goes along with a new key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import ClientSession, CookieJar, web

from strike_adapters.identity import (
    LoadBalancerIdentity,
    LoadBalancerSettings,
    Unauthenticated,
    http_key_fetcher,
)
from strike_mock.clock import VirtualClock
from strike_mock.identity import Flaw
from strike_mock.server import Mock
from strike_mock.settings import MockSettings, Person
from tests.listening import listening

NORA = Person(sub="u-1", email="nora@noc.example", name="Nora", note="Operator at <Bluestem>")

CODES: dict[Flaw, str] = {
    "expired": "TOKEN_EXPIRED",
    "wrong-signer": "TOKEN_WRONG_SIGNER",
    "unknown-kid": "TOKEN_UNKNOWN_KEY",
    "wrong-algorithm": "TOKEN_INVALID",
    "wrong-key": "TOKEN_INVALID",
    "unsigned": "TOKEN_INVALID",
    "none": "TOKEN_MISSING",
}


class Strike:
    """Answers who it believes is asking: the name, or why nobody."""

    def __init__(self) -> None:
        self.verifier: LoadBalancerIdentity | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/socket", self._socket)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def who(self, request: web.Request) -> str:
        assert self.verifier is not None
        try:
            return (await self.verifier.verify(request.headers.get("x-amzn-oidc-data"))).subject
        except Unauthenticated as error:
            return error.code

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text=await self.who(request))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(await self.who(request))
        await socket.close()
        return socket


class Gate:
    """Somebody who is logged in at the gateway."""

    def __init__(self, mock: Mock, browser: ClientSession, clock: VirtualClock) -> None:
        self.mock = mock
        self.browser = browser
        self.clock = clock

    async def who(self) -> str:
        async with self.browser.get(f"{self.mock.gateway_url}/board") as answer:
            return await answer.text()

    async def who_on_a_socket(self) -> str:
        async with self.browser.ws_connect(f"{self.mock.gateway_url}/socket") as socket:
            return str((await socket.receive()).data)

    async def control(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.browser.post(f"{self.mock.url}/_mock/{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def key(self, kid: str) -> int:
        async with self.browser.get(f"{self.mock.url}/keys/{kid}") as answer:
            return answer.status


@pytest_asyncio.fixture
async def gate() -> AsyncIterator[Gate]:
    strike, clock = Strike(), VirtualClock(datetime.now(UTC))
    async with (
        listening(strike.app()) as url,
        Mock(MockSettings(people=(NORA,), upstream=url), clock=clock) as mock,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        ready = mock.ready()
        believed = LoadBalancerSettings(
            signer=ready["signer"],
            issuer=ready["issuer"],
            client_id=ready["client"],
            key_endpoint=ready["kid_endpoint"],
        )
        fetch = http_key_fetcher(believed.key_endpoint)
        strike.verifier = LoadBalancerIdentity(believed, fetch, lambda: datetime.now(UTC))
        await browser.post(f"{mock.gateway_url}/login", json={"email": NORA.email})
        yield Gate(mock, browser, clock)


def test_every_flaw_is_tried() -> None:
    assert set(CODES) == set(get_args(Flaw))


@pytest.mark.parametrize(("flaw", "code"), CODES.items())
async def test_a_token_with_a_flaw_is_refused_and_the_next_one_believed(
    gate: Gate, flaw: Flaw, code: str
) -> None:
    assert await gate.who() == "u-1"
    assert await gate.control("identity", {"next": flaw, "times": 2}) == (
        200,
        {"next": flaw, "times": 2},
    )
    assert [await gate.who(), await gate.who(), await gate.who()] == [code, code, "u-1"]


async def test_a_websocket_gets_the_flaw_too(gate: Gate) -> None:
    await gate.control("identity", {"next": "wrong-key"})
    assert [await gate.who_on_a_socket(), await gate.who_on_a_socket()] == ["TOKEN_INVALID", "u-1"]


async def test_a_new_key_is_gone_along_with_and_the_old_one_stays_for_a_while(gate: Gate) -> None:
    old = gate.mock.identity.kid
    assert await gate.who() == "u-1"
    status, body = await gate.control("keys/rotate", {"keep_seconds": 60})
    assert status == 200 and body["kid"] == gate.mock.identity.kid != old
    assert await gate.who() == "u-1"
    assert [await gate.key(old), await gate.key(body["kid"])] == [200, 200]
    await gate.clock.advance(61)
    assert [await gate.key(old), await gate.key(body["kid"])] == [404, 200]
    assert await gate.who() == "u-1"


async def test_each_rotation_makes_another_key(gate: Gate) -> None:
    kids = {(await gate.control("keys/rotate", {}))[1]["kid"] for _ in range(3)}
    pems = {gate.mock.identity.public_key(UUID(kid)) for kid in kids}
    assert len(kids) == len(pems) == 3 and None not in pems


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("identity", {"next": "tired"}, "next"),
        ("identity", {"next": "none", "times": 0}, "times"),
        ("keys/rotate", {"keep_seconds": -1}, "keep_seconds"),
    ],
)
async def test_a_wrong_wish_is_refused(gate: Gate, path: str, body: Any, complaint: str) -> None:
    status, answer = await gate.control(path, body)
    assert status == 400 and complaint in answer["error"]


async def test_the_login_page_says_who_they_are_and_where_the_phones_are(gate: Gate) -> None:
    async with gate.browser.get(f"{gate.mock.gateway_url}/login") as answer:
        page = await answer.text()
    assert "Operator at &lt;Bluestem&gt;" in page
    assert f'href="{gate.mock.url}/_mock/"' in page
