"""Key-encryption keys: what wraps the data key of each secret."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strike_adapters.secrets import aead
from strike_adapters.secrets.errors import SecretError


class WrappingKey(Protocol):
    """A key that encrypts data keys, wherever it is kept. Several threads may use it at once."""

    @property
    def id(self) -> bytes:
        """8 bytes that never change for this key and say nothing of it."""

    def wrap(self, data_key: bytes, bound: bytes) -> bytes:
        """Return `data_key` encrypted, in 1 to 65,535 bytes; it unwraps with `bound` only.

        Raises `SecretError` (KEY_UNAVAILABLE).
        """

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        """Return the data key.

        Raises `SecretError`: SECRET_UNREADABLE if `wrapped` or `bound` is another one,
        KEY_UNAVAILABLE if the key's service cannot be asked or refuses.
        """


class FileKey:
    """AES-256-GCM with a key of 32 bytes that this process holds. Otherwise KEY_INVALID."""

    def __init__(self, key: bytes) -> None:
        if len(key) != aead.KEY_BYTES:
            raise SecretError("KEY_INVALID", f"A key has {aead.KEY_BYTES} bytes.")
        self._id = short_id(b"strike key id" + key)
        self._cipher = AESGCM(key)

    @property
    def id(self) -> bytes:
        """The start of a hash of the key."""
        return self._id

    def wrap(self, data_key: bytes, bound: bytes) -> bytes:
        """Return `data_key` encrypted: 28 bytes longer, another form at every call."""
        return aead.encrypt(self._cipher, data_key, bound)

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        """Return the data key. Raises `SecretError` (SECRET_UNREADABLE)."""
        return aead.decrypt(self._cipher, wrapped, bound)


def short_id(of: bytes) -> bytes:
    """Return 8 bytes that stand for `of` and do not lead back to it."""
    return sha256(of).digest()[:8]
