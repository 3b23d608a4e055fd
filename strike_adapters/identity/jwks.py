"""JSON Web Keys: from what a server answers to the keys in it that may be believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from pydantic import BaseModel, ConfigDict, Field, ValidationError

LEAST_KEY_BITS = 2048


class _Answer(BaseModel):
    keys: list[object]


class _Jwk(BaseModel):
    model_config = ConfigDict(strict=True)

    kid: str = Field(min_length=1)
    kty: Literal["RSA"]
    alg: Literal["RS256"]
    n: str
    e: str


def rsa_keys(text: str | None) -> dict[str, RSAPublicKey]:
    """Return the keys for RS256 in `{"keys": [JWK...]}`, by id.

    What is no such key, or weaker than `LEAST_KEY_BITS`, is left out; rubbish has no keys.
    """
    found = ((jwk.kid, _public_key(jwk)) for jwk in _jwks(text))
    return {kid: key for kid, key in found if key is not None}


def _jwks(text: str | None) -> Iterator[_Jwk]:
    try:
        answer = _Answer.model_validate_json(text or "")
    except ValidationError:
        return
    for entry in answer.keys:
        try:
            yield _Jwk.model_validate(entry)
        except ValidationError:
            continue


def _public_key(jwk: _Jwk) -> RSAPublicKey | None:
    try:
        key = RSAAlgorithm.from_jwk({"kty": jwk.kty, "n": jwk.n, "e": jwk.e})
    except (jwt.PyJWTError, ValueError):
        return None
    is_strong = isinstance(key, RSAPublicKey) and key.key_size >= LEAST_KEY_BITS
    return key if isinstance(key, RSAPublicKey) and is_strong else None
