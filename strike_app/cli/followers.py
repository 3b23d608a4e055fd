"""`strike followers` and `strike rebuild`: how followers fare, and making read models anew."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AsJson

followers = typer.Typer(
    help="How the followers fare; skip an event, or begin anew.", invoke_without_command=True
)

FollowerName = Annotated[str, typer.Argument(metavar="NAME", help="The follower, as it is listed.")]
Processes = Annotated[
    int | None, typer.Option(min=1, max=16, help="How many read the log; one for each core.")
]


@followers.callback(invoke_without_command=True)
def show_followers(context: typer.Context, as_json: AsJson = False) -> None:
    """Say of each follower which process runs it, how far it is behind, and on what it fails.

    The exit status is 1 if one is failing, lags, or is run by nobody.

    Example: strike followers
    """
    if context.invoked_subcommand is None:
        from strike_app.followers import show_status

        raise typer.Exit(show_status(as_json=as_json))


@followers.command("skip")
def skip_event(
    name: FollowerName,
    position: Annotated[int, typer.Argument(help="Of the event on which it fails.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept, with who and when.")],
    as_json: AsJson = False,
) -> None:
    """Leave out the event on which a follower fails.

    Only that very event can be left out. What follows from it is then missing.

    Example: strike followers skip eco_timeline 4711 --reason "Ticket 12: unreadable since 3.2"
    """
    from strike_app.followers import skip_event

    skip_event(name, position, reason, as_json=as_json)


@followers.command("reset")
def reset_follower(
    name: FollowerName, processes: Processes = None, as_json: AsJson = False
) -> None:
    """Make a read model anew, as strike rebuild NAME does.

    Example: strike followers reset eco_views
    """
    from strike_app.followers import rebuild_views

    raise typer.Exit(rebuild_views((name,), processes, as_json=as_json))


def rebuild(
    views: Annotated[
        list[str] | None, typer.Argument(metavar="VIEW", help="Which read models.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    old: Annotated[
        bool, typer.Option("--drop-old", help="Drop the tables that rebuilds have replaced.")
    ] = False,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Make read models anew from the log.

    They are made beside the old ones, which are read until the swap. May be interrupted: the
    same command goes on where it stood. Nobody is rung and no task is made by it. The old
    tables are kept, as …_old, until --drop-old.

    Example: strike rebuild eco_views eco_timeline
    """
    from strike_app.followers import drop_old_tables, rebuild_views

    wanted = tuple(views or ())
    if old:
        drop_old_tables(wanted, as_json=as_json)
    else:
        named = None if everything else wanted
        raise typer.Exit(rebuild_views(named, processes, as_json=as_json))
