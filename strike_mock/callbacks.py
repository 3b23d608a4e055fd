"""Status callbacks: what they say, their order, and how stubbornly they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from email.utils import format_datetime
from typing import Any, TypeVar

from strike_mock.calls import Call, CallStatus, Detection, SentCallback
from strike_mock.clock import Clock, first_of
from strike_mock.courier import Courier, Letter, Params
from strike_mock.errors import Undeliverable

T = TypeVar("T")

# Waits before the second, third and fourth try: all within Twilio's 15 s redelivery window.
RETRY_AFTER_SECONDS = (1.0, 4.0, 8.0)

SLOW_SECONDS = 1.0
"""How long the next callback of a call waits for the one before."""

_EVENT_OF = {
    CallStatus.INITIATED: "initiated",
    CallStatus.RINGING: "ringing",
    CallStatus.IN_PROGRESS: "answered",
}


def event_of(status: CallStatus) -> str:
    """Return the StatusCallbackEvent that covers `status`; every final one is `completed`."""
    return _EVENT_OF.get(status, "completed")


def call_params(call: Call) -> Params:
    """Return the parameters that every request about a call carries."""
    request = call.request
    params: Params = (
        ("CallSid", call.sid),
        ("AccountSid", call.account.sid),
        ("From", request.from_),
        ("To", request.to),
        ("Caller", request.from_),
        ("Called", request.to),
        ("CallStatus", call.status.value),
        ("Direction", "outbound-api"),
        ("ApiVersion", "2010-04-01"),
    )
    if call.answered_by is not None:
        params += (("AnsweredBy", call.answered_by),)
    return params


class StatusCallbacks:
    """Tells Strike about each change of a call that it asked to be told about.

    First attempts of one call go out in order; a callback that reached nobody is tried again while
    later ones overtake it.
    """

    def __init__(self, clock: Clock, courier: Courier) -> None:
        self._clock = clock
        self._courier = courier
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def tell(self, call: Call) -> None:
        """Send the callback for the call's present status, if it is wanted; returns at once."""
        event = event_of(call.status)
        request = call.request
        if request.status_callback is None or event not in request.status_callback_events:
            return
        sequence = sum(sent.sequence is not None for sent in call.callbacks)
        sent = SentCallback(event, call.status.value, sequence, self._clock.now())
        params = call_params(call) + _status_params(call, sent)
        method, url = request.status_callback_method, request.status_callback
        self._post(call, sent, Letter("status", call.sid, method, url, params, call.account.token))

    def tell_who_answered(self, call: Call, detection: Detection) -> None:
        """Send the result of a detection in the background, if it is wanted; returns at once.

        https://www.twilio.com/docs/voice/answering-machine-detection#asyncamdstatuscallback
        """
        if detection.callback is None:
            return
        sent = SentCallback("amd", call.status.value, None, self._clock.now())
        params = (
            ("CallSid", call.sid),
            ("AccountSid", call.account.sid),
            ("AnsweredBy", str(call.answered_by)),
            ("MachineDetectionDuration", str(call.detection_ms)),
        )
        method, url = detection.callback_method, detection.callback
        self._post(call, sent, Letter("amd", call.sid, method, url, params, call.account.token))

    def _post(self, call: Call, sent: SentCallback, letter: Letter) -> None:
        call.callbacks.append(sent)
        turn = self._turns.setdefault(call.sid, asyncio.Lock())
        self._start(self._send(letter, sent, turn))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Give up on what is still on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, letter: Letter, sent: SentCallback, turn: asyncio.Lock) -> None:
        async with turn:
            # One that is slow to arrive does not hold up the next, which may overtake it.
            attempt = self._start(self._attempt(letter, sent))
            await first_of(_end_of(attempt), self._clock.sleep(SLOW_SECONDS))
        arrived = await attempt
        for wait in RETRY_AFTER_SECONDS:
            if arrived:
                return
            await self._clock.sleep(wait)
            arrived = await self._attempt(letter, sent)

    async def _attempt(self, letter: Letter, sent: SentCallback) -> bool:
        sent.attempts += 1
        try:
            reply = await self._courier.deliver(letter)
        except Undeliverable as error:
            sent.error = str(error)
            return False
        sent.answer = reply.status
        sent.error = None
        return True


async def _end_of(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})


def _status_params(call: Call, sent: SentCallback) -> Params:
    """What a status callback tells besides.

    https://www.twilio.com/docs/voice/api/call-resource#statuscallbackevent
    """
    params: Params = (
        ("Timestamp", format_datetime(sent.at)),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", str(sent.sequence)),
    )
    if sent.event in ("ringing", "answered"):
        params += (("StirStatus", "A"),)
    if call.status.is_final:
        params += (("CallDuration", str(call.duration)), ("SipResponseCode", str(call.sip_code)))
    if call.status is CallStatus.COMPLETED:
        params += (("Duration", str(_minutes_begun(call.duration))),)
    return params


def _minutes_begun(seconds: int) -> int:
    return -(-seconds // 60)
