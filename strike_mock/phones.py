"""The far end of a call: a phone that rings, and somebody with fingers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strike_mock.calls import Call, CallStatus, KeyPress
from strike_mock.clock import Clock
from strike_mock.scenarios import Phone, Press


@dataclass(frozen=True)
class RingOutcome:
    """What ringing leads to, `after` so many seconds; `sip_code` is the final SIP answer."""

    after: float
    status: CallStatus
    sip_code: int


def ring_outcome(phone: Phone, limit: float) -> RingOutcome:
    """Return what comes of ringing `phone` for at most `limit` seconds."""
    answered, rejected = phone.answers_after, phone.rejects_after
    if answered is not None and answered <= limit:
        return RingOutcome(answered, CallStatus.IN_PROGRESS, 200)
    if rejected is not None and rejected <= limit:
        return RingOutcome(rejected, CallStatus.BUSY, 486)
    return RingOutcome(limit, CallStatus.NO_ANSWER, 487)


class Keypad:
    """The keys of one call: a press goes to the Gather that waits, or is lost."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._listener: asyncio.Queue[str] | None = None

    def press(self, key: str) -> None:
        """Press `key` now."""
        heeded = self._listener is not None
        self._call.keys.append(KeyPress(key, self._clock.now(), heeded))
        if self._listener is not None:
            self._listener.put_nowait(key)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[str]]:
        """Collect the keys pressed while the block runs."""
        self._listener = asyncio.Queue()
        try:
            yield self._listener
        finally:
            self._listener = None


class Finger:
    """Presses the keys that the scenario says, each at its time."""

    def __init__(self, phone: Phone, keypad: Keypad, clock: Clock) -> None:
        self._keypad = keypad
        self._clock = clock
        self._on_prompt = [press for press in phone.presses if press.since == "prompt"]
        self._on_answer = [press for press in phone.presses if press.since == "answer"]
        self._pending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def answered(self) -> None:
        """The phone was picked up."""
        for press in self._on_answer:
            self._start(press)

    def asked(self) -> None:
        """A prompt asks for a key: the next press is on its way, unless one is already."""
        if self._on_prompt and (self._pending is None or self._pending.done()):
            self._pending = self._start(self._on_prompt.pop(0))

    def rest(self) -> None:
        """Press nothing more."""
        for task in self._tasks:
            task.cancel()

    def _start(self, press: Press) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._press(press))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _press(self, press: Press) -> None:
        await self._clock.sleep(press.after)
        self._keypad.press(press.key)
