"""Publishing without waiting for each message, and what the stream answers to each.

The client's own `publish_async` leaves a refusal unanswered: it raises where it should hand on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

WRONG_LAST_SEQUENCE = 10_071
"""JetStream's code for: another message is the last one than the one that was expected."""


@dataclass(frozen=True)
class Stored:
    """The stream has it, under that number; `is_duplicate`: it had it before."""

    sequence: int
    is_duplicate: bool


class Refused(Exception):
    """The stream did not take a message; `code` is JetStream's own."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"The stream refused a message: {said} ({code}).")
        self.code = code

    @property
    def is_out_of_order(self) -> bool:
        """Another message is the last one than the one that this one is to follow."""
        return self.code == WRONG_LAST_SEQUENCE


Answer = Stored | BaseException


@dataclass(frozen=True)
class Outgoing:
    """One message, ready to be sent."""

    subject: str
    body: bytes
    headers: dict[str, str]


class Acknowledged:
    """Publishes on one connection and gathers the answers; for one coroutine at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._waiting: list[asyncio.Future[Stored]] = []
        self._round = 0

    async def begin(self) -> None:
        """Listen for answers."""
        await self._client.subscribe(f"{self._inbox}.*.*", cb=self._answered)

    def lost(self) -> None:
        """No answer will come any more."""
        for one in self._waiting:
            if not one.done():
                one.set_exception(nats.errors.ConnectionClosedError())

    async def send(self, messages: Sequence[Outgoing], seconds: float) -> list[Answer]:
        """Publish all, then wait so long for the answers: one for each, in order."""
        loop = asyncio.get_running_loop()
        self._round += 1
        self._waiting = [loop.create_future() for _ in messages]
        for number, one in enumerate(messages):
            reply = f"{self._inbox}.{self._round}.{number}"
            await self._client.publish(one.subject, one.body, reply, one.headers)
        if not self._client.is_connected:
            self.lost()
        _, late = await asyncio.wait(self._waiting, timeout=seconds)
        for future in late:
            future.set_exception(nats.errors.TimeoutError())
        return await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _answered(self, message: Msg) -> None:
        *_, of_round, number = message.subject.split(".")
        if int(of_round) != self._round:
            return
        future = self._waiting[int(number)]
        if future.done():
            return
        answer = _read(message)
        if isinstance(answer, Stored):
            future.set_result(answer)
        else:
            future.set_exception(answer)


def _read(message: Msg) -> Stored | Exception:
    if not message.data:
        return nats.errors.NoRespondersError()
    said = orjson.loads(message.data)
    if error := said.get("error"):
        return Refused(error.get("err_code", 0), error.get("description", ""))
    return Stored(said["seq"], said.get("duplicate", False))
