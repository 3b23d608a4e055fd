"""What strike load writes is what the domain would have written, and rings nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from strike_adapters.embedded import EmbeddedServer
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.eco_lists import EcoFilter, Page, PageAsked
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import Queries, open_async_pool
from strike_adapters.postgres.store import store_env
from strike_app.bootstrap import open_strike
from strike_app.load import sites as load_sites
from strike_app.load import telling
from strike_app.load.companies import Companies
from strike_app.load.filling import fill
from strike_app.load.telling import Row, Telling, Wanted
from strike_app.settings import Settings
from strike_domain import Actor, EcoOrder, Role, Side
from strike_domain.eco import Eco
from strike_domain.errors import Conflict, Rejected
from strike_domain.log import StrikeLog
from strike_domain.new_ids import derived_id
from tests.integration.stored import (
    Running,
    eventually,
    follow,
    forget,
    is_caught_up,
    rows,
    table,
    tables_of,
)

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
COMPANIES = Companies(10, 10)
WANTED = Wanted(2_000, COMPANIES, seed=7, until=UNTIL)
FEW = Wanted(40, Companies(2, 2), seed=7, until=UNTIL)


def quietly(*told: object) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def loaded(postgres: EmbeddedServer) -> Iterator[str]:
    """The URL of a database with two thousand ECOs of twenty companies."""
    postgres.ensure_database("loaded")
    url = postgres.url("loaded")
    prepare(url)
    fill(url, WANTED, quietly, quietly, processes=2)
    yield url
    postgres.drop_database("loaded")


def test_read_models_are_as_followers_make_them_one_event_at_a_time(database_url: str) -> None:
    events = fill(database_url, FEW, quietly, quietly, processes=1)
    assert rows(database_url, "SELECT count(*) AS n FROM strike_events")[0]["n"] == events
    for view in VIEWS:
        made = {name: table(database_url, name) for name in tables_of(view)}
        forget(database_url, view)
        follow(database_url, view)
        assert {name: table(database_url, name) for name in tables_of(view)} == made


def test_every_aggregate_is_one_of_the_domain(loaded: str) -> None:
    with StrikeLog(store_env(loaded)) as log:
        lengths = (
            "SELECT originator_id AS id, count(*) AS n, min(topic) AS topic FROM strike_events"
        )
        for one in rows(loaded, f"{lengths} GROUP BY originator_id ORDER BY 1 LIMIT 200"):
            load: Any = log.run if one["topic"].startswith("strike.run") else log.eco
            found = load(one["id"])
            assert found.version == one["n"]
            events: Iterable[Any] = log.events.get(one["id"])
            for event in events:
                name = f"{event.originator_id}/{event.originator_version}"
                assert event.event_id == derived_id(event.causation_id, name)
            if isinstance(found, Eco) and found.latest_run_id:
                assert log.run(found.latest_run_id).eco_id == found.id


def test_the_log_is_in_the_order_of_time(loaded: str) -> None:
    at = "convert_from(state, 'UTF8')::jsonb ->> 'timestamp'"
    query = f"SELECT ({at})::timestamptz AS at FROM strike_events ORDER BY notification_id"  # noqa: S608
    times = [one["at"] for one in rows(loaded, query)]
    assert all(before <= after for before, after in pairwise(times))
    assert times[-1] <= UNTIL


def test_every_outcome_is_there_and_most_are_over(loaded: str) -> None:
    query = "SELECT status, paging_state, count(*) AS n FROM eco_views GROUP BY 1, 2"
    found = {(one["status"], one["paging_state"]): one["n"] for one in rows(loaded, query)}
    assert sum(found.values()) == WANTED.ecos
    assert {status for status, _ in found} >= {"OPEN", "IN_PROGRESS", "CLOSED", "CANCELLED"}
    assert {paging for _, paging in found} == {"ACCEPTED", "EXHAUSTED", "NO_LIST", "CANCELLED"}
    assert found["CLOSED", "ACCEPTED"] > WANTED.ecos / 2


def test_nobody_is_rung_and_nobody_could_be_and_no_render_is_asked(loaded: str) -> None:
    assert rows(loaded, "SELECT * FROM pager_process_state WHERE state = 'RUNNING'") == []
    assert rows(loaded, "SELECT * FROM pager_process_state WHERE deadline IS NOT NULL") == []
    assert rows(loaded, "SELECT * FROM twilio_accounts") == []
    assert rows(loaded, "SELECT * FROM render_instances") == []


def test_a_pager_that_starts_answers_nothing_of_what_was_loaded_and_all_that_comes(
    loaded: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=loaded, secrets_key_file=tmp_path / "key")
    with open_strike(settings) as strike:
        before = strike.log.position()
        noc, osp = COMPANIES.of[Side.NOC][0], COMPANIES.of[Side.OSP][0]
        with Running(*strike.followers()):
            eventually(lambda: is_caught_up(loaded))
            assert strike.log.position() == before
            actor = Actor(name="nina", tenant_id=noc.id, side=Side.NOC, role=Role.OPERATOR)
            order = EcoOrder(
                osp_id=osp.id,
                location={"type": "Point", "coordinates": [-105.27, 40.01]},
                job_type="FNOL",
                description="Cut",
            )
            created = strike.callouts().create_eco(order, actor).aggregate
            eventually(lambda: strike.log.eco(created.id).latest_run_id)
    same = "SELECT eco_id FROM eco_views WHERE osp_id = %s AND job_number = %s"
    assert len(rows(loaded, same, osp.id, created.job_number)) <= 1


def test_a_company_sees_its_own_in_its_lists(loaded: str) -> None:
    noc = COMPANIES.of[Side.NOC][0]
    mine = rows(loaded, "SELECT count(*) AS n FROM eco_views WHERE noc_id = %s", noc.id)[0]["n"]
    assert mine > WANTED.ecos / COMPANIES.nocs, "The first is the largest."
    found, total, closed = asyncio.run(seen_by(loaded, noc.id))
    assert len(found.rows) == 50 and found.has_next
    assert {one["noc_id"] for one in found.rows} == {noc.id}
    assert total == mine and 0 < closed < mine


async def seen_by(url: str, tenant: UUID) -> tuple[Page, int, int]:
    async with (
        open_async_pool(url, size=1) as pool,
        open_async_pool(url, size=1, for_tenants=True) as tenants,
    ):
        lists = Queries(pool, tenants, Changes(url), 1).lists
        page = await lists.page(tenant, PageAsked(50))
        total, _ = await lists.total(tenant)
        closed, _ = await lists.total(tenant, EcoFilter(status=["CLOSED"]))
        return page, total, closed


def test_a_database_that_holds_anything_is_refused(loaded: str) -> None:
    before = rows(loaded, "SELECT count(*) AS n FROM strike_events")
    with pytest.raises(Rejected) as refused:
        fill(loaded, WANTED, quietly, quietly, processes=1)
    assert refused.value.code == "NOT_EMPTY"
    assert rows(loaded, "SELECT count(*) AS n FROM strike_events") == before


def test_a_database_that_the_pager_follows_is_refused(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database_url, secrets_key_file=tmp_path / "key")
    with open_strike(settings) as strike, Running(*strike.followers(("pager",))):
        active = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
        eventually(lambda: rows(database_url, active))
        with pytest.raises(Conflict, match="pager follows"):
            fill(database_url, FEW, quietly, quietly, processes=1)
    assert rows(database_url, "SELECT * FROM tenants") == []


@pytest.fixture
def few_stories(monkeypatch: pytest.MonkeyPatch) -> None:
    """To begin sooner."""
    monkeypatch.setattr(telling, "VARIANTS", 1)
    monkeypatch.setattr(telling, "SITES", 100)


def told(seed: int) -> list[Row]:
    return list(Telling(Wanted(40, Companies(2, 2), seed, UNTIL)).rows())


def test_the_same_seed_tells_the_same_and_another_one_does_not(few_stories: None) -> None:
    assert told(1) == told(1)
    assert told(1) != told(2)


def test_without_backbones_cuts_lie_between_real_towns(
    few_stories: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = list(load_sites.between_towns())
    assert len(spans) == load_sites.TOWNS - 1
    monkeypatch.setattr(load_sites, "backbones", lambda: iter(()))
    assert told(1) == told(1)
