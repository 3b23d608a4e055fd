"""What a request claims of itself: believed as far as a proxy of ours, or a browser, vouches."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from uuid import UUID, uuid4

from aiohttp import web

from strike_adapters.identity import is_trusted
from strike_adapters.telemetry import ids_now
from strike_adapters.telemetry.ids import TRACEPARENT, trace_named
from strike_app.settings import Network, Settings
from strike_domain.errors import Forbidden

CORRELATION_HEADER = "X-Correlation-ID"
JSON_TYPE = "application/json"

_CORRELATION = web.RequestKey("correlation_id", UUID)
_PORTS = {"http": 80, "https": 443}


def client_of(request: web.Request, networks: Iterable[Network]) -> str:
    """The address that a request comes from: the rightmost one that is not a proxy of ours.

    Each proxy appends whom it was asked by, so that whatever a client wrote there itself stands
    further left. The nearest proxy itself, if what it passed on is no address.
    """
    trusted = tuple(networks)
    client = request.remote or ""
    for hop in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")):
        if not is_trusted(client, trusted):
            break
        address = _without_port(hop.strip())
        if not _is_address(address):
            break
        client = address
    return client


def check_origin(request: web.Request, settings: Settings) -> None:
    """A browser lends a page of any site its user's login for a WebSocket, and names that site.

    Who sends no Origin is no browser. Raises `Forbidden` (ORIGIN_FOREIGN).
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return
    ours = (f"//{request.host}", settings.webhook_base)
    found = _split(origin)
    if found is None or not any(_same_host(found, _split(one)) for one in ours):
        raise Forbidden("Open this connection from Strike's own pages.", "ORIGIN_FOREIGN")


def check_content_type(request: web.Request) -> None:
    """Only JSON: a page of any site can send a form without asking us first.

    Raises `HTTPUnsupportedMediaType`.
    """
    if request.method == "POST" and request.content_type != JSON_TYPE:
        raise web.HTTPUnsupportedMediaType(reason=f"Send {JSON_TYPE}")


def correlation_id(request: web.Request) -> UUID:
    """One id for all that a request sets off: the caller's, if it sent a proper one.

    Else that of the trace which the request belongs to: events say by it what they continue.
    """
    known = request.get(_CORRELATION)
    if known is None:
        known = request[_CORRELATION] = sent_id(request) or _trace_of(request) or uuid4()
    return known


def sent_id(request: web.Request) -> UUID | None:
    """The correlation id that the caller sent; None for what is none."""
    try:
        return UUID(request.headers.get(CORRELATION_HEADER, ""))
    except ValueError:
        return None


def _trace_of(request: web.Request) -> UUID | None:
    here = ids_now()
    return UUID(here[0]) if here else trace_named(request.headers.get(TRACEPARENT))


def _without_port(hop: str) -> str:
    """`1.2.3.4:5` and `[::1]:5`, as some proxies write it."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _same_host(origin: SplitResult, ours: SplitResult | None) -> bool:
    """Without the scheme: where a proxy ends TLS, the Host header does not know of it."""
    if ours is None or origin.scheme not in ("http", "https"):
        return False
    port = _PORTS[origin.scheme]
    own = ours.port or _PORTS.get(ours.scheme, port)
    return origin.hostname == ours.hostname and (origin.port or port) == own
