"""Access tokens: one call to the token endpoint, however many ask at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from pydantic import SecretStr

from strike_adapters.render.errors import timed_out
from strike_adapters.render.instance import RenderInstance
from strike_adapters.render.patience import Patience
from strike_domain.ports import Clock

MAX_MARGIN = timedelta(seconds=60)
"""A token is renewed this long before it expires, or at nine tenths of a shorter life."""


@dataclass(frozen=True)
class Credentials:
    """Who asks where. Another secret is another key, so a change takes effect at once."""

    base_url: str
    client_id: str
    client_secret: SecretStr

    @classmethod
    def of(cls, instance: RenderInstance) -> Credentials:
        return cls(instance.base_url, instance.client_id, instance.client_secret)


@dataclass(frozen=True)
class Grant:
    """What the token endpoint gave: the token, and for how long."""

    token: SecretStr
    lifetime: timedelta


@dataclass(frozen=True)
class KeptToken:
    """A token in use: since when, and when it is renewed."""

    token: SecretStr
    since: datetime
    renew_at: datetime


class Tokens:
    """Keeps tokens per credentials; safe to use from any number of threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[Credentials, KeptToken] = {}
        self._flights: dict[Credentials, Future[SecretStr]] = {}

    def get(self, who: Credentials, ask: Callable[[], Grant], patience: Patience) -> SecretStr:
        """Return a token; `ask` is called by one of those who need it, the others wait.

        Raises what `ask` raises, to all of them, and RENDER_TIMED_OUT if the wait is too long.
        """
        with self._lock:
            kept = self._kept.get(who)
            if kept is not None and self._clock.now() < kept.renew_at:
                return kept.token
            flight, is_ours = self._flights.get(who), False
            if flight is None:
                flight, is_ours = self._flights.setdefault(who, Future()), True
        if is_ours:
            self._fly(flight, who, ask)
            return flight.result()
        try:
            return flight.result(timeout=patience.left())
        except TimeoutError as error:
            raise timed_out(patience.seconds) from error

    def kept(self, who: Credentials) -> KeptToken | None:
        """The token in use, for those who watch; None if there is none."""
        return self._kept.get(who)

    def forget(self, who: Credentials, refused: SecretStr) -> None:
        """Drop a token that Render refused, unless another thread has renewed it already."""
        with self._lock:
            kept = self._kept.get(who)
            if kept is not None and kept.token == refused:
                del self._kept[who]

    def _fly(self, flight: Future[SecretStr], who: Credentials, ask: Callable[[], Grant]) -> None:
        asked_at = self._clock.now()
        try:
            grant = ask()
        except BaseException as error:
            with self._lock:
                del self._flights[who]
            flight.set_exception(error)
        else:
            with self._lock:
                self._keep(who, grant, asked_at)
                del self._flights[who]
            flight.set_result(grant.token)

    def _keep(self, who: Credentials, grant: Grant, asked_at: datetime) -> None:
        margin = min(MAX_MARGIN, grant.lifetime / 10)
        self._kept = {key: kept for key, kept in self._kept.items() if kept.renew_at > asked_at}
        renew_at = asked_at + grant.lifetime - margin
        self._kept[who] = KeptToken(grant.token, asked_at, renew_at)
