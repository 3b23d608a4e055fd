"""Wrong proofs on demand: Strike's own verifier refuses each, and goes along with a new key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import ClientSession, CookieJar, web

from strike_adapters.identity import (
    CloudflareIdentity,
    CloudflareSettings,
    Identities,
    LoadBalancerIdentity,
    LoadBalancerSettings,
    Unauthenticated,
    http_certs_fetcher,
    http_key_fetcher,
)
from strike_mock.clock import VirtualClock
from strike_mock.cloudflare import CloudflareFlaw
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

CLOUDFLARE_CODES: dict[CloudflareFlaw, str] = {
    "expired": "TOKEN_EXPIRED",
    "wrong-audience": "TOKEN_WRONG_CLIENT",
    "unknown-kid": "TOKEN_UNKNOWN_KEY",
    "wrong-algorithm": "TOKEN_INVALID",
    "wrong-key": "TOKEN_INVALID",
    "unsigned": "TOKEN_INVALID",
    "wrong-issuer": "TOKEN_INVALID",
    "not-yet": "TOKEN_INVALID",
    "none": "TOKEN_MISSING",
}


class Strike:
    """Answers who it believes is asking: the name, or why nobody."""

    def __init__(self) -> None:
        self.verifier: Identities | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/socket", self._socket)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def who(self, request: web.Request) -> str:
        assert self.verifier is not None
        try:
            return (await self.verifier.verify(request.headers)).subject
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

    async def certs(self) -> list[str]:
        async with self.browser.get(f"{self.mock.url}/cdn-cgi/access/certs") as answer:
            return [key["kid"] for key in (await answer.json())["keys"]]

    async def key(self, kid: str) -> int:
        async with self.browser.get(f"{self.mock.url}/keys/{kid}") as answer:
            return answer.status


@asynccontextmanager
async def logged_in(audience: str | None) -> AsyncIterator[Gate]:
    strike, clock = Strike(), VirtualClock(datetime.now(UTC))
    async with listening(strike.app()) as url:
        settings = MockSettings(people=(NORA,), upstream=url, cloudflare_audience=audience)
        async with (
            Mock(settings, clock=clock) as mock,
            ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
        ):
            ready = mock.ready()
            cloudflare = by_cloudflare(ready) if audience else None
            strike.verifier = Identities(by_load_balancer(ready), cloudflare)
            await browser.post(f"{mock.gateway_url}/login", json={"email": NORA.email})
            yield Gate(mock, browser, clock)


def by_load_balancer(ready: dict[str, str]) -> LoadBalancerIdentity:
    believed = LoadBalancerSettings(
        signer=ready["signer"],
        issuer=ready["issuer"],
        client_id=ready["client"],
        key_endpoint=ready["kid_endpoint"],
    )
    fetch = http_key_fetcher(believed.key_endpoint)
    return LoadBalancerIdentity(believed, fetch, lambda: datetime.now(UTC))


def by_cloudflare(ready: dict[str, str]) -> CloudflareIdentity:
    believed = CloudflareSettings(
        team=ready["cloudflare_issuer"].removeprefix("https://"),
        audience=ready["cloudflare_audience"],
        certs_url=ready["cloudflare_certs"],
    )
    fetch = http_certs_fetcher(believed.keys_at())
    return CloudflareIdentity(believed, fetch, lambda: datetime.now(UTC))


@pytest_asyncio.fixture
async def gate() -> AsyncIterator[Gate]:
    async with logged_in(audience=None) as gate:
        yield gate


@pytest_asyncio.fixture
async def access() -> AsyncIterator[Gate]:
    """A gate with Cloudflare Access in front of the load balancer."""
    async with logged_in(audience="tag-of-strike") as gate:
        yield gate


def test_every_flaw_is_tried() -> None:
    assert set(CODES) == set(get_args(Flaw))
    assert set(CLOUDFLARE_CODES) == set(get_args(CloudflareFlaw))


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


@pytest.mark.parametrize(("flaw", "code"), CLOUDFLARE_CODES.items())
async def test_cloudflares_token_with_a_flaw_is_refused_and_the_next_one_believed(
    access: Gate, flaw: CloudflareFlaw, code: str
) -> None:
    assert await access.who() == "u-1"
    asked = {"next": flaw, "times": 2}
    assert await access.control("cloudflare/identity", asked) == (200, asked)
    assert [await access.who() for _ in range(3)] == [code, code, "u-1"]


async def test_with_cloudflare_in_front_the_load_balancer_must_vouch_as_well(access: Gate) -> None:
    await access.control("identity", {"next": "wrong-key"})
    assert [await access.who(), await access.who_on_a_socket()] == ["TOKEN_INVALID", "u-1"]


async def test_cloudflares_new_key_is_gone_along_with_and_the_old_one_stays_for_a_while(
    access: Gate,
) -> None:
    assert access.mock.cloudflare is not None
    old = access.mock.cloudflare.kid
    token = access.mock.cloudflare.sign(NORA)
    assert await access.who() == "u-1"
    status, body = await access.control("cloudflare/keys/rotate", {"keep_seconds": 60})
    assert status == 200 and body["kid"] == access.mock.cloudflare.kid != old
    assert await access.certs() == [body["kid"], old]
    identity = by_cloudflare(access.mock.ready())
    assert [await access.who(), (await identity.verify(token)).subject] == ["u-1", "u-1"]
    await access.clock.advance(61)
    assert await access.certs() == [body["kid"]]
    with pytest.raises(Unauthenticated, match="at the moment"):
        await by_cloudflare(access.mock.ready()).verify(token)


async def test_nobody_brings_cloudflares_header_along(access: Gate) -> None:
    forged = {"Cf-Access-Jwt-Assertion": "forged", "cf-access-authenticated-user-email": "a@b"}
    async with access.browser.get(f"{access.mock.gateway_url}/", headers=forged) as answer:
        assert await answer.text() == "u-1"
    await access.control("cloudflare/identity", {"next": "none"})
    async with access.browser.get(f"{access.mock.gateway_url}/", headers=forged) as answer:
        assert await answer.text() == "TOKEN_MISSING"


async def test_without_an_audience_there_is_no_cloudflare(gate: Gate) -> None:
    assert gate.mock.cloudflare is None
    assert not [name for name in gate.mock.ready() if name.startswith("cloudflare")]
    async with gate.browser.get(f"{gate.mock.url}/cdn-cgi/access/certs") as answer:
        assert answer.status == 404


async def test_a_mock_with_cloudflare_makes_its_key_when_it_is_needed() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("strike_mock.cloudflare.rsa.generate_private_key", None)
        async with Mock(MockSettings(cloudflare_audience="tag")) as mock:
            assert mock.ready()["cloudflare_certs"] == f"{mock.url}/cdn-cgi/access/certs"


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("identity", {"next": "wrong-signer"}, "next"),
        ("identity", {"next": "none", "times": 0}, "times"),
        ("keys/rotate", {"keep_seconds": -1}, "keep_seconds"),
    ],
)
async def test_a_wrong_wish_to_cloudflare_is_refused(
    access: Gate, path: str, body: Any, complaint: str
) -> None:
    status, answer = await access.control(f"cloudflare/{path}", body)
    assert status == 400 and complaint in answer["error"]
