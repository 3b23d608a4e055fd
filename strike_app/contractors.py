"""Contractors, as people name them on the command line."""

from __future__ import annotations

from strike_app.bootstrap import Strike
from strike_domain.errors import Rejected
from strike_domain.ports import Tenant

OSPS = "SELECT id, name, side FROM tenants WHERE side = 'OSP' ORDER BY name"


def contractors(strike: Strike, wanted: str | None = None) -> list[Tenant]:
    """The one of that name, part of a name, or id; all, if none is named. Raises `Rejected`."""
    with strike.pool.connection() as connection:
        osps = [Tenant(**row) for row in connection.execute(OSPS).fetchall()]
    if wanted is None:
        return osps
    found = [one for one in osps if wanted.lower() in (str(one.id), one.name.lower())]
    found = found or [one for one in osps if wanted.lower() in one.name.lower()]
    if len(found) != 1:
        names = ", ".join(one.name for one in found or osps)
        which = "Several contractors have that in their name" if found else "There is no such one"
        raise Rejected("UNKNOWN_CONTRACTOR", f"{which}: {names}.", ("osp",))
    return found
