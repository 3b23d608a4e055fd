"""JSON Web Tokens: what they say, unproven and proven."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import jwt
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from strike_adapters.identity.errors import expired, invalid
from strike_adapters.identity.model import Identity

MOST_TOKEN_CHARACTERS = 16_384

MOST_PROOFS = 10_000
"""How many tokens are remembered as signed: as many as people use at once."""

Key = EllipticCurvePublicKey | RSAPublicKey
Algorithm = Literal["ES256", "RS256"]


def unproven_header(token: str) -> Mapping[str, Any]:
    """Return what anybody may have written. Raises `Unauthenticated`: TOKEN_INVALID."""
    if len(token) > MOST_TOKEN_CHARACTERS:
        raise invalid()
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise invalid() from error


class _Proof(NamedTuple):
    key: Key
    claims: Mapping[str, Any]


class Proofs:
    """What keys have signed, worked out once and not for each request that brings the token.

    Only the signature is remembered, and only for the very key: whoever verifies checks the times
    and all else at each request, and asks for the key, so one that is withdrawn proves no more.
    """

    def __init__(self) -> None:
        self._known: MutableMapping[bytes, _Proof] = LRUCache(MOST_PROOFS)

    def claims(self, token: str, key: Key, algorithm: Algorithm) -> Mapping[str, Any]:
        """As `proven_claims`."""
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None or known.key is not key:
            known = self._known[digest] = _Proof(key, proven_claims(token, key, algorithm))
        return known.claims


def proven_claims(token: str, key: Key, algorithm: Algorithm) -> Mapping[str, Any]:
    """Return the claims that `key` has signed, none of them checked.

    Raises `Unauthenticated`: TOKEN_INVALID.
    """
    # As it came: the signature covers the padding. Times are checked against our clock, by us.
    unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    try:
        return jwt.decode(token, key, algorithms=[algorithm], options=unchecked)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError) as error:
        raise invalid() from error


def check_expiry(exp: object, at: float) -> None:
    """Check that `exp` is after `at`, both in Unix seconds.

    Raises `Unauthenticated`: TOKEN_EXPIRED, or TOKEN_INVALID if it is no time.
    """
    # Not `<=`: NaN, which Python's JSON knows, is neither.
    if not _seconds(exp) > at:
        raise expired()


def check_beginning(nbf: object, at: float) -> None:
    """Check that `nbf` is not after `at`, both in Unix seconds.

    Raises `Unauthenticated`: TOKEN_INVALID, also if it is no time.
    """
    if not _seconds(nbf) <= at:
        raise invalid()


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Return whom the claims speak of. Raises `Unauthenticated`: TOKEN_INVALID."""
    try:
        named = {"subject": claims["sub"], "email": claims.get("email"), "name": claims.get("name")}
        return Identity.model_validate(named)
    except (KeyError, ValueError) as error:
        raise invalid() from error


def _seconds(time: object) -> float:
    if isinstance(time, bool) or not isinstance(time, int | float):
        raise invalid()
    try:
        return float(time)
    except OverflowError as error:
        raise invalid() from error
