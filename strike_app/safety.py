"""What must not be so in production: each with a code, one sentence, and the cure.

In development the same is only said. What is meant to be so all the same is named, by its code, in
`STRIKE_ACCEPTED_RISKS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
from psycopg.conninfo import conninfo_to_dict

from strike_adapters.postgres.pools import Pool
from strike_app.settings import Network, Settings
from strike_domain.errors import StrikeError
from strike_domain.ports import MOST_PLACING_SECONDS

WIDEST = 8
"""Bits that tell a network of trusted proxies apart, at least, where it is not a private one."""

OLDEST_POSTGRES = 15

logger = structlog.get_logger()


@dataclass(frozen=True)
class Danger:
    """`code` is stable; `said` is what is wrong, `cure` what to do."""

    code: str
    said: str
    cure: str


class Unsafe(StrikeError):
    """A process does not start: the code is that of the first danger, the words tell them all."""

    def __init__(self, found: list[Danger]) -> None:
        first, *others = found
        message = f"{first.said} {first.cure}"
        if others:
            codes = ", ".join(one.code for one in others)
            message += f" Besides: {codes}; strike doctor tells more."
        super().__init__(first.code, message)


def refuse(settings: Settings, found: Iterable[Danger]) -> list[str]:
    """The codes of the dangers that are not accepted.

    Raises `Unsafe` in production, if there are any.
    """
    dangers = [one for one in found if one.code not in settings.risks]
    if dangers and settings.environment == "production":
        raise Unsafe(dangers)
    return [one.code for one in dangers]


def warn(codes: Sequence[str]) -> None:
    """Say in development what would keep the process from starting elsewhere."""
    if codes:
        logger.info("not for production", codes=codes)


def unsafe(settings: Settings) -> Iterator[Danger]:
    """What the settings alone show."""
    yield from _address(settings)
    yield from _telephone(settings)
    yield from _login(settings)
    yield from unsafe_address_of_database(settings)
    yield from _secrets(settings)
    if settings.clock_speed != 1.0 or settings.clock_epoch is not None:
        cure = "Unset STRIKE_CLOCK_SPEED and STRIKE_CLOCK_EPOCH: they are for demos."
        yield Danger("CLOCK_NOT_REAL", "The clock is not the computer's own.", cure)


def _address(settings: Settings) -> Iterator[Danger]:
    cure = "Set STRIKE_PUBLIC_URL to the https address at which Twilio reaches this server."
    if settings.public_url is None:
        yield Danger("PUBLIC_URL_MISSING", "STRIKE_PUBLIC_URL is not set.", cure)
        return
    url = str(settings.public_url)
    if not url.startswith("https:"):
        said = f"STRIKE_PUBLIC_URL is {url}: logins, keys pressed and links would go unencrypted."
        yield Danger("PUBLIC_URL_NOT_HTTPS", said, cure)
    if is_local(url):
        said = f"STRIKE_PUBLIC_URL is {url}, which Twilio cannot reach."
        yield Danger("PUBLIC_URL_LOCAL", said, cure)


def _telephone(settings: Settings) -> Iterator[Danger]:
    url = str(settings.twilio_base_url or "https://api.twilio.com/")
    host = urlsplit(url).hostname or ""
    if not url.startswith("https:") or not f".{host}".endswith(".twilio.com"):
        said = f"STRIKE_TWILIO_BASE_URL is {url}, which is not Twilio: nobody would be rung."
        yield Danger("TWILIO_NOT_REAL", said, "Unset it, or name one of Twilio's own edges.")
    lease = settings.lease_seconds
    if lease < MOST_PLACING_SECONDS:
        said = f"STRIKE_LEASE_SECONDS is {lease:g}: somebody else could ring a person who is rung."
        cure = f"Unset it: a request for a call may take {MOST_PLACING_SECONDS:g} s."
        yield Danger("LEASE_TOO_SHORT", said, cure)


def _login(settings: Settings) -> Iterator[Danger]:
    # Imported here: the mock is no part of what runs in production.
    from strike_mock.settings import DEFAULT_SIGNER

    if settings.oidc_signer == DEFAULT_SIGNER:
        said = "STRIKE_OIDC_SIGNER is the mock's: everybody knows how to sign as it."
        yield Danger("SIGNER_OF_MOCK", said, "Set it to the ARN of your own load balancer.")
    keys = {
        "STRIKE_OIDC_KEYS": settings.oidc_keys if settings.oidc_signer else None,
        "STRIKE_CLOUDFLARE_CERTS": settings.cloudflare_certs,
    }
    for name, url in keys.items():
        if url is not None and (not str(url).startswith("https:") or is_local(str(url))):
            said = f"{name} is {url}: whoever is in between could hand out keys of their own."
            yield Danger("LOGIN_KEYS_INSECURE", said, f"Unset {name}, or give an https address.")
    for network in settings.trusted_networks:
        if _is_everybody(network):
            said = f"STRIKE_TRUSTED_PROXIES has {network}: anybody's headers would be believed."
            cure = "Name the networks of your load balancer only."
            yield Danger("PROXIES_TOO_WIDE", said, cure)


def _is_everybody(network: Network) -> bool:
    return network.prefixlen < WIDEST and not network.is_private


def unsafe_address_of_database(settings: Settings) -> Iterator[Danger]:
    """Where the log is kept, and how it gets there."""
    if settings.database_url is None:
        said = "STRIKE_DATABASE_URL is not set: an embedded database has no backup and one machine."
        yield Danger("DATABASE_EMBEDDED", said, "Set it to your PostgreSQL.")
    urls = {
        "STRIKE_DATABASE_URL": settings.database_url,
        "STRIKE_READ_DATABASE_URL": settings.read_database_url,
    }
    for name, url in urls.items():
        parts = conninfo_to_dict(url or "")
        host = str(parts.get("host") or "localhost")
        if parts.get("sslmode") == "disable" and not (host.startswith("/") or is_here(host)):
            said = f"The connection to the database at {host} is not encrypted."
            cure = f"Take sslmode=disable out of {name}; verify-full is best."
            yield Danger("DATABASE_UNENCRYPTED", said, cure)
            return


def _secrets(settings: Settings) -> Iterator[Danger]:
    if settings.secrets_key_file is None and settings.secrets_kms_key is None:
        said = "No key for stored secrets is set: each machine would make one of its own."
        cure = "Set STRIKE_SECRETS_KMS_KEY or STRIKE_SECRETS_KEY_FILE (strike secrets new-key)."
        yield Danger("SECRETS_KEY_MISSING", said, cure)
    url = settings.secrets_kms_url
    if url is not None and not str(url).startswith("https:"):
        said = f"STRIKE_SECRETS_KMS_URL is {url}: keys would go unencrypted."
        yield Danger("KMS_NOT_HTTPS", said, "Unset it, or give an https address.")


RISKS = """
SELECT current_setting('server_version_num')::int / 10000 AS version,
       rolsuper OR rolbypassrls AS is_superuser,
       current_setting('fsync') = 'off' OR current_setting('full_page_writes') = 'off'
           OR current_setting('synchronous_commit') = 'off' AS may_forget
FROM pg_roles WHERE rolname = current_user
"""


def unsafe_database(pool: Pool) -> Iterator[Danger]:
    """What the database itself shows."""
    with pool.connection() as connection:
        row: dict[str, Any] = connection.execute(RISKS).fetchone() or {}
    if row["version"] < OLDEST_POSTGRES:
        said = f"The database is PostgreSQL {row['version']}."
        yield Danger("DATABASE_TOO_OLD", said, f"Use {OLDEST_POSTGRES} or newer.")
    if row["is_superuser"]:
        said = "The database's user is a superuser, or passes by row-level security."
        cure = "Give STRIKE_DATABASE_URL a user that owns its database and no more."
        yield Danger("DATABASE_SUPERUSER", said, cure)
    if row["may_forget"]:
        said = "The database may forget what it has confirmed."
        cure = "Set fsync, full_page_writes and synchronous_commit to on."
        yield Danger("DATABASE_MAY_FORGET", said, cure)


def is_local(url: str) -> bool:
    """Whether only this machine or this network reaches it."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".internal")) or "." not in host


def is_here(host: str) -> bool:
    """Whether that is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
