"""The gateway logs people in, signs who they are as a load balancer does, and forwards the rest."""

import asyncio
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from uuid import UUID

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientSession, CookieJar, WSMsgType, web

from strike_mock.server import Mock
from strike_mock.settings import MockSettings, Person

pytestmark = pytest.mark.asyncio

NORA = Person(sub="u-1", email="nora@noc.example", name="Nora Nacht")
OTTO = Person(sub="u-2", email="otto@osp.example", name="Otto <Dispatch>")


class Upstream:
    """Stands where Strike will: says what reached it."""

    def __init__(self) -> None:
        self.url = ""
        self.release = asyncio.Event()

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/events", self._events)
        app.router.add_get("/graphql", self._websocket)
        app.router.add_route("*", "/{path:.*}", self._echo)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _echo(self, request: web.Request) -> web.Response:
        seen = {
            "path": request.raw_path,
            "headers": dict(request.headers),
            "body": await request.text(),
        }
        answer = web.json_response(seen, status=418, headers={"X-From": "strike"})
        answer.set_cookie("csrf", "of-" + request.headers.get("x-amzn-oidc-identity", "nobody"))
        return answer

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await self.release.wait()
        await response.write(b"data: two\n\n")
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if "x-amzn-oidc-data" not in request.headers:
            return web.Response(status=401)
        socket = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4403, message=b"Forbidden")
            else:
                await socket.send_str(f"{request.headers['x-amzn-oidc-identity']}: {message.data}")
        return socket


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    server = Upstream()
    runner = await server.start()
    yield server
    server.release.set()
    await runner.cleanup()


@pytest_asyncio.fixture
async def mock(upstream: Upstream) -> AsyncIterator[Mock]:
    async with Mock(MockSettings(people=(NORA, OTTO), upstream=upstream.url)) as running:
        yield running


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield session


async def log_in(mock: Mock, browser: ClientSession, person: Person = NORA) -> None:
    login = f"{mock.gateway_url}/login"
    async with browser.post(login, json={"email": person.email}) as answer:
        assert answer.status == 200


def header_of(token: str) -> dict[str, object]:
    header: dict[str, object] = json.loads(urlsafe_b64decode(token.split(".")[0]))
    return header


async def test_the_header_verifies_with_the_key_from_the_endpoint(
    mock: Mock, browser: ClientSession
) -> None:
    await log_in(mock, browser)
    async with browser.get(f"{mock.gateway_url}/board") as answer:
        headers = (await answer.json())["headers"]
    token = headers["x-amzn-oidc-data"]
    header = header_of(token)
    async with browser.get(f"{mock.ready()['kid_endpoint']}/{header['kid']}") as answer:
        pem = await answer.text()
    claims = jwt.decode(token, pem, algorithms=["ES256"])
    assert claims["sub"] == "u-1"
    assert claims["email"] == NORA.email
    assert claims["name"] == NORA.name
    assert claims["iss"] == header["iss"] == mock.settings.issuer
    assert header["alg"] == "ES256"
    assert header["signer"] == mock.settings.signer
    assert header["client"] == mock.settings.client
    assert header["exp"] == claims["exp"]
    assert headers["x-amzn-oidc-identity"] == "u-1"
    UUID(str(header["kid"]))


async def test_segments_keep_their_padding_and_the_signature_covers_it(
    mock: Mock, browser: ClientSession
) -> None:
    await log_in(mock, browser)
    token = mock.identity.sign(NORA)
    assert all(len(segment) % 4 == 0 for segment in token.split("."))
    assert token.endswith("==")
    pem = mock.identity.public_key(UUID(mock.identity.kid))
    assert pem is not None
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token.replace("=", ""), pem, algorithms=["ES256"])


@pytest.mark.parametrize("kid", ["00000000-0000-4000-8000-000000000000", "..%2fetc", "x"])
async def test_there_are_no_other_keys(mock: Mock, browser: ClientSession, kid: str) -> None:
    async with browser.get(f"{mock.url}/keys/{kid}") as answer:
        assert answer.status == 404


async def test_identity_headers_of_the_client_are_stripped_everywhere(
    mock: Mock, browser: ClientSession
) -> None:
    forged = {"X-Amzn-Oidc-Data": "forged", "x-amzn-oidc-identity": "root", "X-Tenant-ID": "t"}
    forged["x-amzn-oidc-accesstoken"] = "forged"
    async with browser.post(f"{mock.gateway_url}/twilio/voice?a=b%20c", headers=forged) as answer:
        seen = await answer.json()
    assert not [name for name in seen["headers"] if name.lower().startswith("x-amzn-oidc")]
    assert seen["path"] == "/twilio/voice?a=b%20c"
    assert seen["headers"]["X-Tenant-ID"] == "t"
    await log_in(mock, browser)
    async with browser.get(f"{mock.gateway_url}/board", headers=forged) as answer:
        headers = (await answer.json())["headers"]
    assert "forged" not in headers.values()
    assert headers["x-amzn-oidc-identity"] == "u-1"


