"""`strike twilio` and `strike render`: the companies' accounts at outside systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strike_app.cli.options import AnyOsp, AsJson, NocName, OspName

twilio = typer.Typer(help="The NOCs' accounts to call with.", no_args_is_help=True)
render = typer.Typer(
    help="The contractors' Render: who we are there, and how it answers.", no_args_is_help=True
)

# A secret is never an argument: every user of the machine could read it there.
TokenFile = Annotated[
    Path | None,
    typer.Option(help="Where the token is. Without it, a terminal asks; else standard input is."),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="Where the secret is. Without it, a terminal asks; else standard input is."),
]


@twilio.command("show")
def show_twilio(noc: NocName, as_json: AsJson = False) -> None:
    """Show a NOC's account, never its token.

    Example: strike twilio show Bluestem
    """
    from strike_app.admin.accounts import show_twilio

    show_twilio(noc, as_json=as_json)


@twilio.command("set")
def set_twilio(
    noc: NocName,
    sid: Annotated[str | None, typer.Option(help="AC and 32 hexadecimal digits.")] = None,
    from_number: Annotated[
        str | None, typer.Option("--from", help="What the person rung sees, as +12025550199.")
    ] = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Set a NOC's account. What is left out stays; another account needs its token.

    Example: strike twilio set Bluestem --sid AC… --from +12025550199 --token-file token.txt
    """
    from strike_app.admin.accounts import set_twilio

    set_twilio(noc, sid, from_number, token_file, as_json=as_json)


@twilio.command("test")
def try_twilio(noc: NocName, as_json: AsJson = False) -> None:
    """Find out whether the account could place a call.

    Twilio is asked for its calls; nobody is rung. The exit status is 1 if it could not.

    Example: strike twilio test Bluestem
    """
    from strike_app.admin.accounts import try_twilio

    raise typer.Exit(try_twilio(noc, as_json=as_json))


@render.command("show")
def show_render(osp: OspName, as_json: AsJson = False) -> None:
    """Show a contractor's Render instance, never its secret.

    Example: strike render show "Front Range"
    """
    from strike_app.admin.accounts import show_render

    show_render(osp, as_json=as_json)


@render.command("set")
def set_render(
    osp: OspName,
    url: Annotated[str | None, typer.Option(help="Its base URL.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Who we are there.")] = None,
    project: Annotated[str | None, typer.Option(help="Where emergency work is made.")] = None,
    secret_file: SecretFile = None,
    polling_seconds: Annotated[
        float | None, typer.Option(help="How often tasks are polled.")
    ] = None,
    inactivity_hours: Annotated[
        float | None, typer.Option(help="After so long without a change, a callout is stale.")
    ] = None,
    grace_hours: Annotated[
        float | None, typer.Option(help="So long after the end, a reopened task opens it again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set a contractor's Render instance. What is left out stays; another client needs its secret.

    Example: strike render set "Front Range" --url https://render.example --client-id strike
    --project P-17 --secret-file secret.txt
    """
    from strike_app.admin.accounts import set_render

    given = {
        "base_url": url,
        "client_id": client_id,
        "project": project,
        "polling_seconds": polling_seconds,
        "inactivity_hours": inactivity_hours,
        "grace_hours": grace_hours,
    }
    set_render(osp, given, secret_file, as_json=as_json)


@render.command("test")
def try_render(osp: OspName, as_json: AsJson = False) -> None:
    """Find out whether field work could be made and followed.

    A token is fetched, and tasks are read. The exit status is 1 if it could not.

    Example: strike render test "Front Range"
    """
    from strike_app.admin.accounts import try_render

    raise typer.Exit(try_render(osp, as_json=as_json))


@render.command("status")
def render_status(osp: AnyOsp = None, as_json: AsJson = False) -> None:
    """Say of each Render whether it answers, and what went wrong.

    The exit status is 1 if somebody has to look.

    Example: strike render status "Front Range"
    """
    from strike_app.render import show_status

    raise typer.Exit(show_status(osp, as_json=as_json))


@render.command("retry")
def render_retry(osp: OspName, as_json: AsJson = False) -> None:
    """Have the field tasks made that could not be made before.

    Example: strike render retry "Front Range"
    """
    from strike_app.render import retry

    raise typer.Exit(retry(osp, as_json=as_json))
