"""Tells an outside monitor that paging works: what it no longer hears, it rings somebody about."""

from __future__ import annotations

import httpx
import structlog

from strike_adapters.telemetry import asked_of

SECONDS = 5.0
"""How long one beat may take."""

logger = structlog.get_logger()


class HttpHeartbeat:
    """A GET to `url`, as healthchecks.io, Cronitor, Dead Man's Snitch and the like expect it."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._client = httpx.Client(timeout=SECONDS, transport=transport)

    def beat(self) -> bool:
        """Whether the monitor took it. Never raises: the monitor notices what is missing."""
        try:
            with asked_of("heartbeat", "GET beat") as ask:
                answer = self._client.get(self._url)
                ask.answered(answer.status_code)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("the heartbeat was not taken", reason=type(error).__name__)
            return False
        return True
