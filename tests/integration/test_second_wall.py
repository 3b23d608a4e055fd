"""A connection shows what one tenant may see, for one transaction, whatever came before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.eco_lists import ecos_statement
from strike_adapters.postgres.queries import AsyncPool, open_async_pool
from strike_adapters.postgres.registry import PostgresRegistry
from strike_adapters.postgres.row_security import OPEN_TO_ALL, TENANT_ROLE, WALLS
from strike_adapters.postgres.tenancy import acting_for, rows_of
from strike_adapters.secrets import SecretBox
from strike_app.bootstrap import Strike
from strike_domain import Contact, Link, LinkStatus, NotFound, PagerList, Role, Side, Tenant
from strike_domain.access import Action
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.registry import ApiToken, Audit, Records
from tests.integration.served import Served
from tests.integration.stored import rows
from tests.integration.two_worlds import Worlds

EVERYBODY = """
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
"""


@pytest.fixture
async def worlds(strike: Strike, served: Served) -> Worlds:
    return await asyncio.to_thread(Worlds, strike, served.services)


@pytest.fixture
async def one_connection(strike: Strike) -> AsyncIterator[AsyncPool]:
    """A pool for tenants that has a single connection: what one leaves, the next one meets."""
    pool = open_async_pool(strike.url, size=1, for_tenants=True)
    await pool.open()
    yield pool
    await pool.close()


async def sees_nothing(pool: AsyncPool) -> bool:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM eco_views")
        return await cursor.fetchall() == [{"n": 0}]


async def test_the_name_of_the_tenant_ends_with_the_answer(
    worlds: Worlds, one_connection: AsyncPool
) -> None:
    me = worlds.ours.noc.id
    async with one_connection.connection() as connection:
        found = await rows_of(connection, me, ecos_statement(), {"limit": 51})
    assert [row["eco_id"] for row in found] == [worlds.ours.eco_id]
    assert await sees_nothing(one_connection)


async def test_a_question_that_fails_leaves_no_name_behind(
    worlds: Worlds, one_connection: AsyncPool
) -> None:
    for wrong in ("SELECT 1/0", "SELECT * FROM no_such_table", "SELECT pg_sleep(60)"):
        async with one_connection.connection() as connection:
            await connection.execute("SET statement_timeout = '50ms'")
            with pytest.raises(psycopg.Error):
                await rows_of(connection, worlds.ours.noc.id, wrong, {})
        assert await sees_nothing(one_connection)


async def test_a_question_that_is_given_up_leaves_no_name_behind(
    worlds: Worlds, one_connection: AsyncPool
) -> None:
    async def ask() -> None:
        async with one_connection.connection() as connection:
            await rows_of(connection, worlds.ours.noc.id, "SELECT pg_sleep(60)", {})

    for seconds in (0.0, 0.01, 0.05, 0.2):
        task = asyncio.create_task(ask())
        await asyncio.sleep(seconds)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await sees_nothing(one_connection)


async def test_many_askers_on_few_connections_each_see_their_own_only(
    worlds: Worlds, strike: Strike
) -> None:
    pool = open_async_pool(strike.url, size=2, for_tenants=True)
    await pool.open()
    wanted = {
        pair.tenant(side).id: pair.eco_id for pair in (worlds.ours, worlds.foreign) for side in Side
    }

    async def ask(tenant_id: UUID) -> list[Any]:
        async with pool.connection() as connection:
            # No filter: only the wall keeps them apart.
            return await rows_of(connection, tenant_id, "SELECT eco_id FROM eco_views", {})

    askers = [*wanted] * 50
    answers = await asyncio.gather(*map(ask, askers))
    await pool.close()
    for tenant_id, answer in zip(askers, answers, strict=True):
        assert [row["eco_id"] for row in answer] == [wanted[tenant_id]]


def test_without_a_name_no_table_shows_a_row_and_every_table_is_decided(
    strike: Strike, worlds: Worlds
) -> None:
    tables = {row["name"] for row in rows(strike.url, EVERYBODY)}
    assert tables >= set(WALLS) | set(OPEN_TO_ALL)
    with psycopg.connect(strike.url, autocommit=True) as connection:
        connection.execute(SQL("SET ROLE {}").format(Identifier(TENANT_ROLE)))
        for name in sorted(tables):
            count = SQL("SELECT count(*) FROM {}").format(Identifier(name))
            if name in WALLS:
                row = connection.execute(count).fetchone()
                assert row == (0,), name
            elif name not in OPEN_TO_ALL:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(count)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT auth_token FROM twilio_accounts",
        "SELECT client_secret FROM render_instances",
        "SELECT * FROM strike_events",
        "SELECT * FROM strike_events_archived",
        "SELECT * FROM strike_events_archived_streams",
        "SELECT * FROM strike_events_everything",
        "UPDATE directory_audits SET actor = 'nobody'",
        "DELETE FROM directory_audits",
        "INSERT INTO eco_timeline SELECT * FROM eco_timeline",
        "UPDATE tenants SET side = 'OSP'",
        "INSERT INTO users (id, email, name) VALUES (gen_random_uuid(), 'a@b.example', 'A')",
        "TRUNCATE links",
    ],
)
def test_secrets_the_log_and_what_was_audited_are_out_of_reach(
    strike: Strike, worlds: Worlds, statement: str
) -> None:
    with (
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)),
        acting_for(strike.pool, worlds.ours.noc.id) as connection,
    ):
        connection.execute(statement.encode())


# What a tenant's connection cannot write --------------------------------------------------------


@pytest.fixture
def records(strike: Strike, worlds: Worlds) -> Any:
    """Does one thing to the records as our NOC, or our OSP."""
    registry = PostgresRegistry(strike.pool, SecretBox(bytes(32)))

    def does(tenant: Tenant, what: Any) -> Any:
        with registry.acting_for(tenant.id) as kept:
            return what(kept)

    return does


def _token(tenant_id: UUID, worlds: Worlds) -> ApiToken:
    now = worlds.strike.clock.now()
    return ApiToken(
        id=uuid4(),
        tenant_id=tenant_id,
        name="sneaked in",
        role=Role.ADMIN,
        scopes=frozenset(),
        digest=uuid4().bytes,
        created_by="nobody",
        created_at=now,
        expires_at=now,
    )


def test_what_is_foreign_cannot_be_read_through_the_records(worlds: Worlds, records: Any) -> None:
    noc, osp = worlds.foreign.noc.id, worlds.foreign.osp.id

    def read(kept: Records) -> list[Any]:
        return [
            kept.tenant(noc),
            kept.link(noc, osp),
            *kept.members(noc),
            *kept.pager_lists(osp),
            kept.pager_list(osp, worlds.foreign.list_id),
            kept.last_job_number(osp, 2026) or None,
            kept.twilio(noc),
            kept.render(osp),
            *kept.tokens(noc),
        ]

    for mine in (worlds.ours.noc, worlds.ours.osp):
        assert not any(records(mine, read))


def test_what_is_foreign_cannot_be_written_through_the_records(
    worlds: Worlds, records: Any
) -> None:
    noc, osp = worlds.foreign.noc.id, worlds.foreign.osp.id
    person = Contact(name="Mallory", phone="+13035550199")
    stolen = PagerList(id=worlds.foreign.list_id, osp_id=osp, name="mine", contacts=(person,))
    taken_over = stolen.model_copy(update={"osp_id": worlds.ours.osp.id})
    render = RenderTerms(osp_id=osp, base_url="https://m.invalid", client_id="m", project="m")
    audit = Audit(
        at=worlds.strike.clock.now(),
        actor="nobody",
        tenant_id=noc,
        seen_by=(noc,),
        action=Action.LINK_ACCEPT,
        subject="link",
        before=None,
        after=None,
        correlation_id=uuid4(),
    )
    secret = None
    twilio = TwilioTerms(account_sid="AC" + "9" * 32, from_number="+12025550199")
    link = Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE)
    writes: list[Any] = [
        lambda kept: kept.save_tenant(Tenant(id=noc, name="stolen", side=Side.NOC)),
        lambda kept: kept.save_link(link),
        lambda kept: kept.save_member(noc, "mallory@ours.example", "Mallory", Role.ADMIN),
        lambda kept: kept.save_list(stolen),
        lambda kept: kept.save_list(taken_over),
        lambda kept: kept.set_last_job_number(osp, 2027, 5),
        lambda kept: kept.save_twilio(noc, twilio, secret),
        lambda kept: kept.save_render(render, secret),
        lambda kept: kept.save_token(_token(noc, worlds)),
        lambda kept: kept.audit(audit),
    ]
    for write in writes:
        with pytest.raises((NotFound, psycopg.Error)):
            records(worlds.ours.osp, write)
        with pytest.raises((NotFound, psycopg.Error)):
            records(worlds.ours.noc, write)


def test_what_is_foreign_cannot_be_dropped_through_the_records(
    worlds: Worlds, records: Any, strike: Strike
) -> None:
    noc, osp = worlds.foreign.noc.id, worlds.foreign.osp.id
    for mine in (worlds.ours.noc, worlds.ours.osp):
        records(mine, lambda kept: kept.drop_link(noc, osp))
        records(mine, lambda kept: kept.drop_list(osp, worlds.foreign.list_id))
        records(mine, lambda kept: kept.drop_member(noc, worlds.foreign.members[Side.NOC]))
    with strike.registry.acting_for(None) as kept:
        assert kept.link(noc, osp) and kept.pager_list(osp, worlds.foreign.list_id)
        assert len(kept.members(noc)) == 2
