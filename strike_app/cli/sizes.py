"""How large a deployment has to be."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AsJson


def size(
    nocs: Annotated[int, typer.Option(min=1, help="How many NOCs.")] = 1_000,
    callouts_a_month: Annotated[
        float | None, typer.Option(min=0, help="Of each NOC; 100 unless told.")
    ] = None,
    storm_hour: Annotated[
        float | None, typer.Option(min=0, help="Callouts of one NOC in a storm hour; 40.")
    ] = None,
    share_in_storm: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of the NOCs, in the worst hour; 0.2.")
    ] = None,
    boards: Annotated[float | None, typer.Option(min=0, help="Open boards of a NOC; 5.")] = None,
    subscriptions: Annotated[
        float | None, typer.Option(min=0, help="Subscriptions to a NOC's changes; 5.")
    ] = None,
    reads_a_minute: Annotated[
        float | None, typer.Option(min=0, help="Reads of other systems for a NOC; 20.")
    ] = None,
    markdown: Annotated[bool, typer.Option(help="As in docs/sizing.md, for 10 to 1,000.")] = False,
    as_json: AsJson = False,
) -> None:
    """Work out how large a deployment has to be, from what was measured.

    Cores, processes and bytes for so many NOCs in their worst hour, and what becomes the limit.

    Example: strike size --nocs 1000 --storm-hour 60
    """
    from strike_app.sizing.showing import of_options, show_size

    given = {
        "callouts_a_month": callouts_a_month,
        "callouts_in_a_storm_hour": storm_hour,
        "share_in_storm": share_in_storm,
        "boards": boards,
        "subscriptions": subscriptions,
        "reads_a_minute": reads_a_minute,
    }
    show_size(of_options(nocs, given), markdown=markdown, as_json=as_json)
