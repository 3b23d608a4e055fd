"""What the server's edges tell, and refuse to, anybody who knocks; made-up identities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import LogCapture

from strike_app import server
from strike_app.headers import NOTHING
from strike_app.limits import MOST_FAILURES
from strike_app.settings import Settings
from tests.unit.hand_set import HandSet
from tests.unit.test_graphql_callers import ME, NOC, OSP, TOKEN, Client, _queries, _services

SECRET = "detail-that-nobody-may-hear"
PROTOCOLS = ("graphql-transport-ws",)
INTROSPECTION = {"query": "{ __typename }"}


@pytest.fixture
def clock() -> HandSet:
    return HandSet()


@pytest.fixture
async def client(clock: HandSet, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    settings = Settings.model_validate(
        {
            "public_url": "https://strike.example/in",
            "rate_per_user": "4/minute",
            "rate_per_tenant": "3/minute",
        }
    )
    monkeypatch.setattr(server, "ASSETS", Path(__file__).parent)
    app = server.create_app(_services(settings), clock)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def _ask(client: Client, **headers: str) -> tuple[int, Any, Any]:
    async with client.post("/graphql", json=ME, headers=TOKEN | headers) as answer:
        return answer.status, await answer.json(), answer.headers


async def test_an_operation_too_many_of_a_user_is_refused_with_a_time_to_come_back(
    client: Client, clock: HandSet
) -> None:
    assert [(await _ask(client))[0] for _ in range(4)] == [200] * 4
    status, body, headers = await _ask(client)
    assert (status, body["code"], body["path"]) == (429, "RATE_LIMITED", [])
    assert body["message"] and headers["Retry-After"] == "60"
    clock.seconds += 60
    assert (await _ask(client))[0] == 200


async def test_an_operation_too_many_for_a_tenant_leaves_the_others_alone(client: Client) -> None:
    acting = {"X-Tenant-ID": str(NOC.tenant_id)}
    assert [(await _ask(client, **acting))[0] for _ in range(4)] == [200, 200, 200, 429]
    assert (await _ask(client, **{"X-Tenant-ID": str(OSP.tenant_id)}))[0] == 429, "Of the user."


async def _operation(socket: Any, number: int) -> Any:
    await socket.send_json({"id": str(number), "type": "subscribe", "payload": INTROSPECTION})
    while (message := await socket.receive_json())["type"] not in ("next", "error"):
        pass
    return message


async def test_operations_over_a_socket_are_counted_each_and_the_socket_stays(
    client: Client, clock: HandSet
) -> None:
    async with client.ws_connect("/graphql", protocols=PROTOCOLS, headers=TOKEN) as socket:
        payload = {"tenantId": str(NOC.tenant_id)}
        await socket.send_json({"type": "connection_init", "payload": payload})
        await socket.receive_json()
        told = [await _operation(socket, number) for number in range(4)]
        assert [one["type"] for one in told] == ["next", "next", "next", "error"]
        (error,) = told[3]["payload"]
        assert told[3]["id"] == "3"
        assert error["extensions"] == {"code": "RATE_LIMITED", "path": [], "retryAfter": 60}
        clock.seconds += 60
        assert (await _operation(socket, 5))["type"] == "next"


async def test_health_is_told_however_often_it_is_asked(client: Client) -> None:
    for path in ("/healthz", "/readyz"):
        for _ in range(20):
            async with client.get(path) as answer:
                assert answer.status == 200


async def test_after_thirty_refused_proofs_nothing_is_told_and_a_login_still_works(
    client: Client, clock: HandSet
) -> None:
    forged = {"x-amzn-oidc-data": "forged"}
    seen = [(await _ask(client, **forged))[:2] for _ in range(MOST_FAILURES + 1)]
    assert [status for status, _ in seen] == [401] * MOST_FAILURES + [429]
    assert seen[-1][1]["code"] == "TOO_MANY_FAILURES"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/graphql", protocols=PROTOCOLS, headers=forged)
    assert refused.value.status == 429
    assert refused.value.headers and refused.value.headers["Retry-After"] == "60"
    assert (await _ask(client))[0] == 200, "A whole NOC can sit behind one address."
    elsewhere = forged | {"X-Forwarded-For": "192.0.2.1"}
    assert (await _ask(client, **elsewhere))[0] == 401
    clock.seconds += 60
    assert (await _ask(client, **forged))[0] == 401


ANSWERS = [
    ("GET", "/", 401),
    ("GET", "/healthz", 200),
    ("GET", "/nowhere", 404),
    ("PUT", "/graphql", 405),
    ("GET", "/graphql", 401),
    ("POST", "/graphql", 415),
    ("POST", "/twilio/voice/x/y", 404),
    ("GET", "/assets/test_strangers.py", 200),
    ("GET", "/assets/nothing.js", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_tells_browsers_to_do_little_with_it(
    client: Client, method: str, path: str, status: int
) -> None:
    async with client.request(method, path, allow_redirects=False) as answer:
        headers = answer.headers
        assert answer.status == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Permissions-Policy"] == "camera=(), microphone=(), geolocation=()"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert headers["Content-Security-Policy"] == NOTHING
    is_asset = path.startswith("/assets") and status == 200
    assert headers["Cache-Control"] == ("public, max-age=3600" if is_asset else "no-store")
    assert "Server" not in headers
    assert UUID(headers["X-Correlation-ID"]).version == 4


async def test_a_server_without_https_does_not_send_browsers_there() -> None:
    settings = Settings.model_validate({"public_url": "http://strike.example"})
    async with (
        TestClient(TestServer(server.create_app(_services(settings)))) as client,
        client.get("/healthz") as answer,
    ):
        assert "Strict-Transport-Security" not in answer.headers


async def test_an_upgraded_socket_carries_the_headers_too(client: Client) -> None:
    async with client.ws_connect("/graphql", protocols=PROTOCOLS, headers=TOKEN) as socket:
        headers = socket._response.headers
    assert headers["X-Correlation-ID"] and "Server" not in headers


async def test_the_page_of_graphiql_lets_only_its_own_script_run(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "graphiql.min.js").write_text("")
    monkeypatch.setattr(server, "ASSETS", tmp_path)
    asked = TOKEN | {"Accept": "text/html"}
    policies = []
    for _ in range(2):
        async with client.get("/graphql", headers=asked) as answer:
            page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        nonce = rules["script-src"].removeprefix("'self' 'nonce-").removesuffix("'")
        assert len(nonce) >= 16 and f'<script nonce="{nonce}">' in page
        assert page.count("<script>") == 0, "None without a nonce or a file of ours."
        assert rules["default-src"] == "'none'" and rules["frame-ancestors"] == "'none'"
        host = f"ws://{client.host}:{client.port}"
        assert rules["connect-src"].split() == ["'self'", host, "wss://strike.example"]
        assert "unsafe-eval" not in policy and "unsafe-inline" not in rules["script-src"]
        policies.append(policy)
    assert policies[0] != policies[1]


async def test_a_host_header_cannot_widen_the_policy_of_the_page(client: Client) -> None:
    asked = TOKEN | {"Accept": "text/html", "Host": "x; script-src *"}
    async with client.get("/graphql", headers=asked) as answer:
        assert "script-src *" not in answer.headers.get("Content-Security-Policy", "")


@pytest.mark.parametrize("login", [TOKEN, {}])
async def test_a_socket_from_a_foreign_page_is_refused_before_anything_else(
    client: Client, login: dict[str, str]
) -> None:
    headers = login | {
        "Origin": "https://evil.example",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-Fetch-Site": "same-origin",
    }
    async with client.get("/graphql", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "ORIGIN_FOREIGN")


async def test_a_socket_from_the_public_page_is_opened(client: Client) -> None:
    headers = TOKEN | {"Origin": "https://strike.example"}
    async with client.ws_connect("/graphql", protocols=PROTOCOLS, headers=headers) as socket:
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonp",
        "",
    ],
)
async def test_only_json_is_read(client: Client, content_type: str) -> None:
    body = b'{"query": "{ __typename }"}'
    headers = TOKEN | {"Content-Type": content_type}
    async with client.post("/graphql", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    headers = TOKEN | {"Content-Type": "application/json; charset=utf-8"}
    async with client.post("/graphql", data=body, headers=headers) as answer:
        assert answer.status == 200


@pytest.fixture
def lines() -> Any:
    """What is logged, with what is bound to the context."""
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture.entries
    structlog.configure(**before)


async def test_the_callers_id_is_on_the_answer_and_on_every_line(
    client: Client, lines: Any
) -> None:
    wanted = str(uuid4())
    _queries(client).fails = RuntimeError(SECRET)
    status, body, headers = await _ask(client, **{"X-Correlation-ID": wanted})
    assert (status, headers["X-Correlation-ID"]) == (500, wanted)
    assert body == {"code": "INTERNAL", "correlationId": wanted}
    (line,) = lines
    assert (line["event"], line["correlation_id"]) == ("request failed", wanted)
    assert SECRET not in str(body)


async def test_an_improper_id_is_replaced_and_the_next_request_has_its_own(client: Client) -> None:
    given = [(await _ask(client, **{"X-Correlation-ID": "'; drop"}))[2] for _ in range(2)]
    ids = {UUID(headers["X-Correlation-ID"]) for headers in given}
    assert len(ids) == 2


async def test_a_body_that_never_ends_is_answered_in_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.05)

    async def body() -> AsyncIterator[bytes]:
        yield b'{"query": '
        await asyncio.Event().wait()

    headers = TOKEN | {"Content-Type": "application/json"}
    async with client.post("/graphql", data=body(), headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (504, "TIMED_OUT")


async def test_what_is_refused_before_our_code_runs_carries_the_headers_too(client: Client) -> None:
    async with client.get("/graphql", headers={"Expect": "a-miracle"}) as answer:
        assert answer.status == 417
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
