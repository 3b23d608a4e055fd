"""Who can be rung: contacts, and the lists that order them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import phonenumbers
from pydantic import BaseModel, ConfigDict, Field, model_validator

from strike_domain.errors import Rejected


class Language(StrEnum):
    """Languages that the phone prompts are shipped in (BCP 47)."""

    ENGLISH = "en-US"
    SPANISH = "es-US"


class Contact(BaseModel):
    """A person on a pager list. `phone` is in E.164 form, as `parse_phone` returns it."""

    model_config = ConfigDict(frozen=True)

    name: str
    phone: str
    language: Language = Language.ENGLISH

    @property
    def masked_phone(self) -> str:
        """The number as people other than its owner see it."""
        return mask_phone(self.phone)


class DeclineReason(StrEnum):
    """Why somebody says no."""

    CANNOT = "CANNOT"
    TOO_FAR = "TOO_FAR"
    """Could come, but not soon: an offer that the NOC can take up if nobody is nearer."""


class DeclineKey(BaseModel):
    """A key that declines and says why. Keys 1, 2 and 9 always accept, decline and repeat.

    `minutes`: more than so many does somebody who is TOO_FAR need to get there.
    """

    model_config = ConfigDict(frozen=True)

    key: str = Field(pattern="^[03-8]$")
    reason: DeclineReason
    minutes: int | None = Field(default=None, ge=5, le=24 * 60)

    @model_validator(mode="after")
    def _minutes_belong_to_too_far(self) -> Self:
        if (self.reason is DeclineReason.TOO_FAR) != (self.minutes is not None):
            raise ValueError("TOO_FAR needs minutes, and nothing else has any")
        return self


DECLINE_KEYS = (
    DeclineKey(key="3", reason=DeclineReason.CANNOT),
    DeclineKey(key="4", reason=DeclineReason.TOO_FAR, minutes=60),
)


class RingAgain(BaseModel):
    """Go through a list anew so many minutes after it was EXHAUSTED, so many times."""

    model_config = ConfigDict(frozen=True)

    after_minutes: int = Field(ge=1, le=24 * 60)
    times: int = Field(ge=0, le=20)


class PagerList(BaseModel):
    """An OSP's ordered contacts for one region, or its default list (`region` is None).

    `region` is a GeoJSON Polygon or MultiPolygon, WGS 84. `rounds` is how often the list is gone
    through, `answer_seconds` how long one phone may ring. `consented` are the numbers whose owners
    agreed to be rung by a machine: that is reported before the night, and keeps nobody from being
    rung in it. Whose numbers are among `texted` gets a text with a link as well, when rung.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    osp_id: UUID
    name: str
    contacts: tuple[Contact, ...]
    region: dict[str, Any] | None = None
    rounds: int = Field(default=1, ge=1, le=10)
    answer_seconds: int = Field(default=30, ge=5, le=120)
    decline_keys: tuple[DeclineKey, ...] = DECLINE_KEYS
    ring_again: RingAgain | None = None
    consented: frozenset[str] = frozenset()
    texted: frozenset[str] = frozenset()

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        if len({one.key for one in self.decline_keys}) < len(self.decline_keys):
            raise ValueError("a key can have one meaning only")
        return self


def parse_phone(
    text: str, path: tuple[str | int, ...] = ("phone",), region: str | None = None
) -> str:
    """Return `text` in E.164 form, or raise `Rejected` (PHONE_NUMBER_INVALID).

    `region` (ISO 3166-1) is assumed for numbers without a country code; without it they are
    refused, because a guess rings a stranger.
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise Rejected("PHONE_NUMBER_INVALID", _cure(text), path) from error
    if not phonenumbers.is_valid_number(number):
        raise Rejected("PHONE_NUMBER_INVALID", _cure(text), path)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def mask_phone(phone: str) -> str:
    """The last four digits only."""
    return f"…{phone[-4:]}"


def is_callable(phone: str) -> bool:
    """Whether a number in E.164 form is one that a numbering plan knows."""
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(phone)))
    except phonenumbers.NumberParseException:
        return False


def _cure(text: str) -> str:
    return f"{text!r} is not a callable number; write it with its country code, as +13035550101."
