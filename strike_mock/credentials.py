"""HTTP Basic credentials, which Twilio and Render's token endpoint both take."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Return user and password of an `Authorization` header; both empty if it is no such thing.

    RFC 7617, read as UTF-8.
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except (NotBase64, UnicodeDecodeError):
        return "", ""
    return user, password