async def test_the_gateway_mixes_up_no_cookies_and_adds_no_wishes(
    mock: Mock, browser: ClientSession
) -> None:
    await log_in(mock, browser)
    async with browser.get(f"{mock.gateway_url}/board") as answer:
        assert "csrf=of-u-1" in str(answer.headers.getall("Set-Cookie"))
    plain = ("Accept-Encoding", "User-Agent")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as other:
        await log_in(mock, other, OTTO)
        async with other.get(f"{mock.gateway_url}/board", skip_auto_headers=plain) as answer:
            headers = (await answer.json())["headers"]
    assert "csrf" not in headers["Cookie"]
    assert not set(plain) & set(headers)


async def test_without_a_session_a_browser_is_sent_to_the_login_page(
    mock: Mock, browser: ClientSession
) -> None:
    html = {"Accept": "text/html,*/*"}
    board = f"{mock.gateway_url}/board?page=2"
    async with browser.get(board, headers=html, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/login?next=%2Fboard%3Fpage%3D2"
    async with browser.get(board, headers=html) as answer:
        page = await answer.text()
    assert NORA.email in page
    assert "Otto &lt;Dispatch&gt;" in page
    assert "/board?page=2" in page


async def test_without_a_session_anything_else_is_401(mock: Mock, browser: ClientSession) -> None:
    async with browser.post(f"{mock.gateway_url}/graphql", json={}) as answer:
        assert answer.status == 401
        assert (await answer.json())["error"]["code"] == "unauthenticated"


async def test_webhooks_and_health_checks_pass_without_login(
    mock: Mock, browser: ClientSession
) -> None:
    for path in ("/twilio/status", "/healthz", "/readyz"):
        async with browser.post(f"{mock.gateway_url}{path}", data={"CallSid": "CA1"}) as answer:
            assert answer.status == 418
            assert (await answer.json())["body"] == "CallSid=CA1"
            assert answer.headers["X-From"] == "strike"


async def test_the_login_form_leads_back_but_never_away(mock: Mock, browser: ClientSession) -> None:
    login = f"{mock.gateway_url}/login"
    for asked, reached in (
        ("/board", "/board"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
    ):
        form = {"email": "OTTO@osp.example", "next": asked}
        async with browser.post(login, data=form, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == reached
    async with browser.post(login, json={"email": "eve@evil.example"}) as answer:
        assert answer.status == 401
    async with browser.post(login, data=b"[", headers={"Content-Type": "application/json"}) as bad:
        assert bad.status == 401


async def test_logging_out_ends_the_session(mock: Mock, browser: ClientSession) -> None:
    await log_in(mock, browser)
    async with browser.post(f"{mock.gateway_url}/logout", allow_redirects=False) as answer:
        assert answer.status == 303
    async with browser.get(f"{mock.gateway_url}/board") as answer:
        assert answer.status == 401


async def test_a_websocket_goes_through_with_its_subprotocol_and_its_close_code(
    mock: Mock, browser: ClientSession
) -> None:
    await log_in(mock, browser)
    url = f"{mock.gateway_url}/graphql"
    async with browser.ws_connect(url, protocols=("graphql-transport-ws",)) as socket:
        assert socket.protocol == "graphql-transport-ws"
        await socket.send_str("hello")
        assert await socket.receive_str(timeout=5) == "u-1: hello"
        await socket.send_str("bye")
        assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
        assert socket.close_code == 4403


async def test_a_websocket_without_a_session_is_refused(mock: Mock, browser: ClientSession) -> None:
    with pytest.raises(Exception, match="401"):
        await browser.ws_connect(f"{mock.gateway_url}/graphql")


async def test_event_streams_are_passed_on_as_they_come(
    mock: Mock, browser: ClientSession, upstream: Upstream
) -> None:
    await log_in(mock, browser)
    async with browser.get(f"{mock.gateway_url}/events") as answer:
        first = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 5)
        assert first == b"data: one\n\n"
        upstream.release.set()
        assert await answer.content.readuntil(b"\n\n") == b"data: two\n\n"


async def test_an_unreachable_server_is_a_bad_gateway_until_it_is_named(
    mock: Mock, browser: ClientSession, upstream: Upstream
) -> None:
    await log_in(mock, browser)
    change = f"{mock.url}/_mock/upstream"
    async with browser.post(change, json={"url": "http://127.0.0.1:1"}) as answer:
        assert answer.status == 200
    async with browser.get(f"{mock.gateway_url}/board") as answer:
        assert answer.status == 502
    async with browser.post(change, json={"url": upstream.url}) as answer:
        assert answer.status == 200
    async with browser.get(f"{mock.gateway_url}/board") as answer:
        assert answer.status == 418


async def test_the_cookie_is_out_of_reach_of_scripts(mock: Mock, browser: ClientSession) -> None:
    async with browser.post(f"{mock.gateway_url}/login", json={"email": NORA.email}) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert re.search("HttpOnly", cookie)
    assert re.search("SameSite=Lax", cookie)
