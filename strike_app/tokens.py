"""Secrets of API tokens."""

from __future__ import annotations

import secrets

from pydantic import SecretStr

PREFIX = "strike_"
"""What every API token begins with, so that scanners of repositories and logs can find one."""


def new_secret() -> SecretStr:
    """A token of 256 random bits. It is shown once; Strike keeps only its digest."""
    return SecretStr(PREFIX + secrets.token_urlsafe(32))
