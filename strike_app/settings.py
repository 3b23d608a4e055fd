"""Everything that can be set, by environment (`STRIKE_…`) or in a file, each with its unit."""

from __future__ import annotations

import os
import tomllib
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import AnyHttpUrl, AwareDatetime, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from strike_domain.errors import Rejected

if TYPE_CHECKING:
    from limits import RateLimitItem

Network = IPv4Network | IPv6Network


def rate_of(text: str) -> RateLimitItem:
    """The rate in words such as "600/minute". Raises `ValueError` for others, and for none."""
    # It takes a tenth of a second, and of all that read settings only the server counts.
    from limits import parse

    rate = parse(text)
    if rate.amount < 1:
        raise ValueError(f"{text!r} would let nobody in")
    return rate


PREFIX = "STRIKE_"

INVALID = "SETTINGS_FILE_INVALID"

FILE = "STRIKE_SETTINGS_FILE"
"""Names a file in TOML, with the same names in lower case and without the prefix."""


class SettingsFile(PydanticBaseSettingsSource):
    """What the file says that the environment names; nothing if it names none."""

    def __call__(self) -> dict[str, Any]:
        """Raises `Rejected`: see `read_file`."""
        return read_file(os.environ.get(FILE), set(self.settings_cls.model_fields))

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not asked for: `__call__` gives all values at once."""
        raise NotImplementedError


def read_file(path: str | None, known: set[str]) -> dict[str, Any]:
    """The values in that file.

    Raises `Rejected` (SETTINGS_FILE_INVALID) if it cannot be read, or has what is no setting.
    """
    if not path:
        return {}
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Rejected(INVALID, f"{FILE} {path} cannot be read: {error}") from error
    if unknown := sorted(values.keys() - known):
        raise Rejected(INVALID, f"{FILE} {path} has what is no setting: {', '.join(unknown)}")
    return values


class Settings(BaseSettings):
    """Read once at the start of a process. Unset: what suits one machine at a time."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    environment: Literal["development", "production"] = Field(
        "development",
        description="In production a process does not start with settings that are unsafe.",
    )
    accepted_risks: str = Field(
        "", description="Codes of such settings that are meant so, separated by commas."
    )
    database_url: str | None = Field(
        None,
        repr=False,  # It may hold a password.
        description="PostgreSQL 15 to 18; unset: an embedded PostgreSQL 18 is started.",
    )
    read_database_url: str | None = Field(
        None,
        repr=False,  # It may hold a password.
        description="A streaming replica of it, which answers questions to read models; unset: "
        "the database itself.",
    )
    replica_lag_seconds: float = Field(
        5.0, gt=0, le=300, description="A replica that is further behind is not asked."
    )
    host: str = Field("127.0.0.1", description="Address that `strike serve` listens on.")
    port: int = Field(8080, ge=0, le=65_535, description="Port of `strike serve`; 0: a free one.")
    drain_seconds: float = Field(
        0.0,
        ge=0,
        le=300,
        description="How long `strike serve` still takes requests once it is to stop, while "
        "/readyz says so: until a load balancer has noticed.",
    )
    public_url: AnyHttpUrl | None = Field(
        None,
        description="Where Twilio, and who follows a text's link, reaches this server; signatures "
        "are checked against it.",
    )
    twilio_base_url: AnyHttpUrl | None = Field(
        None, description="Instead of api.twilio.com: a mock or a regional edge."
    )
    oidc_signer: str = Field("", description="ARN of the load balancer that signs who is calling.")
    oidc_issuer: str | None = Field(None, description="Issuer that its header must name.")
    oidc_client: str | None = Field(None, description="Client id that its header must name.")
    oidc_keys: AnyHttpUrl = Field(
        AnyHttpUrl("https://public-keys.auth.elb.us-east-1.amazonaws.com"),
        description="Where its public keys are, one by key id.",
    )
    cloudflare_team: str | None = Field(
        None, description="Host of the Cloudflare Access team, as osprey.cloudflareaccess.com."
    )
    cloudflare_audience: str | None = Field(
        None, description="Audience tag of the Access application; needed where a team is set."
    )
    cloudflare_certs: AnyHttpUrl | None = Field(
        None, description="Where the team's keys are; unset: at the team's own address."
    )
    trusted_proxies: str = Field(
        "127.0.0.0/8,::1/128",
        description="Networks whose signed headers are believed, separated by commas.",
    )
    secrets_key_file: Path | None = Field(
        None, description="File of the key that wraps stored secrets; unset: in the data folder."
    )
    secrets_previous_key_files: str = Field(
        "", description="Files of keys that open older secrets still, separated by commas."
    )
    secrets_kms_key: str | None = Field(
        None, description="ARN of a key in AWS KMS that wraps instead; key files only open then."
    )
    secrets_previous_kms_keys: str = Field(
        "", description="ARNs of keys in AWS KMS that open older secrets still; commas between."
    )
    secrets_kms_url: AnyHttpUrl | None = Field(
        None, description="Instead of AWS's own endpoint of KMS: one in your network, or a mock."
    )
    tiles_url: str = Field(
        "",
        description="Map tiles, as https://tiles.example/{z}/{x}/{y}.png; unset: only the outlines "
        "of states and counties, from this server.",
    )
    tiles_credit: str = Field("", description="Whose tiles they are; shown on every map.")
    wait_for_seconds: float = Field(
        5.0, gt=0, le=30, description="How long a query waits for a position at the most."
    )
    heartbeat_url: AnyHttpUrl | None = Field(
        None,
        repr=False,  # Whoever knows it can say that all is well.
        description="Asked every 30 s while no page is in danger; an outside monitor rings if not.",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Prometheus metrics are served there; unset: nowhere."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of the metrics port.")
    nats_url: str | None = Field(
        None,
        repr=False,  # It may hold a password.
        description="NATS servers that `strike publish` publishes to, separated by commas.",
    )
    nats_stream: str = Field(
        "STRIKE", pattern=r"^[\w-]+$", description="Stream of JetStream; made if it is not there."
    )
    nats_max_age_days: float | None = Field(
        None, gt=0, description="How long the stream keeps events; unset: 30 if it is made."
    )
    command_threads: int = Field(8, ge=1, le=64, description="Commands under way at once.")
    worker_threads: int = Field(8, ge=1, le=64, description="Pager runs worked on at once.")
    field_threads: int = Field(
        16, ge=1, le=128, description="Field tasks looked at at once; of one OSP a fourth of it."
    )
    lease_seconds: float = Field(
        9.0, gt=0, le=60, description="How long a worker that died keeps what it had claimed."
    )
    rate_per_user: str = Field(
        "600/minute", description="GraphQL operations of one user, for each server process."
    )
    rate_per_tenant: str = Field(
        "3000/minute", description="GraphQL operations of one tenant, for each server process."
    )
    streams_per_user: int = Field(
        100, ge=1, description="Streams that one user may have open, for each server process."
    )
    streams_per_tenant: int = Field(
        1_000, ge=1, description="Streams of one tenant, for each server process."
    )
    streams_per_process: int = Field(
        10_000, ge=1, description="Streams of all together, for each server process."
    )
    clock_speed: float = Field(
        1.0, gt=0, description="How many times faster than real time (demos only)."
    )
    clock_epoch: AwareDatetime | None = Field(
        None, description="When the faster clock showed real time; shared by all processes."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in value.split(","):
            ip_network(part.strip())
        return value

    @field_validator("rate_per_user", "rate_per_tenant")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        rate_of(value)
        return value

    @model_validator(mode="after")
    def _team_and_audience(self) -> Self:
        if (self.cloudflare_team is None) != (self.cloudflare_audience is None):
            raise ValueError("STRIKE_CLOUDFLARE_TEAM and STRIKE_CLOUDFLARE_AUDIENCE go together")
        return self

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What a program says, then the environment, then the file."""
        return (
            named["init_settings"],
            EnvSettingsSource(settings_cls),
            SettingsFile(settings_cls),
        )

    @property
    def risks(self) -> frozenset[str]:
        """The codes of `accepted_risks`."""
        return frozenset(_parts(self.accepted_risks))

    @property
    def has_login(self) -> bool:
        """Whether anybody is trusted to say who is calling."""
        return bool(self.oidc_signer or self.cloudflare_team)

    @cached_property
    def trusted_networks(self) -> tuple[Network, ...]:
        return tuple(ip_network(part.strip()) for part in self.trusted_proxies.split(","))

    @property
    def previous_key_files(self) -> tuple[Path, ...]:
        return tuple(map(Path, _parts(self.secrets_previous_key_files)))

    @property
    def previous_kms_keys(self) -> tuple[str, ...]:
        return tuple(_parts(self.secrets_previous_kms_keys))

    @property
    def tiles_origin(self) -> str:
        """Where tiles come from, as a policy names it; empty without any."""
        return "/".join(self.tiles_url.split("/")[:3]) if self.tiles_url else ""

    @property
    def webhook_base(self) -> str:
        """The public URL without a slash at its end; this server's own where none is set."""
        return str(self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
