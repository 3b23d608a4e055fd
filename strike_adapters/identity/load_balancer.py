"""The header that the load balancer signs (`x-amzn-oidc-data`).

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field

from strike_adapters.identity.errors import invalid, missing, wrong_client, wrong_signer
from strike_adapters.identity.fetchers import FetchKey
from strike_adapters.identity.keys import KeysById
from strike_adapters.identity.model import Identity
from strike_adapters.identity.tokens import (
    Proofs,
    check_expiry,
    identity_of,
    unproven_header,
)

_KID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class LoadBalancerSettings(BaseModel):
    """Whose tokens are believed.

    `signer` is the ARN of the load balancer: without it anybody's could mint them. `issuer` and
    `client` are not checked where None. `key_endpoint` is the base URL of the public keys,
    `https://public-keys.auth.elb.<region>.amazonaws.com`.
    """

    model_config = ConfigDict(frozen=True)

    signer: str = Field(min_length=1)
    issuer: str | None = None
    client_id: str | None = None
    key_endpoint: str
    leeway_seconds: float = Field(default=60, ge=0)


class LoadBalancerIdentity:
    """Verifies tokens; to be used within one event loop. `now` is aware, in UTC."""

    def __init__(
        self, settings: LoadBalancerSettings, fetch_key: FetchKey, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._now = now
        self._proofs = Proofs()
        self._fetch_key = fetch_key
        self._keys = KeysById(self._fetch, now)

    async def verify(self, token: str | None) -> Identity:
        """Return who the token speaks of.

        Raises `Unauthenticated`: TOKEN_MISSING, TOKEN_INVALID (form, algorithm, signature, issuer,
        claims), TOKEN_EXPIRED, TOKEN_WRONG_SIGNER, TOKEN_WRONG_CLIENT, TOKEN_UNKNOWN_KEY (also
        when the keys cannot be asked for).
        """
        if not token:
            raise missing()
        header = unproven_header(token)
        # Before the key is fetched: what is refused anyway must not cost a request.
        self._check(header)
        claims = self._proofs.claims(token, await self._keys.get(header["kid"]), "ES256")
        self._check_expiry(claims.get("exp", header["exp"]))
        return identity_of(claims)

    def _check(self, header: Mapping[str, Any]) -> None:
        settings = self._settings
        kid = header.get("kid")
        if header.get("alg") != "ES256" or not isinstance(kid, str) or not _KID.fullmatch(kid):
            raise invalid()
        if header.get("signer") != settings.signer:
            raise wrong_signer()
        if settings.issuer is not None and header.get("iss") != settings.issuer:
            raise invalid()
        if settings.client_id is not None and header.get("client") != settings.client_id:
            raise wrong_client()
        self._check_expiry(header.get("exp"))

    def _check_expiry(self, exp: object) -> None:
        check_expiry(exp, self._now().timestamp() - self._settings.leeway_seconds)

    async def _fetch(self, kid: str) -> EllipticCurvePublicKey | None:
        return _public_key(await self._fetch_key(kid))


def _public_key(pem: str | None) -> EllipticCurvePublicKey | None:
    if pem is None:
        return None
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    return key if isinstance(key, EllipticCurvePublicKey) and is_p256 else None
