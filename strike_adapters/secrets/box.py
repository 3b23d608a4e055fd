"""Secrets sealed for one tenant and one purpose.

Envelope encryption (specification, section 6): each secret has its own data key, and the data key
is wrapped by the key-encryption key. Tenant and purpose are bound to both, and the key id to the
wrapped key: a secret that was copied to another tenant's row does not open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from strike_adapters.secrets import aead
from strike_adapters.secrets.envelope import FIRST, Envelope, key_id_of, parsed
from strike_adapters.secrets.errors import SecretError, unreadable
from strike_adapters.secrets.wrapping import FileKey, WrappingKey


class SecretBox:
    """Seals with `key` and opens with it or one of `previous`; bytes stand for a `FileKey`.

    To rotate without downtime: give every process the new key as `previous`, then as `key` with
    the old one as `previous`, `rewrap` what is stored, and drop the old one. Every method that
    uses a key raises `SecretError` (KEY_UNAVAILABLE) if the key's service does not do its part.
    `on_secret` is told each secret that is sealed or opened, so that logs can leave it out.
    """

    def __init__(
        self,
        key: bytes | WrappingKey,
        previous: Sequence[bytes | WrappingKey] = (),
        on_secret: Callable[[str], None] | None = None,
    ) -> None:
        self._on_secret = on_secret
        self._key = _wrapping(key)
        self._keys = {one.id: one for one in (*map(_wrapping, previous), self._key)}

    @property
    def key_id(self) -> bytes:
        """The id of the key that seals: compare `key_id_of` to find what is to be rewrapped."""
        return self._key.id

    def knows(self, sealed: bytes) -> bool:
        """Whether the key of `sealed` is one of these; the key itself is not asked."""
        return key_id_of(sealed) in self._keys

    def seal(self, tenant_id: UUID, purpose: str, plaintext: str) -> bytes:
        """Return the sealed form of `plaintext`: another one at every call."""
        try:
            data = plaintext.encode()
        except UnicodeEncodeError:
            raise SecretError("SECRET_NOT_TEXT", "The secret is not valid text.") from None
        self._tell(plaintext)
        data_key = aead.new_key()
        secret = aead.encrypt(AESGCM(data_key), data, _bound(FIRST, tenant_id, purpose))
        return self._wrapped(data_key, tenant_id, purpose, secret)

    def open(self, tenant_id: UUID, purpose: str, sealed: bytes) -> SecretStr:
        """Return the secret. Raises `SecretError` (SECRET_UNREADABLE) for whatever is wrong."""
        envelope = parsed(sealed)
        data_key = self._unwrapped(tenant_id, purpose, envelope)
        bound = _bound(FIRST, tenant_id, purpose)
        secret = aead.decrypt(AESGCM(data_key), envelope.secret, bound).decode()
        self._tell(secret)
        return SecretStr(secret)

    def rewrap(self, tenant_id: UUID, purpose: str, sealed: bytes) -> bytes:
        """Return `sealed` under the present key. The secret itself is not decrypted."""
        envelope = parsed(sealed)
        data_key = self._unwrapped(tenant_id, purpose, envelope)
        return self._wrapped(data_key, tenant_id, purpose, envelope.secret)

    def _tell(self, secret: str) -> None:
        if self._on_secret:
            self._on_secret(secret)

    def _wrapped(self, data_key: bytes, tenant_id: UUID, purpose: str, secret: bytes) -> bytes:
        bound = _bound(FIRST + self._key.id, tenant_id, purpose)
        return Envelope(self._key.id, self._key.wrap(data_key, bound), secret).to_bytes()

    def _unwrapped(self, tenant_id: UUID, purpose: str, envelope: Envelope) -> bytes:
        key = self._keys.get(envelope.key_id)
        if key is None:
            raise unreadable(f"It was sealed with another key, {envelope.key_id.hex()}.")
        bound = _bound(FIRST + key.id, tenant_id, purpose)
        data_key = key.unwrap(envelope.wrapped, bound)
        if len(data_key) != aead.KEY_BYTES:
            raise unreadable("Its data key has a wrong length.")
        return data_key


def _wrapping(key: bytes | WrappingKey) -> WrappingKey:
    return FileKey(key) if isinstance(key, bytes) else key


def _bound(header: bytes, tenant_id: UUID, purpose: str) -> bytes:
    """Associated data. Only the last part's length varies, so two cannot run into each other.

    It starts with the first version's byte in every version: a secret moves from a key of one
    form to a key of another without being decrypted.
    """
    return header + tenant_id.bytes + purpose.encode()
