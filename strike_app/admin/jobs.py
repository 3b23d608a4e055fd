"""`strike jobs`: how far the contractors' job numbers are."""

from __future__ import annotations

from strike_adapters.postgres.overview import job_numbers
from strike_app.admin.desk import add_row, admin_of, at_work, plain_table, show_table, tell
from strike_app.tenants import find_tenant
from strike_domain.actors import Side
from strike_domain.ports import job_number


def show_jobs(osp: str, *, as_json: bool) -> None:
    """The last number of each year."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        numbers = job_numbers(strike.pool, tenant.id)
    table = plain_table("year", ">last", ">next")
    for year, last in numbers.items():
        add_row(table, year, last, job_number(year, last + 1))
    rows = [{"year": year, "last": last} for year, last in numbers.items()]
    otherwise = f"{tenant.name} has taken no job number yet."
    show_table(table, rows, as_json=as_json, otherwise=otherwise)


def raise_jobs(osp: str, year: int, last: int, *, as_json: bool) -> None:
    """Let the year's numbers go on after `last`."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        reached = strike.administration().raise_job_numbers(year, last, admin_of(tenant))
    said = f"The next job of {tenant.name} in {year} is {job_number(year, reached + 1)}."
    tell(said, {"year": year, "last": reached}, as_json=as_json)
