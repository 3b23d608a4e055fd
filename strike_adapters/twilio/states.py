"""Twilio's words for the state of a call."""

from __future__ import annotations

from collections.abc import Mapping

from strike_domain.ports import ProviderCallState

CALL_STATES: Mapping[str, ProviderCallState] = {
    "queued": ProviderCallState.QUEUED,
    "initiated": ProviderCallState.QUEUED,
    "ringing": ProviderCallState.RINGING,
    "in-progress": ProviderCallState.IN_PROGRESS,
    "completed": ProviderCallState.COMPLETED,
    "busy": ProviderCallState.BUSY,
    "no-answer": ProviderCallState.NO_ANSWER,
    "canceled": ProviderCallState.CANCELED,
    "failed": ProviderCallState.FAILED,
}
"""By `CallStatus` (https://www.twilio.com/docs/voice/api/call-resource#call-status-values)."""
