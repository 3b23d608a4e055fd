"""`strike archive`: how moving events into the archive is told, and noted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from strike_adapters.postgres.archive.closed import Archiving, Told, passed_by_all
from strike_adapters.postgres.archive.moving import Archive, Moved
from strike_adapters.postgres.archive.runs import LastRun
from strike_adapters.postgres.registry import add_audit
from strike_adapters.postgres.sessions import unnamed
from strike_adapters.postgres.store import LogRecorder
from strike_app.admin.desk import at_work, counted, plain_table, print_json, tell
from strike_app.admin.evidence import eco_id_of
from strike_app.archive_watch import archive_status
from strike_app.bootstrap import Strike
from strike_app.followers import audit_of
from strike_domain.access import Action
from strike_domain.errors import Rejected

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

MIB = 2**20

MOST_TOLD = 5
"""Sessions that are named in a refusal."""


def run_archive(
    older_than: str, limit: int | None, *, as_json: bool, console: Console | None = None
) -> int:
    """Move what is over for that long; the exit status is 130 if it was interrupted.

    Raises `Rejected` for what is no age, and while an older Strike may be connected, `Conflict` if
    another process moves, and `EventFailed` for an event that cannot be read.
    """
    age, console = age_of(older_than), console or Console(stderr=as_json)
    with at_work() as strike:
        _refuse_beside_older(strike)
        began, status, now = time.monotonic(), 0, strike.clock.now()
        with _Bar(console) as bar, _noted(strike, bar, older_than):
            try:
                Archiving(strike.log, strike.pool).run(now - age, now, limit, bar.tell)
            except KeyboardInterrupt:
                status = 130
        moved, seconds = bar.told.moved, time.monotonic() - began
        with strike.pool.connection() as connection:
            last = passed_by_all(connection)
    words = f"{counted(moved.callouts, 'callout')} with {counted(moved.events, 'event')} archived"
    rate = f", {moved.events / seconds:,.0f} events/s" if moved.events else ""
    said = f"{words} in {seconds:,.1f} s{rate}. Nobody waited longer than {moved.seconds:.3f} s."
    if not moved.callouts:
        said = f"Nothing is over for {older_than} that all have read; {last.by} is the last of "
        said += f"them, at position {last.position:,}."
    if status:
        said += " Interrupted; the same command goes on from here."
    tell(said, {**_told(moved), "interrupted": bool(status)}, as_json=as_json)
    return status


def _refuse_beside_older(strike: Strike) -> None:
    with strike.pool.connection() as connection:
        found = unnamed(connection)
    if found:
        who = ", ".join(map(str, found[:MOST_TOLD])) + " …" * (len(found) > MOST_TOLD)
        said = (
            f"{counted(len(found), 'session')} of the database without a name, as of a Strike that "
            f"knows of no archive: {who}. It would not see what is moved. End these processes; if "
            "they are none of Strike's, let them say who they are (PGAPPNAME)."
        )
        raise Rejected("OLDER_STRIKE_CONNECTED", said)


@contextmanager
def _noted(strike: Strike, bar: _Bar, older_than: str) -> Iterator[None]:
    """Whatever ends it: what was moved by then is noted."""
    try:
        yield
    finally:
        if bar.told.moved.callouts:
            told = {**_told(bar.told.moved), "older_than": older_than}
            with strike.pool.connection() as connection:
                add_audit(connection, audit_of(Action.ARCHIVE_RUN, "archive", told))


def show_status(*, as_json: bool) -> None:
    """Print what is archived of each month, and what is live."""
    with at_work() as strike, strike.pool.connection() as connection:
        archive, found_out = _archive_of(strike), archive_status(strike)
        months, live, passed = archive.months(), archive.live(), passed_by_all(connection)
    last, ready = found_out.last, found_out.waiting.ready_ecos
    if as_json:
        found: dict[str, Any] = {"months": [asdict(one) for one in months], "live": asdict(live)}
        for one in found["months"]:
            one["month"] = f"{one['month']:%Y-%m}"
        found |= {"read_by_all": asdict(passed), "ready_ecos": ready if last else None}
        print_json({**found, "last_run": _told_of(last)})
        return
    table = plain_table("month", ">callouts", ">streams", ">events", ">MiB")
    for one in months:
        counts = (f"{each:,}" for each in (one.callouts, one.streams, one.events))
        table.add_row(f"{one.month:%Y-%m}", *counts, f"{one.bytes / MIB:,.1f}")
    table.add_row("live", "", "", f"{live.events:,}", f"{live.bytes / MIB:,.1f}", style="bold")
    console = Console()
    console.print(table)
    console.print(f"All followers have read up to position {passed.position:,} ({passed.by}).")
    if last:
        could = f"{counted(ready, 'ECO')} more could be archived."
        console.print(Text(f"{could} {_in_words(last)}"))


def _told_of(last: LastRun | None) -> dict[str, Any] | None:
    if last is None:
        return None
    told = asdict(last) | {"was_cut_off": last.was_cut_off, "is_going_on": last.is_going_on}
    del told["seconds_since_done"], told["is_held"]
    return told | {"older_than": last.older_than.total_seconds()}


def _in_words(last: LastRun) -> str:
    began = f"The run of {last.began_at:%d %b %Y %H:%M}"
    if last.is_going_on:
        return f"{began} is going on."
    if last.was_cut_off:
        return f"{began} has never ended; the same command goes on."
    return f"{began} has failed: {last.error}" if last.error else f"{began} has ended."


def restore_eco(wanted: str, *, as_json: bool) -> None:
    """Bring an ECO back. Raises `NotFound` if it is not archived, `Rejected` if unknown."""
    with at_work() as strike:
        eco_id, archive = eco_id_of(strike, wanted), _archive_of(strike)
        with archive.alone():
            events = archive.restore(eco_id)
        with strike.pool.connection() as connection:
            audit = audit_of(Action.ARCHIVE_RESTORE, str(eco_id), {"events": events})
            add_audit(connection, audit)
    told = {"eco": str(eco_id), "events": events}
    tell(f"{counted(events, 'event')} of {wanted} are back in the live log.", told, as_json=as_json)


def compact_log(within: float, *, as_json: bool) -> None:
    """Write the live table anew. Raises `Conflict` if that took too long."""
    with at_work() as strike:
        archive = _archive_of(strike)
        before, began = archive.live(), time.monotonic()
        with archive.alone():
            archive.compact(within)
        seconds, after = time.monotonic() - began, archive.live()
        told = {
            "bytes_before": before.bytes,
            "bytes_after": after.bytes,
            "seconds": round(seconds, 3),
        }
        with strike.pool.connection() as connection:
            add_audit(connection, audit_of(Action.ARCHIVE_COMPACT, "live log", told))
    sizes = f"{before.bytes / MIB:,.1f} to {after.bytes / MIB:,.1f} MiB"
    tell(f"The live log went from {sizes} in {seconds:,.1f} s.", told, as_json=as_json)


def age_of(text: str) -> timedelta:
    """Hours, days or weeks. Raises `Rejected` for anything else."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if found is None:
        said = f"{text!r} is no age; say 36h, 90d or 12w."
        raise Rejected("NOT_AN_AGE", said, ("older-than",))
    return int(found[1]) * UNITS[found[2]]


def _archive_of(strike: Strike) -> Archive:
    return Archive(cast(LogRecorder, strike.log.recorder))


def _told(moved: Moved) -> dict[str, Any]:
    return {
        "callouts": moved.callouts,
        "streams": moved.streams,
        "events": moved.events,
        "longest_wait_seconds": round(moved.seconds, 4),
    }


class _Bar:
    """How far it is, on a terminal; remembers what was told last."""

    def __init__(self, console: Console) -> None:
        self.told = Told(0, 0, Moved())
        self._progress = Progress(
            TextColumn("[bold]archive"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("callouts, {task.fields[events]:,} events"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, events=0)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def tell(self, told: Told) -> None:
        self.told = told
        events = told.moved.events
        self._progress.update(self._task, total=told.found, completed=told.done, events=events)
