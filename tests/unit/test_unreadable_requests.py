"""Requests that are none: refused as what they are, over every transport, and no error of ours."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import LogCapture

from strike_app import server
from strike_app.mute import StrikeRunner
from strike_app.settings import Settings
from tests.unit.test_graphql_callers import NOC, TOKEN, Client, _services

JSON = {"Content-Type": "application/json"}
SSE = {"Accept": "text/event-stream"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
FORM = f"/t/{NOC.tenant_id}/settings/name"
TOKENS = f"/t/{NOC.tenant_id}/settings/tokens"
CALL = f"/twilio/status/{uuid4()}/{uuid4()}"


class _Served(TestServer):
    """As `strike serve` does it."""

    async def _make_runner(self, **named: Any) -> web.BaseRunner:
        return StrikeRunner(self.app, **named)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    settings = Settings.model_validate({"public_url": "https://strike.example/in"})
    async with TestClient(_Served(server.create_app(_services(settings)))) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before, lines = structlog.get_config(), LogCapture()
    structlog.configure(processors=[lines])
    yield
    structlog.configure(**before)
    assert not [one for one in lines.entries if one["log_level"] in ("error", "critical")]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/graphql", TOKEN | JSON),
        ("/graphql", TOKEN | JSON | SSE),
        (FORM, TOKEN | OWN_PAGE | {"Content-Type": "application/x-www-form-urlencoded"}),
        (TOKENS, TOKEN | OWN_PAGE | {"Content-Type": "multipart/form-data; boundary=x"}),
        (CALL, {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
    ids=["GraphQL", "stream", "form", "form with a file", "webhook"],
)
async def test_a_body_that_is_not_of_its_encoding_is_refused(
    client: Client, path: str, headers: dict[str, str], encoding: str
) -> None:
    sent = headers | {"Content-Encoding": encoding}
    async with client.post(path, data=b"\xff" * 40, headers=sent) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "BAD_REQUEST")


async def test_a_stranger_whose_body_is_not_read_leaves_no_traceback(client: Client) -> None:
    sent = JSON | {"Content-Encoding": "gzip"}
    async with client.post("/graphql", data=b"\xff" * 40, headers=sent) as answer:
        assert answer.status == 401


async def test_a_body_in_chunks_that_are_none_is_refused(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    token = b"x-amzn-oidc-data: olivia\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head + token + b'5\r\n{"que\r\nno length\r\n')
    async with asyncio.timeout(20):
        said = await reader.readline()
    writer.close()
    assert said.split()[1] == b"400"


_FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n1'

FORMS = {
    "no boundary": ("multipart/form-data", b"--x\r\n\r\n1"),
    "another boundary": ("multipart/form-data; boundary=x", b"--y\r\n\r\n1\r\n--y--"),
    "no end": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n"),
    "a file without an end": ("multipart/form-data; boundary=x", _FILE),
    "a file, and another without an end": (
        "multipart/form-data; boundary=x",
        _FILE + b"\r\n" + _FILE,
    ),
    "headers that are none": ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n1"),
    "parts in parts": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n1\r\n--y--\r\n--x--",
    ),
    "unknown charset": ("application/x-www-form-urlencoded; charset=nope", b"name=x"),
    "not of its charset": ("application/x-www-form-urlencoded; charset=utf-8", b"name=\xff"),
}


@pytest.mark.parametrize("path", [FORM, TOKENS], ids=["name", "tokens"])
@pytest.mark.parametrize("kind", FORMS)
async def test_a_form_that_is_none_is_refused_as_such(client: Client, path: str, kind: str) -> None:
    """And leaves no file open, which would be a ResourceWarning."""
    content_type, body = FORMS[kind]
    sent = TOKEN | OWN_PAGE | {"Content-Type": content_type}
    async with client.post(path, data=body, headers=sent) as answer:
        assert answer.status < 500
    gc.collect()


@pytest.mark.parametrize("kind", FORMS)
async def test_a_webhook_whose_form_is_none_is_signed_by_nobody(client: Client, kind: str) -> None:
    content_type, body = FORMS[kind]
    async with client.post(CALL, data=body, headers={"Content-Type": content_type}) as answer:
        assert answer.status in (403, 404)


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "multipart/mixed", "multipart/mixed;x=y, */*"]
)
async def test_a_subscription_that_cannot_be_followed_is_refused_with_what_would_do(
    client: Client, accept: str
) -> None:
    body = {"query": "subscription { ecosChanged { position } }"}
    async with client.post("/graphql", json=body, headers=TOKEN | {"Accept": accept}) as answer:
        told = await answer.json()
        assert (answer.status, told["code"]) == (400, "REQUEST_INVALID")
        assert "text/event-stream" in told["message"]
    async with client.get("/graphql", params=body, headers=TOKEN | {"Accept": accept}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "REQUEST_INVALID")


NOTHING_TO_RUN = {
    "empty": {"query": ""},
    "no operation": {"query": "fragment F on Me { id }"},
    "of another name": {"query": "query A { permissions }", "operationName": "B"},
    "with a name that is none": {"query": "query A { permissions }", "operationName": "\0"},
}


@pytest.mark.parametrize("kind", NOTHING_TO_RUN)
async def test_where_there_is_nothing_to_run_the_caller_is_told(client: Client, kind: str) -> None:
    body, codes = NOTHING_TO_RUN[kind], {"REQUEST_INVALID", "QUERY_INVALID"}
    async with client.post("/graphql", json=body, headers=TOKEN) as answer:
        assert answer.status == 400 and (await answer.json())["code"] in codes
    async with client.post("/graphql", json=body, headers=TOKEN | SSE) as answer:
        assert answer.status in (200, 400)
        told = await answer.text()
        assert any(f'"code":"{one}"' in told for one in codes)
    protocols = ("graphql-transport-ws",)
    async with client.ws_connect("/graphql", protocols=protocols, headers=TOKEN) as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        await socket.send_json({"id": "1", "type": "subscribe", "payload": body})
        refused = json.loads(await socket.receive_str())
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] in codes
