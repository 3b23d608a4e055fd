"""What a bundle tells in other words than events: calls, timeline, response times.

Each is made from the events alone, by the same code when it is exported and when it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from strike_domain.actors import LINK
from strike_domain.contacts import DeclineReason
from strike_domain.eco import Eco
from strike_domain.evidence_map import draw_place
from strike_domain.history import Happened, replay
from strike_domain.pager_run import (
    Call,
    CallAccepted,
    CallEnded,
    CallOutcome,
    CallPlaced,
    PagerRun,
    PromptRepeated,
    SecondCallCounts,
    SecondCallEnded,
    SecondCallFound,
)
from strike_domain.paging import why
from strike_domain.timeline import Teller

BY_LINK = " by the link in the text"

DERIVED = ("calls.json", "timeline.txt", "response_times.json", "map.svg")
"""The parts that follow from the events."""


def derive(history: Sequence[Happened]) -> dict[str, bytes]:
    """The parts that follow from the events, by name."""
    eco = eco_of(history)
    return {
        "calls.json": pretty(calls_of(history)),
        "timeline.txt": _timeline(history, eco).encode(),
        "response_times.json": pretty(response_times(eco)),
        "map.svg": draw_place(eco.location, eco.job_number).encode(),
    }


def pretty(value: Any) -> bytes:
    """JSON for people, in UTF-8."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def eco_of(history: Sequence[Happened]) -> Eco:
    """The ECO at the end of its history. Raises ValueError if no ECO is in it."""
    latest = {after.id: after for _, after in replay(history)}
    ecos = [one for one in latest.values() if isinstance(one, Eco)]
    if len(ecos) != 1:
        raise ValueError(f"{len(ecos)} ECOs are in it instead of one")
    return ecos[0]


# Calls -------------------------------------------------------------------------------------


def calls_of(history: Sequence[Happened]) -> list[dict[str, Any]]:
    """Every call in the order in which they were requested: moments, keys pressed, outcome."""
    runs: dict[UUID, PagerRun] = {}
    moments: dict[UUID, list[dict[str, Any]]] = {}
    keys: dict[UUID, list[dict[str, Any]]] = {}
    order: list[tuple[UUID, UUID]] = []
    for one, after in replay(history):
        call_id = getattr(one.event, "call_id", None)
        if not isinstance(after, PagerRun) or call_id is None:
            continue
        runs[after.id] = after
        if call_id not in moments:
            moments[call_id], keys[call_id] = [], []
            order.append((after.id, call_id))
        moments[call_id].append(_moment(one.event))
        keys[call_id] += _keys(one.event, after)
    return [
        _call(runs[run_id], runs[run_id].call(call_id), moments[call_id], keys[call_id])
        for run_id, call_id in order
    ]


def _call(
    run: PagerRun, call: Call, moments: list[dict[str, Any]], keys: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "call": str(call.id),
        "run": str(run.id),
        "list": run.plan.list_name,
        "number": call.number,
        "contact": call.contact.name,
        "phone": call.contact.phone,
        "provider_id": call.sid,
        "answered_by": call.answered_by,
        "moments": moments,
        "keys": keys,
        "outcome": call.outcome,
        "reason": call.reason,
    }


def _moment(event: Any) -> dict[str, Any]:
    what = event.TOPIC.removeprefix("strike.run.").removeprefix("call-").replace("-", " ")
    told: dict[str, Any] = {"at": _iso(event.timestamp), "what": what}
    if reason := getattr(event, "reason", None):
        told["reason"] = reason
    if isinstance(event, (CallPlaced, SecondCallFound, SecondCallCounts, SecondCallEnded)):
        told["provider_id"] = event.sid
    return told


def _keys(event: Any, run: PagerRun) -> list[dict[str, Any]]:
    """What is known of keys from an event. A repeated prompt does not say what made it repeat.

    Who answers by the link in the text has pressed no key, and is here for the same reason.
    """
    is_linked = event.actor.startswith(LINK)
    if isinstance(event, CallAccepted):
        return [
            _key(event, None, f"accepted{BY_LINK}") if is_linked else _key(event, "1", "accepted")
        ]
    if isinstance(event, CallEnded) and event.outcome is CallOutcome.DECLINED and is_linked:
        return [_key(event, None, f"declined{BY_LINK}")]
    if isinstance(event, CallEnded) and event.outcome is CallOutcome.DECLINED:
        return [_key(event, *_declined(event, run))]
    if isinstance(event, PromptRepeated):
        return [_key(event, None, "9, a key without a meaning, or none: the prompt again")]
    return []


def _declined(event: CallEnded, run: PagerRun) -> tuple[str | None, str]:
    if event.reason is None:
        return "2", "declined"
    said = [one for one in run.plan.decline_keys if why(one) == event.reason]
    later = any(one.reason is DeclineReason.TOO_FAR for one in said)
    key = said[0].key if len(said) == 1 else None
    return key, "declined, could come later" if later else "declined, cannot come"


def _key(event: Any, key: str | None, meaning: str) -> dict[str, Any]:
    return {"at": _iso(event.timestamp), "key": key, "meaning": meaning}


# Timeline ----------------------------------------------------------------------------------


def _timeline(history: Sequence[Happened], eco: Eco) -> str:
    head = [
        f"{eco.job_type} {eco.job_number}: what happened, in the order of the log",
        f"ECO {eco.id}; {eco.location.describe()}",
        "All times are UTC. In brackets: who did it.",
        "",
    ]
    teller = Teller()
    lines = [
        f"{_clock(one.event.timestamp)}  {_one_line(teller.line(one.event, after))}"
        f"  [{_one_line(one.event.actor)}]"
        for one, after in replay(history)
    ]
    return "\n".join((*head, *lines)) + "\n"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def _one_line(text: str) -> str:
    return " / ".join(text.splitlines())


# Response times ----------------------------------------------------------------------------


def response_times(eco: Eco) -> dict[str, Any]:
    """From the creation to each thing that counts, in seconds; null where it has not happened.

    Of an acceptance that was replaced, a completion that was taken back: the one that stands.
    """
    counted = {
        "to_accept": eco.accepted_at,
        "to_start": eco.started_at,
        "to_complete": eco.completed_at,
        "to_close": eco.closed_at,
        "to_cancel": eco.cancelled_at,
    }
    times = {name: _since(eco.created_on, at) for name, at in counted.items()}
    return {"unit": "seconds", "created_at": _iso(eco.created_on), **times}


def _since(created: datetime, at: datetime | None) -> dict[str, Any] | None:
    if at is None:
        return None
    return {"at": _iso(at), "seconds": round((at - created).total_seconds(), 3)}


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
