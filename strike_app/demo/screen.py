"""What the demo shows: the ring-down as it happens, and the timeline at the end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from strike_app.clock import ScaledClock

COLOURS = {
    "OPEN": "yellow",
    "IN_PROGRESS": "cyan",
    "COMPLETED": "green",
    "CLOSED": "green",
    "CANCELLED": "red",
    "RUNNING": "yellow",
    "ACCEPTED": "green",
    "EXHAUSTED": "bold red",
    "NO_LIST": "bold red",
    "TASKED": "green",
    "PENDING": "yellow",
    "FAILED": "red",
    "RINGING": "yellow",
    "ANSWERED": "cyan",
    "DECLINED": "magenta",
    "NO_ANSWER": "red",
    "TIMED_OUT": "red",
}


class Screen:
    """On a terminal a picture that is kept up to date; elsewhere one line per event."""

    def __init__(self, console: Console, clock: ScaledClock) -> None:
        self.console = console
        self._clock = clock
        self._eco: dict[str, Any] | None = None
        self._told = 0
        self._live = Live(
            get_renderable=self._picture,
            console=console,
            refresh_per_second=8,
            transient=True,
            auto_refresh=console.is_terminal,
        )

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def show(self, eco: dict[str, Any]) -> None:
        """Take in the newest state of the ECO."""
        self._eco = eco
        for one in eco["timeline"]:
            if one["position"] > self._told:
                self._told = one["position"]
                if not self.console.is_terminal:
                    self.console.print(f"{_time(one['at'])}  {one['line']}", highlight=False)

    def _picture(self) -> Panel | Text:
        if self._eco is None:
            return Text("Waiting for the callout …")
        return picture(self._eco, self._clock.now())


def picture(eco: dict[str, Any], now: datetime) -> Panel:
    """The ECO at one glance: its states, who is rung, what the field says, the latest events."""
    states = Text.assemble(
        ("status ", "dim"),
        _word(eco["status"]),
        ("   paging ", "dim"),
        _word(eco["pagingState"]),
        ("   field ", "dim"),
        _word(eco["renderState"]),
        f"   {eco['fieldSummary'] or ''}",
    )
    latest = [Text(f"{_time(one['at'])}  {one['line']}", "dim") for one in eco["timeline"][-6:]]
    title = f"{eco['jobType']} {eco['jobNumber']}  {eco['osp']['name']}"
    return Panel(Group(states, _calls(eco, now), *latest), title=title, title_align="left")


def _calls(eco: dict[str, Any], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "who", "phone", "call", ""):
        table.add_column(heading)
    for run in eco["pagerRuns"]:
        for call in run["calls"]:
            state = call["outcome"] or call["state"]
            rest = call["reason"] or ""
            if not call["outcome"]:
                left = (datetime.fromisoformat(call["deadline"]) - now).total_seconds()
                rest = f"{max(0, left):.0f} s left"
            number = str(call["number"])
            table.add_row(number, call["contactName"], call["phone"], _word(state), rest)
    return table


def timeline(eco: dict[str, Any]) -> Table:
    """Everything that happened, in order."""
    table = Table(title=f"Timeline of {eco['jobNumber']}", title_justify="left", box=None)
    for heading in ("position", "time (UTC)", "what", "by"):
        table.add_column(heading, justify="right" if heading == "position" else "left")
    for one in eco["timeline"]:
        position = str(one["position"])
        actor = Text(one["actor"].partition(":")[2], "dim")
        table.add_row(position, _time(one["at"]), Text(one["line"]), actor)
    return table


def _word(state: str) -> Text:
    return Text(state.replace("_", " ").lower(), COLOURS.get(state, ""))


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%H:%M:%S}"
