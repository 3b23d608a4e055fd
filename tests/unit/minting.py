"""Signed tokens as tests make them: whatever is wanted in them, by whatever signature."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any


def token_of(
    head: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes], *, padded: bool
) -> str:
    """A JWT; `padded`: with the padding that a load balancer leaves in."""

    def segment(content: bytes) -> str:
        text = urlsafe_b64encode(content).decode()
        return text if padded else text.rstrip("=")

    signed = ".".join(segment(json.dumps(part).encode()) for part in (head, claims))
    return f"{signed}.{segment(sign(signed.encode()))}"
