"""Read models are asked of a replica that is near enough, and nobody notices when it is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import psycopg
import pytest

from strike_adapters.embedded import EmbeddedServer
from strike_adapters.postgres.replica import PATIENCE, Standing
from strike_adapters.postgres.row_security import TENANT_ROLE
from strike_app.bootstrap import Strike
from strike_app.demo.seed import LOGINS, NOC_ID, NOCS, OPERATOR, _id
from strike_app.doctor import Verdict, examine_replica
from strike_app.metrics import METRICS
from tests.integration.served import Served, new_signer, serving
from tests.integration.standbys import Standby, standing_by
from tests.integration.streamed import TRANSPORTS, Transport, streaming

TOM, TOM_NOC = LOGINS[1], _id(NOCS[1])

LIST = "query ($p: Position) { ecos(waitFor: $p) { edges { node { id } } } }"
ONE = "query ($id: UUID!, $p: Position) { eco(id: $id, waitFor: $p) { id noc { name } } }"
NOTE = """
mutation ($id: UUID!) {
  addNote(ecoId: $id, text: "a note") { ... on EcoChanged { position eco { timeline { line } } } }
}
"""

pytestmark = pytest.mark.usefixtures("followers")


@pytest.fixture(scope="module")
def standby(postgres: EmbeddedServer) -> Iterator[Standby]:
    with standing_by(postgres) as found:
        yield found


@asynccontextmanager
async def reading(
    strike: Strike, standby: Standby, most_lag: float = 300.0
) -> AsyncIterator[Served]:
    """The server, with the replica near enough to be asked."""
    changed = {"read_database_url": standby.url(strike.url), "replica_lag_seconds": most_lag}
    near = replace(strike, settings=strike.settings.model_copy(update=changed))
    async with serving(near, new_signer()) as served:
        await until(lambda: standing(served) is Standing.USED)
        yield served


def browser() -> aiohttp.ClientSession:
    """Keeps cookies, of an address as well."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


def standing(served: Served) -> Standing:
    replica = served.services.queries.replica
    assert replica is not None
    return replica.standing


