"""`strike tenant` and `strike user`: the companies, and who belongs to them."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AsJson, Role, Side, TenantName

tenant = typer.Typer(help="The companies: NOCs and contractors (OSPs).", no_args_is_help=True)
user = typer.Typer(help="Who belongs to a company, and may do what.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The address that the login gateway knows them by.")]


@tenant.command("list")
def list_tenants(
    side: Annotated[Side | None, typer.Option(help="Only those of one side.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the companies by name.

    Example: strike tenant list --side osp
    """
    from strike_app.admin.tenants import list_tenants

    list_tenants(side and side.name, as_json=as_json)


@tenant.command("add")
def add_tenant(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    side: Annotated[Side, typer.Option(help="noc orders repairs, osp carries them out.")],
    as_json: AsJson = False,
) -> None:
    """Add a company.

    Example: strike tenant add "Front Range Fibre Works" --side osp
    """
    from strike_app.admin.tenants import add_tenant

    add_tenant(name, side.name, as_json=as_json)


@tenant.command("rename")
def rename_tenant(
    wanted: TenantName,
    name: Annotated[str, typer.Argument(help="The new name.")],
    as_json: AsJson = False,
) -> None:
    """Change a company's name.

    Example: strike tenant rename "Front Range" "Front Range Fibre"
    """
    from strike_app.admin.tenants import rename_tenant

    rename_tenant(wanted, name, as_json=as_json)


@user.command("list")
def list_users(wanted: TenantName, as_json: AsJson = False) -> None:
    """List who belongs to a company.

    Example: strike user list "Front Range"
    """
    from strike_app.admin.members import list_members

    list_members(wanted, as_json=as_json)


@user.command("add")
def add_user(
    wanted: TenantName,
    email: Email,
    name: Annotated[str, typer.Option(help="Needed for somebody new; others keep theirs.")] = "",
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.VIEWER,
    as_json: AsJson = False,
) -> None:
    """Add somebody to a company, or change what they may do there.

    Example: strike user add "Front Range" ana@osp.example --name "Ana Reyes" --role admin
    """
    from strike_app.admin.members import add_member

    add_member(wanted, email, name, role.name, as_json=as_json)


@user.command("remove")
def remove_user(wanted: TenantName, email: Email, as_json: AsJson = False) -> None:
    """Take somebody out of a company; the last admin stays.

    Example: strike user remove "Front Range" ana@osp.example
    """
    from strike_app.admin.members import remove_member

    remove_member(wanted, email, as_json=as_json)
