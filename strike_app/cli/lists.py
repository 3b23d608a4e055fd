"""`strike lists` and `strike jobs`: who is rung, where, and under which number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strike_app.cli.options import AnyOsp, AsJson, OspName

lists = typer.Typer(help="Pager lists: who is rung for which ground.", no_args_is_help=True)
jobs = typer.Typer(help="The contractors' job numbers.", no_args_is_help=True)


@lists.command("check")
def check_lists(
    osp: AnyOsp = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Draw the regions, as SVG, into this file.")
    ] = None,
    area: Annotated[
        Path | None, typer.Option(help="What ought to be covered: a GeoJSON polygon.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find what keeps somebody from being rung tonight.

    Numbers that cannot be called, empty lists, gaps and overlaps of regions. The exit
    status is 1 if anything keeps somebody from being rung.

    Example: strike lists check "Front Range" --map regions.svg
    """
    from strike_app.lists import check

    raise typer.Exit(check(osp, area=area, map_file=map_file, as_json=as_json))


@lists.command("drill")
def drill_list(
    osp: OspName,
    at: Annotated[
        str | None, typer.Option(help="Longitude,latitude of a cut: the list for there.")
    ] = None,
    name: Annotated[str | None, typer.Option("--list", help="Or a list, by its name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ring a list down on paper: who would be rung when, and hear what. No phone rings.

    Each NOC's account at the provider is asked for its calls, which shows that it could place one.

    Example: strike lists drill "Front Range" --at=-105.27,40.01
    """
    from strike_app.lists import run_drill

    raise typer.Exit(run_drill(osp, at=at, list_name=name, as_json=as_json))


@lists.command("show")
def show_lists(
    osp: OspName,
    name: Annotated[
        str | None, typer.Argument(metavar="LIST", help="One list with its people.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a contractor's lists, or one of them. With --json, one is as `save` takes it.

    Example: strike lists show "Front Range" Denver --json > denver.json
    """
    from strike_app.admin.lists import show_lists

    show_lists(osp, name, as_json=as_json)


@lists.command("save")
def save_list(
    osp: OspName,
    file: Annotated[Path, typer.Argument(help="One list, in JSON or TOML (see docs/lists.md).")],
    as_json: AsJson = False,
) -> None:
    """Add a list, or change the one of that name. What the file does not say stays as it was.

    Example: strike lists save "Front Range" denver.toml
    """
    from strike_app.admin.lists import save_list

    save_list(osp, file, as_json=as_json)


@lists.command("remove")
def remove_list(
    osp: OspName,
    name: Annotated[str, typer.Argument(metavar="LIST", help="Its name or id.")],
    as_json: AsJson = False,
) -> None:
    """Take a list away; whoever is being rung from it is rung on.

    Example: strike lists remove "Front Range" Denver
    """
    from strike_app.admin.lists import remove_list

    remove_list(osp, name, as_json=as_json)


@lists.command("import")
def import_regions(
    osp: OspName,
    file: Annotated[Path, typer.Argument(help="GeoJSON: polygons, or OFDS spans or nodes.")],
    contacts_from: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Whose people new lists get; else the default list's."),
    ] = None,
    buffer: Annotated[
        float, typer.Option(metavar="METRES", help="How far a corridor reaches from the fibre.")
    ] = 2_000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make lists with regions from polygons, or along fibre.

    One for each polygon of the file, and one for each network. A list that is there already
    gets the region and keeps its people. What is wrong in the file is told with its place, and
    all else is taken; the exit status is then 1.

    Example: strike lists import "Front Range" spans.geojson --buffer 5000 --dry-run
    """
    from strike_app.admin.imports import import_regions

    status = import_regions(osp, file, contacts_from, buffer, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(status)


@jobs.command("show")
def show_jobs(osp: OspName, as_json: AsJson = False) -> None:
    """Show the last job number of each year.

    Example: strike jobs show "Front Range"
    """
    from strike_app.admin.jobs import show_jobs

    show_jobs(osp, as_json=as_json)


@jobs.command("raise")
def raise_jobs(
    osp: OspName,
    year: Annotated[int, typer.Option(help="Of which year.")],
    last: Annotated[int, typer.Option(help="The next one is one higher.")],
    as_json: AsJson = False,
) -> None:
    """Let a year's numbers go on after a higher one.

    As when another system has given the first ones.

    Example: strike jobs raise "Front Range" --year 2026 --last 500
    """
    from strike_app.admin.jobs import raise_jobs

    raise_jobs(osp, year, last, as_json=as_json)
