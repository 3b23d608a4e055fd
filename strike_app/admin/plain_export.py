"""`strike export`: events and tables, for whoever wants to do without Strike."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import track
from rich.text import Text

from strike_adapters.postgres.plain import TABLES, copy_table, plain_events
from strike_adapters.postgres.store import store_env
from strike_app.admin.desk import counted
from strike_app.bootstrap import open_database
from strike_app.settings import Settings
from strike_domain.errors import Rejected
from strike_domain.log import StrikeLog

EVENTS = "events.csv"


def export(folder: Path | None, after: int, *, as_json: bool) -> None:
    """Write events and tables into a new folder, or the events as lines of JSON.

    Raises `Rejected` (FOLDER_NEEDED, FOLDER_NOT_EMPTY, FOLDER_UNUSABLE).
    """
    if folder is None and not as_json:
        message = "Name a folder for the tables, or say --json for lines on standard output."
        raise Rejected("FOLDER_NEEDED", message, ("folder",))
    target = _new_folder(folder) if folder else None
    with open_database(Settings()) as url, StrikeLog(store_env(url)) as log:
        end = log.position()
        events = _counted(plain_events(log, after, end), max(end - after, 0))
        if target is None:
            _as_lines(events)
            return
        written = _as_table(events, target / EVENTS)
        _tables(url, target)
    said = f"{target} holds {counted(written, 'event')} and {len(TABLES)} tables."
    Console(stderr=as_json).print(Text(said), soft_wrap=True)


def _new_folder(folder: Path) -> Path:
    """Nobody else on the machine may read it: it holds names and telephone numbers."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        message = f"{folder} cannot be used: {error.strerror}."
        raise Rejected("FOLDER_UNUSABLE", message, ("folder",)) from error
    if not is_empty:
        message = f"{folder} holds something already; name a new folder."
        raise Rejected("FOLDER_NOT_EMPTY", message, ("folder",))
    return folder


def _counted(events: Iterable[dict[str, Any]], total: int) -> Iterator[dict[str, Any]]:
    """A bar on standard error, where somebody looks at it."""
    console = Console(stderr=True)
    yield from track(
        events, "events", total=total, console=console, disable=not console.is_terminal
    )


def _as_lines(events: Iterable[dict[str, Any]]) -> None:
    try:
        for one in events:
            sys.stdout.write(json.dumps(one, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has enough, as `head` does; what is buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_table(events: Iterable[dict[str, Any]], file: Path) -> int:
    """The number of rows; `fields` is JSON in its cell."""
    rows = 0
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        for rows, one in enumerate(events, 1):
            if rows == 1:
                writer.writerow(one)
            fields = json.dumps(one["fields"], ensure_ascii=False)
            writer.writerow([*list(one.values())[:-1], fields])
    return rows


def _tables(url: str, folder: Path) -> None:
    """All as they are at one moment."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for name in TABLES:
            with (folder / f"{name}.csv").open("wb") as target:
                copy_table(connection, name, target)
