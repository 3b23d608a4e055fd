"""`strike`: every command. What one needs is imported when it runs, so that help is instant."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="strike",
    help="Emergency callouts for cut fibre: phone the repair crew, follow the work, prove it all.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Drawing boxes would double the time that help takes.
)

ExitWithParent = Annotated[
    bool, typer.Option(help="Stop when standard input ends: when whoever started this is gone.")
]
ReadyFile = Annotated[
    Path | None, typer.Option(help="Write there, as JSON, where this process can be reached.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def demo(
    scenario: Annotated[
        str, typer.Option(help="The story that is told; their names are above.")
    ] = "happy-path",
    speed: Annotated[
        float, typer.Option(min=0.1, max=100, help="Simulated seconds per real second.")
    ] = 10.0,
    keep: Annotated[bool, typer.Option(help="Keep all running at the end, to explore.")] = False,
    geojson: Annotated[
        Path | None, typer.Option(help="A cut of your own: a Point or LineString in GeoJSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a whole callout, from the cut to its end, with every part as a process of its own.

    Needs nothing set up: an embedded PostgreSQL and a mock of Twilio and Render are started, and
    stopped at the end. The exit status says whether the story ended as it is told.

    Stories: happy-path, second-accepts, all-decline, no-list, pager-timeout,
    voicemail, busy-then-accept, late-accept, cancel-mid-call, webhook-storm,
    twilio-down, render-failure, render-flaky, late-clone, reopened-task,
    goes-stale.

    Example: strike demo --scenario second-accepts --speed 20
    """
    with _ended_by_ctrl_c_itself():
        from rich.console import Console

        from strike_app.demo.story import Options, run_demo
        from strike_app.logs import configure

    configure()
    console = Console(stderr=as_json)
    options = Options(scenario, speed, keep, geojson, as_json)
    raise typer.Exit(run_demo(options, console))


@app.command()
def serve(
    followers: Annotated[bool, typer.Option(help="Run the followers in this process too.")] = True,
    workers: Annotated[bool, typer.Option(help="Run the workers in this process too.")] = False,
    ready_file: ReadyFile = None,
    exit_with_parent: ExitWithParent = False,
) -> None:
    """Serve GraphQL, GraphiQL and Twilio's webhooks.

    Where to listen and what to trust is set by STRIKE_… variables: see strike doctor.

    Example: STRIKE_PUBLIC_URL=https://strike.example strike serve --workers
    """
    from strike_app.commands import run_server

    run_server(
        with_followers=followers,
        with_workers=workers,
        ready_file=ready_file,
        exit_with_parent=exit_with_parent,
    )


@app.command()
def follow(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which followers; all if none is named.")
    ] = None,
    ready_file: ReadyFile = None,
    exit_with_parent: ExitWithParent = False,
) -> None:
    """Follow the log: the pager process, and the read models.

    May run in any number of processes; of each follower one is active, the others stand by.

    Example: strike follow eco_views eco_timeline
    """
    from strike_app.commands import run_followers

    run_followers(tuple(names or ()), ready_file=ready_file, exit_with_parent=exit_with_parent)


@app.command()
def work(ready_file: ReadyFile = None, exit_with_parent: ExitWithParent = False) -> None:
    """Do what falls due: ring people, and look after field tasks.

    May run in any number of processes; each due row is claimed by one.

    Example: strike work
    """
    from strike_app.commands import run_workers

    run_workers(ready_file=ready_file, exit_with_parent=exit_with_parent)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def mock(context: typer.Context) -> None:
    """Stand in for Twilio, Render Networks and the login gateway, over real HTTP.

    Example: strike mock --scenario pager-timeout --port 9000 --upstream http://127.0.0.1:8080
    """
    from strike_mock.__main__ import main as run_mock

    raise typer.Exit(run_mock(context.args))


