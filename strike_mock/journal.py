"""The newest requests in both directions, and what came of each: for whoever looks on."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from strike_mock.clock import Clock
from strike_mock.courier import Courier, Letter, Reply

KEPT = 100
"""Requests that are remembered."""

NO_ANSWER = "no answer"

Answer = TypeVar("Answer", Reply, web.StreamResponse)


@dataclass
class Entry:
    """One request: who asked whom, for what, and the HTTP status of the answer.

    `answer` is empty while it is under way, and NO_ANSWER if there was none. `about` says what a
    webhook was for. The query is left out: it may hold what nobody should read.
    """

    number: int
    at: datetime
    asked_by: str
    asked: str
    method: str
    path: str
    about: str = ""
    answer: str = ""

    def as_json(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        return vars(self) | {"at": self.at.isoformat()}


class Journal:
    """Notes every request as Strike sees it, whatever a fault does to it on the way.

    From Strike: what it asked Twilio or Render, and what it got. To Strike: what arrived, and what
    it answered.
    """

    def __init__(self, clock: Clock) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self._clock = clock
        self._number = count(1)

    async def on_request(
        self, edge: str, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Note a request of Strike's (a `strike_mock.edges.Fault` that does no harm)."""
        asked = edge.partition(".")[0].capitalize()
        entry = self._entry("Strike", asked, request.method, request.path)
        return await _noted(entry, handler(request))

    def around(self, courier: Courier) -> Courier:
        """A courier whose letters are noted."""
        return _Noted(self.on_letter, courier)

    async def on_letter(self, letter: Letter, courier: Courier) -> Reply:
        """Note a request to Strike. Raises Undeliverable."""
        path = urlsplit(letter.url).path
        entry = self._entry("Twilio", "Strike", letter.method, path, _about(letter))
        return await _noted(entry, courier.deliver(letter))

    def _entry(self, asked_by: str, asked: str, method: str, path: str, about: str = "") -> Entry:
        now, number = self._clock.now(), next(self._number)
        entry = Entry(number, now, asked_by, asked, method, path, about)
        self.entries.append(entry)
        return entry


async def _noted(entry: Entry, answer: Awaitable[Answer]) -> Answer:
    try:
        got = await answer
    except BaseException:
        entry.answer = NO_ANSWER
        raise
    entry.answer = str(got.status)
    return got


@dataclass(frozen=True)
class _Noted:
    on_letter: Callable[[Letter, Courier], Awaitable[Reply]]
    courier: Courier

    async def deliver(self, letter: Letter) -> Reply:
        return await self.on_letter(letter, self.courier)


def _about(letter: Letter) -> str:
    """What the letter tells: the call's status, the key pressed, who answered."""
    told = dict(letter.params)
    if letter.kind == "status":
        return told.get("CallStatus", "")
    if letter.kind == "amd":
        return told.get("AnsweredBy", "")
    return f"key {told['Digits']}" if told.get("Digits") else "what to say"
