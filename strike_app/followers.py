"""How followers fare, for people and for metrics; skipping an event; rebuilding read models."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from strike_adapters.postgres.follower_states import (
    PAGER,
    EventFailed,
    Failure,
    FollowerStatus,
    skip,
    statuses,
)
from strike_adapters.postgres.followers import FOLLOWER_NAMES, VIEWS
from strike_adapters.postgres.rebuild import Told, drop_old, rebuild
from strike_adapters.postgres.registry import add_audit
from strike_adapters.postgres.views.view import View
from strike_app.admin.desk import at_work, plain_table, print_json, system_admin, tell
from strike_app.bootstrap import Strike, open_database
from strike_app.health import Health
from strike_app.metrics import METRICS, Metrics
from strike_app.settings import Settings
from strike_domain.access import Action
from strike_domain.errors import Rejected
from strike_domain.registry import Audit

REPORT_EVERY = 5.0
"""Seconds between two looks at the followers, for metrics."""

LINE_EVERY, LINE_AT_LEAST_EVERY = 2.0, 60.0
"""Seconds between two lines of progress where no bar is drawn: fewer, the longer it lasts."""

logger = structlog.get_logger()


def followers_of(strike: Strike) -> list[FollowerStatus]:
    """How each follower fares."""
    with strike.pool.connection() as connection:
        return statuses(connection, strike.log, FOLLOWER_NAMES, strike.clock.now())


class FollowerReporter:
    """Keeps the metrics of the followers up to date; runs beside whatever has metrics."""

    name = "follower reporter"

    def __init__(
        self, strike: Strike, metrics: Metrics = METRICS, health: Health | None = None
    ) -> None:
        self._health = health or Health()
        self._strike = strike
        self._metrics = metrics

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds until told to stop. Without the database nothing is known."""
        while not stop.is_set():
            try:
                found = followers_of(self._strike)
                self._metrics.followers_fare(found)
                self._health.followers_fare(found)
            except Exception:
                # Whatever it is, the next look may succeed; old gauges would be taken for true.
                self._metrics.followers_unknown()
                self._health.followers_fare(None)
                logger.warning("nobody knows how the followers fare", exc_info=True)
            stop.wait(REPORT_EVERY)


# Status ------------------------------------------------------------------------------------


def show_status(*, as_json: bool, console: Console | None = None) -> int:
    """Print how the followers fare; the exit status is 1 if somebody has to look."""
    console = console or Console()
    with at_work() as strike:
        found = followers_of(strike)
    if as_json:
        print_json([{**asdict(one), "is_well": one.is_well} for one in found])
    else:
        _print(found, console)
    return 0 if all(one.is_well for one in found) else 1


def _print(found: Sequence[FollowerStatus], console: Console) -> None:
    table = plain_table("follower", "active in", ">position", ">behind", ">for", "state")
    for one in found:
        table.add_row(
            Text(one.name, "bold"),
            Text(one.process) if one.process else Text("nobody", "bold red"),
            f"{one.position:,}",
            f"{one.lag_events:,}",
            f"{one.lag_seconds:,.1f} s",
            _state(one),
        )
    console.print(table)
    for one in found:
        if one.failure:
            console.print(_told(one.name, one.failure), soft_wrap=True)
    if not all(one.process for one in found):
        console.print("Run strike follow: nobody runs what has no process.")


def _state(one: FollowerStatus) -> Text:
    if one.failure:
        return Text(f"failing, {one.failure.retries} retries", "bold red")
    if one.process is None:
        return Text("not running", "yellow")
    return Text("ok", "green") if one.is_well else Text("behind", "yellow")


def _told(name: str, failure: Failure) -> Text:
    lines: list[str | tuple[str, str]] = [
        (f"\n{name}", "bold"),
        f" fails since {failure.failed_at:%d %b %H:%M:%S}",
    ]
    if failure.position is not None:
        lines.append(f" on {failure.topic}, position {failure.position}, event {failure.event_id}:")
    lines += [f"\n{failure.error}\n", (failure.traceback, "dim")]
    if failure.position is not None:
        lines.append(
            f"\nIf it can never be processed: strike followers skip {name} {failure.position} "
            '--reason "…"'
        )
    return Text.assemble(*lines)


# Skipping ----------------------------------------------------------------------------------


def skip_event(name: str, position: int, reason: str, *, as_json: bool) -> None:
    """Have a follower leave out the event on which it fails. Raises `Rejected`, `NotFound`."""
    _check_name(name, FOLLOWER_NAMES)
    if not reason.strip():
        raise Rejected("REASON_MISSING", "Say why: whoever finds the gap will ask.", ("reason",))
    actor, reason = system_admin().name, reason.strip()
    with at_work() as strike, strike.pool.connection() as connection, connection.transaction():
        skip(connection, name, position, reason=reason, actor=actor)
        told = {"position": position, "reason": reason}
        add_audit(connection, audit_of(Action.FOLLOWERS_SKIP, name, told))
    done = {"follower": name, "position": position, "reason": reason, "actor": actor}
    tell(f"{name} leaves out the event at position {position}.", done, as_json=as_json)


