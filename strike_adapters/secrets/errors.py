"""What can go wrong with a secret or with its key."""

from __future__ import annotations

from strike_domain.errors import StrikeError

KEY_UNAVAILABLE = "KEY_UNAVAILABLE"
"""The one code that passes by itself."""


class SecretError(StrikeError):
    """A secret cannot be sealed or opened, or its key cannot be had. No part of it is shown.

    Codes of a secret: SECRET_UNREADABLE (wrong key, tenant or purpose, or tampered with),
    SECRET_NOT_TEXT. Of a key: KEY_INVALID, KEY_MISSING, KEY_EXISTS, KEY_UNREADABLE, KEY_EXPOSED
    (others may read the key's file), KEY_UNKNOWN (something is stored under a key that this
    process was not given), KEY_UNAVAILABLE (the key service is out of reach or refuses:
    the secret is as good as before, and opens once it answers).
    """


def unreadable(why: str) -> SecretError:
    """The error of a secret that does not open; `why` is a sentence that shows nothing of it."""
    return SecretError("SECRET_UNREADABLE", f"The stored secret cannot be opened. {why}")
