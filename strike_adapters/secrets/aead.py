"""AES-256-GCM with a random nonce in front of what it encrypts."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strike_adapters.secrets.errors import unreadable

KEY_BYTES = 32

NONCE_BYTES = 12

OVERHEAD = NONCE_BYTES + 16
"""Bytes by which what is encrypted is longer: nonce and tag."""


def new_key() -> bytes:
    """Return a random key of `KEY_BYTES`."""
    return AESGCM.generate_key(bit_length=8 * KEY_BYTES)


def encrypt(cipher: AESGCM, data: bytes, bound: bytes) -> bytes:
    """Return nonce and ciphertext of `data`, which opens with the same `bound` only."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, bound)


def decrypt(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    """Return what `encrypt` was given. Raises `SecretError` (SECRET_UNREADABLE)."""
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise unreadable("Key, tenant or purpose is another one, or it was changed.") from None
