"""Answers to what is no HTTP, before any handler of ours is asked: they say nothing either."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from strike_app.headers import ALWAYS, NOTHING

SERVER = "strike"
"""Sent only here: the library would name its version and Python's."""

HEADERS = ALWAYS | {
    "Content-Security-Policy": NOTHING,
    "Cache-Control": "no-store",
    "Server": SERVER,
}

logger = structlog.get_logger()


class StrikeRunner(web.AppRunner):
    """An `AppRunner` that repeats nothing of a request which it could not read."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # The library has no place to name another class; these add no state.
        server.__class__ = _Server
        return server


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        handler = super().__call__()
        handler.__class__ = _Handler
        return handler


class _Handler(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """JSON with a code. Raises `ConnectionError` if an answer has begun already."""
        if status >= 500:
            logger.error("request failed", path=request.path, exc_info=exc)
        else:
            # Its text repeats what was sent: there may be a token in it.
            logger.warning("no request", client=request.remote, reason=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("An answer has begun already.")
        return _refusal(status)

    def log_exception(self, *args: Any, **named: Any) -> None:
        """As the library's, without a traceback for the unread rest of an unreadable body."""
        if isinstance(named.get("exc_info"), web.RequestPayloadError):
            logger.warning("no request", reason="RequestPayloadError")
        else:
            super().log_exception(*args, **named)


def _refusal(status: int) -> web.Response:
    code = "INTERNAL" if status >= 500 else "BAD_REQUEST"
    body = {"code": code, "message": "This could not be read as a request.", "path": []}
    response = web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", headers=HEADERS
    )
    response.force_close()
    return response
