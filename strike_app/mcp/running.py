"""`strike mcp`: over standard input and output, or over HTTP."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr

from strike_app.client import Patience, StrikeClient
from strike_app.mcp.connecting import Callers
from strike_app.mcp.server import make_server
from strike_app.processes import listen, tell_ready
from strike_app.tracing import tracing
from strike_domain.errors import Rejected

AT_START = Patience(request=5.0, repeats=2.0)
"""How long Strike is looked for before it is said that it is not there."""

TOKEN = "STRIKE_API_TOKEN"  # noqa: S105 (a name)


def run_stdio(url: str, agent: str) -> None:
    """Serve the program that started this one, with the token in STRIKE_API_TOKEN.

    Raises `Rejected` (TOKEN_MISSING), and `StrikeError` if Strike does not know it.
    """
    token = os.environ.get(TOKEN, "")
    if not token:
        message = f"Set {TOKEN} to an API token: strike token create, scopes read and callout."
        raise Rejected("TOKEN_MISSING", message)

    async def serve() -> None:
        async with StrikeClient(url, token, agent=agent, patience=AT_START) as strike:
            await strike.me()
        await make_server(Callers(url, SecretStr(token), agent)).run_stdio_async()

    with tracing("mcp"):
        asyncio.run(serve())


def run_http(
    url: str, agent: str, host: str, port: int, allowed: list[str], ready_file: Path | None
) -> None:
    """Serve `/mcp` over streamable HTTP; every request brings its own token.

    `allowed`: names of this host that requests may be for, besides the address itself.
    """
    server = make_server(Callers(url, None, agent))
    with tracing("mcp"), listen(host, port) as listener:
        address = f"{host}:{listener.getsockname()[1]}"
        app = server.streamable_http_app(
            host=host,
            # No request needs another one's process: any of several may answer it.
            stateless_http=True,
            transport_security=TransportSecuritySettings(
                allowed_hosts=[address, *allowed],
                allowed_origins=[f"https://{name}" for name in allowed],
            ),
        )
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        tell_ready(ready_file, {"url": f"http://{address}/mcp", "pid": os.getpid()})
        uvicorn.Server(config).run(sockets=[listener])
