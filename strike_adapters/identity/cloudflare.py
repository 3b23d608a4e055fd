"""The header that Cloudflare Access signs (`Cf-Access-Jwt-Assertion`).

https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/application-token
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field

from strike_adapters.identity.errors import invalid, missing, wrong_client
from strike_adapters.identity.fetchers import FetchCerts
from strike_adapters.identity.jwks import rsa_keys
from strike_adapters.identity.keys import KeySet
from strike_adapters.identity.model import Identity
from strike_adapters.identity.tokens import (
    Proofs,
    check_beginning,
    check_expiry,
    identity_of,
    unproven_header,
)

_KID = re.compile(r"[0-9A-Za-z_-]{1,100}")


class CloudflareSettings(BaseModel):
    """Whose tokens are believed.

    `team` is the team's host, `osprey.cloudflareaccess.com`; `audience` the tag of the application:
    without it a token for any other application of the team would do. `certs_url` and `issuer`
    follow from the team where None.
    """

    model_config = ConfigDict(frozen=True)

    team: str = Field(pattern=r"^[0-9A-Za-z.-]+$")
    audience: str = Field(min_length=1)
    leeway_seconds: float = Field(default=60, ge=0)
    certs_url: str | None = None
    issuer: str | None = None

    def keys_at(self) -> str:
        """Return the URL of the public keys."""
        return self.certs_url or f"https://{self.team}/cdn-cgi/access/certs"

    def believed_issuer(self) -> str:
        """Return what a token's `iss` must be."""
        return self.issuer or f"https://{self.team}"


class CloudflareIdentity:
    """Verifies tokens; to be used within one event loop. `now` is aware, in UTC."""

    def __init__(
        self, settings: CloudflareSettings, fetch_keys: FetchCerts, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._now = now
        self._proofs = Proofs()
        self._fetch_keys = fetch_keys
        self._keys = KeySet(self._fetch, now)

    async def verify(self, token: str | None) -> Identity:
        """Return who the token speaks of; a service token speaks of nobody.

        Raises `Unauthenticated`: TOKEN_MISSING, TOKEN_INVALID (form, algorithm, signature, issuer,
        not valid yet, claims), TOKEN_EXPIRED, TOKEN_WRONG_CLIENT (the audience), TOKEN_UNKNOWN_KEY
        (also when the keys cannot be asked for).
        """
        if not token:
            raise missing()
        # Before the keys are fetched: what is refused anyway must not cost a request.
        kid = _kid(unproven_header(token))
        claims = self._proofs.claims(token, await self._keys.get(kid), "RS256")
        self._check(claims)
        return identity_of(claims)

    def _check(self, claims: Mapping[str, Any]) -> None:
        settings, now = self._settings, self._now().timestamp()
        if claims.get("iss") != settings.believed_issuer() or claims.get("type") != "app":
            raise invalid()
        if settings.audience not in _audiences(claims.get("aud")):
            raise wrong_client()
        check_expiry(claims.get("exp"), now - settings.leeway_seconds)
        check_beginning(claims.get("nbf", 0), now + settings.leeway_seconds)

    async def _fetch(self) -> Mapping[str, RSAPublicKey]:
        return rsa_keys(await self._fetch_keys())


def _kid(header: Mapping[str, Any]) -> str:
    kid = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise invalid()
    return kid


def _audiences(aud: object) -> list[object]:
    # One string is not looked into: a tag that contains ours is not ours.
    return aud if isinstance(aud, list) else [aud]
