"""The public keys seen so far, whatever kind of key they are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import httpx

from strike_adapters.identity.errors import Unauthenticated, unknown_key

FETCHES_A_MINUTE = 10
"""How often keys are asked for. They change seldom; whoever makes up ids runs into this."""

TRIES = 2
"""How often one fetch asks, if the request itself fails."""

MOST_KEYS = 100

FRESH = timedelta(hours=1)
"""How long a set of keys is believed unasked: a withdrawn key is good for no longer."""

ASK_AGAIN = timedelta(minutes=1)
"""How long stale keys that cannot be asked for are believed before the next try."""

Key = TypeVar("Key")


class KeysById(Generic[Key]):
    """Keys that are asked for one by one; the oldest go where there are more than `MOST_KEYS`.

    `fetch` returns the key of an id, or None. To be used within one event loop.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[Key | None]], now: Callable[[], datetime]
    ) -> None:
        self._fetch = fetch
        self._known: OrderedDict[str, Key] = OrderedDict()
        self._fetches = _Fetches(now)

    async def get(self, kid: str) -> Key:
        """Return the key. Raises `Unauthenticated`: TOKEN_UNKNOWN_KEY."""
        if kid not in self._known:
            await self._fetches.share(kid, self._learn)
        return _known(self._known, kid)

    async def _learn(self, kid: str) -> None:
        key = await self._fetch(kid)
        if key is not None:
            self._known[kid] = key
            while len(self._known) > MOST_KEYS:
                self._known.popitem(last=False)


class KeySet(Generic[Key]):
    """Keys that all come in one answer, which takes the place of the answer before.

    `fetch` returns them by id; if there are none, those known stay: nobody is locked out because
    the keys cannot be had at the moment. To be used within one event loop.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Mapping[str, Key]]], now: Callable[[], datetime]
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._known: Mapping[str, Key] = {}
        self._fresh_until = now()
        self._fetches = _Fetches(now)

    async def get(self, kid: str) -> Key:
        """Return the key. Raises `Unauthenticated`: TOKEN_UNKNOWN_KEY."""
        if kid not in self._known:
            await self._fetches.share("all", self._learn)
        elif self._now() >= self._fresh_until:
            # Whoever has asked too often for unknown ones takes no known one away.
            with suppress(Unauthenticated):
                await self._fetches.share("all", self._learn)
        return _known(self._known, kid)

    async def _learn(self, _: str) -> None:
        self._fresh_until = self._now() + ASK_AGAIN
        if found := await self._fetch():
            self._known = found
            self._fresh_until = self._now() + FRESH


class _Fetches:
    """Few of them: whoever asks for the same at the same time shares one fetch."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._begun: deque[datetime] = deque(maxlen=FETCHES_A_MINUTE)

    async def share(self, topic: str, fetch: Callable[[str], Awaitable[None]]) -> None:
        task = self._under_way.get(topic)
        if task is None:
            self._count()
            task = asyncio.ensure_future(_attempt(lambda: fetch(topic)))
            self._under_way[topic] = task
            task.add_done_callback(lambda _: self._under_way.pop(topic, None))
        # The one who began it may go away; the others still wait for it.
        await asyncio.shield(task)

    def _count(self) -> None:
        now = self._now()
        is_full = len(self._begun) == FETCHES_A_MINUTE
        if is_full and now - self._begun[0] < timedelta(minutes=1):
            raise unknown_key()
        self._begun.append(now)


async def _attempt(fetch: Callable[[], Awaitable[None]]) -> None:
    """One request may get lost: nobody's login is to fail by that."""
    for _ in range(TRIES):
        with suppress(httpx.HTTPError):
            await fetch()
            return


def _known(keys: Mapping[str, Key], kid: str) -> Key:
    try:
        return keys[kid]
    except KeyError:
        raise unknown_key() from None
