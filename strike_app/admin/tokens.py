"""`strike token`: what machines prove themselves with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import typer
from rich.text import Text

from strike_app.admin.desk import (
    add_row,
    admin_of,
    at_work,
    pick,
    plain_table,
    print_json,
    show_table,
    tell,
)
from strike_app.bootstrap import Strike
from strike_app.tenants import find_tenant
from strike_app.tokens import new_secret
from strike_domain.actors import Role, Scope
from strike_domain.ports import Tenant
from strike_domain.registry import ApiToken


def list_tokens(wanted: str, *, as_json: bool) -> None:
    """Oldest first, those that are over too."""
    with at_work() as strike:
        tenant = find_tenant(strike, wanted)
        tokens, now = _tokens(strike, tenant), strike.clock.now()
    table = plain_table("name", "role", "scopes", "made by", "good until")
    for one in tokens:
        scopes = ", ".join(sorted(one.scopes))
        add_row(table, one.name, one.role, scopes, one.created_by, _until(one, now))
    rows = [_as_json(one) | {"is_good": one.is_good(now)} for one in tokens]
    show_table(table, rows, as_json=as_json, otherwise=f"{tenant.name} has no API token.")


def create_token(
    wanted: str, name: str, role: str, scopes: frozenset[str], days: int, *, as_json: bool
) -> None:
    """The token stands alone on its line, so that it can be piped to where it is kept."""
    secret = new_secret()
    with at_work() as strike:
        tenant = find_tenant(strike, wanted)
        named = frozenset(map(Scope, scopes))
        do, actor = strike.administration(), admin_of(tenant)
        token = do.create_token(name, Role(role), named, days, secret, actor)
    until = f"{token.expires_at:%Y-%m-%d}"
    warning = f"{token.name} acts for {tenant.name} until {until}. It is shown only this once:"
    typer.echo(warning, err=True)
    if as_json:
        print_json(_as_json(token) | {"token": secret.get_secret_value()})
    else:
        typer.echo(secret.get_secret_value())


def revoke_token(wanted: str, name: str, *, as_json: bool) -> None:
    """Of those that are not revoked yet, the one of that name or id."""
    with at_work() as strike:
        tenant = find_tenant(strike, wanted)
        tokens = _tokens(strike, tenant)
        good = [one for one in tokens if one.revoked_at is None]
        found: ApiToken = pick(good, name, "API token")
        revoked = strike.administration().revoke_token(found.id, admin_of(tenant))
    said = f"{revoked.name} does not act for {tenant.name} any more."
    tell(said, _as_json(revoked), as_json=as_json)


def _tokens(strike: Strike, tenant: Tenant) -> list[ApiToken]:
    with strike.registry.acting_for(tenant.id) as records:
        return [*records.tokens(tenant.id)]


def _until(token: ApiToken, now: datetime) -> Text:
    if token.revoked_at:
        return Text(f"revoked {token.revoked_at:%Y-%m-%d}", "dim")
    shown = f"{token.expires_at:%Y-%m-%d}"
    return Text(shown) if token.is_good(now) else Text(f"{shown}, over", "dim")


def _as_json(token: ApiToken) -> dict[str, Any]:
    shown = token.model_dump(mode="json", exclude={"digest"})
    return shown | {"scopes": sorted(token.scopes)}
