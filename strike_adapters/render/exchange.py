"""One HTTP request and its whole answer, bounded in time and size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from strike_adapters.render.errors import RenderUnavailable, invalid_answer, timed_out
from strike_adapters.render.patience import Patience
from strike_adapters.telemetry import asked_of

MAX_BYTES = 5_000_000

_KINDS = frozenset({"subsectors", "tasks", "token"})


@dataclass(frozen=True)
class Request:
    """What is asked, without who asks. `headers` and `auth` stay out of its repr."""

    method: str
    url: str
    json: Mapping[str, object] | None = None
    form: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """Status, headers (of any case) and the whole body."""

    status: int
    headers: httpx.Headers
    body: bytes


class Exchange:
    """Sends requests from any thread. `transport` replaces the network in tests."""

    def __init__(
        self,
        connect_seconds: float,
        read_seconds: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._http = httpx.Client(
            transport=transport,
            # The answer's size is measured as it arrives: nothing may unfold from a small one.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            # No limit of connections, so that one dead instance cannot take them from the others.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            # Two OSPs may live on one host; a session of one must not serve the other.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._http.close()

    def send(
        self,
        request: Request,
        patience: Patience,
        *,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer, whatever its status.

        Raises `RenderUnavailable`: RENDER_UNREACHABLE, RENDER_TIMED_OUT, RENDER_BASE_URL,
        RENDER_ANSWER_TOO_LARGE, RENDER_INVALID_ANSWER (compressed).
        """
        try:
            what = f"{request.method} {_kind(request.url)}"
            with (
                asked_of("render", what) as ask,
                self._http.stream(
                    request.method,
                    request.url,
                    json=request.json,
                    data=request.form,
                    params=request.query,
                    headers={**(headers or {}), **ask.headers},
                    auth=auth,
                    timeout=self._timeout(patience.left()),
                ) as response,
            ):
                ask.answered(response.status_code)
                body = _read(response, patience)
                return Answer(response.status_code, response.headers, body)
        except httpx.TimeoutException as error:
            raise timed_out(self._longest(error)) from error
        except httpx.RequestError as error:
            raise _unreachable(request.url, error) from error
        except httpx.InvalidURL as error:
            raise _impossible(request.url, error) from error

    def _timeout(self, left: float) -> httpx.Timeout:
        read = min(self._read_seconds, left)
        connect = min(self._connect_seconds, left)
        return httpx.Timeout(connect=connect, read=read, write=read, pool=connect)

    def _longest(self, error: httpx.TimeoutException) -> float:
        connecting = isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
        return self._connect_seconds if connecting else self._read_seconds


def _read(response: httpx.Response, patience: Patience) -> bytes:
    """An answer that drips stays below every read time-out, so the whole is timed as well."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise invalid_answer("it is compressed, though we asked for it as it is")
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RenderUnavailable(
                "ANSWER_TOO_LARGE",
                f"Render's answer is larger than {MAX_BYTES / 1e6:g} MB and was not read.",
                can_retry=False,
            )
        patience.left()
    return bytes(body)


def _kind(url: str) -> str:
    """Subsectors, tasks or token: the last part of the address."""
    last = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return last if last in _KINDS else "other"


def _unreachable(url: str, error: Exception) -> RenderUnavailable:
    host = url.split("/")[2]
    why = type(error).__name__ if not str(error) else str(error)
    return RenderUnavailable(
        "UNREACHABLE", f"Render cannot be reached at {host}: {why}", can_retry=True
    )


def _impossible(url: str, error: Exception) -> RenderUnavailable:
    return RenderUnavailable(
        "BASE_URL", f"Render's base URL cannot be used ({url}): {error}", can_retry=False
    )
