"""The one way in: every REST request of Twilio and Render, and its answer, passes here.

A fault is a function around the handler: it may answer instead of it, after it (the effect
happened, the answer is lost), late, or not at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

# Called with the edge's name (the route's, such as "render.tasks"), the request, and the handler.
Fault = Callable[[str, web.Request, Handler], Awaitable[web.StreamResponse]]


def rest_edge(faults: Sequence[Fault]) -> Middleware:
    """Return the middleware that applies `faults`, the first outermost, to every named route."""

    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.match_info.route.name
        if name is None:
            return await handler(request)
        for fault in reversed(faults):
            handler = _around(fault, name, handler)
        return await handler(request)

    return edge


def _around(fault: Fault, name: str, handler: Handler) -> Handler:
    async def faulty(request: web.Request) -> web.StreamResponse:
        return await fault(name, request, handler)

    return faulty
