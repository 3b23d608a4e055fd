"""Who asks: over stdio one API token, over HTTP each request's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import SecretStr

from strike_adapters.telemetry import Kind, begin, headers
from strike_app.client import Patience, StrikeClient, StrikeError

PATIENCE = Patience(request=15.0, repeats=30.0)


@dataclass(frozen=True)
class Caller:
    """Of one call of a tool."""

    strike: StrikeClient


class Callers:
    """Connections to Strike, each with the token of whoever asks.

    `token` is what a program on somebody's own machine was given; None: every request brings its
    own in `Authorization`. `agent` is what the timeline names beside the token.
    """

    def __init__(self, url: str, token: SecretStr | None, agent: str) -> None:
        self._url, self._token, self._agent = url, token, agent

    @asynccontextmanager
    async def calling(self, ctx: Context) -> AsyncIterator[Caller]:
        """Raises `ToolError` with code and words of whatever Strike refuses."""
        secret = self._token.get_secret_value() if self._token else _bearer(ctx)
        asked = begin(_asked(ctx), Kind.SERVER, headers=dict(ctx.headers or {}))
        try:
            with asked:
                async with (
                    httpx.AsyncClient(headers=headers()) as http,
                    StrikeClient(
                        self._url, secret, agent=self._agent, patience=PATIENCE, http=http
                    ) as strike,
                ):
                    yield Caller(strike)
        except StrikeError as error:
            at = f" (at {'.'.join(error.path)})" if error.path else ""
            raise ToolError(f"{error.code}: {error.message}{at}") from None


def _asked(ctx: Context) -> str:
    """The request, with the name of its tool, which is one of ours by now; no ids."""
    request = ctx.request_context
    tool = (request.params or {}).get("name") if request.method == "tools/call" else None
    return f"mcp {request.method} {tool}" if tool else f"mcp {request.method}"


def _bearer(ctx: Context) -> str:
    given = (ctx.headers or {}).get("authorization", "")
    kind, _, token = given.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise ToolError("LOGIN_MISSING: Send an API token of Strike: Authorization: Bearer TOKEN.")
    return token
