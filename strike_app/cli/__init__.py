"""`strike`: every command. What one needs is imported when it runs, so that help is instant."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from strike_app.cli import (
    accounts,
    agents,
    archive,
    audit,
    evidence,
    export,
    followers,
    links,
    lists,
    places,
    secrets,
    sizes,
    tenants,
    tokens,
)
from strike_app.cli.options import AsJson, ExitWithParent, ReadyFile, Work

app = typer.Typer(
    name="strike",
    help="Emergency callouts for cut fibre: phone the repair crew, follow the work, prove it all.",
    epilog="Begin with: strike demo. More about each: strike COMMAND --help.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Drawing boxes would double the time that help takes.
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"strike {version('osprey-strike')}")
        raise typer.Exit


@app.callback()
def _strike(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


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
    """Play a whole callout, from the cut to its end. Begin here.

    Nothing has to be set up: an embedded PostgreSQL, a mock of Twilio and Render, and each part of
    Strike are started as processes of their own, and stopped at the end. The exit status says
    whether the story ended as it is told.

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
        from strike_app.processes import ended_in_order

    configure()
    console = Console(stderr=as_json)
    options = Options(scenario, speed, keep, geojson, as_json)
    # The server of the database would go on if a closed terminal ended this process alone.
    with ended_in_order(signal.SIGTERM, signal.SIGHUP):
        status = run_demo(options, console)
    raise typer.Exit(status)


@app.command()
def serve(
    followers: Annotated[bool, typer.Option(help="Run the followers in this process too.")] = True,
    workers: Annotated[bool, typer.Option(help="Run the workers in this process too.")] = False,
    ready_file: ReadyFile = None,
    exit_with_parent: ExitWithParent = False,
) -> None:
    """Serve the web console, GraphQL and Twilio's webhooks.

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
def work(
    kinds: Annotated[
        list[Work] | None,
        typer.Argument(help="Ring people, or look after field tasks; both if none is named."),
    ] = None,
    ready_file: ReadyFile = None,
    exit_with_parent: ExitWithParent = False,
) -> None:
    """Do what falls due: ring people, and look after field tasks.

    May run in any number of processes; each due row is claimed by one.

    Example: strike work paging
    """
    from strike_app.commands import run_workers

    named = tuple(one.value for one in kinds or Work)
    run_workers(named, ready_file=ready_file, exit_with_parent=exit_with_parent)


@app.command()
def prepare(
    fresh: Annotated[
        bool, typer.Option(help="Of the embedded database only: throw away all that is in it.")
    ] = False,
) -> None:
    """Bring the database to the form that this version needs.

    Every command does so when it starts; this one is for whoever wants it done before. Safe to
    run at any time and as often as one likes.

    Example: STRIKE_DATABASE_URL=postgresql://strike@db/strike strike prepare
    """
    from strike_app.bootstrap import forget_embedded, open_database
    from strike_app.settings import Settings

    settings = Settings()
    if fresh:
        forget_embedded(settings)
    with open_database(settings):
        typer.echo("The database is ready.")


@app.command()
def publish(ready_file: ReadyFile = None, exit_with_parent: ExitWithParent = False) -> None:
    """Publish the log to NATS JetStream, for other machines.

    May run in any number of processes; one is active, the others stand by. Needs the extra
    jetstream; what a subscriber gets is in docs/stream.md.

    Example: STRIKE_NATS_URL=nats://127.0.0.1:4222 strike publish
    """
    from strike_app.commands import run_publisher

    run_publisher(ready_file=ready_file, exit_with_parent=exit_with_parent)


@app.command()
def seed(
    mock: Annotated[
        Path, typer.Option(help="The mock's settings: made with new credentials if missing.")
    ] = Path("mock-settings.json"),
    mock_url: Annotated[
        str, typer.Option(help="Where the mock will be, as Strike reaches it.")
    ] = "http://127.0.0.1:9000",
) -> None:
    """Fill the database with the demo's companies, for development.

    Their people are rung and work through the mock alone. Seeding again changes nothing.

    Example: strike seed --mock .strike/mock-settings.json
    """
    from rich.console import Console

    from strike_app.demo.seeding import seed_companies

    seed_companies(mock, mock_url, Console())


@app.command()
def load(
    ecos: Annotated[int, typer.Option(min=1, help="How many callouts, over three years.")],
    tenants: Annotated[
        int, typer.Option(min=2, help="How many companies: half NOCs, half contractors.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="The same one loads the same on the same day.")] = 1,
    processes: followers.Processes = None,
) -> None:
    """Fill an empty database with years of callouts.

    To see how it grows. The events are the domain's own, along real backbones where the extra
    demo is installed, and the read models are made from them. Nobody is rung for what is
    loaded. A database that holds anything is refused; one whose loading was interrupted has to
    be dropped.

    Example: strike load --ecos 1000000 --tenants 200
    """
    from rich.console import Console

    from strike_app.load.command import run_load

    run_load(ecos, tenants, seed, processes, Console())


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def mock(context: typer.Context) -> None:
    """Stand in for Twilio, Render Networks and the login gateway.

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
    """Let all of Strike live through random nights; is no page lost?

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
    """Say what is set, reachable and wrong, each with its cure.

    The exit status is 1 if anything is wrong.

    Example: strike doctor
    """
    from strike_app.doctor import examine, show

    raise typer.Exit(show(examine(), as_json=as_json))


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Print every setting and where its value came from.

    Of what is secret nothing is shown. The environment goes before the file in TOML that
    STRIKE_SETTINGS_FILE names.

    Example: STRIKE_SETTINGS_FILE=/etc/strike.toml strike settings
    """
    from strike_app.settings_table import show

    show(as_json=as_json)


@app.command()
def schema() -> None:
    """Print the GraphQL schema.

    Example: strike schema > schema.graphql
    """
    from strike_app.graphql import schema as graphql_schema

    typer.echo(graphql_schema.as_str())


app.add_typer(tenants.tenant, name="tenant")
app.add_typer(tenants.user, name="user")
app.add_typer(links.link, name="link")
app.add_typer(lists.lists, name="lists")
app.add_typer(lists.lists, name="list", hidden=True)
app.add_typer(lists.jobs, name="jobs")
app.add_typer(accounts.twilio, name="twilio")
app.add_typer(accounts.render, name="render")
app.add_typer(tokens.token, name="token")
app.add_typer(secrets.secrets, name="secrets")
app.add_typer(evidence.evidence, name="evidence")
app.command("verify")(evidence.verify)
app.command("replay")(evidence.replay)
app.command("export")(export.export)
app.add_typer(followers.followers, name="followers")
app.add_typer(archive.archive, name="archive")
app.command("rebuild")(followers.rebuild)
app.command("audit")(audit.audit)
app.command("access")(audit.access)
app.command("size")(sizes.size)
app.command("mcp")(agents.mcp)
app.command("places", context_settings={"ignore_unknown_options": True})(places.places)


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
