"""Many callouts of a hundred companies, as `strike load` writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from rich.console import Console
from rich.progress import Progress

from strike_adapters.postgres.rebuild import Told
from strike_app.load.companies import Companies, Company
from strike_app.load.filling import fill as load
from strike_app.load.telling import Wanted
from strike_domain.actors import Side

NOCS, OSPS = 50, 50


def noc(number: int) -> UUID:
    """The id of the NOC of that number, from 1."""
    return Company(Side.NOC, number).id


def osp(number: int) -> UUID:
    """The id of the contractor of that number, from 1."""
    return Company(Side.OSP, number).id


def fill(url: str, ecos: int) -> None:
    """Companies, all linked, and so many callouts over three years, with every read model."""
    wanted = Wanted(ecos, Companies(NOCS, OSPS), seed=1, until=datetime.now(UTC))
    with Progress(console=Console(stderr=True)) as bar:
        written = bar.add_task("Events", total=ecos)
        made = bar.add_task("Read models", total=1.0)

        def report(told: Told) -> None:
            bar.update(made, completed=told.share)

        load(url, wanted, lambda done, _: bar.update(written, completed=done), report, None)
