"""The header that Cloudflare Access signs.

RS256; segments without padding; the audience is a list
(https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/application-token).
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from strike_mock.clock import Clock
from strike_mock.keyring import KEEP_SECONDS, Flaws, Key, Keyring
from strike_mock.settings import Person

CLOUDFLARE_ISSUER = "https://strike-mock.cloudflareaccess.example"
LIFETIME_SECONDS = 120

_KEY_BITS = 2048
_KID_BYTES = 32

CloudflareFlaw = Literal[
    "expired",
    "wrong-audience",
    "unknown-kid",
    "wrong-algorithm",
    "wrong-key",
    "unsigned",
    "wrong-issuer",
    "not-yet",
    "none",
]
"""What can be wrong with a token on demand: every field is as it should be, apart from one."""

_ALGORITHMS = {"wrong-algorithm": "HS256", "unsigned": "none"}


class CloudflareSigner:
    """Signs who somebody is, with a key of its own that `certs` publishes.

    `rotate` takes a new key; `spoil` lets the next tokens have a flaw. The key is made when it is
    first needed, which takes some tens of milliseconds.
    """

    def __init__(self, clock: Clock, *, audience: str, issuer: str = CLOUDFLARE_ISSUER) -> None:
        self._keys = Keyring(clock, _new_key)
        self._flaws: Flaws[CloudflareFlaw] = Flaws()
        self._clock = clock
        self._audience = audience
        self._issuer = issuer

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""
        return self._keys.current.kid

    def rotate(self, keep_seconds: float = KEEP_SECONDS) -> str:
        """Sign with a new key from now on; the old one stays published for `keep_seconds`."""
        return self._keys.rotate(keep_seconds)

    def spoil(self, flaw: CloudflareFlaw, times: int = 1) -> None:
        """Let the next `times` tokens have this flaw, and forget what was asked for before."""
        self._flaws.ask(flaw, times)

    def sign(self, person: Person) -> str:
        """Return a fresh token for `person`; empty if its flaw is to be missing."""
        flaw = self._flaws.take()
        if flaw == "none":
            return ""
        parts = self._header(flaw), self._claims(person, flaw)
        signed = ".".join(_segment(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_segment(self._signature(signed.encode(), flaw))}"

    def certs(self) -> dict[str, Any]:
        """Return the public keys, the present and the previous ones, as JSON Web Keys."""
        return {"keys": [_jwk(key) for key in self._keys.published()]}

    def _header(self, flaw: CloudflareFlaw | None) -> dict[str, str]:
        kid = _new_kid() if flaw == "unknown-kid" else self.kid
        return {"alg": _ALGORITHMS.get(str(flaw), "RS256"), "kid": kid, "typ": "JWT"}

    def _claims(self, person: Person, flaw: CloudflareFlaw | None) -> dict[str, Any]:
        another = "-of-somebody-else"
        begins, ends = self._validity(flaw)
        return {
            "aud": [self._audience + (another if flaw == "wrong-audience" else "")],
            "email": person.email,
            "exp": ends,
            "iat": begins,
            "nbf": begins,
            "iss": self._issuer + (another if flaw == "wrong-issuer" else ""),
            "type": "app",
            "identity_nonce": token_hex(8),
            "sub": person.sub,
            "country": "US",
        }

    def _validity(self, flaw: CloudflareFlaw | None) -> tuple[int, int]:
        # Strike may check against the wall clock or the simulated one: good, or bad, for both.
        times = (self._clock.now(), datetime.now(UTC))
        first, last = int(min(times).timestamp()), int(max(times).timestamp())
        if flaw == "expired":
            return first - 2 * LIFETIME_SECONDS, first - LIFETIME_SECONDS
        if flaw == "not-yet":
            return last + LIFETIME_SECONDS, last + 2 * LIFETIME_SECONDS
        return first, last + LIFETIME_SECONDS

    def _signature(self, signed: bytes, flaw: CloudflareFlaw | None) -> bytes:
        if flaw == "unsigned":
            return b""
        key = (_new_key() if flaw == "wrong-key" else self._keys.current).private
        if flaw == "wrong-algorithm":
            # The classic: the published key taken for a shared secret.
            return hmac.digest(_pem(key), signed, sha256)
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def _new_key() -> Key[rsa.RSAPrivateKey]:
    return Key(_new_kid(), rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS))


def _new_kid() -> str:
    return token_hex(_KID_BYTES)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form)


def _jwk(key: Key[rsa.RSAPrivateKey]) -> dict[str, str]:
    public = key.private.public_key().public_numbers()
    numbers = {"e": _number(public.e), "n": _number(public.n)}
    return {"kid": key.kid, "kty": "RSA", "alg": "RS256", "use": "sig", **numbers}


def _number(number: int) -> str:
    return _segment(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")
