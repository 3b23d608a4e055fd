"""The far end of a call: a phone that rings, and somebody with fingers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strike_mock.calls import Call, CallStatus, Detection, KeyPress
from strike_mock.clock import Clock
from strike_mock.scenarios import Phone, Press, Timing


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
        return RingOutcome(rejected, CallStatus.BUSY, phone.rejects_with)
    return RingOutcome(limit, CallStatus.NO_ANSWER, 487)


# SIP's ways of saying that the line is engaged; every other failure is one.
_BUSY = (486, 600)


def failure(sip_code: int) -> CallStatus:
    """Return the status of a call that the network ends with `sip_code` before it rings."""
    return CallStatus.BUSY if sip_code in _BUSY else CallStatus.FAILED


def answered_by(phone: Phone, detection: Detection, timing: Timing) -> tuple[float, str]:
    """Return how many seconds it takes to find out who answered `phone`, and Twilio's word for it.

    https://www.twilio.com/docs/voice/answering-machine-detection
    """
    seconds, verdict = timing.machine_detection_seconds, str(phone.answered_by)
    if verdict.startswith("machine"):
        verdict = "machine_start"
        if detection.mode == "DetectMessageEnd":
            seconds, verdict = seconds + timing.greeting_seconds, "machine_end_beep"
    if seconds > detection.timeout:
        return detection.timeout, "unknown"
    return seconds, verdict


class Keys:
    """The keys that one Gather has got: complete with `wanted` of them, or with `finish_on`."""

    def __init__(self, wanted: int | None = None, finish_on: str = "#") -> None:
        self.digits = ""
        self.finished_on = ""
        self.is_complete = False
        self._wanted = wanted
        self._finish_on = finish_on
        self._pressed = asyncio.Event()

    def take(self, key: str) -> None:
        """Add `key`."""
        if key in self._finish_on:
            self.finished_on = key
            self.is_complete = True
        else:
            self.digits += key
            self.is_complete = len(self.digits) == self._wanted
        self._pressed.set()

    async def pressed(self) -> None:
        """Wait for the next key."""
        await self._pressed.wait()
        self._pressed.clear()


class Keypad:
    """The keys of one call: a press goes to the Gather that waits, or is lost."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._keys: Keys | None = None

    def press(self, key: str) -> None:
        """Press `key` now."""
        keys = self._keys
        self._call.keys.append(KeyPress(key, self._clock.now(), heeded=keys is not None))
        if keys is None:
            return
        keys.take(key)
        if keys.is_complete:
            self.ignore()

    def ignore(self) -> None:
        """Listen no more: whatever is pressed from now on is lost."""
        self._listen_to(None)

    @contextmanager
    def listening(self, keys: Keys) -> Iterator[None]:
        """Collect in `keys` what is pressed while the block runs, until they are complete."""
        self._listen_to(keys)
        try:
            yield
        finally:
            # A document that was left may end after the next one has begun to listen.
            if self._keys is keys:
                self.ignore()

    def _listen_to(self, keys: Keys | None) -> None:
        self._keys = keys
        self._call.waits_for_key = keys is not None


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
        """Press nothing more, whoever asks."""
        self._on_prompt.clear()
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
