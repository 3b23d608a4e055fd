"""For tests, ours and yours: play the people who are rung, on a clock that you move.

    async with NightShift() as night:
        ...                                    # let your Strike call night.url as it would Twilio
        ana = night.phone("+13035550101")
        await ana.rings()
        await ana.picks_up()
        await ana.hears("press 1")
        await ana.presses("1")
        await ana.hears("yours")
        await night.fast_forward(3600)

Each step lets simulated time pass until it can be done, and fails after `within` seconds with what
happened on that phone instead. A call to somebody of whom the test never spoke fails it in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from strike_mock.calls import Call, CallRequest, CallStatus
from strike_mock.clock import VirtualClock
from strike_mock.courier import Courier, HttpCourier, Letter, Reply
from strike_mock.errors import NotNow, Undeliverable
from strike_mock.scenarios import Ending, Phone, Scenario
from strike_mock.server import Mock
from strike_mock.settings import DEFAULT_ACCOUNT, MockSettings

STEP_SECONDS = 0.25
"""Simulated seconds between two looks at what has happened."""

REAL_SECONDS = 0.002
"""What real programs are given at each look, to do what they have to."""

WITHIN = 60.0
"""Simulated seconds that a step waits for what it expects."""


class ScriptedStrike:
    """A Courier with a scripted Strike at its end; every letter it got is in `letters`.

    `answer` maps a TwiML letter to a document. While `reachable` is False nothing arrives.
    """

    def __init__(self, answer: Callable[[Letter], str] = lambda letter: "<Response/>") -> None:
        self.letters: list[Letter] = []
        self.reachable = True
        self._answer = answer

    async def deliver(self, letter: Letter) -> Reply:
        """Return the scripted answer; raises Undeliverable while not `reachable`."""
        if not self.reachable:
            raise Undeliverable(f"{letter.url}: connection refused")
        self.letters.append(letter)
        if letter.kind == "status":
            return Reply(204, "")
        return Reply(200, self._answer(letter))

    def told(self, call_sid: str) -> list[str]:
        """Return the CallStatus of each status callback about a call, in the order received."""
        return [
            dict(letter.params)["CallStatus"]
            for letter in self.letters
            if letter.kind == "status" and letter.call_sid == call_sid
        ]


def everybody_by_hand() -> Scenario:
    """The scenario in which nobody does anything by themselves."""
    return Scenario(
        name="by-hand",
        title="Everybody by hand",
        story="Whoever is rung does what the test says.",
        phones=(Phone(number="*", by_hand=True),),
        ending=Ending(status="OPEN", paging="EXHAUSTED", render="TASKED"),
    )


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
        self._expected: dict[str, ExpectedPhone] = {}

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
        strangers = [one for one in self.calls() if one.request.to not in self._expected]
        stories = [_story(one) for one in strangers]
        await self.mock.stop()
        await self._http.close()
        if error is None and stories:
            raise AssertionError("A call that nobody expected:\n" + "\n".join(stories))

    def phone(self, number: str) -> ExpectedPhone:
        """The phone of somebody who may be rung."""
        return self._expected.setdefault(number, ExpectedPhone(self, number))

    def calls(self) -> list[Call]:
        """Every call that was placed, oldest first."""
        return self.mock.exchange.book.all()

    def dial(self, to: str, url: str, *, timeout: float = 30.0) -> Call:
        """Place a call without Strike; `url` is asked what to say."""
        request = CallRequest(to=to, from_="+13035550100", url=url, timeout=timeout)
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
        passed = 0.0
        await self._look()
        while not happened():
            if passed >= within:
                raise AssertionError(f"{what} did not happen within {within:g} s.{self._all()}")
            await self.clock.advance(STEP_SECONDS)
            await self._look()
            passed += STEP_SECONDS

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

    def _all(self) -> str:
        stories = [_story(one) for one in self.calls()]
        return "\n" + "\n".join(stories) if stories else " Nobody was called."


class ExpectedPhone:
    """One phone in the test's hand. Every step is about the newest call to it."""

    def __init__(self, night: NightShift, number: str) -> None:
        self.number = number
        self._night = night
        self._heard = 0

    @property
    def call(self) -> Call | None:
        """The newest call to this phone."""
        ours = [one for one in self._night.calls() if one.request.to == self.number]
        return ours[-1] if ours else None

    async def rings(self, within: float = WITHIN) -> Self:
        """Wait until it rings."""
        await self._until(lambda call: call.status is CallStatus.RINGING, "ring", within)
        self._heard = 0
        return self

    async def picks_up(self, within: float = WITHIN) -> Self:
        """Wait until it rings, and answer."""
        await self.rings(within)
        self._do(self._night.mock.exchange.pick_up)
        return self

    async def rejects(self, within: float = WITHIN) -> Self:
        """Wait until it rings, and press it away."""
        await self.rings(within)
        self._do(self._night.mock.exchange.reject)
        return self

    async def hears(self, words: str, within: float = WITHIN) -> Self:
        """Wait until something is said that has `words` in it, after what was heard before."""
        wanted = words.casefold()

        def is_said(call: Call) -> bool:
            for position, text in enumerate(call.heard[self._heard :], self._heard):
                if wanted in text.casefold():
                    self._heard = position
                    return True
            return False

        await self._until(is_said, f"hear {words!r}", within)
        return self

    async def presses(self, key: str, within: float = WITHIN) -> Self:
        """Wait until a key is asked for, and press it."""
        await self._until(lambda call: call.waits_for_key, "be asked for a key", within)
        self._do(lambda call: self._night.mock.exchange.press(call, key))
        self._heard = len(self.call.heard) if self.call else 0
        return self

    async def hangs_up(self) -> Self:
        """Put the phone down, now."""
        self._do(self._night.mock.exchange.put_down)
        return self

    async def is_silent(self, within: float = WITHIN) -> Self:
        """Wait until nothing rings or speaks here any more."""
        silent = self._is_silent
        what = f"{self.number} falling silent"
        await self._night.fast_forward_until(silent, within, what)
        return self

    def _is_silent(self) -> bool:
        return self.call is None or self.call.status.is_final

    async def _until(self, happened: Callable[[Call], bool], what: str, within: float) -> None:
        def is_true() -> bool:
            return self.call is not None and happened(self.call)

        what = f"That {self.number} would {what}"
        await self._night.fast_forward_until(is_true, within, what)

    def _do(self, act: Callable[[Call], None]) -> None:
        call = self.call
        if call is None:
            raise AssertionError(f"Nobody has called {self.number}.")
        try:
            act(call)
        except NotNow as error:
            raise AssertionError(f"{error}\n{_story(call)}") from error


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


def _story(call: Call) -> str:
    """One call in words, for a message."""
    heard = "; ".join(call.heard) or "nothing"
    keys = ", ".join(key.key for key in call.keys) or "none"
    at = f"{call.created:%H:%M:%S}"
    return f"  {at} {call.request.to}: {call.status}, heard: {heard}; keys: {keys}"
