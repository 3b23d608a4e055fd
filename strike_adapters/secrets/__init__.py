"""Secrets at rest: sealed for one tenant and one purpose, and the keys that open them."""

from strike_adapters.secrets.aead import KEY_BYTES
from strike_adapters.secrets.box import SecretBox
from strike_adapters.secrets.envelope import key_id_of
from strike_adapters.secrets.errors import KEY_UNAVAILABLE, SecretError
from strike_adapters.secrets.key_file import create_key, load_key, load_or_create_key
from strike_adapters.secrets.kms import KmsClient, KmsKey, kms_client
from strike_adapters.secrets.wrapping import FileKey, WrappingKey

__all__ = [
    "KEY_BYTES",
    "KEY_UNAVAILABLE",
    "FileKey",
    "KmsClient",
    "KmsKey",
    "SecretBox",
    "SecretError",
    "WrappingKey",
    "create_key",
    "key_id_of",
    "kms_client",
    "load_key",
    "load_or_create_key",
]
