"""`strike link`: which NOC may call out which contractor."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AnyTenant, AsJson, NocName, OspName, Policy, Side

link = typer.Typer(help="Which NOC may call out which contractor.", no_args_is_help=True)

By = Annotated[Side, typer.Option(help="On whose behalf: only they can undo it.")]


@link.command("list")
def list_links(wanted: AnyTenant = None, as_json: AsJson = False) -> None:
    """List the links with their state.

    Example: strike link list "Front Range"
    """
    from strike_app.admin.links import list_links

    list_links(wanted, as_json=as_json)


@link.command("propose")
def propose(
    noc: NocName,
    osp: OspName,
    manual: Annotated[bool, typer.Option("--manual", help="The NOC starts paging itself.")] = False,
    as_json: AsJson = False,
) -> None:
    """For the NOC: ask a contractor. Nothing can be ordered until it accepts.

    Example: strike link propose Bluestem "Front Range"
    """
    from strike_app.admin.links import propose

    propose(noc, osp, manual=manual, as_json=as_json)


@link.command("accept")
def accept(noc: NocName, osp: OspName, as_json: AsJson = False) -> None:
    """For the contractor: agree to be called out.

    Example: strike link accept Bluestem "Front Range"
    """
    from strike_app.admin.links import accept

    accept(noc, osp, as_json=as_json)


@link.command("decline")
def decline(noc: NocName, osp: OspName, as_json: AsJson = False) -> None:
    """For the contractor: turn the proposal down.

    Example: strike link decline Bluestem "Front Range"
    """
    from strike_app.admin.links import decline

    decline(noc, osp, as_json=as_json)


@link.command("withdraw")
def withdraw(noc: NocName, osp: OspName, as_json: AsJson = False) -> None:
    """For the NOC: take a proposal back that was not accepted yet.

    Example: strike link withdraw Bluestem "Front Range"
    """
    from strike_app.admin.links import withdraw

    withdraw(noc, osp, as_json=as_json)


@link.command("suspend")
def suspend(noc: NocName, osp: OspName, by: By, as_json: AsJson = False) -> None:
    """Let no new callouts come over a link; old ones go on.

    Example: strike link suspend Bluestem "Front Range" --by osp
    """
    from strike_app.admin.links import suspend

    suspend(noc, osp, by.name, as_json=as_json)


@link.command("resume")
def resume(noc: NocName, osp: OspName, by: By, as_json: AsJson = False) -> None:
    """Open a link again; only the side that suspended it can.

    Example: strike link resume Bluestem "Front Range" --by osp
    """
    from strike_app.admin.links import resume

    resume(noc, osp, by.name, as_json=as_json)


@link.command("policy")
def policy(
    noc: NocName,
    osp: OspName,
    paging: Annotated[Policy, typer.Argument(help="Whether people are rung at once, or by hand.")],
    as_json: AsJson = False,
) -> None:
    """For the NOC: say whether paging starts by itself.

    Example: strike link policy Bluestem "Front Range" manual
    """
    from strike_app.admin.links import set_policy

    set_policy(noc, osp, paging.name, as_json=as_json)