async def until(true: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def has(served: Served, position: int) -> None:
    """Until the replica is known to have that position."""
    replica = served.services.queries.replica
    assert replica is not None
    await until(lambda: replica._lag.reached >= position)


def read_by(who: str, why: str | None = None) -> float:
    """How many questions the replica or the primary has answered in this process so far."""
    (found,) = METRICS.replica_reads.collect()
    return sum(
        one.value
        for one in found.samples
        if one.name.endswith("_total") and one.labels["by"] == who
        if why is None or one.labels["why"] == why
    )


async def listed(served: Served, position: int | None = None) -> set[str]:
    data = await served.ask(LIST, {"p": position})
    return {edge["node"]["id"] for edge in data["ecos"]["edges"]}


async def ready(served: Served) -> tuple[int, dict[str, Any]]:
    async with served.session.get(f"{served.url}/readyz") as response:
        return response.status, await response.json()


async def test_it_answers_what_may_be_behind_and_never_what_must_not(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served:
        old = await served.create()
        await has(served, old["position"])
        with standby.paused():
            new = await served.create()
            assert new["eco"]["id"] in await listed(served, new["position"])
            before = read_by("replica")
            assert await listed(served) == {old["eco"]["id"]}
            assert read_by("replica") == before + 1
            found = await served.ask(ONE, {"id": new["eco"]["id"], "p": new["position"]})
            assert found["eco"]["noc"]["name"] == NOCS[0]
        await has(served, new["position"])
        before = read_by("replica")
        assert new["eco"]["id"] in await listed(served, new["position"])
        assert read_by("replica") == before + 1


async def test_what_a_command_answers_is_never_of_the_replica(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served:
        eco = await served.create()
        await has(served, eco["position"])
        before = read_by("replica")
        done = await served.ask(NOTE, {"id": eco["eco"]["id"]})
        assert done["addNote"]["eco"]["timeline"]
        assert read_by("replica") == before


async def test_one_that_is_too_far_behind_is_not_asked_and_the_server_stays_ready(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby, most_lag=0.2) as served:
        first = await served.create()
        await has(served, first["position"])
        with standby.paused():
            second = await served.create()
            await listed(served, second["position"])
            await until(lambda: standing(served) is Standing.BEHIND)
            assert second["eco"]["id"] in await listed(served)
            status, body = await ready(served)
            assert (status, body["ready"]) == (200, True)
            assert body["reasons"] == ["the replica is not asked: behind"]
            assert body["dependencies"]["replica"] == "behind"
            await until(lambda: METRICS.replica_used.labels("127.0.0.1")._value.get() == 0)
        await until(lambda: standing(served) is Standing.USED)
        assert (await ready(served))[1]["reasons"] == []


async def test_one_that_is_stopped_fails_no_request_and_is_used_again(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served:
        eco = await served.create()
        await has(served, eco["position"])
        stopping = asyncio.create_task(asyncio.to_thread(standby.stop))
        asked = 0
        while standing(served) is not Standing.AWAY:
            assert eco["eco"]["id"] in await listed(served, eco["position"])
            asked += 1
        await stopping
        try:
            assert asked > 0
            before = read_by("primary", "away")
            assert eco["eco"]["id"] in await listed(served)
            assert read_by("primary", "away") == before + 1
            assert (await ready(served))[0] == 200
        finally:
            await asyncio.to_thread(standby.start)
        await until(lambda: standing(served) is Standing.USED)
        before = read_by("replica")
        assert eco["eco"]["id"] in await listed(served)
        assert read_by("replica") == before + 1


async def test_one_that_hangs_costs_no_request_its_patience_once_that_is_known(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served:
        eco = await served.create()
        await has(served, eco["position"])
        standby.hang()
        try:
            async with asyncio.timeout(PATIENCE + 3):
                assert eco["eco"]["id"] in await listed(served, eco["position"])
            await until(lambda: standing(served) is Standing.AWAY)
            began = time.monotonic()
            for _ in range(5):
                assert eco["eco"]["id"] in await listed(served)
            assert time.monotonic() - began < PATIENCE
        finally:
            standby.go_on()
        await until(lambda: standing(served) is Standing.USED)


async def test_strangers_see_nothing_on_the_replica_either(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served:
        eco = await served.create()
        await has(served, eco["position"])
        before = read_by("replica")
        asked = {"id": eco["eco"]["id"]}
        assert (await served.ask(ONE, asked))["eco"]["id"] == eco["eco"]["id"]
        found = await served.ask(ONE, asked, email=TOM.email, tenant=TOM_NOC)
        assert found["eco"] is None
        assert read_by("replica") > before + 1
        replica = served.services.queries.replica
        assert replica is not None
        unfiltered = "SELECT eco_id FROM eco_views"
        assert await replica.rows_until(0, TOM_NOC, unfiltered, {}) == []
        assert len(await replica.rows_until(0, NOC_ID, unfiltered, {}) or []) == 1
    with psycopg.connect(standby.url(strike.url), autocommit=True) as connection:
        everything = "SELECT count(*) FROM eco_views"
        assert connection.execute(everything).fetchone() == (1,)
        connection.execute(f"SET ROLE {TENANT_ROLE}".encode())
        assert connection.execute(everything).fetchone() == (0,)
        with connection.transaction():
            connection.execute("SELECT set_config('strike.tenant', %s, true)", (str(NOC_ID),))
            assert connection.execute(everything).fetchone() == (1,)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_subscription_that_catches_up_misses_nothing_and_repeats_nothing(
    strike: Strike, standby: Standby, transport: Transport
) -> None:
    async with reading(strike, standby) as served:
        eco = await served.create()
        await listed(served, eco["position"])
        lines = "SELECT position FROM eco_timeline ORDER BY position"

        def told() -> list[int]:
            with psycopg.connect(strike.url, autocommit=True) as connection:
                return [row[0] for row in connection.execute(lines).fetchall()]

        async def caught_up(wanted: list[int]) -> list[int]:
            async with streaming(served, transport, variables={"after": 0}) as stream:
                return [(await stream.change())["position"] for _ in wanted]

        await until(lambda: len(told()) >= 2)
        await has(served, told()[-1])
        before = read_by("replica")
        assert await caught_up(told()) == told()
        assert read_by("replica") > before
        with standby.paused():
            note = await served.ask(NOTE, {"id": eco["eco"]["id"]})
            await listed(served, note["addNote"]["position"])
            assert await caught_up(told()) == told()


async def test_a_browser_sees_on_whole_pages_what_it_has_just_written(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served, browser() as session:
        eco = await served.create()
        await has(served, eco["position"])
        page = f"{served.url}/t/{NOC_ID}/eco/{eco['eco']['id']}"
        headers = {**served.headers(), "Sec-Fetch-Site": "same-origin"}
        with standby.paused():
            before = read_by("replica")
            async with session.get(page, headers=headers) as response:
                assert response.status == 200
            assert read_by("replica") > before
            note = {"text": "Seen at the bridge"}
            async with session.post(f"{page}/note", data=note, headers=headers) as response:
                assert response.status == 200  # Of the page that it was sent on to.
                assert note["text"] in await response.text()
            session.cookie_jar.clear()
            async with session.get(page, headers=headers) as response:
                assert note["text"] not in await response.text()


async def test_a_board_is_never_older_than_the_changes_that_it_follows_from(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby) as served:
        old = await served.create()
        await has(served, old["position"])
        with standby.paused():
            new = await served.create()
            await listed(served, new["position"])
            headers = served.headers(OPERATOR.email)
            async with served.session.get(
                f"{served.url}/t/{NOC_ID}/board", headers=headers
            ) as response:
                assert new["eco"]["jobNumber"] in await response.text()


async def test_a_database_that_is_no_standby_is_not_asked(
    strike: Strike, database_url: str
) -> None:
    changed = {"read_database_url": database_url}
    near = replace(strike, settings=strike.settings.model_copy(update=changed))
    async with serving(near, new_signer()) as served:
        await until(lambda: standing(served) is Standing.NO_STANDBY)
        before = read_by("replica")
        await listed(served)
        assert read_by("replica") == before
    (found,) = examine_replica(near)
    assert (found.verdict, found.what) == (Verdict.WRONG, "replica")


async def test_the_doctor_says_how_it_fares(strike: Strike, standby: Standby) -> None:
    changed = {"read_database_url": standby.url(strike.url)}
    near = replace(strike, settings=strike.settings.model_copy(update=changed))
    # A database that was made a moment ago may not be there yet.
    await until(lambda: [one.verdict for one in examine_replica(near)] == [Verdict.OK])
    (found,) = examine_replica(near)
    assert found.said == "A standby, 0 events behind."
    away = strike.settings.model_copy(
        update={"read_database_url": "postgresql://x@127.0.0.1:1/strike"}
    )
    (found,) = examine_replica(replace(strike, settings=away))
    assert found.verdict is Verdict.WARNING
    assert [*examine_replica(strike)] == []
