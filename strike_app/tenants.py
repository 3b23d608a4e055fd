"""Companies, as people name them on the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from strike_adapters.postgres.overview import all_tenants
from strike_app.bootstrap import Strike
from strike_domain.actors import Side
from strike_domain.errors import Rejected
from strike_domain.ports import Tenant

_KINDS = {Side.NOC: ("NOC", "noc"), Side.OSP: ("contractor", "osp"), None: ("tenant", "tenant")}


def find_tenant(strike: Strike, wanted: str, side: Side | None = None) -> Tenant:
    """The one of that name, part of a name, or id, among all or those of a side.

    Raises `Rejected`: UNKNOWN_NOC, UNKNOWN_CONTRACTOR, UNKNOWN_TENANT, with the names there are.
    """
    return choose_tenant(all_tenants(strike.pool, side), wanted, side)


def choose_tenant(known: Sequence[Tenant], wanted: str, side: Side | None = None) -> Tenant:
    """As `find_tenant`, among those that are given."""
    sought = wanted.strip().lower()
    found = [one for one in known if sought in (str(one.id), one.name.lower())]
    found = found or [one for one in known if sought in one.name.lower()]
    if len(found) == 1:
        return found[0]
    kind, field = _KINDS[side]
    which = f"Several {kind}s have that in their name" if found else "There is no such one"
    names = _names(found or known) or "add one with strike tenant add"
    raise Rejected(f"UNKNOWN_{kind.upper()}", f"{which}: {names}.", (field,))


def _names(tenants: Sequence[Tenant]) -> str:
    """Two companies may have one name: then only their ids tell them apart."""
    times = Counter(one.name for one in tenants)
    return ", ".join(
        one.name if times[one.name] == 1 else f"{one.name} ({one.side} {one.id})" for one in tenants
    )
