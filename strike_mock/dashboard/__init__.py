"""The page at /_mock/: watch every phone and every task, and play the people by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib.resources import files
from typing import Any

from aiohttp import web

from strike_mock.whole import Whole

LOOK_EVERY = 0.2
"""Real seconds between two looks at whether anything has changed."""

SLOW_SECONDS = 5.0
"""How long an onlooker may take to receive one message; then it has to come again."""

QUIET_SECONDS = 15.0
"""After so long without news a comment is sent: that is how one who has left is noticed."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "": ("dashboard.html", "text/html"),
    "dashboard.css": ("dashboard.css", "text/css"),
    "dashboard.js": ("dashboard.js", "text/javascript"),
}


class Dashboard:
    """Serves the page, and tells every onlooker what changes."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._onlookers: set[asyncio.Queue[str]] = set()
        self._state = ""

    def add_to(self, app: web.Application) -> None:
        """Add the routes; they have no names, so no fault touches them."""
        for path in _FILES:
            app.router.add_get(f"/_mock/{path}", self._file)
        app.router.add_get("/_mock/events", self._events)
        app.cleanup_ctx.append(self._looking)

    async def _file(self, request: web.Request) -> web.Response:
        name, kind = _FILES[request.path.removeprefix("/_mock/")]
        text = files(__name__).joinpath(name).read_text("utf-8")
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type=kind, headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the whole state now, and whenever it has changed."""
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue(1)
        whole = self._whole.as_json()
        queue.put_nowait(json.dumps(whole))
        if not self._onlookers:
            self._state = _news(whole)
        self._onlookers.add(queue)
        try:
            while message := await _next(queue):
                async with asyncio.timeout(SLOW_SECONDS):
                    await response.write(message.encode())
        except TimeoutError:
            # What it has not taken would hold up whoever closes the connection in good order.
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # It has left.
        finally:
            self._onlookers.discard(queue)
        return response

    async def _looking(self, app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._look())
        app.on_shutdown.append(self._send_home)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _send_home(self, app: web.Application) -> None:
        self._tell("")

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self._onlookers:
                self._tell_if_new(self._whole.as_json())

    def _tell_if_new(self, whole: dict[str, Any]) -> None:
        news = _news(whole)
        if news != self._state:
            self._state = news
            self._tell(json.dumps(whole))

    def _tell(self, state: str) -> None:
        for queue in self._onlookers:
            # Only the newest state matters to whoever has not come round to the one before.
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(state)


def _news(whole: dict[str, Any]) -> str:
    """What is compared: that time passes is no news, as the page knows how fast."""
    return json.dumps(whole | {"clock": whole["clock"] | {"now": ""}})


async def _next(queue: asyncio.Queue[str]) -> str:
    """The next message as it goes over the wire; empty at the end."""
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            state = await queue.get()
    except TimeoutError:
        return ": still here\n\n"
    return state and f"data: {state}\n\n"
