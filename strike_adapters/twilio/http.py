"""How the Twilio SDK reaches the network: a client of our own in the place made for one.

The SDK's own returns the answer by way of an attribute, so that two threads on one client can get
each other's; and an error of its does not tell whether the request had been sent.

https://www.twilio.com/docs/libraries/python/custom-http-clients-python
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]

from strike_adapters.telemetry import asked_of

# PoolTimeout, too: no connection was free. ProxyError: the proxy did not let us through.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


WITHDRAW = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time. A connection that is closed then resets, and what the network has not
taken yet is dropped; else the operating system goes on trying to deliver it, for minutes."""


def was_sent(error: httpx.HTTPError) -> bool:
    """Whether the other side may have got the request that failed with `error`."""
    return not isinstance(error, _BEFORE_SENDING)


class OneTryHttp(HttpClient):  # type: ignore[misc]
    """Sends each request once, over connections that any number of threads may share.

    No request begins to be sent later than `connect_seconds` after it was asked for, however long
    the name and the connection took; the answer may then take `read_seconds`. What has not got
    through by then is withdrawn: it does not arrive later, when somebody has asked what became of
    it. Raises
    httpx.HTTPError, of which `was_sent` tells more. `transport` and `monotonic` replace the network
    and the clock that times it.
    """

    def __init__(
        self,
        connect_seconds: float,
        read_seconds: float,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        timeout = httpx.Timeout(connect_seconds, read=read_seconds)
        self._http = httpx.Client(timeout=timeout, transport=transport)
        self._monotonic = monotonic

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Called by the SDK; it passes neither `timeout` nor `allow_redirects` for calls."""
        with asked_of("twilio", f"{method} {_resource(uri)}") as ask:
            send_limit = self._monotonic() + self._connect_seconds
            asked = self._http.stream(
                method,
                uri,
                params=params or None,
                data=data,
                headers={**(headers or {}), **ask.headers},
                auth=auth,
                extensions={"trace": _in_time_or_never(send_limit, self._monotonic)},
            )
            with asked as answer:
                ask.answered(answer.status_code)
                body = b"".join(
                    _until(send_limit + self._read_seconds, self._monotonic, answer.iter_bytes())
                )
        return Response(answer.status_code, body.decode(errors="replace"), answer.headers)

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()


def _resource(uri: str) -> str:
    """Calls, Messages, or what else of an account is asked for, without whose it is."""
    _, _, path = uri.partition("/Accounts/")
    parts = path.partition("?")[0].split("/")
    return parts[1].removesuffix(".json") if len(parts) > 1 else "Accounts"


def _in_time_or_never(
    limit: float, monotonic: Callable[[], float]
) -> Callable[[str, Mapping[str, Any]], None]:
    # A name with several dead addresses takes connect_seconds for each. Sending that late would
    # start a call after whoever asked for it has given up and asked somebody else to look.
    def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            connected = info["return_value"].get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, WITHDRAW)
        if event.endswith("send_request_headers.started") and monotonic() > limit:
            raise httpx.ConnectTimeout("the connection came too late to send anything")

    return trace


def _until(
    limit: float, monotonic: Callable[[], float], chunks: Iterator[bytes]
) -> Iterator[bytes]:
    # httpx times each read alone: an answer that drips would hold a worker for ever.
    for chunk in chunks:
        yield chunk
        if monotonic() > limit:
            raise httpx.ReadTimeout("the answer took too long to arrive")
