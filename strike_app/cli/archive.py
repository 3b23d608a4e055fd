"""`strike archive`: what is long over lies beside the log, and is read as before."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AsJson

archive = typer.Typer(
    help="Move what is long over beside the log, where it is read as before.",
    no_args_is_help=True,
)


@archive.command("run")
def run(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Over, and untouched since: 90d, 12w or 36h.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="At the most so many callouts.")] = None,
    as_json: AsJson = False,
) -> None:
    """Move ECOs that are long over into the archive.

    Their pager runs go with them. Nothing is lost by it: pages, evidence, rebuilds and exports
    read both. It may be interrupted, and the same command goes on. Only what every follower has
    taken in is moved.

    Example: strike archive run --older-than 90d
    """
    from strike_app.archive import run_archive

    raise typer.Exit(run_archive(older_than, limit, as_json=as_json))


@archive.command("status")
def status(as_json: AsJson = False) -> None:
    """Say what is archived of each month, and what is live.

    Also up to where all followers have read: what comes after that is not moved.

    Example: strike archive status
    """
    from strike_app.archive import show_status

    show_status(as_json=as_json)


@archive.command("restore")
def restore(
    eco: Annotated[str, typer.Argument(metavar="ECO", help="Its id or job number.")],
    as_json: AsJson = False,
) -> None:
    """Bring an ECO and its pager runs back into the live log.

    Nobody needs that to read it, or to add a note to it.

    Example: strike archive restore 26-0042
    """
    from strike_app.archive import restore_eco

    restore_eco(eco, as_json=as_json)


@archive.command("compact")
def compact(
    within: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds that nobody may have to wait longer.")
    ] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Give the disk back what the live log has no more use for.

    The live table is written anew. Meanwhile nobody can save or read; if that took too long,
    everything stays as it was.

    Example: strike archive compact --within 2
    """
    from strike_app.archive import compact_log

    compact_log(within, as_json=as_json)
