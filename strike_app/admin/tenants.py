"""`strike tenant`: the companies."""

from __future__ import annotations

from strike_adapters.postgres.overview import all_tenants
from strike_app.admin.desk import (
    add_row,
    admin_of,
    at_work,
    plain_table,
    show_table,
    system_admin,
    tell,
)
from strike_app.tenants import find_tenant
from strike_domain.actors import Side


def list_tenants(side: str | None, *, as_json: bool) -> None:
    """By name; of one side, or all."""
    with at_work() as strike:
        found = all_tenants(strike.pool, Side(side) if side else None)
    table = plain_table("name", "side", "id")
    for one in found:
        add_row(table, one.name, one.side, one.id)
    rows = [one.model_dump(mode="json") for one in found]
    otherwise = "There is no tenant yet: try strike tenant add."
    show_table(table, rows, as_json=as_json, otherwise=otherwise)


def add_tenant(name: str, side: str, *, as_json: bool) -> None:
    """A new company; its id is told."""
    with at_work() as strike:
        tenant = strike.administration().add_tenant(name, Side(side), system_admin())
    said = f"{tenant.name} is a new {tenant.side}, with the id {tenant.id}."
    tell(said, tenant.model_dump(mode="json"), as_json=as_json)


def rename_tenant(wanted: str, name: str, *, as_json: bool) -> None:
    """Another name for a company."""
    with at_work() as strike:
        before = find_tenant(strike, wanted)
        after = strike.administration().rename_tenant(name, admin_of(before))
    said = f"{before.name} is called {after.name} from now on."
    tell(said, after.model_dump(mode="json"), as_json=as_json)
