"""A key-encryption key that never leaves AWS KMS.

Whoever may use it is a matter of its key policy: this process needs kms:Encrypt and kms:Decrypt.
Every request is in CloudTrail with its encryption context, which tells tenant and purpose.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol, cast

from cachetools import TTLCache

from strike_adapters.secrets.errors import SecretError, unreadable
from strike_adapters.secrets.wrapping import short_id

REMEMBERED_SECONDS = 300.0
"""How long an unwrapped data key is kept: a permission that is taken away works on until then."""

REMEMBERED_KEYS = 1000

TIMEOUT_SECONDS = 3.0
"""For a connection, and for each answer."""

RETRIES = 2

_LONGEST = 6144
_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")
_NOT_OURS = {"InvalidCiphertextException", "IncorrectKeyException"}


class KmsClient(Protocol):
    """The part of `boto3.client("kms")` that is used here."""

    def encrypt(
        self, *, KeyId: str, Plaintext: bytes, EncryptionContext: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Return the answer, with the wrapped key as `CiphertextBlob`."""

    def decrypt(
        self, *, KeyId: str, CiphertextBlob: bytes, EncryptionContext: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Return the answer, with the data key as `Plaintext`."""

    def close(self) -> None:
        """End the connections."""


class KmsKey:
    """The symmetric KMS key `key_arn`; `clock` counts seconds.

    Data keys that it has unwrapped are kept for `REMEMBERED_SECONDS`, so that a secret that is
    opened often is not a request each time. Raises `SecretError` (KEY_INVALID) if the ARN is not
    that of a key.
    """

    def __init__(
        self, key_arn: str, client: KmsClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        _region(key_arn)
        self._arn = key_arn
        self._client = client
        self._id = short_id(b"strike kms key id" + key_arn.encode())
        self._data_keys: TTLCache[tuple[bytes, bytes], bytes] = TTLCache(
            REMEMBERED_KEYS, REMEMBERED_SECONDS, clock
        )
        self._lock = Lock()

    @property
    def id(self) -> bytes:
        """The start of a hash of the ARN."""
        return self._id

    def wrap(self, data_key: bytes, bound: bytes) -> bytes:
        """Return `data_key` encrypted by KMS. Raises `SecretError` (KEY_UNAVAILABLE)."""
        return _asked(
            self._client.encrypt,
            "CiphertextBlob",
            KeyId=self._arn,
            Plaintext=data_key,
            EncryptionContext=_context(bound),
        )

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        """Return the data key. Raises `SecretError`: SECRET_UNREADABLE, KEY_UNAVAILABLE."""
        with self._lock:
            known = self._data_keys.get((wrapped, bound))
        # Not under the lock: a slow answer for one secret must not hold up the others.
        data_key = self._unwrap(wrapped, bound) if known is None else known
        if known is None:
            with self._lock:
                self._data_keys[wrapped, bound] = data_key
        return data_key

    def _unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        # KMS calls a longer one a wrong request, as if the secret were not to blame.
        if len(wrapped) > _LONGEST:
            raise unreadable("Its data key is longer than KMS makes them.")
        return _asked(
            self._client.decrypt,
            "Plaintext",
            KeyId=self._arn,
            CiphertextBlob=wrapped,
            EncryptionContext=_context(bound),
        )


def kms_client(key_arn: str, endpoint_url: str | None = None) -> KmsClient:
    """Return a client for the region of `key_arn`, with the credentials that boto3 finds.

    Nothing is asked yet. Raises `SecretError`: KEY_INVALID (no key's ARN, no such endpoint, boto3
    is not installed), KEY_UNAVAILABLE (the AWS configuration cannot be used).
    """
    region = _region(key_arn)
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise SecretError(
            "KEY_INVALID", "A key in AWS KMS needs boto3: pip install 'osprey-strike[kms]'"
        ) from None
    # At DEBUG it writes requests and answers to the log, with the data keys in them.
    logging.getLogger("botocore").setLevel(logging.INFO)
    config = Config(
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1 + RETRIES},
    )
    try:
        client = Session().client("kms", region, endpoint_url=endpoint_url, config=config)
    except ValueError:
        raise SecretError("KEY_INVALID", "The endpoint of AWS KMS is not a URL.") from None
    except BotoCoreError as error:
        raise _unavailable(type(error).__name__) from None
    return cast(KmsClient, client)


def _region(key_arn: str) -> str:
    """No alias: it can be pointed at another key, which would open nothing of what is stored."""
    found = _ARN.fullmatch(key_arn)
    if found is None:
        raise SecretError(
            "KEY_INVALID",
            "The KMS key is not named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID.",
        )
    return found[1]


def _context(bound: bytes) -> dict[str, str]:
    return {"strike": bound.hex()}


def _asked(request: Callable[..., Mapping[str, Any]], field: str, **parameters: object) -> bytes:
    """Errors are told by their codes only, since botocore's texts can quote the request."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return bytes(request(**parameters)[field])
    except ClientError as error:
        raise _refused(error.response.get("Error", {}).get("Code", "unknown")) from None
    except BotoCoreError as error:
        raise _unavailable(type(error).__name__) from None
    except KeyError:
        raise _unavailable("its answer is not one of KMS") from None


def _refused(code: str) -> SecretError:
    if code in _NOT_OURS:
        return unreadable("Key, tenant or purpose is another one, or it was changed.")
    return _unavailable(code)


def _unavailable(why: str) -> SecretError:
    return SecretError(
        "KEY_UNAVAILABLE",
        f"AWS KMS does not do its part ({why}). Check that it can be reached, and that the key "
        "is enabled and allows kms:Encrypt and kms:Decrypt.",
    )
