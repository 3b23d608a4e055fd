"""The header that the load balancer signs, with its quirks.

Amazon's application load balancer: ES256; segments keep their `=` padding, and the signature covers
it; `signer`, `iss`, `client` and `exp` stand in the JOSE header
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html).
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from strike_mock.clock import Clock
from strike_mock.keyring import KEEP_SECONDS, Flaws, Key, Keyring
from strike_mock.settings import Person

LIFETIME_SECONDS = 120
_COORDINATE_BYTES = 32
_CLAIMS = {"sub", "email", "name"}

Flaw = Literal[
    "expired", "wrong-signer", "unknown-kid", "wrong-algorithm", "wrong-key", "unsigned", "none"
]
"""What can be wrong with a token on demand: every field is as it should be, apart from one."""


def _new_key() -> Key[ec.EllipticCurvePrivateKey]:
    return Key(str(uuid4()), ec.generate_private_key(ec.SECP256R1()))


class IdentitySigner:
    """Signs who somebody is, with a key of its own that `public_key` publishes.

    `rotate` takes a new key; `spoil` lets the next tokens have a flaw.
    """

    def __init__(self, clock: Clock, *, signer: str, issuer: str, client: str) -> None:
        self._keys = Keyring(clock, _new_key)
        self._flaws: Flaws[Flaw] = Flaws()
        self._clock = clock
        self._signer = signer
        self._issuer = issuer
        self._client = client

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""
        return self._keys.current.kid

    def rotate(self, keep_seconds: float = KEEP_SECONDS) -> str:
        """Sign with a new key from now on; the old one stays published for `keep_seconds`."""
        return self._keys.rotate(keep_seconds)

    def spoil(self, flaw: Flaw, times: int = 1) -> None:
        """Let the next `times` tokens have this flaw, and forget what was asked for before."""
        self._flaws.ask(flaw, times)

    def sign(self, person: Person) -> str:
        """Return a fresh `x-amzn-oidc-data` for `person`; empty if its flaw is to be missing."""
        flaw = self._flaws.take()
        if flaw == "none":
            return ""
        expiry = self._expiry(flaw)
        header = {
            "typ": "JWT",
            "kid": str(uuid4()) if flaw == "unknown-kid" else self.kid,
            "alg": {"wrong-algorithm": "HS256", "unsigned": "none"}.get(str(flaw), "ES256"),
            "iss": self._issuer,
            "client": self._client,
            "signer": f"{self._signer}-of-somebody-else"
            if flaw == "wrong-signer"
            else self._signer,
            "exp": expiry,
        }
        claims = person.model_dump(include=_CLAIMS) | {"exp": expiry, "iss": self._issuer}
        signed = f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(claims).encode())}"
        return f"{signed}.{_segment(self._signature(signed.encode(), flaw))}"

    def public_key(self, kid: UUID) -> str | None:
        """Return the PEM of the key `kid`, or None if it is not published (any more)."""
        pems = (_pem(key.private) for key in self._keys.published() if key.kid == str(kid))
        return next(pems, None)

    def _expiry(self, flaw: Flaw | None) -> int:
        # Strike may check against the wall clock or the simulated one: good, or bad, for both.
        times = (self._clock.now(), datetime.now(UTC))
        if flaw == "expired":
            return int(min(times).timestamp()) - LIFETIME_SECONDS
        return int(max(times).timestamp()) + LIFETIME_SECONDS

    def _signature(self, signed: bytes, flaw: Flaw | None) -> bytes:
        if flaw == "unsigned":
            return b""
        key = (_new_key() if flaw == "wrong-key" else self._keys.current).private
        if flaw == "wrong-algorithm":
            # The classic: the published key taken for a shared secret.
            return hmac.digest(_pem(key).encode(), signed, sha256)
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).decode()
