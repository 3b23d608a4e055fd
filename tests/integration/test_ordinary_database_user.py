"""A database whose user is no superuser, as everywhere but on a developer's machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import open_async_pool
from strike_adapters.postgres.row_security import TENANT_ROLE, TenantRoleMissing
from strike_adapters.postgres.tenancy import rows_of
from strike_app.bootstrap import open_strike
from strike_app.mistakes import sentence
from strike_app.settings import Settings
from strike_domain import Actor, EcoOrder, PagerList, Role, Side
from tests.integration.stored import follow
from tests.unit.given import ANA, BOULDER


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of its own: roles belong to the whole server."""
    with embedded_postgres(tmp_path / "postgres") as started:
        yield started


@contextmanager
def owned_by(server: EmbeddedServer, rights: str) -> Iterator[str]:
    """The URL of a database of an ordinary user with these rights."""
    with psycopg.connect(server.url(), autocommit=True) as boss:
        boss.execute(f"CREATE ROLE app LOGIN {rights}".encode())
        boss.execute("CREATE DATABASE owned OWNER app")
    yield make_conninfo(server.url("owned"), user="app")


def test_a_user_who_may_create_no_role_is_told_what_an_administrator_has_to_run(
    server: EmbeddedServer,
) -> None:
    with owned_by(server, "NOCREATEROLE") as url:
        with pytest.raises(TenantRoleMissing) as refused:
            prepare(url)
        said = sentence(refused.value)
        assert "app" in said and "Traceback" not in said
        with psycopg.connect(server.url(), autocommit=True) as boss:
            for command in said.partition("run: ")[2].partition(" (TENANT")[0].split(";"):
                if command.strip():
                    boss.execute(command.encode())
        prepare(url)


@pytest.mark.parametrize("rights", ["CREATEROLE", "NOCREATEROLE"])
def test_strike_works_and_keeps_tenants_apart_for_an_ordinary_user(
    server: EmbeddedServer, rights: str, tmp_path: Path
) -> None:
    if rights == "NOCREATEROLE":
        with psycopg.connect(server.url(), autocommit=True) as boss:
            boss.execute(f"CREATE ROLE {TENANT_ROLE} NOLOGIN NOINHERIT".encode())
    with owned_by(server, rights) as url:
        if rights == "NOCREATEROLE":
            with psycopg.connect(server.url(), autocommit=True) as boss:
                boss.execute(f"GRANT {TENANT_ROLE} TO app".encode())
        settings = Settings(database_url=url, secrets_key_file=tmp_path / "key", oidc_signer="x")
        with open_strike(settings) as strike:
            do = strike.administration()
            system = Actor.system("test")
            noc = do.add_tenant("Nordlicht", Side.NOC, system)
            osp = do.add_tenant("Splice & Sons", Side.OSP, system)
            other = do.add_tenant("Other", Side.NOC, system)
            nina = Actor(name="nina", tenant_id=noc.id, side=Side.NOC, role=Role.ADMIN)
            otto = Actor(name="otto", tenant_id=osp.id, side=Side.OSP, role=Role.ADMIN)
            do.propose_link(osp.id, nina)
            do.accept_link(noc.id, otto)
            a_list = PagerList(id=osp.id, osp_id=osp.id, name="nights", contacts=(ANA,))
            do.add_list(a_list, otto)
            order = EcoOrder(osp_id=osp.id, location=BOULDER, job_type="FNOL", description="Cut")
            eco_id = strike.callouts().create_eco(order, nina).aggregate.id
            follow(url)

            async def ids(tenant_id: object) -> list[object]:
                pool = open_async_pool(url, size=1, for_tenants=True)
                async with pool, pool.connection() as connection:
                    query = "SELECT eco_id FROM eco_views"
                    found = await rows_of(connection, tenant_id, query, {})  # type: ignore[arg-type]
                return [row["eco_id"] for row in found]

            assert asyncio.run(ids(noc.id)) == asyncio.run(ids(osp.id)) == [eco_id]
            assert asyncio.run(ids(other.id)) == []
