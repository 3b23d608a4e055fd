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

RENDER = {
    "NOT_CONFIGURED": Look(N_("no field tasks wanted"), "calm"),
    "PENDING": Look(N_("field task being made"), "busy"),
    "TASKED": Look(N_("field task made"), "good"),
    "FAILED": Look(N_("field task could not be made"), "bad"),
}

RUNS = {
    "RUNNING": Look(N_("ringing"), "busy"),
    "ACCEPTED": Look(N_("accepted"), "good"),
    "EXHAUSTED": Look(N_("nobody accepted"), "bad"),
    "CANCELLED": Look(N_("stopped"), "calm"),
}

CALLS = {
    "REQUESTED": Look(N_("about to be rung"), "busy"),
    "PLACED": Look(N_("being connected"), "busy"),
    "RINGING": Look(N_("ringing"), "busy"),
    "ANSWERED": Look(N_("listening, no key yet"), "busy"),
    "ACCEPTED": Look(N_("accepted: coming"), "good"),
    "DECLINED": Look(N_("declined"), "warn"),
    "NO_ANSWER": Look(N_("did not answer"), "calm"),
    "BUSY": Look(N_("busy"), "calm"),
    "FAILED": Look(N_("could not be reached"), "bad"),
    "VOICEMAIL": Look(N_("voicemail"), "calm"),
    "TIMED_OUT": Look(N_("pressed no key"), "calm"),
    "CANCELLED": Look(N_("not needed any more"), "calm"),
}

PRIORITY = {
    "CRITICAL": Look(N_("critical"), "bad"),
    "HIGH": Look(N_("high"), "warn"),
    "NORMAL": Look(N_("normal"), "calm"),
    "LOW": Look(N_("low"), "calm"),
}

SORTS = {
    "MOST_URGENT": N_("most urgent first"),
    "NEWEST": N_("newest first"),
    "OLDEST": N_("oldest first"),
    "RECENTLY_UPDATED": N_("last changed first"),
}

PRIORITIES = ("CRITICAL", "HIGH", "NORMAL", "LOW")

OVER = ("CLOSED", "CANCELLED")

ACTIVE = ("OPEN", "IN_PROGRESS")
"""While these last, somebody has to come; the counts say so, too."""

TASKS = {
    "planned": N_("planned"),
    "assigned": N_("assigned"),
    "ready to start": N_("ready to start"),
    "crew at work": N_("crew at work"),
    "at risk": N_("at risk"),
    "done": N_("done"),
}
"""Of a field task, as GraphQL says it."""


def is_alarm(eco: Mapping[str, Any]) -> bool:
    """Nobody is coming and nobody is being rung, or the field has been silent for too long."""
    if eco["status"] not in ACTIVE:
        return False
    return eco["pagingState"] in ("EXHAUSTED", "NO_LIST") or bool(eco["stale"])


def tone_of(eco: Mapping[str, Any]) -> str:
    """How an ECO looks on a map: by its paging while it is active, then by what became of it."""
    if is_alarm(eco):
        return "bad"
    if eco["status"] in ACTIVE:
        return PAGING[eco["pagingState"]].tone
    return STATUS[eco["status"]].tone


def call_look(call: Mapping[str, Any]) -> Look:
    """Of a call: how it ended, or how far it is."""
    return CALLS[call["outcome"] or call["state"]]


# A new callout ------------------------------------------------------------------------------

JOB_TYPES = (
    ("FNOL", N_("first notice of loss")),
    ("CMR", N_("claims management resource")),
    ("MFR", N_("maintenance field request")),
)

PLACE_KINDS = {
    "TOWN": N_("town"),
    "COUNTY": N_("county"),
    "COORDINATES": N_("coordinates"),
    "GEOMETRY": N_("from the file"),
}
