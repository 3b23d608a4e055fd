"""One phone in the test's hand: what is expected of it, and what its owner does."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Self

from strike_mock.calls import Call, CallStatus
from strike_mock.errors import NotNow
from strike_mock.exchange import Exchange

WITHIN = 60.0
"""Simulated seconds that a step waits for what it expects."""

Happens = Callable[[Callable[[], bool], float], Awaitable[bool]]
"""Lets at most so many simulated seconds pass until something is true; whether it is."""


class ExpectedPhone:
    """One phone in the test's hand. Every step is about the newest call to it.

    Steps are put one after another and done when they are awaited:
    `await phone.rings().picks_up()`. The first that fails ends it with an AssertionError.
    """

    def __init__(self, number: str, exchange: Exchange, happens: Happens) -> None:
        self.number = number
        self._exchange = exchange
        self._happens = happens
        self._steps: deque[tuple[str, Callable[[], Awaitable[None]]]] = deque()
        self._heard: dict[str, int] = {}

    def __await__(self) -> Generator[Any, None, Self]:
        return self._play().__await__()

    @property
    def call(self) -> Call | None:
        """The newest call to this phone."""
        ours = self._calls()
        return ours[-1] if ours else None

    @property
    def pending(self) -> list[str]:
        """The steps that nobody has awaited yet."""
        return [name for name, _ in self._steps]

    def knows(self, call: Call) -> bool:
        """Whether a step has been about this call."""
        return call.sid in self._heard

    def rings(self, within: float = WITHIN) -> Self:
        """Wait until it rings."""
        return self._then("rings", lambda: self._ring(within))

    def picks_up(self, within: float = WITHIN) -> Self:
        """Wait until it rings, and answer."""

        async def step() -> None:
            await self._ring(within)
            self._do(self._exchange.pick_up)

        return self._then("picks_up", step)

    def rejects(self, within: float = WITHIN) -> Self:
        """Wait until it rings, and press it away."""

        async def step() -> None:
            await self._ring(within)
            self._do(self._exchange.reject)

        return self._then("rejects", step)

    def hears(self, words: str, within: float = WITHIN) -> Self:
        """Wait until something is said that has `words` in it, in any case.

        What was said before the last key press does not count, nor before what was last heard.
        """
        wanted = words.casefold()

        def is_said(call: Call) -> bool:
            start = self._heard.get(call.sid, 0)
            for position, text in enumerate(call.heard[start:], start):
                if wanted in text.casefold():
                    self._heard[call.sid] = position
                    return True
            return False

        return self._then("hears", lambda: self._until(is_said, f"hear {words!r}", within))

    def presses(self, key: str, within: float = WITHIN) -> Self:
        """Wait until a key is asked for, and press it."""

        async def step() -> None:
            await self._until(lambda call: call.waits_for_key, "be asked for a key", within)
            call = self._do(lambda call: self._exchange.press(call, key))
            self._heard[call.sid] = len(call.heard)

        return self._then("presses", step)

    def hangs_up(self) -> Self:
        """Put the phone down, now."""

        async def step() -> None:
            self._do(self._exchange.put_down)

        return self._then("hangs_up", step)

    def is_silent(self, within: float = WITHIN) -> Self:
        """Wait until nothing rings or speaks here any more; nothing may have at all."""

        async def step() -> None:
            if not await self._happens(self._is_silent, within):
                raise AssertionError(self._instead("fall silent", within))

        return self._then("is_silent", step)

    def _then(self, name: str, step: Callable[[], Awaitable[None]]) -> Self:
        self._steps.append((name, step))
        return self

    async def _play(self) -> Self:
        try:
            while self._steps:
                await self._steps.popleft()[1]()
        finally:
            self._steps.clear()
        return self

    def _calls(self) -> list[Call]:
        return [one for one in self._exchange.book.all() if one.request.to == self.number]

    def _is_silent(self) -> bool:
        return all(call.status.is_final for call in self._calls())

    async def _ring(self, within: float) -> None:
        await self._until(lambda call: call.status is CallStatus.RINGING, "ring", within)

    async def _until(self, happened: Callable[[Call], bool], what: str, within: float) -> None:
        def is_true() -> bool:
            return self.call is not None and happened(self.call)

        if not await self._happens(is_true, within) or self.call is None:
            raise AssertionError(self._instead(what, within))
        self._heard.setdefault(self.call.sid, 0)

    def _do(self, act: Callable[[Call], None]) -> Call:
        call = self.call
        if call is None:
            raise AssertionError(f"Nobody has called {self.number}.")
        try:
            act(call)
        except NotNow as error:
            raise AssertionError(f"{error}\n{story(call)}") from error
        self._heard.setdefault(call.sid, 0)
        return call

    def _instead(self, what: str, within: float) -> str:
        ours = self._calls()
        here = [story(call) for call in ours] or ["  nobody called it"]
        others = [story(call) for call in self._exchange.book.all() if call not in ours]
        elsewhere = ["Elsewhere:", *others] if others else []
        failed = f"{self.number} did not {what} within {within:g} s. Instead, there:"
        return "\n".join([failed, *here, *elsewhere])


def story(call: Call) -> str:
    """One call in words, for a message."""
    heard = "; ".join(call.heard) or "nothing"
    keys = ", ".join(key.key for key in call.keys) or "none"
    at = f"{call.created:%H:%M:%S}"
    return f"  {at} {call.request.to}: {call.status}, heard: {heard}; keys: {keys}"
