"""Accounts at outside systems: a NOC's at Twilio, an OSP's at Render Networks.

What may be shown of one is its terms; with the secret it is the account itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
)

from strike_domain.ports import FieldTerms


def _base_url(value: str) -> str:
    parts = _URL.validate_python(value)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a base URL has no credentials, query or fragment")
    return value.rstrip("/")


_URL = TypeAdapter(AnyHttpUrl)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class TwilioTerms(_Frozen):
    """A NOC's account or subaccount. `from_number` (E.164) is what the person rung sees."""

    account_sid: str
    from_number: str


class TwilioAccount(TwilioTerms):
    """The same with its token."""

    auth_token: SecretStr

    @property
    def terms(self) -> TwilioTerms:
        return TwilioTerms(account_sid=self.account_sid, from_number=self.from_number)


class RenderTerms(_Frozen):
    """Where an OSP's Render is, who we are there, and how its tasks are followed.

    The defaults are those of the specification, section 5. `base_url` loses a trailing slash. Times
    end at a day and a year: what is longer is no time that anybody waits for.
    """

    osp_id: UUID
    base_url: Annotated[str, AfterValidator(_base_url)]
    client_id: str = Field(min_length=1)
    project: str = Field(min_length=1)
    polling_seconds: float = Field(default=30, ge=1, le=86_400, allow_inf_nan=False)
    inactivity_hours: float = Field(default=72, gt=0, le=8_784, allow_inf_nan=False)
    grace_hours: float = Field(default=24, ge=0, le=8_784, allow_inf_nan=False)

    @property
    def field_terms(self) -> FieldTerms:
        """How the OSP's field work is followed, as callouts want to know it."""
        return FieldTerms(
            interval=timedelta(seconds=self.polling_seconds),
            grace=timedelta(hours=self.grace_hours),
            inactivity=timedelta(hours=self.inactivity_hours),
        )


class RenderInstance(RenderTerms):
    """The same with the secret of our client."""

    client_secret: SecretStr = Field(min_length=1)

    @property
    def terms(self) -> RenderTerms:
        return RenderTerms(**self.model_dump(exclude={"client_secret"}))
