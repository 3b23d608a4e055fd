"""What a mock is started with."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Frozen):
    """A Twilio account or subaccount; its token signs its callbacks and opens its resources."""

    sid: str = Field(pattern=r"^AC[0-9a-f]{32}$")
    token: str = Field(min_length=1, repr=False)


class RenderClient(_Frozen):
    """OAuth 2 client credentials that Render accepts."""

    id: str = Field(min_length=1)
    secret: str = Field(min_length=1, repr=False)


class Person(_Frozen):
    """Somebody who can log in at the gateway; the fields become claims of the signed header."""

    sub: str = Field(min_length=1)
    email: str = Field(min_length=3)
    name: str = Field(min_length=1)


DEFAULT_ACCOUNT = Account(sid="AC" + "0" * 31 + "1", token="mock-token")  # noqa: S106
DEFAULT_RENDER_CLIENT = RenderClient(id="strike", secret="mock-secret")  # noqa: S106
DEFAULT_PERSON = Person(sub="operator-1", email="operator@noc.example", name="Olivia Operator")
DEFAULT_SIGNER = (
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
    "loadbalancer/app/strike-mock/0123456789abcdef"
)


class MockSettings(_Frozen):
    """Settings of one mock: two ports (0 = any free one), the scenario, the pace, who is known.

    `speed` and `epoch` define simulated time (see `ScaledClock`). With `seed` set, ids of calls and
    tasks are the same in every run; without it they are random, so that a restarted mock never
    repeats an id that Strike has already stored.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    gateway_port: int = Field(default=0, ge=0, le=65535)
    upstream: str | None = Field(default=None, pattern=r"^https?://")
    scenario: str = "happy-path"
    speed: float = Field(default=1.0, gt=0)
    epoch: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    seed: int | None = None
    accounts: tuple[Account, ...] = (DEFAULT_ACCOUNT,)
    render_clients: tuple[RenderClient, ...] = (DEFAULT_RENDER_CLIENT,)
    people: tuple[Person, ...] = (DEFAULT_PERSON,)
    signer: str = DEFAULT_SIGNER
    issuer: str = "https://login.strike-mock.example"
    client: str = "strike-mock"
