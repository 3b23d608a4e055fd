"""`strike link`: which NOC may call out which contractor."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from rich.text import Text

from strike_adapters.postgres.overview import NamedLink, all_links
from strike_app.admin.desk import add_row, admin_of, at_work, plain_table, show_table, tell
from strike_app.tenants import find_tenant
from strike_domain.actors import Actor, Side
from strike_domain.administration import Administration
from strike_domain.eco import PagingPolicy
from strike_domain.ports import Link, LinkStatus

Command = Callable[[Administration, UUID, Actor], Link]

_STYLES = {LinkStatus.ACTIVE: "green", LinkStatus.PENDING: "yellow"}


def list_links(wanted: str | None, *, as_json: bool) -> None:
    """Of one company, or all."""
    with at_work() as strike:
        tenant = find_tenant(strike, wanted) if wanted else None
        links = all_links(strike.pool, tenant.id if tenant else None)
    table = plain_table("NOC", "contractor", "state", "paging")
    for one in links:
        state = Text(_state(one.link), _STYLES.get(one.link.status, "bold red"))
        add_row(table, one.noc, one.osp, state, one.link.paging_policy)
    rows = [_as_json(one) for one in links]
    otherwise = "There is no link yet: try strike link propose."
    show_table(table, rows, as_json=as_json, otherwise=otherwise)


def propose(noc: str, osp: str, *, manual: bool, as_json: bool) -> None:
    """For the NOC: ask a contractor."""
    policy = PagingPolicy.MANUAL if manual else PagingPolicy.AUTOMATIC
    _do(Side.NOC, noc, osp, lambda do, other, me: do.propose_link(other, me, policy), as_json)


def accept(noc: str, osp: str, *, as_json: bool) -> None:
    """For the contractor: agree."""
    _do(Side.OSP, noc, osp, lambda do, other, me: do.accept_link(other, me), as_json)


def decline(noc: str, osp: str, *, as_json: bool) -> None:
    """For the contractor: turn the proposal down."""
    _do(Side.OSP, noc, osp, lambda do, other, me: do.decline_link(other, me), as_json, gone=True)


def withdraw(noc: str, osp: str, *, as_json: bool) -> None:
    """For the NOC: take the proposal back."""
    _do(Side.NOC, noc, osp, lambda do, other, me: do.withdraw_link(other, me), as_json, gone=True)


def suspend(noc: str, osp: str, by: str, *, as_json: bool) -> None:
    """For either side: no new ECOs over this link."""
    _do(Side(by), noc, osp, lambda do, other, me: do.suspend_link(other, me), as_json)


def resume(noc: str, osp: str, by: str, *, as_json: bool) -> None:
    """For the side that suspended it: active again."""
    _do(Side(by), noc, osp, lambda do, other, me: do.resume_link(other, me), as_json)


def set_policy(noc: str, osp: str, policy: str, *, as_json: bool) -> None:
    """For the NOC: whether paging starts by itself."""
    wanted = PagingPolicy(policy)
    _do(Side.NOC, noc, osp, lambda do, other, me: do.set_paging_policy(other, wanted, me), as_json)


def _do(
    side: Side, noc: str, osp: str, command: Command, as_json: bool, *, gone: bool = False
) -> None:
    """The command, on behalf of that side's end of the link."""
    with at_work() as strike:
        ends = [find_tenant(strike, noc, Side.NOC), find_tenant(strike, osp, Side.OSP)]
        mine, other = ends if side is Side.NOC else reversed(ends)
        link = command(strike.administration(), other.id, admin_of(mine))
    named = NamedLink(link, ends[0].name, ends[1].name)
    state = "proposed no longer" if gone else _state(link)
    paging = "" if gone else f" Paging is {link.paging_policy}."
    shown = _as_json(named) | ({"status": None} if gone else {})
    tell(f"The link of {named.noc} with {named.osp} is {state}.{paging}", shown, as_json=as_json)


def _state(link: Link) -> str:
    return f"{link.status} by the {link.suspended_by}" if link.suspended_by else str(link.status)


def _as_json(one: NamedLink) -> dict[str, object]:
    return {"noc": one.noc, "osp": one.osp, **one.link.model_dump(mode="json")}
