"""API tokens, as machines bring them: `Authorization: Bearer strike_…`."""

from __future__ import annotations

import secrets

from pydantic import SecretStr

TOKEN_PREFIX = "strike_"  # noqa: S105 - by it, a token is known wherever it turns up
TOKEN_BYTES = 32


def new_secret() -> SecretStr:
    """A new token: 256 random bits behind the prefix, shown to whoever makes it, and only once."""
    return SecretStr(TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES))
