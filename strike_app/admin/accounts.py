"""`strike twilio` and `strike render`: accounts at outside systems, never their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from strike_app.admin.desk import (
    add_row,
    admin_of,
    at_work,
    plain_table,
    rejected,
    show_table,
    tell,
)
from strike_app.admin.secret_input import read_secret
from strike_app.bootstrap import Strike
from strike_app.tenants import find_tenant
from strike_domain.actors import Side
from strike_domain.errors import Rejected
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.ports import Tenant

_NEEDED = {"base_url": "--url", "client_id": "--client-id", "project": "--project"}

# Twilio -------------------------------------------------------------------------------------


def show_twilio(noc: str, *, as_json: bool) -> None:
    """The terms of a NOC's account."""
    with at_work() as strike:
        tenant = find_tenant(strike, noc, Side.NOC)
        terms = _twilio(strike, tenant)
    _show(terms, f"{tenant.name} has no account yet: try strike twilio set.", as_json=as_json)


def set_twilio(
    noc: str, sid: str | None, number: str | None, token_file: Path | None, *, as_json: bool
) -> None:
    """What is None stays as it is stored."""
    with at_work() as strike:
        tenant = find_tenant(strike, noc, Side.NOC)
        before = _twilio(strike, tenant)
        terms = TwilioTerms(
            account_sid=_given(sid, before.account_sid if before else None, "--sid"),
            from_number=_given(number, before.from_number if before else None, "--from"),
        )
        token = read_secret("Auth token", token_file)
        terms = strike.administration().set_twilio(terms, token, admin_of(tenant))
    said = f"{tenant.name} calls with {terms.account_sid} from {terms.from_number}."
    tell(f"{said} Try strike twilio test.", terms.model_dump(mode="json"), as_json=as_json)


def try_twilio(noc: str, *, as_json: bool) -> int:
    """The exit status is 1 if the account could place no call."""
    with at_work() as strike:
        tenant = find_tenant(strike, noc, Side.NOC)
        problem = strike.checks().twilio(tenant.id)
    return _verdict(tenant, problem, "could place calls", as_json=as_json)


def _twilio(strike: Strike, tenant: Tenant) -> TwilioTerms | None:
    with strike.registry.acting_for(tenant.id) as records:
        return records.twilio(tenant.id)


# Render -------------------------------------------------------------------------------------


def show_render(osp: str, *, as_json: bool) -> None:
    """The terms of a contractor's instance."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        terms = _render(strike, tenant)
    _show(terms, f"{tenant.name} has no instance yet: try strike render set.", as_json=as_json)


def set_render(
    osp: str, given: Mapping[str, Any], secret_file: Path | None, *, as_json: bool
) -> None:
    """`given` are fields of `RenderTerms`; None where the stored one stays."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        terms = _render_terms(tenant, _render(strike, tenant), given)
        secret = read_secret("Client secret", secret_file)
        terms = strike.administration().set_render(terms, secret, admin_of(tenant))
    said = f"{tenant.name} works with Render at {terms.base_url}, project {terms.project}."
    tell(f"{said} Try strike render test.", terms.model_dump(mode="json"), as_json=as_json)


def try_render(osp: str, *, as_json: bool) -> int:
    """The exit status is 1 if tasks could neither be made nor read."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        problem = strike.checks().render(tenant.id)
    return _verdict(tenant, problem, "its Render gives us tokens and answers", as_json=as_json)


def _render(strike: Strike, tenant: Tenant) -> RenderTerms | None:
    with strike.registry.acting_for(tenant.id) as records:
        return records.render(tenant.id)


def _render_terms(
    tenant: Tenant, before: RenderTerms | None, given: Mapping[str, Any]
) -> RenderTerms:
    values = before.model_dump() if before else {}
    values |= {name: value for name, value in given.items() if value is not None}
    for name, option in _NEEDED.items():
        _given(values.get(name), None, option)
    try:
        return RenderTerms(**values | {"osp_id": tenant.id})
    except ValidationError as error:
        raise rejected(error, "RENDER_INVALID") from error


# Both ---------------------------------------------------------------------------------------


def _given(value: str | None, stored: str | None, option: str) -> str:
    found = value if value is not None else stored
    if found is None:
        raise Rejected("OPTION_NEEDED", f"There is none stored yet; give {option}.", (option,))
    return found


def _show(terms: TwilioTerms | RenderTerms | None, otherwise: str, *, as_json: bool) -> None:
    values = terms.model_dump(mode="json", exclude={"osp_id"}) if terms else {}
    table = plain_table("", "")
    table.show_header = False
    for name, value in values.items():
        add_row(table, name.replace("_", " "), value)
    if terms:
        add_row(table, "secret", "stored, never shown")
    show_table(table, values or None, as_json=as_json, otherwise=otherwise)


def _verdict(tenant: Tenant, problem: str | None, well: str, *, as_json: bool) -> int:
    value = {"tenant": tenant.name, "ok": not problem, "problem": problem}
    tell(f"{tenant.name}: {problem or well}", value, as_json=as_json)
    return 1 if problem else 0
