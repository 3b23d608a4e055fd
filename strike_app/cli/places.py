"""`strike places`: what a text means as a place."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AsJson


def places(
    text: Annotated[
        list[str], typer.Argument(help="A town, a county, coordinates, an address of a map.")
    ],
    near: Annotated[
        str | None, typer.Option(help="Coordinates: what is near there comes first.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Find a place without any network, as the console does.

    The exit status is 1 if nothing was found. Coordinates that begin with a minus go behind --.

    Example: strike places boulder co
    """
    from strike_app.admin.places import show_places

    raise typer.Exit(show_places(" ".join(text), near, limit, as_json=as_json))
