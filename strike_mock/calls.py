"""What is known about each call, and the book of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from strike_mock.settings import Account


class CallStatus(StrEnum):
    """Twilio's call statuses (https://www.twilio.com/docs/voice/api/call-resource)."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows it."""
        return self in _FINAL


_FINAL = frozenset(
    {
        CallStatus.COMPLETED,
        CallStatus.BUSY,
        CallStatus.NO_ANSWER,
        CallStatus.CANCELED,
        CallStatus.FAILED,
    }
)


@dataclass(frozen=True)
class Document:
    """The TwiML that a call is to obey: given as it is, or to be fetched from `url`."""

    url: str | None = None
    method: str = "POST"
    twiml: str | None = None


DetectionMode = Literal["Enable", "DetectMessageEnd"]


@dataclass(frozen=True)
class Detection:
    """Finding out whether a machine answered, for at most `timeout` seconds.

    With `in_background` the call goes on meanwhile, and `callback` is told in the end.
    """

    mode: DetectionMode = "Enable"
    in_background: bool = False
    callback: str | None = None
    callback_method: str = "POST"
    timeout: float = 30.0


@dataclass(frozen=True)
class CallRequest:
    """What Strike asked for; `timeout` in seconds, Twilio's default is 60."""

    to: str
    from_: str
    url: str | None = None
    method: str = "POST"
    twiml: str | None = None
    timeout: float = 60.0
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: frozenset[str] = frozenset({"completed"})
    detection: Detection | None = None

    @property
    def document(self) -> Document:
        """What the call obeys when it is answered."""
        return Document(self.url, self.method, self.twiml)


@dataclass
class SentCallback:
    """One callback: what it said, how often it was tried, Strike's answer (HTTP status).

    The result of a machine detection (`event` "amd") has no `sequence` number.
    """

    event: str
    status: str
    sequence: int | None
    at: datetime
    attempts: int = 0
    answer: int | None = None
    error: str | None = None


@dataclass
class KeyPress:
    """A key pressed at a time; `heeded` tells whether a Gather was waiting for it."""

    key: str
    at: datetime
    heeded: bool


@dataclass
class Call:
    """One call, from the request to its end, with everything heard, pressed and sent.

    `waits_for_key` tells whether a key pressed right now would go to a Gather. `queue_ms` is how
    long, in milliseconds, it was expected to wait for its turn when it was made; `detection_ms` is
    how long it took to find out who had answered.
    """

    sid: str
    account: Account
    request: CallRequest
    created: datetime
    updated: datetime
    status: CallStatus = CallStatus.QUEUED
    times: dict[str, datetime] = field(default_factory=dict)
    sip_code: int | None = None
    answered_by: str | None = None
    heard: list[str] = field(default_factory=list)
    keys: list[KeyPress] = field(default_factory=list)
    callbacks: list[SentCallback] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    waits_for_key: bool = False
    queue_ms: int = 0
    detection_ms: int | None = None

    @property
    def duration(self) -> int:
        """Whole seconds from the answer to the end; 0 if it was not answered or still goes on."""
        answered, ended = self.times.get("in-progress"), self.times.get("ended")
        if answered is None or ended is None:
            return 0
        return round((ended - answered).total_seconds())

    def enter(self, status: CallStatus, at: datetime) -> None:
        """Note that the call is in `status` since `at`."""
        self.status = status
        self.updated = at
        self.times[status.value] = at
        if status.is_final:
            self.times["ended"] = at

    def as_story(self) -> dict[str, Any]:
        """Return the call as the control API shows it."""
        return {
            "sid": self.sid,
            "account": self.account.sid,
            "to": self.request.to,
            "from": self.request.from_,
            "status": self.status.value,
            "times": {"created": _iso(self.created)} | {k: _iso(v) for k, v in self.times.items()},
            "duration": self.duration,
            "sip_code": self.sip_code,
            "queue_ms": self.queue_ms,
            "answered_by": self.answered_by,
            "twiml_url": self.request.url,
            "heard": self.heard,
            "waits_for_key": self.waits_for_key,
            "keys": [{"key": k.key, "at": _iso(k.at), "heeded": k.heeded} for k in self.keys],
            "callbacks": [vars(c) | {"at": _iso(c.at)} for c in self.callbacks],
            "errors": self.errors,
        }


class CallBook:
    """Every call ever placed, oldest first."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}

    def add(self, call: Call) -> None:
        """Enter a new call."""
        self._calls[call.sid] = call

    def all(self) -> list[Call]:
        """Return all calls, oldest first."""
        return list(self._calls.values())

    def find(self, account_sid: str, sid: str) -> Call | None:
        """Return the account's call, or None: another account's calls do not exist for it."""
        call = self._calls.get(sid)
        return call if call is not None and call.account.sid == account_sid else None

    def of(self, account_sid: str) -> list[Call]:
        """Return the account's calls, newest first, as Twilio lists them."""
        return [c for c in reversed(self._calls.values()) if c.account.sid == account_sid]


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
