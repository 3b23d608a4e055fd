"""Forwarding to Strike: requests, streamed answers, WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    DummyCookieJar,
    WSMsgType,
    WSServerHandshakeError,
    web,
)
from multidict import CIMultiDict
from yarl import URL

# RFC 9110, 7.6.1: these concern one connection and are never forwarded.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_IDENTITY_PREFIXES = ("x-amzn-oidc-", "cf-access-")
_ABNORMAL = 1006
_GOING_AWAY = 1001

Socket = web.WebSocketResponse | ClientWebSocketResponse


class Proxy:
    """Forwards to one upstream server. `upstream` may be set late, when its port is known."""

    def __init__(self, upstream: str | None) -> None:
        self.upstream = upstream
        self._session: ClientSession | None = None

    async def forward(
        self, request: web.Request, identity: Mapping[str, str]
    ) -> web.StreamResponse:
        """Return Strike's answer to `request`, sent with `identity` and none of the client's own.

        502 if Strike cannot be reached.
        """
        if self.upstream is None:
            return _bad_gateway("no upstream server is set")
        target = URL(self.upstream.rstrip("/") + request.raw_path, encoded=True)
        headers = _forwarded(request)
        headers.update(identity)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._websocket(request, target, headers)
            return await self._http(request, target, headers)
        except WSServerHandshakeError as refusal:
            return web.Response(status=refusal.status, text=refusal.message)
        except ClientError as error:
            return _bad_gateway(str(error))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _http(
        self, request: web.Request, target: URL, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        body = request.content if request.body_exists else None
        async with self._open().request(
            request.method, target, headers=headers, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _websocket(
        self, request: web.Request, target: URL, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [name.strip() for name in offered.split(",") if name.strip()]
        kept = CIMultiDict((k, v) for k, v in headers.items() if not _is_handshake(k))
        async with self._open().ws_connect(
            target, protocols=protocols, headers=kept, max_msg_size=0
        ) as upstream:
            chosen = (upstream.protocol,) if upstream.protocol else ()
            client = web.WebSocketResponse(protocols=chosen, max_msg_size=0)
            await client.prepare(request)
            await _both_ways(client, upstream)
            return client

    def _open(self) -> ClientSession:
        if self._session is None:
            patient = ClientTimeout(total=None, sock_connect=5)
            # Nothing of our own is added: one person's cookies would go with another's requests,
            # and an Accept-Encoding would bring answers that the client never asked for.
            self._session = ClientSession(
                timeout=patient,
                auto_decompress=False,
                cookie_jar=DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            )
        return self._session


def _forwarded(request: web.Request) -> CIMultiDict[str]:
    headers = _end_to_end(request.headers)
    for name in {name for name in headers if name.lower().startswith(_IDENTITY_PREFIXES)}:
        headers.popall(name)
    headers["X-Forwarded-For"] = ", ".join(
        filter(None, [headers.get("X-Forwarded-For"), request.remote])
    )
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-Port"] = str(request.url.port)
    return headers


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    dropped = _HOP_BY_HOP | named
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in dropped)


def _is_handshake(name: str) -> bool:
    return name.lower().startswith("sec-websocket-")


async def _both_ways(client: web.WebSocketResponse, upstream: ClientWebSocketResponse) -> None:
    pumps = [
        asyncio.ensure_future(_pump(client, upstream)),
        asyncio.ensure_future(_pump(upstream, client)),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(source: Socket, sink: Socket) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
    code = source.close_code or _GOING_AWAY
    await sink.close(code=_GOING_AWAY if code == _ABNORMAL else code)


def _bad_gateway(reason: str) -> web.Response:
    body = {"error": {"code": "bad_gateway", "message": f"Strike cannot be reached: {reason}"}}
    return web.json_response(body, status=502)
