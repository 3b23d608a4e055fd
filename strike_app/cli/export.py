"""`strike export`: everything that Strike knows, as plain files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    folder: Annotated[
        Path | None, typer.Argument(help="A new folder; for the tables it is needed.")
    ] = None,
    after: Annotated[
        int, typer.Option(min=0, help="Only events behind this position of the log.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="The events alone, a line of JSON each, to the output.")
    ] = False,
) -> None:
    """Write log and tables as files that need no Strike.

    The folder gets events.csv, in the order of the log, and one CSV file for each table. They hold
    names and telephone numbers, but no secrets: accounts, tokens and keys are left out.

    Example: strike export strike-2026-11
    """
    from strike_app.admin.plain_export import export

    export(None if as_json else folder, after, as_json=as_json)
