"""`strike load`: how it is told."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from strike_app.bootstrap import open_database
from strike_app.followers import Pace, reporting
from strike_app.load.companies import Companies
from strike_app.load.filling import fill
from strike_app.load.telling import Wanted
from strike_app.settings import Settings


def run_load(ecos: int, tenants: int, seed: int, processes: int | None, console: Console) -> None:
    """Fill the database that is set, up to the beginning of today in UTC. Raises as `fill`."""
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    companies = Companies(nocs=tenants // 2, osps=tenants - tenants // 2)
    began = time.monotonic()
    with (
        open_database(Settings()) as url,
        _Bar(ecos, console) as bar,
        reporting(console) as report,
    ):
        events = fill(url, Wanted(ecos, companies, seed, until), bar.tell, report, processes)
    seconds = time.monotonic() - began
    console.print(
        f"{ecos:,} ECOs of {tenants:,} companies: {events:,} events and their read models in "
        f"{seconds:,.1f} s, {ecos / seconds:,.0f} ECOs/s. The log alone: {bar.rate:,.0f} events/s."
    )


class _Bar:
    """How far the log is, how fast it is written, and how long it will take yet."""

    def __init__(self, ecos: int, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[bold]events"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("ECOs, {task.fields[rate]:,.0f} events/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=ecos, rate=0.0)
        self._ecos = ecos
        self._console = console
        self._pace = Pace()
        self._began = time.monotonic()
        self.rate = 0.0
        """Events a second, up to the last time that it was told."""

    def __enter__(self) -> _Bar:
        self._progress.start()
        self._began = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def tell(self, ecos: int, events: int) -> None:
        self.rate = events / (time.monotonic() - self._began)
        self._progress.update(self._task, completed=ecos, rate=self.rate)
        if not self._console.is_terminal and self._pace.is_due():
            self._console.print(
                f"the log: {ecos:,} of {self._ecos:,} ECOs, {self.rate:,.0f} events/s"
            )
        if ecos >= self._ecos:
            # Two bars cannot be drawn at once: the next one is that of the read models.
            self._progress.stop()
