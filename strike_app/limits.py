"""How much one caller may ask: rates per user and tenant, and failed proofs per address.

Counted in memory by each process for itself: n server processes let n times as much through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import UUID

import structlog
from aiohttp import web
from cachetools import TLRUCache
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from strike_app.settings import rate_of
from strike_domain.errors import StrikeError

MOST_COUNTERS = 10_000
"""Most callers that are remembered; who asked longest ago is forgotten first."""

MOST_FAILURES = 30
"""Refused proofs of one address in a minute that are answered as what they are."""

SAY_AGAIN_SECONDS = 60.0
"""How often a refusal of one kind is logged at the most."""

Now = Callable[[], float]
"""Seconds that only grow: `time.monotonic`."""

logger = structlog.get_logger()


class TooMany(StrikeError):
    """Refused for its number. `retry_after` is in whole seconds, at least one."""

    def __init__(self, code: str, message: str, retry_after: int) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class Counters(Storage):
    """Where `limits` counts: bounded, and on a clock that a test can set, unlike its own."""

    STORAGE_SCHEME = None

    def __init__(self, now: Now) -> None:
        super().__init__()
        self.now = now
        self._counts: TLRUCache[str, tuple[int, float]] = TLRUCache(
            MOST_COUNTERS, ttu=lambda _key, counted, _now: counted[1], timer=now
        )

    @property
    def base_exceptions(self) -> type[Exception]:
        return KeyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, end = self._counts.get(key, (0, self.now() + expiry))
        self._counts[key] = (count + amount, end)
        return count + amount

    def get(self, key: str) -> int:
        return self._counts.get(key, (0, 0.0))[0]

    def get_expiry(self, key: str) -> float:
        return self._counts.get(key, (0, self.now()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._counts)
        self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)


class Seldom:
    """A log line that comes once a minute at the most, with the number of those left out."""

    def __init__(self, event: str, now: Now) -> None:
        self._event, self._now = event, now
        self._next = -math.inf
        self._left_out = 0

    def warn(self, **facts: object) -> None:
        """Log the event with `facts`, or only count it."""
        if self._now() < self._next:
            self._left_out += 1
            return
        logger.warning(self._event, left_out_before=self._left_out, **facts)
        self._next, self._left_out = self._now() + SAY_AGAIN_SECONDS, 0


class Rates:
    """GraphQL operations per user and per tenant, as in "600/minute"."""

    def __init__(self, per_user: str, per_tenant: str, now: Now) -> None:
        self._user, self._tenant = rate_of(per_user), rate_of(per_tenant)
        self._counters = Counters(now)
        self._limiter = FixedWindowRateLimiter(self._counters)
        self._seldom = Seldom("too many operations", now)

    def count(self, user_id: UUID, tenant_id: UUID | None) -> None:
        """Count one operation. Raises `TooMany` (RATE_LIMITED) if it is one too many."""
        self._hit(self._user, "user", user_id)
        if tenant_id is not None:
            self._hit(self._tenant, "tenant", tenant_id)

    def _hit(self, rate: RateLimitItem, what: str, who: UUID) -> None:
        if self._limiter.hit(rate, what, str(who)):
            return
        self._seldom.warn(of=what, id=str(who), limit=str(rate))
        end = self._limiter.get_window_stats(rate, what, str(who)).reset_time
        message = f"More than {rate} for one {what}. Ask again later."
        raise TooMany("RATE_LIMITED", message, _seconds(end - self._counters.now()))


class Failures:
    """Refused proofs per client address within a minute.

    A valid login is never asked about: many people of a NOC can share one address, and one of them
    with a broken client must not lock the others out.
    """

    def __init__(self, now: Now) -> None:
        self._counters = Counters(now)
        self._limiter = FixedWindowRateLimiter(self._counters)
        self._limit = RateLimitItemPerMinute(MOST_FAILURES)
        self._seldom = Seldom("too many refused proofs", now)

    def count(self, address: str) -> bool:
        """Count one refused proof; whether it is one too many. Logs that once a minute."""
        if self._limiter.hit(self._limit, _network(address)):
            return False
        self._seldom.warn(address=address)
        return True

    def is_over(self, address: str) -> bool:
        """Whether a further refused proof would be one too many: ask before a costly look-up."""
        return not self._limiter.test(self._limit, _network(address))

    def refusal(self, address: str) -> TooMany:
        """What to raise, or answer, for an address that `is_over`."""
        end = self._limiter.get_window_stats(self._limit, _network(address)).reset_time
        message = "Too many logins or tokens from your address were refused. Wait a minute."
        return TooMany("TOO_MANY_FAILURES", message, _seconds(end - self._counters.now()))


FAILURES = web.AppKey("failures", Failures)
RATES = web.AppKey("rates", Rates)


def _network(address: str) -> str:
    """Who has one IPv6 address has the 2^64 beside it, too."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))


def _seconds(left: float) -> int:
    return max(1, math.ceil(left))
