"""Strangers at the real server: too much, too slow, too curious; and webhooks, never limited."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import structlog
from aiohttp import web
from structlog.testing import LogCapture

from strike_adapters.identity import Identity
from strike_app import server, webhooks
from strike_app.bootstrap import Strike, open_services
from strike_app.demo.seed import OPERATOR
from strike_app.limits import MOST_FAILURES
from strike_app.mute import StrikeRunner
from strike_app.settings import rate_of
from tests.integration.chromium import needs_chromium, page
from tests.integration.served import Served

SECRET = "detail-that-nobody-may-hear"


def _path(what: str) -> str:
    return f"/twilio/{what}/{uuid4()}/{uuid4()}"


@pytest.fixture
def lines() -> Any:
    """What is logged, with what is bound to the context."""
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture.entries
    structlog.configure(**before)


async def _raw(served: Served, sent: bytes) -> tuple[str, str]:
    """Head and body of the answer to raw bytes, read to the end."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(20):
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return head, body


async def test_webhooks_are_never_limited_nor_refused_for_failures(served: Served) -> None:
    for _ in range(MOST_FAILURES + 5):
        await served.post("{ me { name } }", headers={})
    assert (await served.post("{ me { name } }", headers={})).status == 429
    limit = rate_of(served.services.settings.rate_per_user).amount
    assert limit > 40, "Fewer webhooks are sent here than a user may send operations."
    statuses = [
        (await served.webhook(_path(what), {"CallSid": "CA1"})).status
        for what in ("voice", "key", "status", "text")
        for _ in range(15)
    ]
    assert set(statuses) == {404}, "Each was looked at: the call is unknown."
    assert (await served.post("{ me { name } }")).status == 200


async def test_too_large_a_request_is_refused_with_the_headers_of_every_answer(
    served: Served,
) -> None:
    big = {"query": "y" * server.MAX_BODY}
    async with served.session.post(
        f"{served.url}/graphql", json=big, headers=served.headers()
    ) as answer:
        assert (answer.status, (await answer.json())["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with served.session.post(
        f"{served.url}{_path('key')}", data={"Digits": "1" * webhooks.MAX_BODY}
    ) as answer:
        assert answer.status == 413
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + SECRET.encode() * 1_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + SECRET.encode() + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["header too large", "path too large", "no header", "TLS"],
)
async def test_what_is_no_request_hears_nothing_back_and_leaves_no_secret_in_the_log(
    served: Served, sent: bytes, lines: Any
) -> None:
    head, body = await _raw(served, sent)
    assert head.split()[1] in ("400", "431")
    assert json.loads(body)["code"] == "BAD_REQUEST"
    assert SECRET not in body and "aiohttp" not in head.lower() and "Python" not in head
    assert "X-Content-Type-Options: nosniff" in head
    assert lines and SECRET not in str(lines)


@pytest.mark.parametrize("what", ["voice", "key", "status", "text"])
async def test_a_webhook_whose_body_never_ends_is_answered_in_time(
    served: Served, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.1)
    head = f"POST {_path(what)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\nDigits="
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write((head + form).encode())
    async with asyncio.timeout(20):
        status = await reader.readline()
    writer.close()
    assert status.split()[1] == b"504"


async def test_a_resolver_that_fails_tells_its_secret_to_nobody_but_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(served.services.queries.lists, "page", fail)
    wanted = str(uuid4())
    answer = await served.post(
        "{ ecos { edges { cursor } } }", headers=served.headers() | {"X-Correlation-ID": wanted}
    )
    (told,) = answer.body["errors"]
    assert told["extensions"] == {"code": "INTERNAL", "correlationId": wanted}
    assert SECRET not in json.dumps(answer.body)
    (line,) = [one for one in lines if one["event"] == "resolver failed"]
    assert line["correlation_id"] == wanted and SECRET in str(line["exc_info"])


@pytest.mark.parametrize("what", ["voice", "key", "status", "text"])
async def test_a_webhook_that_fails_tells_its_secret_to_nobody_but_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, lines: Any, what: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(served.services.paging, "noc_of", fail)
    answer = await served.webhook(_path(what), {"CallSid": "CA1"})
    assert answer.status == 500 and SECRET not in answer.body
    correlation_id = json.loads(answer.body)["correlationId"]
    (line,) = [one for one in lines if one["event"] == "request failed"]
    assert line["correlation_id"] == correlation_id


async def test_lines_of_a_command_in_its_own_thread_carry_the_callers_id(
    served: Served, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    def away(*_: object, **__: object) -> None:
        structlog.get_logger().info("in the thread")
        raise psycopg.OperationalError(SECRET)

    monkeypatch.setattr(served.services.paging, "noc_of", away)
    await served.webhook(_path("key"), {"CallSid": "CA1"})
    ids = {one["event"]: one.get("correlation_id") for one in lines}
    assert ids["in the thread"] and ids["in the thread"] == ids["the database failed a command"]


class EverybodyIsTheOperator:
    """A gateway that has logged the browser in."""

    async def verify(self, token: str | None) -> Identity:
        return Identity(subject=OPERATOR.email, email=OPERATOR.email)


@needs_chromium
@pytest.mark.skipif(
    not (server.ASSETS / "graphiql.min.js").is_file(), reason="needs the files built for browsers"
)
async def test_graphiql_runs_a_query_in_a_browser_within_its_policy(
    strike: Strike, tmp_path: Path
) -> None:
    identity: Any = EverybodyIsTheOperator()
    services = replace(open_services(strike, strike.settings), identity=identity)
    runner = StrikeRunner(server.create_app(services), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
        complaints = await asyncio.to_thread(_run_first_query, url, tmp_path)
    finally:
        await runner.cleanup()
        services.executor.shutdown()
    assert complaints == []


def _run_first_query(url: str, folder: Path) -> list[str]:
    """Press "execute" and wait for the answer; what the browser complained about."""
    from selenium.webdriver.common.by import By

    with page(url, folder) as (browser, wait):
        wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".graphiql-execute-button"))
        browser.find_element(By.CSS_SELECTOR, ".graphiql-execute-button").click()
        wait.until(
            lambda b: OPERATOR.name in b.find_element(By.CSS_SELECTOR, ".result-window").text
        )
        lines = browser.execute("getLog", {"type": "browser"})["value"]
        return [one["message"] for one in lines if "Content Security Policy" in one["message"]]
