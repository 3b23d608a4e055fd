"""What every answer says of itself: to browsers how little they may do with it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import hdrs, web

from strike_app.claims import CORRELATION_HEADER, correlation_id
from strike_app.event_stream import EVENT_STREAM
from strike_app.settings import Settings

HSTS_SECONDS = 31_536_000
"""For how long a browser comes back by https only: a year."""

ASSETS_PATH = "/assets/"

_DENIED = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def policy_of(allowed: Mapping[str, str]) -> str:
    """A Content-Security-Policy that allows this, and nothing else."""
    return "; ".join(f"{what} {sources}" for what, sources in (_DENIED | dict(allowed)).items())


NOTHING = policy_of({})
"""The policy of an answer that is no page."""

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]+")
"""A Host header that can stand in a policy without becoming part of it."""

Hook = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def headers_for(settings: Settings) -> Hook:
    """The signal handler that sets the headers of each answer; a policy set before stays."""
    always = dict(ALWAYS)
    if settings.webhook_base.startswith("https:"):
        always["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"

    async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(always)
        response.headers[CORRELATION_HEADER] = str(correlation_id(request))
        response.headers.setdefault("Content-Security-Policy", NOTHING)
        response.headers.setdefault("Cache-Control", _caching(request, response))
        response.headers.popall(hdrs.SERVER, None)

    return set_headers


def page_policy(request: web.Request, settings: Settings, nonce: str) -> str:
    """The policy of GraphiQL's page: this server's files, and of scripts inside it those with
    the nonce.

    Its menus and dialogs add style elements of their own, which no nonce of ours can reach.
    """
    own = {
        "script-src": f"'self' 'nonce-{nonce}'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "connect-src": " ".join(["'self'", *_sockets(request, settings)]),
    }
    return policy_of(own)


@web.middleware
async def correlated(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every line that is logged for a request carries its id."""
    with structlog.contextvars.bound_contextvars(correlation_id=str(correlation_id(request))):
        return await handler(request)


def _caching(request: web.Request, response: web.StreamResponse) -> str:
    is_asset = request.path.startswith(ASSETS_PATH) and response.status < 400
    if response.content_type == EVENT_STREAM:
        return "no-store, no-transform"  # Who compresses it holds it back.
    return "public, max-age=3600" if is_asset else "no-store"


def _sockets(request: web.Request, settings: Settings) -> list[str]:
    """The page's own WebSocket: not every browser takes it to be part of 'self'."""
    public = settings.webhook_base.split("://", 1)
    origins = [(public[0], public[1].split("/", 1)[0])]
    if _HOST.fullmatch(request.host):
        origins.append((request.scheme, request.host))
    return sorted({f"{scheme.replace('http', 'ws')}://{host}" for scheme, host in origins})
