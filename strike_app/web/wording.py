"""What states are called on a page, how they look, and which of them comes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Marks a text that a template translates."""
    return text


@dataclass(frozen=True)
class Look:
    """`tone`: bad, warn, busy, good or calm."""

    words: str
    tone: str


PAGING = {
    "NOT_STARTED": Look(N_("not paged yet"), "warn"),
    "NO_LIST": Look(N_("nobody to ring"), "bad"),
    "RUNNING": Look(N_("ringing"), "busy"),
    "ACCEPTED": Look(N_("accepted"), "good"),
    "EXHAUSTED": Look(N_("nobody accepted"), "bad"),
    "CANCELLED": Look(N_("paging cancelled"), "calm"),
}

STATUS = {
    "OPEN": Look(N_("open"), "calm"),
    "IN_PROGRESS": Look(N_("work in progress"), "busy"),
    "COMPLETED": Look(N_("repair reported done"), "good"),
    "CLOSED": Look(N_("closed"), "calm"),
    "CANCELLED": Look(N_("cancelled"), "calm"),
}

PRIORITIES = ("CRITICAL", "HIGH", "NORMAL", "LOW")

OVER = ("CLOSED", "CANCELLED")


def is_alarm(eco: Mapping[str, Any]) -> bool:
    """Nobody is coming and nobody is being rung, or the field has been silent for too long."""
    if eco["status"] in OVER:
        return False
    return eco["pagingState"] in ("EXHAUSTED", "NO_LIST") or bool(eco["stale"])


def urgency(eco: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sorts the most urgent first: alarms, then by priority, then the newest."""
    priority = eco["priority"]
    rank = PRIORITIES.index(priority) if priority in PRIORITIES else len(PRIORITIES)
    return (not is_alarm(eco), eco["status"] in OVER, rank, -eco["position"])


# A new callout ------------------------------------------------------------------------------

JOB_TYPES = (
    ("FNOL", N_("first notice of loss")),
    ("CMR", N_("claims management resource")),
    ("MFR", N_("maintenance field request")),
)

PRIORITY = {
    "CRITICAL": Look(N_("critical"), "bad"),
    "HIGH": Look(N_("high"), "warn"),
    "NORMAL": Look(N_("normal"), "calm"),
    "LOW": Look(N_("low"), "calm"),
}

PLACE_KINDS = {
    "TOWN": N_("town"),
    "COUNTY": N_("county"),
    "COORDINATES": N_("coordinates"),
    "GEOMETRY": N_("from the file"),
}
