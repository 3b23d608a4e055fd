"""Texts (SMS): taken, delivered or not, and told so. Nobody has to do anything to get one.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from strike_mock.clock import Clock
from strike_mock.courier import Courier, Letter, Params
from strike_mock.errors import Undeliverable
from strike_mock.ids import Ids
from strike_mock.settings import Account
from strike_mock.stage import Stage

DELIVERY_SECONDS = 1.0
"""How long a text is on its way."""

UNREACHABLE = 30003
"""Twilio's number for a handset that is switched off or out of reach."""


class TextStatus(StrEnum):
    """Those of Twilio's message statuses that a text from Strike comes through here."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True)
class TextRequest:
    """What Strike asked for."""

    to: str
    from_: str
    body: str
    status_callback: str | None = None


@dataclass
class Text:
    """One text. `error` is Twilio's number for why it was not delivered."""

    sid: str
    account: Account
    request: TextRequest
    created: datetime
    updated: datetime
    status: TextStatus = TextStatus.QUEUED
    error: int | None = None

    def as_story(self) -> dict[str, Any]:
        """Return the text as the control API shows it."""
        return {
            "sid": self.sid,
            "account": self.account.sid,
            "to": self.request.to,
            "from": self.request.from_,
            "body": self.request.body,
            "status": self.status.value,
            "error": self.error,
            "created": self.created.isoformat(),
        }


class PostOffice:
    """Every text ever sent, oldest first, and what delivers them.

    A phone that `fails_with` something gets none.
    """

    def __init__(self, clock: Clock, courier: Courier, stage: Stage, ids: Ids) -> None:
        self._clock = clock
        self._courier = courier
        self._stage = stage
        self._ids = ids
        self._texts: dict[str, Text] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, account: Account, request: TextRequest) -> Text:
        """Queue a text and return it; it goes on by itself."""
        now = self._clock.now()
        text = Text(self._ids.new("SM"), account, request, created=now, updated=now)
        self._texts[text.sid] = text
        task = asyncio.get_running_loop().create_task(self._deliver(text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return text

    def all(self) -> list[Text]:
        """Return all texts, oldest first."""
        return list(self._texts.values())

    def find(self, account_sid: str, sid: str) -> Text | None:
        """Return the account's text, or None: another account's do not exist for it."""
        text = self._texts.get(sid)
        return text if text is not None and text.account.sid == account_sid else None

    def of(self, account_sid: str) -> list[Text]:
        """Return the account's texts, newest first, as Twilio lists them."""
        return [one for one in reversed(self._texts.values()) if one.account.sid == account_sid]

    async def close(self) -> None:
        """Drop what is on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, text: Text) -> None:
        await self._clock.sleep(DELIVERY_SECONDS)
        fails = self._stage.scenario.phone(text.request.to).fails_with is not None
        text.status = TextStatus.UNDELIVERED if fails else TextStatus.DELIVERED
        text.error = UNREACHABLE if fails else None
        text.updated = self._clock.now()
        if text.request.status_callback is None:
            return
        letter = Letter(
            "text",
            text.sid,
            "POST",
            text.request.status_callback,
            _params(text),
            text.account.token,
        )
        try:
            await self._courier.deliver(letter)
        except Undeliverable:
            return  # Twilio does not try these again.


def _params(text: Text) -> Params:
    """https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks"""
    params: Params = (
        ("MessageSid", text.sid),
        ("SmsSid", text.sid),
        ("AccountSid", text.account.sid),
        ("From", text.request.from_),
        ("To", text.request.to),
        ("MessageStatus", text.status.value),
        ("SmsStatus", text.status.value),
        ("ApiVersion", "2010-04-01"),
    )
    return params if text.error is None else (*params, ("ErrorCode", str(text.error)))
