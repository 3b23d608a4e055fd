"""The header that the load balancer signs, with its quirks.

Amazon's application load balancer: ES256; segments keep their `=` padding, and the signature covers
it; `signer`, `iss`, `client` and `exp` stand in the JOSE header
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from strike_mock.clock import Clock
from strike_mock.settings import Person

LIFETIME_SECONDS = 120
_COORDINATE_BYTES = 32


class IdentitySigner:
    """Signs who somebody is, with a key of its own that `public_key` publishes."""

    def __init__(self, clock: Clock, *, signer: str, issuer: str, client: str) -> None:
        self.kid = str(uuid4())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._clock = clock
        self._signer = signer
        self._issuer = issuer
        self._client = client

    def sign(self, person: Person) -> str:
        """Return a fresh `x-amzn-oidc-data` for `person`."""
        expiry = self._expiry()
        header = {
            "typ": "JWT",
            "kid": self.kid,
            "alg": "ES256",
            "iss": self._issuer,
            "client": self._client,
            "signer": self._signer,
            "exp": expiry,
        }
        claims = person.model_dump() | {"exp": expiry, "iss": self._issuer}
        signed = f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(claims).encode())}"
        return f"{signed}.{_segment(self._signature(signed.encode()))}"

    def public_key(self, kid: UUID) -> str | None:
        """Return the PEM of the key `kid`, or None."""
        if str(kid) != self.kid:
            return None
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(encoding, form).decode()

    def _expiry(self) -> int:
        # Strike may check against the wall clock or the simulated one: good for both.
        now = max(self._clock.now(), datetime.now(UTC))
        return int(now.timestamp()) + LIFETIME_SECONDS

    def _signature(self, signed: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).decode()