def audit_of(action: Action, subject: str, told: dict[str, Any]) -> Audit:
    """What `strike audit` says of it; it concerns no company."""
    return Audit(
        at=datetime.now(UTC),
        actor=system_admin().name,
        tenant_id=None,
        seen_by=(),
        action=action,
        subject=subject,
        before={},
        after=told,
        correlation_id=uuid4(),
    )


def _check_name(name: str, names: Sequence[str]) -> None:
    if name not in names:
        known = ", ".join(names)
        raise Rejected("UNKNOWN_FOLLOWER", f"There is no {name!r}; there are {known}.", ("name",))


# Rebuilding --------------------------------------------------------------------------------


def rebuild_views(
    names: Sequence[str] | None,
    processes: int | None,
    console: Console | None = None,
    *,
    as_json: bool = False,
) -> int:
    """Rebuild these views, or all; the exit status is 1 if an event ended it.

    Raises `Rejected` for what is no view.
    """
    console = console or Console(stderr=as_json)
    views = _views(names)
    with open_database(Settings()) as url:
        began = time.monotonic()
        try:
            with reporting(console) as report:
                rebuild(url, views, report, processes=processes)
        except EventFailed as error:
            console.print(Text(str(error), "bold red"), soft_wrap=True)
            console.print("Nothing was swapped. See strike followers.")
            return 1
        except KeyboardInterrupt:
            console.print("Interrupted; the same command goes on from here.")
            return 130
        seconds = time.monotonic() - began
        called = ", ".join(one.name for one in views)
        with psycopg.connect(url) as connection:
            told = {"seconds": round(seconds, 1)}
            add_audit(connection, audit_of(Action.FOLLOWERS_REBUILD, called, told))
    console.print(f"Rebuilt in {seconds:,.1f} s: {called}. The old tables are kept as …_old.")
    if as_json:
        print_json({"rebuilt": [one.name for one in views], **told})
    return 0


def drop_old_tables(
    names: Sequence[str], console: Console | None = None, *, as_json: bool = False
) -> None:
    """Drop the tables that rebuilds of these views, or of all, have replaced."""
    with open_database(Settings()) as url:
        dropped = drop_old(url, _views(names or None))
    (console or Console(stderr=as_json)).print(
        f"Dropped: {', '.join(dropped)}." if dropped else "There are none."
    )
    if as_json:
        print_json({"dropped": [*dropped]})


def _views(names: Sequence[str] | None) -> list[type[View]]:
    known = [one.name for one in VIEWS]
    if names is None:
        return list(VIEWS)
    if not names:
        raise Rejected("NO_VIEW", f"Name one, or say --all: {', '.join(known)}.", ("views",))
    for name in names:
        if name == PAGER:
            said = "The pager answers events with events: what it has answered is in the log."
            raise Rejected("NOT_A_VIEW", said, ("views",))
        _check_name(name, known)
    return [one for one in VIEWS if one.name in names]


def reporting(console: Console) -> AbstractContextManager[Callable[[Told], None]]:
    return _Bar(console) if console.is_terminal else nullcontext(_Lines(console))


class _Bar:
    """A progress bar for each reading of the log."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[tuple[str, ...], tuple[TaskID, _Rate]] = {}

    def __enter__(self) -> Callable[[Told], None]:
        self._progress.start()
        return self._tell

    def __exit__(self, *args: object) -> None:
        self._progress.stop()

    def _tell(self, told: Told) -> None:
        if told.views not in self._tasks:
            task = self._progress.add_task(", ".join(told.views), total=1.0, rate="")
            self._tasks[told.views] = task, _Rate(told)
        task, rate = self._tasks[told.views]
        said = told.stage if told.stage != "reading" else rate.words(told)
        self._progress.update(task, completed=told.share, rate=said)


class Pace:
    """When a line of progress is due: every few seconds at first, in the end every minute."""

    def __init__(self) -> None:
        self._pause = LINE_EVERY
        self._next = time.monotonic() + LINE_EVERY

    def is_due(self) -> bool:
        """Whether it is; the next one is then due later."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._pause = min(2 * self._pause, LINE_AT_LEAST_EVERY)
        self._next = now + self._pause
        return True


class _Lines:
    """A line now and then, where no bar can be drawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rates: dict[tuple[str, ...], _Rate] = {}
        self._said: tuple[tuple[str, ...], str] | None = None
        self._pace = Pace()

    def __call__(self, told: Told) -> None:
        rate = self._rates.setdefault(told.views, _Rate(told))
        is_new = self._said != (told.views, told.stage)
        if not self._pace.is_due() and not is_new:
            return
        self._said = told.views, told.stage
        words = [", ".join(told.views), told.stage]
        if told.stage == "reading":
            words += [f"{told.share:.0%}", rate.words(told), rate.left(told)]
        if told.resumed:
            words.append("gone on with")
        self._console.print(": ".join([words[0], ", ".join(one for one in words[1:] if one)]))


class _Rate:
    """Events a second since the first report."""

    def __init__(self, first: Told) -> None:
        self._first, self._began = first, time.monotonic()

    def words(self, told: Told) -> str:
        seconds = time.monotonic() - self._began
        events = told.events - self._first.events
        return f"{events / seconds:,.0f} events/s" if events and seconds > 0 else ""

    def left(self, told: Told) -> str:
        done = told.share - self._first.share
        if done <= 0:
            return ""
        return f"{(time.monotonic() - self._began) / done * (1 - told.share):,.0f} s left"
