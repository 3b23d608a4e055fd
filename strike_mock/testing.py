"""For tests, ours and yours: play the people who are rung, on a clock that you move.

    async with NightShift() as night:
        ...                                    # let your Strike call night.url as it would Twilio
        ana = night.phone("+13035550101")
        await ana.rings().picks_up().hears("press 1").presses("1").hears("yours")
        await night.phone("+13035550102").is_silent()
        await night.fast_forward(3600)

A test that blocks writes `with NightShift() as night`, and `night.play(ana.rings())` for `await`.

Each step lets simulated time pass until it can be done, and fails after `within` seconds with what
happened on that phone instead. In the end the test fails if somebody was called of whom it never
spoke, and if a phone in its hand rang without a word about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from strike_mock.calls import Call, CallRequest
from strike_mock.clock import VirtualClock
from strike_mock.courier import Courier, HttpCourier, Letter, Reply
from strike_mock.expected_phone import WITHIN, ExpectedPhone, story
from strike_mock.loop_thread import LoopThread
from strike_mock.scenarios import Scenario
from strike_mock.scripted import ScriptedStrike, everybody_by_hand
from strike_mock.server import Mock
from strike_mock.settings import DEFAULT_ACCOUNT, MockSettings

__all__ = [
    "REAL_SECONDS",
    "STEP_SECONDS",
    "WITHIN",
    "Courier",
    "ExpectedPhone",
    "Letter",
    "NightShift",
    "Reply",
    "ScriptedStrike",
    "everybody_by_hand",
]

STEP_SECONDS = 0.25
"""Simulated seconds between two looks at what has happened."""

REAL_SECONDS = 0.002
"""What real programs are given at each look, to do what they have to."""

T = TypeVar("T")


class NightShift:
    """A mock on a virtual clock, whose phones are played by the test.

    Twilio, Render and the gateway listen on real ports (`night.mock.url`), so that a real Strike
    can use them; requests to it go over HTTP, or through `courier`. With another `scenario` phones
    behave as that says until the test takes them in hand.
    """

    def __init__(
        self,
        courier: Courier | None = None,
        *,
        scenario: Scenario | None = None,
        settings: MockSettings | None = None,
        start: datetime | None = None,
    ) -> None:
        self.clock = VirtualClock(start) if start else VirtualClock()
        self._http = HttpCourier()
        self._courier = _Counting(courier or self._http)
        self.mock = Mock(
            settings or MockSettings(seed=1),
            clock=self.clock,
            scenario=scenario or everybody_by_hand(),
            courier=self._courier,
        )
        self._phones: dict[str, ExpectedPhone] = {}
        self._thread: LoopThread | None = None

    @property
    def url(self) -> str:
        """Base URL of Twilio and Render."""
        return self.mock.url

    async def __aenter__(self) -> Self:
        await self.mock.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        complaints = self._complaints()
        await self.mock.stop()
        await self._http.close()
        if error is None and complaints:
            raise AssertionError("\n".join(complaints))

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        try:
            return self._thread.run(self.__aenter__())
        except BaseException:
            self._thread.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        thread = self._blocking()
        try:
            thread.run(self.__aexit__(kind, error, trace))
        finally:
            self._thread = None
            thread.close()

    def play(self, steps: Awaitable[T]) -> T:
        """In a test that blocks: do what another would await. Raises what that raises."""
        return self._blocking().run(steps)

    def phone(self, number: str) -> ExpectedPhone:
        """The phone of somebody who may be rung."""
        new = ExpectedPhone(number, self.mock.exchange, self.happens)
        return self._phones.setdefault(number, new)

    def calls(self) -> list[Call]:
        """Every call that was placed, oldest first."""
        return self.mock.exchange.book.all()

    def dial(self, to: str, url: str, *, timeout: float = 30.0) -> Call:
        """Place a call without Strike; `url` is asked what to say."""
        request = CallRequest(to=to, from_="+13035550100", url=url, timeout=timeout)

        async def place() -> Call:
            return self.mock.exchange.place(DEFAULT_ACCOUNT, request)

        if self._thread is not None:
            return self._thread.run(place())
        return self.mock.exchange.place(DEFAULT_ACCOUNT, request)

    async def fast_forward(self, seconds: float) -> None:
        """Let simulated time pass; whatever falls due on the way happens at its own time."""
        end = seconds
        while end > 0:
            step = min(STEP_SECONDS if self.calls_are_live() else end, end)
            await self._look()
            await self.clock.advance(step)
            end -= step
        await self._look()

    async def fast_forward_until(
        self, happened: Callable[[], bool], within: float = WITHIN, what: str = "it"
    ) -> None:
        """Let time pass until `happened()`. Raises AssertionError after `within` seconds."""
        if not await self.happens(happened, within):
            stories = [story(call) for call in self.calls()] or ["  nobody was called"]
            reason = f"{what} did not happen within {within:g} s. So far:"
            raise AssertionError("\n".join([reason, *stories]))

    async def happens(self, what: Callable[[], bool], within: float = WITHIN) -> bool:
        """Let time pass until `what()`; False if it has not happened after `within` seconds."""
        passed = 0.0
        await self._look()
        while not what():
            if passed >= within:
                return False
            await self.clock.advance(STEP_SECONDS)
            await self._look()
            passed += STEP_SECONDS
        return True

    def calls_are_live(self) -> bool:
        """Whether a call is under way anywhere."""
        return any(not call.status.is_final for call in self.calls())

    async def _look(self) -> None:
        """Time stands still while anybody real has something to answer."""
        await self.clock.settle()
        while self._courier.under_way:
            await asyncio.wait(self._courier.under_way)
            await self.clock.settle()
        await asyncio.sleep(REAL_SECONDS)

    def _blocking(self) -> LoopThread:
        if self._thread is None:
            raise RuntimeError("play is for `with NightShift()`; in `async with`, await the steps")
        return self._thread

    def _complaints(self) -> list[str]:
        """What is wrong with this night as a whole, in the order of what was called."""
        found = [
            f"{phone.number}: nobody awaited {', '.join(phone.pending)}."
            for phone in self._phones.values()
            if phone.pending
        ]
        for call in self.calls():
            phone = self._phones.get(call.request.to)
            if phone is None:
                found.append(f"A call that nobody expected:\n{story(call)}")
            elif self._is_unanswered(call) and not phone.knows(call):
                found.append(f"A call that the test left unanswered:\n{story(call)}")
        return found

    def _is_unanswered(self, call: Call) -> bool:
        by_hand = self.mock.exchange.phone(call.request.to).by_hand
        return by_hand and "ringing" in call.times and "in-progress" not in call.times


class _Counting:
    """Knows which requests to Strike have not been answered yet."""

    def __init__(self, courier: Courier) -> None:
        self.under_way: set[asyncio.Task[Reply]] = set()
        self._courier = courier

    async def deliver(self, letter: Letter) -> Reply:
        task = asyncio.ensure_future(self._courier.deliver(letter))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return await task
