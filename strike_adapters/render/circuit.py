"""A circuit per Render instance: one that is dead or overloaded is left alone for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock

from strike_adapters.render.errors import RenderUnavailable
from strike_adapters.render.token import Credentials
from strike_domain.field_work import MAX_RETRY_AFTER
from strike_domain.ports import Clock

FAILURES = 5
"""So many failures in a row open a circuit; a `Retry-After` opens it at once."""

FIRST_PAUSE = timedelta(seconds=15)
MAX_PAUSE = timedelta(minutes=2)
"""The pause doubles with each probe that fails, up to this."""

# What says that the instance is not able to serve us. Any other answer shows that it is.
_BLAMED = frozenset(
    f"RENDER_{code}"
    for code in (
        "UNREACHABLE",
        "TIMED_OUT",
        "TOO_MANY_REQUESTS",
        "FAILING",
        "CREDENTIALS_REFUSED",
        "TOKEN_REFUSED",
    )
)


class CircuitOpen(RenderUnavailable):
    """Nothing was asked. It has the code and the words of what opened the circuit."""

    def __init__(self, cause: RenderUnavailable, left: float) -> None:
        super().__init__(
            cause.code.removeprefix("RENDER_"),
            f"{cause.message} It is left alone for another {left:.0f} s.",
            can_retry=cause.can_retry,
            status=cause.status,
            retry_after=left,
        )


class CircuitState(StrEnum):
    """CLOSED: asked as ever. OPEN: left alone. PROBING: long enough, so one request may try."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    PROBING = "PROBING"


class Circuit:
    """Of one instance, for any number of threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._until: datetime | None = None
        self._cause: RenderUnavailable | None = None
        self._is_probed = False

    @property
    def state(self) -> CircuitState:
        if self._until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._clock.now() < self._until else CircuitState.PROBING

    @property
    def until(self) -> datetime | None:
        """When it is probed; None while it is closed."""
        return self._until

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let a request through, and learn from how it goes.

        Raises `CircuitOpen` if none may pass.
        """
        self._enter()
        try:
            yield
        except RenderUnavailable as error:
            if error.code in _BLAMED:
                self._failed(error)
            else:
                self._answered()
            raise
        except BaseException:
            with self._lock:
                self._is_probed = False
            raise
        else:
            self._answered()

    def _enter(self) -> None:
        with self._lock:
            if self._until is None:
                return
            left = (self._until - self._clock.now()).total_seconds()
            if self._cause is not None and (left > 0 or self._is_probed):
                raise CircuitOpen(self._cause, max(left, 1.0))
            self._is_probed = True

    def _answered(self) -> None:
        with self._lock:
            self._failures, self._pause = 0, FIRST_PAUSE
            self._until, self._is_probed = None, False

    def _failed(self, error: RenderUnavailable) -> None:
        with self._lock:
            is_news = self._until is None or self._is_probed
            self._failures += 1
            if not is_news or (error.retry_after is None and self._failures < FAILURES):
                return  # Those that were under way when it opened say nothing new.
            self._cause, self._is_probed = error, False
            pause = min(timedelta(seconds=error.retry_after or 0), MAX_RETRY_AFTER)
            if self._failures >= FAILURES:
                pause = max(pause, self._pause)
                self._pause = min(2 * self._pause, MAX_PAUSE)
            self._until = self._clock.now() + pause


class Circuits:
    """One per credentials: what somebody has just corrected is tried at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[Credentials, Circuit] = {}

    def of(self, who: Credentials) -> Circuit:
        found = self._known.get(who)
        return found or self._known.setdefault(who, Circuit(self._clock))
