"""`strike replay`: a callout once more, event by event, as this version understands it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from strike_adapters.postgres.eco_lists import zoned
from strike_app.admin.desk import add_row, at_work, plain_table, show_table
from strike_app.admin.evidence import eco_id_of
from strike_domain.eco import Eco
from strike_domain.errors import NotFound, Rejected
from strike_domain.history import Happened, replay, until
from strike_domain.timeline import Teller

STANDS = ("status", "paging_state", "render_state", "priority", "stale")
"""Attributes of an ECO of which a replay says when they changed."""

TELLER = Teller()


@dataclass(frozen=True)
class Step:
    """One event. `after` is how long after the first; `became` what changed of the ECO by it."""

    position: int
    at: datetime
    after: timedelta
    topic: str
    actor: str
    line: str
    became: dict[str, Any]


def show_replay(wanted: str, moment: str | None, *, as_json: bool) -> None:
    """Print each event and what changed by it. Nothing is written, and nobody is rung.

    Raises `Rejected` for an ECO or a time that there is not.
    """
    last = moment_of(moment) if moment else None
    with at_work() as strike:
        eco_id = eco_id_of(strike, wanted)
        history = strike.log.histories([eco_id]).get(eco_id, [])
    if not history:
        raise NotFound("ECO")
    told = list(steps(history if last is None else until(history, last)))
    table = plain_table(">position", "time", ">after", "what happened", "became")
    for one in told:
        became = ", ".join(f"{_words(name)} {value}" for name, value in one.became.items())
        since = f"+{one.after}".split(".")[0]
        moment_told = f"{one.at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
        add_row(table, f"{one.position:,}", moment_told, since, one.line, Text(became, "bold"))
    value = [{**asdict(one), "after": one.after.total_seconds()} for one in told]
    show_table(table, value, as_json=as_json, otherwise="It did not exist yet.")


def steps(history: Sequence[Happened]) -> Iterator[Step]:
    """What each event was, and what it changed of the ECO."""
    stood: dict[str, Any] = {}
    for one, aggregate in replay(history):
        event: Any = one.event
        stands = _stands(aggregate) if isinstance(aggregate, Eco) else stood
        yield Step(
            one.position,
            event.timestamp,
            event.timestamp - history[0].event.timestamp,
            event.TOPIC,
            event.actor,
            TELLER.line(event, aggregate),
            {name: value for name, value in stands.items() if stood.get(name) != value},
        )
        stood = stands


def _words(name: str) -> str:
    return name.replace("_", " ")


def _stands(eco: Eco) -> dict[str, Any]:
    return {name: getattr(eco, name) for name in STANDS}


def moment_of(text: str) -> datetime:
    """A time with its zone. Raises `Rejected` (TIME_WITHOUT_ZONE, TIME_INVALID)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time; write it as 2026-03-01T02:30:00Z."
        raise Rejected("TIME_INVALID", message, ("until",)) from None
    return zoned(moment, ("until",))
