"""`strike token`: what machines prove themselves with."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AsJson, Role, Scope, TenantName

token = typer.Typer(help="API tokens: what machines log in with.", no_args_is_help=True)


@token.command("list")
def list_tokens(wanted: TenantName, as_json: AsJson = False) -> None:
    """List a company's tokens, never the tokens themselves.

    Example: strike token list Bluestem
    """
    from strike_app.admin.tokens import list_tokens

    list_tokens(wanted, as_json=as_json)


@token.command("create")
def create_token(
    wanted: TenantName,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.VIEWER,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may be used for; may be given often.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is good.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this one time. Without --scope, it may only read.

    Example: strike token create Bluestem alarms --role operator --scope read --scope callout
    """
    from strike_app.admin.tokens import create_token

    scopes = frozenset(one.name for one in scope or [Scope.READ])
    create_token(wanted, name, role.name, scopes, days, as_json=as_json)


@token.command("revoke")
def revoke_token(
    wanted: TenantName,
    token: Annotated[str, typer.Argument(help="Its name or id.")],
    as_json: AsJson = False,
) -> None:
    """Let a token prove nothing from now on.

    Example: strike token revoke Bluestem alarms
    """
    from strike_app.admin.tokens import revoke_token

    revoke_token(wanted, token, as_json=as_json)
