"""Contractors, as people name them on the command line."""

from __future__ import annotations

from strike_adapters.postgres.overview import all_tenants
from strike_app.bootstrap import Strike
from strike_app.tenants import choose_tenant
from strike_domain.actors import Side
from strike_domain.ports import Tenant


def contractors(strike: Strike, wanted: str | None = None) -> list[Tenant]:
    """The one of that name, part of a name, or id; all, if none is named. Raises `Rejected`."""
    osps = all_tenants(strike.pool, Side.OSP)
    return osps if wanted is None else [choose_tenant(osps, wanted, Side.OSP)]
