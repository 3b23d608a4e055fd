"""Callouts that an agent has drafted, until a person agrees or ten minutes have passed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from cachetools import TTLCache
from mcp.server.mcpserver.exceptions import ToolError

from strike_app.client import GeoJson

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Nothing that is read in two ways."""

LENGTH, LIFE, MOST = 8, timedelta(minutes=10), 1_000


@dataclass(frozen=True)
class Order:
    """What `StrikeClient.create_eco` is given; the reference makes one callout of however many
    confirmations."""

    osp_id: UUID
    location: GeoJson
    job_type: str
    description: str
    priority: str
    ticket: str | None
    affected_customers: int | None
    client_reference: str


class Drafts:
    """Of one process; each is its caller's alone."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kept: MutableMapping[tuple[str, str], Order] = TTLCache(
            MOST, LIFE.total_seconds(), timer=lambda: now().timestamp()
        )

    def keep(self, caller: str, order: Order) -> tuple[str, datetime]:
        """The confirmation that a person is shown, and until when it is good."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        self._kept[caller, code] = order
        return code, self._now() + LIFE

    def take(self, caller: str, confirmation: str) -> Order:
        """Raises `ToolError` if it is unknown, another caller's, or too old.

        A draft stays until it expires: a confirmation whose answer was lost is given again.
        """
        order = self._kept.get((caller, confirmation.strip().upper()))
        if order is None:
            raise ToolError("DRAFT_UNKNOWN: No such draft, or it has expired. Draft it again.")
        return order


def new_reference() -> str:
    """The client reference of a drafted callout."""
    return f"mcp-{uuid4()}"
