"""How long Render is waited for, and when it is asked again."""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import SystemRandom
from typing import TypeVar

import stamina

from strike_adapters.render.errors import RenderUnavailable, timed_out

ATTEMPTS = 3
"""How often one request is made at most."""

JITTER_SECONDS = 0.3

_Result = TypeVar("_Result")


class Patience:
    """The time that one call of the port may take: requests, repeats and waiting together."""

    def __init__(
        self, seconds: float = 8.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises `RenderUnavailable` (RENDER_TIMED_OUT) if there are none."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise timed_out(self.seconds)
        return left

    def retrying(self, request: Callable[[], _Result]) -> _Result:
        """Make a request that may be repeated, again after each failure that may pass.

        Waits as `Retry-After` says, else 0.2 s and 0.4 s, with jitter. Whoever tests this turns
        the waiting off with `stamina.set_testing`.
        """
        attempts = stamina.retry_context(
            on=self.wait_before_repeat,
            attempts=ATTEMPTS,
            timeout=self.seconds,
            wait_initial=0.2,
            wait_jitter=JITTER_SECONDS,
        )
        for attempt in attempts:
            with attempt:
                return request()
        raise AssertionError("the last attempt returns or raises")

    def wait_before_repeat(self, error: Exception) -> bool | float:
        """Whether to repeat; a number is the seconds to wait, True leaves them to the backoff."""
        if not isinstance(error, RenderUnavailable) or not error.can_retry:
            return False
        left = self._end - self._monotonic()
        wait = (error.retry_after or 0.0) + 2 * JITTER_SECONDS
        if wait >= left:
            return False
        if error.retry_after is None:
            return True
        return error.retry_after + SystemRandom().uniform(0, JITTER_SECONDS)
