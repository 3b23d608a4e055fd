"""Whose Twilio account a call is placed with, and where Twilio finds Strike."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from strike_adapters.telemetry import headers
from strike_adapters.telemetry.ids import TRACEPARENT
from strike_domain.outside import TwilioAccount

__all__ = ["JOB_PATH", "TwilioAccount", "TwilioAccounts", "WebhookUrls"]

JOB_PATH = "/j/"
"""Short, because it is part of a text."""


class TwilioAccounts(Protocol):
    """Finds accounts; asked anew for every call, so that a changed token takes effect at once."""

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None: ...

    def by_sid(self, account_sid: str) -> TwilioAccount | None: ...

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        """Whether that NOC's calls go through that account."""


class WebhookUrls:
    """Where Twilio reaches one call of a run.

    `public_url` is what Twilio sees, and what it signs: with a path if a proxy adds one. While
    traces are sent, an address names the span in which it was made, since Twilio passes on no
    header of ours.
    """

    def __init__(self, public_url: str) -> None:
        self._public = public_url.rstrip("/")

    def voice(self, run_id: UUID, call_id: UUID) -> str:
        """Fetched when somebody answers: what to say."""
        return self._url("voice", run_id, call_id)

    def key(self, run_id: UUID, call_id: UUID) -> str:
        """Told the key that was pressed, or that none was."""
        return self._url("key", run_id, call_id)

    def status(self, run_id: UUID, call_id: UUID) -> str:
        """Told how the call goes."""
        return self._url("status", run_id, call_id)

    def text(self, run_id: UUID, call_id: UUID) -> str:
        """Told what became of the text beside the call."""
        return self._url("text", run_id, call_id)

    def job(self, token: str) -> str:
        """What a person opens who got that text."""
        return f"{self._public}{JOB_PATH}{token}"

    def _url(self, what: str, run_id: UUID, call_id: UUID) -> str:
        span = headers().get(TRACEPARENT)
        query = f"?{TRACEPARENT}={span}" if span else ""
        return f"{self._public}/twilio/{what}/{run_id}/{call_id}{query}"