@app.command()
def simulate(
    seeds: Annotated[str, typer.Option(help="Which stories: 7, or 1-1000.")] = "1-200",
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")] = 0,
    story: Annotated[int | None, typer.Option(help="Tell one story line by line.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let the whole system live through random nights, and check that no page is lost.

    Everything runs in memory on simulated time: people who sleep, decline or press late, webhooks
    that are lost, doubled or forged, an unreliable Twilio, Render and database, and processes that
    die. The same seed is the same story. The exit status is 1 if anything was wrong in any.

    Example: strike simulate --seeds 1-1000
    """
    from rich.console import Console

    from strike_app.simulate.command import all_cores, parse_seeds, run_simulation, show_story

    console = Console()
    if story is not None:
        raise typer.Exit(show_story(story, console))
    wanted = parse_seeds(seeds)
    status = run_simulation(wanted, jobs or all_cores(), as_json=as_json, console=console)
    raise typer.Exit(status)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is configured, what is reachable and what is wrong, with the cure.

    The exit status is 1 if anything is wrong.

    Example: strike doctor
    """
    from strike_app.doctor import examine, show

    raise typer.Exit(show(examine(), as_json=as_json))


lists = typer.Typer(
    help="Are the pager lists ready for the night? Nobody is rung.", no_args_is_help=True
)
app.add_typer(lists, name="lists")


@lists.command("check")
def check_lists(
    osp: Annotated[
        str | None, typer.Argument(help="A contractor, by name or id; all if none is named.")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Draw the regions, as SVG, into this file.")
    ] = None,
    area: Annotated[
        Path | None, typer.Option(help="What ought to be covered: a GeoJSON polygon.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find numbers that cannot be called, empty lists, gaps and overlaps of regions.

    The exit status is 1 if anything keeps somebody from being rung.

    Example: strike lists check "Front Range" --map regions.svg
    """
    from strike_app.lists import check

    raise typer.Exit(check(osp, area=area, map_file=map_file, as_json=as_json))


@lists.command("drill")
def drill_list(
    osp: Annotated[str, typer.Argument(help="The contractor, by name or id.")],
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


render = typer.Typer(help="How the contractors' Render answers.", no_args_is_help=True)
app.add_typer(render, name="render")


@render.command("status")
def render_status(
    osp: Annotated[
        str | None, typer.Argument(help="A contractor, by name or id; all if none is named.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say for each Render whether it answers, how late its polls are, and what went wrong.

    The exit status is 1 if somebody has to look.

    Example: strike render status "Front Range"
    """
    from strike_app.render import show_status

    raise typer.Exit(show_status(osp, as_json=as_json))


@render.command("retry")
def render_retry(
    osp: Annotated[str, typer.Argument(help="The contractor, by name or id.")],
    as_json: AsJson = False,
) -> None:
    """Have the field tasks made that could not be made before.

    Example: strike render retry "Front Range"
    """
    from strike_app.render import retry

    raise typer.Exit(retry(osp, as_json=as_json))


secrets = typer.Typer(
    help="Stored secrets and the keys they are sealed with; none is ever shown.",
    no_args_is_help=True,
)
app.add_typer(secrets, name="secrets")


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
) -> None:
    """Make a key in a file, and say how it is taken into use.

    Example: strike secrets new-key /etc/strike/secrets-2.key
    """
    from strike_app.vault import new_key

    raise typer.Exit(new_key(file))


@app.command()
def schema() -> None:
    """Print the GraphQL schema.

    Example: strike schema > schema.graphql
    """
    from strike_app.graphql import schema as graphql_schema

    typer.echo(graphql_schema.as_str())


@contextmanager
def _ended_by_ctrl_c_itself() -> Iterator[None]:
    """While a command is loaded: libraries swallow the interrupt, or make another error of it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Run `strike`; what goes wrong is one sentence and an exit status, not a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from strike_app.mistakes import sentence

        typer.echo(f"strike: {sentence(error)}", err=True)
        sys.exit(2)
