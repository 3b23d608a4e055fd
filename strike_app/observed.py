"""What each HTTP request and each command tells of itself: its time, its result, its span."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from strike_adapters.telemetry import Kind, begin, is_on
from strike_adapters.telemetry.ids import TRACEPARENT, trace_named
from strike_app.claims import sent_id
from strike_app.event_stream import accepts_events
from strike_app.metrics import METRICS
from strike_domain.errors import StrikeError

CLIENT_GONE = 499
"""What is counted where nobody waited for the answer."""


@web.middleware
async def observed(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Time a request, as part of the trace of whoever sent it. Streams are counted elsewhere."""
    if "Upgrade" in request.headers or accepts_events(request):
        return await handler(request)
    edge, began, status = edge_of(request), time.monotonic(), CLIENT_GONE
    attributes = {"http.request.method": request.method, "http.route": edge}
    try:
        with begin(
            f"{request.method} {edge}",
            Kind.SERVER,
            headers=_carried(request) if is_on() else None,
            trace=sent_id(request),
            attributes=attributes,
        ) as span:
            try:
                response = await handler(request)
                status = response.status
                return response
            except web.HTTPException as answer:
                status = answer.status
                raise
            finally:
                span.say("http.response.status_code", status)
                if status >= 500:
                    span.fail(str(status))
    finally:
        METRICS.answered(request.method, edge, status, time.monotonic() - began)


def edge_of(request: web.Request) -> str:
    """The route, with the names of its parts and not their values; `other` for none of ours."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


def _carried(request: web.Request) -> dict[str, str]:
    """The headers of a trace. A provider that sends none still asks for the address we gave it."""
    found = {
        name: request.headers[name]
        for name in (TRACEPARENT, "tracestate")
        if name in request.headers
    }
    if trace_named(found.get(TRACEPARENT)) is None and TRACEPARENT in request.query:
        return {TRACEPARENT: request.query[TRACEPARENT]}
    return found


@contextmanager
def commanded(name: str) -> Iterator[None]:
    """Time a command, and what came of it: `ok`, the code of a refusal, or `error`."""
    began, result = time.monotonic(), "error"
    try:
        with begin(f"command {name}", attributes={"strike.command": name}):
            yield
        result = "ok"
    except StrikeError as error:
        result = error.code
        raise
    finally:
        METRICS.commanded(name, result, time.monotonic() - began)
