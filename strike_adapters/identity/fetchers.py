"""Public keys by HTTP: a short answer in a short time, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from strike_adapters.telemetry import asked_of

_MOST_KEY_BYTES = 4_096
_MOST_CERTS_BYTES = 65_536
_FETCH_SECONDS = 3.0

FetchKey = Callable[[str], Awaitable[str | None]]
"""From a key id, a UUID, to its public key in PEM, or None if there is no such key."""

FetchCerts = Callable[[], Awaitable[str | None]]
"""All public keys there are, `{"keys": [JWK...]}` in JSON, or None if they are not there."""


def http_key_fetcher(key_endpoint: str) -> FetchKey:
    """Return what gets a key by GET `key_endpoint`/kid, waiting 3 s at most.

    An answer of 404, or one too long for a key, is None; the rest raises httpx.HTTPError.
    """
    base = key_endpoint.rstrip("/")

    async def fetch(kid: str) -> str | None:
        return await _get_text(f"{base}/{kid}", _MOST_KEY_BYTES)

    return fetch


def http_certs_fetcher(url: str) -> FetchCerts:
    """Return what gets all keys by GET `url`, waiting 3 s at most.

    An answer of 404, or one above 64 KB, is None; the rest raises httpx.HTTPError.
    """

    async def fetch() -> str | None:
        return await _get_text(url, _MOST_CERTS_BYTES)

    return fetch


async def _get_text(url: str, most_bytes: int) -> str | None:
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            return await _short_text(url, most_bytes)
    except TimeoutError as error:
        raise httpx.ReadTimeout("the key took too long to arrive") from error


async def _short_text(url: str, most_bytes: int) -> str | None:
    with asked_of("login", "GET keys") as ask:
        async with (
            httpx.AsyncClient(timeout=_FETCH_SECONDS) as client,
            client.stream("GET", url, headers=ask.headers) as answer,
        ):
            ask.answered(answer.status_code)
            return await _short_body(answer, most_bytes)


async def _short_body(answer: httpx.Response, most_bytes: int) -> str | None:
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > most_bytes:
            return None
    return body.decode(errors="replace")
