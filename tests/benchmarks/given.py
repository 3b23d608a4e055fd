"""What benchmarks are given: a NOC and an OSP with an active link, and an order between them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_domain import (
    Actor,
    EcoOrder,
    Link,
    LinkStatus,
    Role,
    Side,
    Tenant,
)
from tests.unit.given import BOULDER

NOC, OSP = UUID(int=0xBE1), UUID(int=0xBE2)
LINK = Link(noc_id=NOC, osp_id=OSP, status=LinkStatus.ACTIVE)
OPERATOR = Actor(name="nina@noc.example", tenant_id=NOC, side=Side.NOC, role=Role.OPERATOR)
WHAT = "A digger went through the cable at the corner of Pearl and 9th."


class RealTime:
    def now(self) -> datetime:
        return datetime.now(UTC)


def an_order(reference: str | None = None) -> EcoOrder:
    return EcoOrder(
        osp_id=OSP,
        location=BOULDER,
        job_type="FNOL",
        description=WHAT,
        client_reference=reference,
    )


@contextmanager
def prepared() -> Iterator[tuple[EmbeddedServer, str]]:
    """A PostgreSQL of its own, fsync on, and the URL of a database with both companies in it."""
    with TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("bench")
        url = server.url("bench")
        prepare(url)
        save_companies(url)
        yield server, url


def save_companies(url: str) -> None:
    """Both, and the link between them."""
    with open_pool(url) as pool:
        save_tenant(pool, Tenant(id=NOC, name="NOC", side=Side.NOC))
        save_tenant(pool, Tenant(id=OSP, name="OSP", side=Side.OSP))
        save_link(pool, LINK)


def hold(core: int | None) -> None:
    """Keep this process, whose threads share one interpreter, on one core from now on."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def held_on(processes: int, *, free: bool = False) -> list[int | None]:
    """A core for each of so many processes, by turns if there are fewer; None where it is free."""
    cores = sorted(os.sched_getaffinity(0))
    return [None if free else cores[number % len(cores)] for number in range(processes)]
