"""The stored form of a secret.

Version 1, for wrapped keys of 60 bytes, which is what a `FileKey` writes:

    1 (1 byte) | key id (8) | wrapped data key (60) | nonce (12) | ciphertext

Version 2, for all others:

    2 (1) | key id (8) | length (2, big-endian) | wrapped data key | nonce (12) | ciphertext
"""

from __future__ import annotations

from typing import NamedTuple

from strike_adapters.secrets.aead import KEY_BYTES, OVERHEAD
from strike_adapters.secrets.errors import SecretError, unreadable

FIRST = b"\x01"

_SECOND = b"\x02"
_ID_END = 1 + 8
_LENGTH_END = _ID_END + 2
_FIXED = KEY_BYTES + OVERHEAD


class Envelope(NamedTuple):
    """A sealed secret in its parts. `secret` is nonce and ciphertext, the same in both versions."""

    key_id: bytes
    wrapped: bytes
    secret: bytes

    def to_bytes(self) -> bytes:
        """Return the stored form; the length of the wrapped key decides its version."""
        length = len(self.wrapped)
        if length == _FIXED:
            return FIRST + self.key_id + self.wrapped + self.secret
        return _SECOND + self.key_id + length.to_bytes(2, "big") + self.wrapped + self.secret


def parsed(sealed: bytes) -> Envelope:
    """Return the parts of `sealed`. Raises `SecretError` (SECRET_UNREADABLE) for any other form."""
    start, length = _wrapped_place(sealed)
    end = start + length
    if len(sealed) < end + OVERHEAD:
        raise unreadable("It was cut short.")
    return Envelope(sealed[1:_ID_END], sealed[start:end], sealed[end:])


def _wrapped_place(sealed: bytes) -> tuple[int, int]:
    """Where the wrapped key starts, and its length."""
    if sealed[:1] == FIRST:
        return _ID_END, _FIXED
    length = int.from_bytes(sealed[_ID_END:_LENGTH_END], "big")
    # Each secret has one stored form only: 60 bytes belong into version 1.
    if sealed[:1] != _SECOND or length in (0, _FIXED):
        raise unreadable("It is not in a form that this version knows.")
    return _LENGTH_END, length


def key_id_of(sealed: bytes) -> bytes | None:
    """Return the id of the key that `sealed` was sealed with, None if it is no sealed secret."""
    try:
        return parsed(sealed).key_id
    except SecretError:
        return None
