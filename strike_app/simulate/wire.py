"""Calls instead of sockets: requests and answers are what the real servers and clients make.

Latency, time-outs and broken connections are here as on a network; a server that gets a request
goes on with it although its client has given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from strike_app.simulate.loop import wait
from strike_app.simulate.processes import OWNER
from strike_mock.courier import Letter, Reply
from strike_mock.errors import Undeliverable
from strike_mock.faults import Dropped

TWILIO_PATIENCE = 15.0
"""Seconds that Twilio waits for the answer to a webhook."""

Headers = list[tuple[str, str]]


class InProcess:
    """An aiohttp application that is called instead of listening."""

    def __init__(self, app: web.Application) -> None:
        app.freeze()
        self.errors: list[Exception] = []
        self._app = app
        self._transport: Any = _Nowhere()

    async def handle(self, method: str, path: str, headers: Headers, body: bytes) -> web.Response:
        """What the application answers: 500 if it breaks, which is kept in `errors`.

        Raises Dropped where the connection breaks.
        """
        loop = asyncio.get_running_loop()
        protocol: Any = _Protocol(loop)
        payload = StreamReader(protocol, 2**16, loop=loop)
        payload.feed_data(body)
        payload.feed_eof()
        request = make_mocked_request(
            method,
            path,
            CIMultiDict([*headers, ("Content-Length", str(len(body)))]),
            writer=self._transport,
            protocol=protocol,
            transport=self._transport,
            payload=payload,
        )
        try:
            response = await self._app._handle(request)
        except web.HTTPException as refusal:
            return refusal
        except Dropped:
            raise
        except Exception as error:
            self.errors.append(error)
            return web.Response(status=500)
        assert isinstance(response, web.Response)  # noqa: S101 - nothing here streams
        return response


class _Protocol(BaseProtocol):
    """What a request wants to know of its connection."""

    ssl_context = None
    peername = sockname = ("127.0.0.1", 0)


class _Nowhere:
    """Stands where a request has its connection."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 0) if name == "peername" else default


@dataclass
class Asked:
    """A request of Strike: when, what, and the status it got; None if it got no answer."""

    at: float
    method: str
    path: str
    form: dict[str, str]
    status: int | None = None


@dataclass
class Delivery:
    """A request of Twilio to Strike, and the status and body it got; None if no answer."""

    at: float
    letter: Letter
    status: int | None = None
    body: str = ""
    answered_at: float | None = None

    @property
    def path(self) -> str:
        """The path and query that were asked for."""
        return "/" + self.letter.address().split("/", 3)[3]

    @property
    def key(self) -> str | None:
        """The key that was pressed; empty for none in time; None if it is about no key."""
        if "/key/" not in self.path:
            return None
        kept = parse_qs(urlsplit(self.path).query).get("key")
        return kept[0] if kept else dict(self.letter.params).get("Digits", "")


class Network(httpx.BaseTransport):
    """The way from Strike to Twilio and Render, for httpx in blocking code."""

    def __init__(self, server: InProcess, chance: Random) -> None:
        self.asked: list[Asked] = []
        self._server = server
        self._chance = chance

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx; waits in simulated time."""
        body = request.read()
        form = dict(parse_qsl(body.decode())) if request.method == "POST" else {}
        path = request.url.raw_path.decode()
        asked = Asked(asyncio.get_running_loop().time(), request.method, path, form)
        self.asked.append(asked)
        response = wait(self._ask(request, body))
        if not isinstance(response.stream, _Cut):
            asked.status = response.status_code
        return response

    async def _ask(self, request: httpx.Request, body: bytes) -> httpx.Response:
        await asyncio.sleep(self._chance.uniform(0.005, 0.1))
        path = request.url.raw_path.decode()
        headers = [(k.decode(), v.decode()) for k, v in request.headers.raw]
        context = copy_context()
        context.run(OWNER.set, None)  # The other side lives on when the one who asks dies.
        answering = self._server.handle(request.method, path, headers, body)
        task = asyncio.get_running_loop().create_task(answering, context=context)
        task.add_done_callback(_ignore)  # Whoever asked may be gone by then.
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                answer = await asyncio.shield(task)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except Dropped as dropped:
            if dropped.answer is None:
                raise httpx.ReadError("the connection was reset", request=request) from None
            return _response(dropped.answer, cut=True)
        await asyncio.sleep(self._chance.uniform(0.005, 0.05))
        return _response(answer)


def _ignore(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _response(answer: web.Response, *, cut: bool = False) -> httpx.Response:
    body = answer.body if isinstance(answer.body, bytes) else b""
    headers = [*answer.headers.items(), ("Content-Length", str(len(body)))]
    if "Content-Type" not in answer.headers and answer.content_type:
        headers.append(("Content-Type", answer.content_type))
    stream = _Cut(body[: len(body) // 2]) if cut else httpx.ByteStream(body)
    return httpx.Response(answer.status, headers=headers, stream=stream)


class _Cut(httpx.SyncByteStream):
    def __init__(self, half: bytes) -> None:
        self._half = half

    def __iter__(self) -> Iterator[bytes]:
        yield self._half
        raise httpx.ReadError("the connection was reset in the middle of the answer")


Serve = Callable[[str, str, Headers, bytes], Awaitable[web.Response]]


class StrikeCourier:
    """The way from Twilio to Strike. `serve` raises ConnectionError while Strike is down."""

    def __init__(self, serve: Serve, chance: Random) -> None:
        self.told: list[Delivery] = []
        self._serve = serve
        self._chance = chance

    async def deliver(self, letter: Letter) -> Reply:
        """Strike's answer. Raises Undeliverable."""
        await asyncio.sleep(self._chance.uniform(0.01, 0.15))
        told = Delivery(asyncio.get_running_loop().time(), letter)
        self.told.append(told)
        form = "application/x-www-form-urlencoded"
        headers = [("X-Twilio-Signature", letter.signature()), ("Content-Type", form)]
        body = urlencode(letter.params).encode() if letter.method == "POST" else b""
        try:
            async with asyncio.timeout(TWILIO_PATIENCE):
                answer = await self._serve(letter.method, told.path, headers, body)
        except (TimeoutError, ConnectionError) as error:
            raise Undeliverable(f"{letter.url}: {type(error).__name__}") from error
        told.status, told.body = answer.status, answer.text or ""
        told.answered_at = asyncio.get_running_loop().time()
        return Reply(told.status, told.body)
