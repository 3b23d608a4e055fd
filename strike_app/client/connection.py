"""Requests and streams over HTTP: asked again after what may pass, and nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import orjson
import stamina
from httpx_sse import EventSource, SSEError

from strike_app.client.errors import StreamEnded, StrikeError, Unreachable

BUSY = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses after which the same request is made again."""

COME_BACK = frozenset({"RESUME_FROM", "DATABASE_UNAVAILABLE"})
"""How the server ends a stream that is to be opened again."""

PAUSES_SECONDS = (0.2, 10.0)
"""Before a lost stream is opened again: at first, and at the most; doubled while nothing comes."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Patience:
    """How many seconds are waited: for one answer, for a request with all its repeats, and for the
    next byte of a stream, of which the server sends one every 15 s at least.
    """

    request: float = 15.0
    repeats: float = 60.0
    silence: float = 45.0


class _Passing(Exception):
    """What may be over the next time."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Connection:
    """One server and one login; `http` carries the proof of who calls."""

    http: httpx.AsyncClient
    url: str
    patience: Patience

    async def ask(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data of the answer. Only for what may be asked, or done, once more.

        Raises `Unreachable`, or `StrikeError` with the code of the answer's first error.
        """

        async def once() -> dict[str, Any]:
            wait = httpx.Timeout(self.patience.request)
            return _data(await self._send(document, variables, wait))

        return await self._repeating(once)

    async def follow(
        self, document: str, variables: Mapping[str, Any], position: int | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The data of each answer of a subscription, over as many connections as it takes.

        Raises `StreamEnded`; `Unreachable` if no connection is had for `patience.repeats`.
        """
        pause, longest = PAUSES_SECONDS
        while True:
            came = False
            stream = await self._opened(document, variables, position)
            try:
                async for event in EventSource(stream).aiter_sse():
                    if event.event == "complete":
                        return
                    if event.event != "next":
                        continue  # A sign of life.
                    answer = orjson.loads(event.data)
                    if answer.get("errors"):
                        position = _resumption(answer["errors"][0], position)
                        break
                    came, position = True, int(event.id)
                    yield answer["data"]
            except (httpx.TransportError, SSEError):
                pass  # Lost, as connections are.
            finally:
                await stream.aclose()
            pause = PAUSES_SECONDS[0] if came else min(2 * pause, longest)
            await asyncio.sleep(pause)

    async def _opened(
        self, document: str, variables: Mapping[str, Any], position: int | None
    ) -> httpx.Response:
        headers = {"Accept": "text/event-stream"}
        if position is not None:
            headers["Last-Event-ID"] = str(position)

        async def once() -> httpx.Response:
            wait = httpx.Timeout(self.patience.request, read=self.patience.silence)
            response = await self._send(document, variables, wait, headers)
            if response.headers.get("Content-Type", "").startswith("text/event-stream"):
                return response
            await response.aread()
            _data(response)  # Raises: no stream was begun.
            raise StrikeError("ANSWER_NOT_UNDERSTOOD", f"{self.url} answered with no stream.")

        return await self._repeating(once)

    async def _send(
        self,
        document: str,
        variables: Mapping[str, Any],
        wait: httpx.Timeout,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        body = {"query": document, "variables": variables}
        request = self.http.build_request(
            "POST", self.url, json=body, headers=headers, timeout=wait
        )
        try:
            response = await self.http.send(request, stream=headers is not None)
        except httpx.TransportError as error:
            raise _Passing(f"{self.url} did not answer: {error!r}.") from error
        if response.status_code in BUSY:
            await response.aclose()
            after = response.headers.get("Retry-After", "")
            message = f"{self.url} answered {response.status_code}."
            raise _Passing(message, float(after) if after.isdigit() else None)
        return response

    async def _repeating(self, once: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        attempts = stamina.retry_context(
            on=_wait_before_repeat, attempts=None, timeout=self.patience.repeats, wait_max=10.0
        )
        try:
            async for attempt in attempts:
                with attempt:
                    return await once()
        except _Passing as error:
            raise Unreachable(str(error)) from error
        raise AssertionError("the last attempt returns or raises")


def _wait_before_repeat(error: Exception) -> bool | float:
    if not isinstance(error, _Passing):
        return False
    return True if error.retry_after is None else error.retry_after


def _data(response: httpx.Response) -> dict[str, Any]:
    """The answer's data. Raises `StrikeError`: the first error's, or ANSWER_NOT_UNDERSTOOD."""
    try:
        answer = orjson.loads(response.content)
        errors, data = answer.get("errors"), answer.get("data")
    except (orjson.JSONDecodeError, AttributeError):
        answer, errors, data = {}, None, None
    if "code" in answer:  # Refused before any GraphQL was read.
        raise StrikeError(answer["code"], answer.get("message", ""), answer.get("path", ()))
    if errors:
        known = errors[0].get("extensions", {})
        code = known.get("code", f"HTTP_{response.status_code}")
        raise StrikeError(code, errors[0]["message"], known.get("path", ()))
    if not isinstance(data, dict):
        message = f"The server answered {response.status_code} with something that is not GraphQL."
        raise StrikeError("ANSWER_NOT_UNDERSTOOD", message)
    return data


def _resumption(error: dict[str, Any], reached: int | None) -> int | None:
    """Where to go on. Raises `StreamEnded` if to come back is of no use."""
    known = error.get("extensions", {})
    code, position = known.get("code", "INTERNAL"), known.get("position")
    if code not in COME_BACK:
        raise StreamEnded(code, error["message"], None if position is None else int(position))
    return reached if position is None else int(position)
