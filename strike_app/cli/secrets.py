"""`strike secrets`: what is sealed, and the keys that seal it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strike_app.cli.options import AsJson

secrets = typer.Typer(
    help="Stored secrets and their keys; none is ever shown.",
    no_args_is_help=True,
)


@secrets.command("status")
def secrets_status(as_json: AsJson = False) -> None:
    """Say how many secrets are under which key, and whether they open.

    The exit status is 1 if anything has to be rotated, or does not open.

    Example: strike secrets status
    """
    from strike_app.vault import show_status

    raise typer.Exit(show_status(as_json=as_json))


@secrets.command("rotate")
def rotate_secrets(as_json: AsJson = False) -> None:
    """Move every secret to the present key, without downtime.

    May be interrupted and begun again. The exit status is 1 if anything could not be moved.

    Example: strike secrets rotate
    """
    from strike_app.vault import rotate

    raise typer.Exit(rotate(as_json=as_json))


@secrets.command("new-key")
def new_secrets_key(
    file: Annotated[Path, typer.Argument(help="Where to; nothing may be there.")],
    as_json: AsJson = False,
) -> None:
    """Make a key in a file, and say how it is taken into use.

    Example: strike secrets new-key /etc/strike/secrets-2.key
    """
    from strike_app.vault import new_key

    raise typer.Exit(new_key(file, as_json=as_json))
