"""`strike audit`: who changed what in the settings."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from rich.console import Console
from rich.text import Text

from strike_adapters.postgres.overview import all_tenants, latest_audits
from strike_app.admin.desk import at_work, print_json
from strike_app.admin.differences import Difference, differences
from strike_app.tenants import choose_tenant
from strike_domain.registry import Audit

# Ids say nothing to people, and each line is headed by whom it concerns.
UNTOLD = ("id", "tenant_id", "osp_id", "noc_id", "user_id")


def show_audits(wanted: str | None, limit: int, *, as_json: bool) -> None:
    """Newest first; of what concerns one company, or all."""
    with at_work() as strike:
        tenants = all_tenants(strike.pool)
        tenant = choose_tenant(tenants, wanted) if wanted else None
        audits = latest_audits(strike.pool, tenant.id if tenant else None, limit)
    if as_json:
        print_json([one.model_dump(mode="json") for one in audits])
    elif audits:
        _print(audits, {one.id: one.name for one in tenants}, Console())
    else:
        Console().print("Nothing was changed yet.")


def _print(audits: list[Audit], names: Mapping[UUID, str], console: Console) -> None:
    for audit in audits:
        console.print(_head(audit, names), soft_wrap=True)
        for one in told_differences(audit):
            said = f"{one.before} → {one.after}"
            console.print(Text.assemble("    ", (f"{one.key}: ", "dim"), said), soft_wrap=True)


def _head(audit: Audit, names: Mapping[UUID, str]) -> Text:
    concerned = ", ".join(names.get(one, str(one)) for one in audit.seen_by)
    return Text.assemble(
        (f"{audit.at:%Y-%m-%d %H:%M:%S}  ", "cyan"),
        (audit.action, "bold"),
        f"  {audit.subject}",
        _kind(audit),
        (f"  by {audit.actor}", "dim"),
        (f"  for {concerned}" if concerned else "", "dim"),
    )


def _kind(audit: Audit) -> tuple[str, str]:
    if audit.before is None:
        return ", added", "green"
    return (", removed", "red") if audit.after is None else ("", "")


def told_differences(audit: Audit) -> list[Difference]:
    """Without ids."""
    return [one for one in differences(audit.before, audit.after) if one.key not in UNTOLD]
