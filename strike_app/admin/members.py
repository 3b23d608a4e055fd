"""`strike user`: who belongs to a company."""

from __future__ import annotations

from strike_app.admin.desk import add_row, admin_of, at_work, pick, plain_table, show_table, tell
from strike_app.bootstrap import Strike
from strike_app.tenants import find_tenant
from strike_domain.actors import Role
from strike_domain.ports import Tenant
from strike_domain.registry import Member


def list_members(wanted: str, *, as_json: bool) -> None:
    """Who belongs to a company, by address."""
    with at_work() as strike:
        tenant = find_tenant(strike, wanted)
        members = _members(strike, tenant)
    table = plain_table("email", "name", "role")
    for one in members:
        add_row(table, one.email, one.name, one.role)
    rows = [one.model_dump(mode="json") for one in members]
    otherwise = f"Nobody belongs to {tenant.name} yet: try strike user add."
    show_table(table, rows, as_json=as_json, otherwise=otherwise)


def add_member(wanted: str, email: str, name: str, role: str, *, as_json: bool) -> None:
    """Give somebody a role; an unknown address becomes a new user."""
    with at_work() as strike:
        tenant = find_tenant(strike, wanted)
        member = strike.administration().set_member(email, name, Role(role), admin_of(tenant))
    said = f"{member.name} ({member.email}) is {member.role} at {tenant.name}."
    tell(said, member.model_dump(mode="json"), as_json=as_json)


def remove_member(wanted: str, email: str, *, as_json: bool) -> None:
    """Take somebody's role away."""
    with at_work() as strike:
        tenant = find_tenant(strike, wanted)
        found: Member = pick(_members(strike, tenant), email, "user", "email")
        member = strike.administration().remove_member(found.user_id, admin_of(tenant))
    said = f"{member.name} ({member.email}) does not belong to {tenant.name} any more."
    tell(said, member.model_dump(mode="json"), as_json=as_json)


def _members(strike: Strike, tenant: Tenant) -> list[Member]:
    with strike.registry.acting_for(tenant.id) as records:
        return [*records.members(tenant.id)]
