"""Secrets at rest: sealed for one tenant and one purpose, and the key that opens them.

Envelope encryption (specification, section 6): each secret has its own data key, and the data key
is wrapped by the key-encryption key. A sealed secret is, in this order:

    version (1 byte) | key id (8) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext

Both ciphers are AES-256-GCM. Their associated data are version, tenant and purpose, and for the
wrapped key the key id as well: a secret that was copied to another tenant's row does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from strike_domain.errors import StrikeError

KEY_BYTES = 32

_VERSION = b"\x01"
_NONCE = 12
_HEADER = 1 + 8
_WRAPPED = _NONCE + KEY_BYTES + 16


class SecretError(StrikeError):
    """A secret cannot be sealed or opened, or its key cannot be had. No part of it is shown.

    Codes: SECRET_UNREADABLE (wrong key, tenant or purpose, or tampered with), SECRET_NOT_TEXT,
    KEY_INVALID, KEY_UNREADABLE, KEY_EXPOSED (others may read the key's file).
    """


class SecretBox:
    """Seals with `key` and opens with it or one of `previous` (32 bytes each).

    To rotate without downtime: give every process the new key as `previous`, then as `key` with
    the old one as `previous`, `rewrap` what is stored, and drop the old one.
    """

    def __init__(self, key: bytes, previous: Sequence[bytes] = ()) -> None:
        if any(len(one) != KEY_BYTES for one in (key, *previous)):
            raise SecretError("KEY_INVALID", f"A key has {KEY_BYTES} bytes.")
        self._id = _key_id(key)
        self._keys = {_key_id(one): AESGCM(one) for one in (*previous, key)}

    def seal(self, tenant_id: UUID, purpose: str, plaintext: str) -> bytes:
        """Return the sealed form of `plaintext`: another one at every call."""
        try:
            data = plaintext.encode()
        except UnicodeEncodeError:
            raise SecretError("SECRET_NOT_TEXT", "The secret is not valid text.") from None
        data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        sealed = _encrypt(AESGCM(data_key), data, _bound(_VERSION, tenant_id, purpose))
        return self._wrap(data_key, tenant_id, purpose) + sealed

    def open(self, tenant_id: UUID, purpose: str, sealed: bytes) -> SecretStr:
        """Return the secret. Raises `SecretError` (SECRET_UNREADABLE) for whatever is wrong."""
        data_key = self._unwrap(tenant_id, purpose, sealed)
        bound = _bound(_VERSION, tenant_id, purpose)
        return SecretStr(_decrypt(AESGCM(data_key), sealed[_HEADER + _WRAPPED :], bound).decode())

    def rewrap(self, tenant_id: UUID, purpose: str, sealed: bytes) -> bytes:
        """Return `sealed` under the present key. The secret itself is not decrypted."""
        data_key = self._unwrap(tenant_id, purpose, sealed)
        return self._wrap(data_key, tenant_id, purpose) + sealed[_HEADER + _WRAPPED :]

    def _wrap(self, data_key: bytes, tenant_id: UUID, purpose: str) -> bytes:
        header = _VERSION + self._id
        return header + _encrypt(self._keys[self._id], data_key, _bound(header, tenant_id, purpose))

    def _unwrap(self, tenant_id: UUID, purpose: str, sealed: bytes) -> bytes:
        header, wrapped = sealed[:_HEADER], sealed[_HEADER : _HEADER + _WRAPPED]
        if len(header) < _HEADER or header[:1] != _VERSION:
            raise _unreadable("It is not in a form that this version knows.")
        key = self._keys.get(header[1:])
        if key is None:
            raise _unreadable(f"It was sealed with another key, {header[1:].hex()}.")
        return _decrypt(key, wrapped, _bound(header, tenant_id, purpose))


def load_or_create_key(path: str | os.PathLike[str]) -> bytes:
    """Return the 32-byte key in the file `path` (base64, mode 0600), made if there is none.

    Processes that start at once all get the same key. Raises `SecretError`: KEY_UNREADABLE,
    KEY_EXPOSED, KEY_INVALID.
    """
    file = Path(path)
    try:
        if not file.exists():
            _create_key(file)
        return _load_key(file)
    except OSError as error:
        why = error.strerror or "it is not a file's name"
        raise SecretError(
            "KEY_UNREADABLE", f"The key file {file} cannot be used: {why}."
        ) from error


def _create_key(file: Path) -> None:
    """Write the key aside and link it into place: it is there whole or not at all, and once."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as writing:
            writing.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            writing.flush()
            os.fsync(writing.fileno())
        # Whoever links first has made the key; the others read that one.
        with suppress(FileExistsError):
            os.link(aside, file)
        _sync_directory(file.parent)
    finally:
        aside.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """A key that a power cut takes away would take every secret with it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load_key(file: Path) -> bytes:
    with file.open("rb") as reading:
        mode = os.fstat(reading.fileno()).st_mode & 0o777
        content = reading.read(200)
    if mode & 0o077:
        raise SecretError(
            "KEY_EXPOSED",
            f"The key file {file} has mode {mode:04o}, so others may have read it. "
            "Allow its owner only: chmod 600.",
        )
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise SecretError(
            "KEY_INVALID", f"The key file {file} does not hold {KEY_BYTES} bytes in base64."
        )
    return key


def _key_id(key: bytes) -> bytes:
    return sha256(b"strike key id" + key).digest()[:8]


def _bound(header: bytes, tenant_id: UUID, purpose: str) -> bytes:
    """Associated data. Only the last part's length varies, so two cannot run into each other."""
    return header + tenant_id.bytes + purpose.encode()


def _encrypt(cipher: AESGCM, data: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, data, bound)


def _decrypt(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
    except (InvalidTag, ValueError):
        raise _unreadable("Key, tenant or purpose is another one, or it was changed.") from None


def _unreadable(why: str) -> SecretError:
    return SecretError("SECRET_UNREADABLE", f"The stored secret cannot be opened. {why}")
