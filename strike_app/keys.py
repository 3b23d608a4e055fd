"""The keys that stored secrets are sealed with: from where the settings say, and none missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from strike_adapters.embedded import default_directory
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.vault import Stored, sealed
from strike_adapters.secrets import (
    FileKey,
    KmsKey,
    SecretBox,
    SecretError,
    WrappingKey,
    kms_client,
    load_key,
    load_or_create_key,
)
from strike_app.scrubbing import hide
from strike_app.settings import Settings


@dataclass(frozen=True)
class PlacedKey:
    """A key and, in words, where it is."""

    key: WrappingKey
    place: str


@dataclass(frozen=True)
class KeyRing:
    """The keys of one process: `present` seals, it and the `previous` ones open."""

    present: PlacedKey
    previous: tuple[PlacedKey, ...] = ()

    @cached_property
    def box(self) -> SecretBox:
        previous = [one.key for one in self.previous]
        return SecretBox(self.present.key, previous, on_secret=hide)

    def is_present(self, key_id: bytes | None) -> bool:
        return key_id == self.present.key.id

    def place(self, key_id: bytes | None) -> str | None:
        """Where the key of that id is; None if it is not here."""
        keys = (self.present, *self.previous)
        return next((one.place for one in keys if one.key.id == key_id), None)


@contextmanager
def open_keys(settings: Settings, pool: Pool, *, checked: bool = True) -> Iterator[KeyRing]:
    """The keys that `settings` name. A file's key is made if there is neither it nor a secret.

    Raises `SecretError`: KEY_MISSING, KEY_UNREADABLE, KEY_EXPOSED, KEY_INVALID; and KEY_UNKNOWN if
    anything is stored under another key, unless `checked` is False. KMS is not asked.
    """
    stored = sealed(pool)
    with ExitStack() as stack:
        ring = _ring(settings, stack, has_secrets=bool(stored))
        if checked:
            _check(ring, stored)
        yield ring


def _ring(settings: Settings, stack: ExitStack, *, has_secrets: bool) -> KeyRing:
    previous = [
        *(_previous_file(path) for path in settings.previous_key_files),
        *(_from_kms(arn, settings, stack) for arn in settings.previous_kms_keys),
    ]
    if not settings.secrets_kms_key:
        return KeyRing(_from_file(settings, has_secrets=has_secrets), tuple(previous))
    present = _from_kms(settings.secrets_kms_key, settings, stack)
    return KeyRing(present, (*_file_beside_kms(settings), *previous))


def _from_file(settings: Settings, *, has_secrets: bool) -> PlacedKey:
    path = _key_file(settings)
    try:
        key = load_key(path)
    except SecretError as error:
        # Whatever is stored would stay closed under a new one, and the old one be forgotten.
        if error.code != "KEY_MISSING" or has_secrets:
            raise
        key = load_or_create_key(path)
    return _placed(key, path)


def _file_beside_kms(settings: Settings) -> Iterator[PlacedKey]:
    """A file that is named has to be there; the one of the data folder may never have been."""
    path = _key_file(settings)
    try:
        yield _placed(load_key(path), path)
    except SecretError as error:
        if settings.secrets_key_file or error.code != "KEY_MISSING":
            raise


def _previous_file(path: Path) -> PlacedKey:
    try:
        return _placed(load_key(path), path)
    except SecretError as error:
        if error.code != "KEY_MISSING":
            raise
        raise SecretError(
            "KEY_MISSING",
            f"There is no key file {path}, which STRIKE_SECRETS_PREVIOUS_KEY_FILES names. Put it "
            "there; or take it out of the list, if strike secrets status shows nothing under it.",
        ) from None


def _from_kms(arn: str, settings: Settings, stack: ExitStack) -> PlacedKey:
    url = settings.secrets_kms_url
    client = kms_client(arn, str(url) if url else None)
    stack.callback(client.close)
    return PlacedKey(KmsKey(arn, client), f"AWS KMS, {arn}")


def _key_file(settings: Settings) -> Path:
    return settings.secrets_key_file or default_directory() / "secrets.key"


def _placed(key: bytes, path: Path) -> PlacedKey:
    return PlacedKey(FileKey(key), f"file {path}")


def _check(ring: KeyRing, stored: Sequence[Stored]) -> None:
    # What is no sealed secret at all is the trouble of its owner, not of everybody.
    unknown = [one for one in stored if one.key_id and ring.place(one.key_id) is None]
    if unknown:
        raise SecretError(
            "KEY_UNKNOWN",
            f"Secrets are stored under a key that was not given: {_told(unknown)}. Give its file "
            "as STRIKE_SECRETS_KEY_FILE or in STRIKE_SECRETS_PREVIOUS_KEY_FILES, or its ARN as "
            "STRIKE_SECRETS_KMS_KEY or in STRIKE_SECRETS_PREVIOUS_KMS_KEYS. If it is lost: "
            "docs/secrets.md.",
        )


def _told(unknown: Sequence[Stored]) -> str:
    return ", ".join(
        f"{one.count} {one.kind.words}{'s' if one.count > 1 else ''} under key id "
        f"{(one.key_id or b'').hex()}"
        for one in unknown
    )
