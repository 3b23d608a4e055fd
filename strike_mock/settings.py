"""What a mock is started with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

CallingCode = Annotated[str, Field(pattern=r"^\+[1-9]\d{0,6}$")]
Number = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Frozen):
    """A Twilio account or subaccount; its token signs its callbacks and opens its resources.

    A subaccount names its `parent`, whose token opens it too. `numbers` are the only ones it may
    call from, `countries` the beginnings of those that it may call ("+1", "+49"), `concurrency` how
    many requests it may have under way at once; None: any.
    """

    sid: str = Field(pattern=r"^AC[0-9a-f]{32}$")
    token: str = Field(min_length=1, repr=False)
    friendly_name: str = Field(default="", max_length=64)
    status: Literal["active", "suspended", "closed"] = "active"
    parent: str | None = None
    numbers: tuple[Number, ...] | None = None
    countries: tuple[CallingCode, ...] | None = None
    concurrency: int | None = Field(default=None, ge=0)


class RenderClient(_Frozen):
    """OAuth 2 client credentials that Render accepts."""

    id: str = Field(min_length=1)
    secret: str = Field(min_length=1, repr=False)


class Person(_Frozen):
    """Somebody who can log in at the gateway; the fields become claims of the signed header.

    `note` says on the login page who that is, and is no claim.
    """

    sub: str = Field(min_length=1)
    email: str = Field(min_length=3)
    name: str = Field(min_length=1)
    note: str = ""


DEFAULT_ACCOUNT = Account(sid="AC" + "0" * 31 + "1", token="mock-token")  # noqa: S106
DEFAULT_RENDER_CLIENT = RenderClient(id="strike", secret="mock-secret")  # noqa: S106
DEFAULT_PERSON = Person(sub="operator-1", email="operator@noc.example", name="Olivia Operator")
DEFAULT_SIGNER = (
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
    "loadbalancer/app/strike-mock/0123456789abcdef"
)


class MockSettings(_Frozen):
    """Settings of one mock: two ports (0 = any free one), the scenario, the pace, who is known.

    `speed` and `epoch` define simulated time (see `SteppedClock`); `paused`, it stands still until
    it is told to go on. With `seed` set, ids of calls and tasks are the same in every run; without
    it they are random, so that a restarted mock never repeats an id that Strike has already stored.
    With `cloudflare_audience` set, Cloudflare Access with this application tag stands in front too.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    gateway_port: int = Field(default=0, ge=0, le=65535)
    upstream: str | None = Field(default=None, pattern=r"^https?://")
    scenario: str = "happy-path"
    speed: float = Field(default=1.0, gt=0)
    paused: bool = False
    epoch: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    seed: int | None = None
    accounts: tuple[Account, ...] = (DEFAULT_ACCOUNT,)
    render_clients: tuple[RenderClient, ...] = (DEFAULT_RENDER_CLIENT,)
    people: tuple[Person, ...] = (DEFAULT_PERSON,)
    signer: str = DEFAULT_SIGNER
    issuer: str = "https://login.strike-mock.example"
    client: str = "strike-mock"
    cloudflare_audience: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _parents_exist(self) -> Self:
        parents = {account.sid for account in self.accounts if account.parent is None}
        for account in self.accounts:
            if account.parent is not None and account.parent not in parents:
                raise ValueError(
                    f"account {account.sid}: its parent is no account of its own right"
                )
        return self
