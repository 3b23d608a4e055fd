"""`strike evidence` and `strike verify`: what happened, for somebody who has to be convinced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strike_app.cli.options import AsJson, Side

evidence = typer.Typer(
    help="One callout as a file that a third party can check.",
    no_args_is_help=True,
)


@evidence.command("export")
def export(
    eco: Annotated[str, typer.Argument(metavar="ECO", help="Its id or job number.")],
    file: Annotated[
        Path | None, typer.Argument(help="Where to; else evidence-NUMBER.zip, here.")
    ] = None,
    side: Annotated[
        Side,
        typer.Option("--for", help="For whom: only the contractor's has full telephone numbers."),
    ] = Side.NOC,
    as_json: AsJson = False,
) -> None:
    """Write all that happened in a callout into one file.

    It has events, calls, timeline, response times and map. Keep the head of the chain that
    it prints somewhere else, or tell it to somebody: nobody can then write another history
    without its being found.

    Example: strike evidence export 26-0042 cut.zip --for osp
    """
    from strike_app.admin.evidence import export

    export(eco, file, side.name, as_json=as_json)


def verify(
    bundle: Annotated[Path, typer.Argument(help="A file that strike evidence export wrote.")],
    against: Annotated[
        bool, typer.Option("--against", help="Compare it with the log of the database, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check an evidence file, and say what it proves.

    Needs no database and no settings, unless it is compared --against the log. The exit status is 1
    if the file does not hold.

    Example: strike verify cut.zip
    """
    from strike_app.admin.evidence import verify

    raise typer.Exit(verify(bundle, against=against, as_json=as_json))


def replay(
    eco: Annotated[str, typer.Argument(metavar="ECO", help="Its id or job number.")],
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="No further than that, as 2026-03-01T02:30:00Z."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go through a callout once more, event by event.

    For each event of the ECO and of its pager runs it says when it was, what happened, and what
    changed of the ECO by it, as this version of Strike understands the log. Nothing is written,
    and nobody is rung.

    Example: strike replay 26-0042 --until 2026-03-01T02:30:00Z
    """
    from strike_app.admin.replay import show_replay

    show_replay(eco, until, as_json=as_json)
