"""Read models are asked of a replica that is near enough, and nobody notices when it is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import psycopg
import pytest
import pytest_asyncio

from strike_adapters.embedded import EmbeddedServer
from strike_adapters.postgres import replica as module
from strike_adapters.postgres.replica import Replica, Standing
from strike_adapters.postgres.row_security import TENANT_ROLE
from strike_app.bootstrap import Strike
from strike_app.demo.seed import LOGINS, NOC_ID, NOCS, OPERATOR, _id
from strike_app.doctor import Verdict, examine_replica
from strike_app.metrics import METRICS
from tests.integration.served import Served, new_signer, seeded, serving
from tests.integration.standbys import Standby, standing_by
from tests.integration.stored import Running, is_caught_up, rows
from tests.integration.streamed import TRANSPORTS, Transport, streaming

TOM, TOM_NOC = LOGINS[1], _id(NOCS[1])

LIST = "query ($p: Position) { ecos(waitFor: $p) { edges { node { id } } } }"
ONE = "query ($id: UUID!, $p: Position) { eco(id: $id, waitFor: $p) { id noc { name } } }"
NOTE = """
mutation ($id: UUID!) {
  addNote(ecoId: $id, text: "a note") { ... on EcoChanged { position eco { timeline { line } } } }
}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


# One database, standby and server for all: to make them takes longer than all that is tried.


@pytest.fixture(scope="module")
def standby(postgres: EmbeddedServer) -> Iterator[Standby]:
    with standing_by(postgres) as found:
        yield found


@pytest.fixture(scope="module")
def strike(
    postgres: EmbeddedServer, standby: Standby, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Strike]:
    """As everybody's, with followers, for all tests here."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE replicated TEMPLATE prepared")
    with (
        seeded(postgres.url("replicated"), tmp_path_factory.mktemp("secrets")) as strike,
        Running(*strike.followers()),
    ):
        yield strike
    postgres.drop_database("replicated")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(strike: Strike, standby: Standby) -> AsyncIterator[Served]:
    """The server, with the replica near enough to be asked."""
    async with reading(strike, standby) as found:
        yield found


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def is_used(request: pytest.FixtureRequest) -> None:
    """Whatever the test before has done to the replica is over."""
    if "served" in request.fixturenames:
        served = request.getfixturevalue("served")
        await until(lambda: standing(served) is Standing.USED)


def reading_from(strike: Strike, url: str, most_lag: float = 300.0) -> Strike:
    changed = {"read_database_url": url, "replica_lag_seconds": most_lag}
    return replace(strike, settings=strike.settings.model_copy(update=changed))


@asynccontextmanager
async def reading(
    strike: Strike, standby: Standby, most_lag: float = 300.0
) -> AsyncIterator[Served]:
    near = reading_from(strike, standby.url(strike.url), most_lag)
    async with serving(near, new_signer()) as served:
        await until(lambda: standing(served) is Standing.USED)
        yield served


def browser() -> aiohttp.ClientSession:
    """Keeps cookies, of an address as well."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


def replica_of(served: Served) -> Replica:
    replica = served.services.queries.replica
    assert replica is not None
    return replica


def standing(served: Served) -> Standing:
    return replica_of(served).standing


async def until(true: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Made:
    """An ECO that was created: its id, and where its creation stands in the log."""

    id: str
    position: int
    job_number: str


async def created(served: Served) -> Made:
    found = await served.create()
    eco = found["eco"]
    return Made(eco["id"], found["position"], eco["jobNumber"])


async def replicated(served: Served) -> Made:
    """One that the replica is known to have."""
    made = await created(served)
    await until(lambda: replica_of(served)._lag.reached >= made.position)
    return made


def read_by(who: str, why: str | None = None) -> float:
    """How many questions the replica or the primary has answered in this process so far."""
    (found,) = METRICS.replica_reads.collect()
    return sum(
        one.value
        for one in found.samples
        if one.name.endswith("_total") and one.labels["by"] == who
        if why is None or one.labels["why"] == why
    )


@contextmanager
def answered_by(who: str, why: str | None = None, *, times: int = 1) -> Iterator[None]:
    """So many questions are answered by that one meanwhile."""
    before = read_by(who, why)
    yield
    assert read_by(who, why) - before == times


async def listed(served: Served, position: int | None = None) -> set[str]:
    data = await served.ask(LIST, {"p": position})
    return {edge["node"]["id"] for edge in data["ecos"]["edges"]}


async def ready(served: Served) -> tuple[int, dict[str, Any]]:
    async with served.session.get(f"{served.url}/readyz") as response:
        return response.status, await response.json()


async def test_it_answers_what_may_be_behind_and_never_what_must_not(
    served: Served, standby: Standby
) -> None:
    old = await replicated(served)
    with standby.paused():
        new = await created(served)
        assert new.id in await listed(served, new.position)
        with answered_by("replica"):
            found = await listed(served)
        assert old.id in found and new.id not in found
        answer = await served.ask(ONE, {"id": new.id, "p": new.position})
        assert answer["eco"]["noc"]["name"] == NOCS[0]
    await until(lambda: replica_of(served)._lag.reached >= new.position)
    with answered_by("replica"):
        assert new.id in await listed(served, new.position)


async def test_what_a_command_answers_is_never_of_the_replica(served: Served) -> None:
    eco = await replicated(served)
    with answered_by("replica", times=0):
        done = await served.ask(NOTE, {"id": eco.id})
    assert done["addNote"]["eco"]["timeline"]


async def test_one_that_is_too_far_behind_is_not_asked_and_the_server_stays_ready(
    strike: Strike, standby: Standby
) -> None:
    async with reading(strike, standby, most_lag=0.2) as served:
        await replicated(served)
        with standby.paused():
            second = await created(served)
            await listed(served, second.position)
            await until(lambda: standing(served) is Standing.BEHIND)
            assert second.id in await listed(served)
            status, body = await ready(served)
            assert (status, body["ready"]) == (200, True)
            assert body["reasons"] == ["the replica is not asked: behind"]
            assert body["dependencies"]["replica"] == "behind"
            await until(lambda: METRICS.replica_used.labels("127.0.0.1")._value.get() == 0)
        await until(lambda: standing(served) is Standing.USED)
        assert (await ready(served))[1]["reasons"] == []


async def test_one_that_is_stopped_fails_no_request_and_is_used_again(
    served: Served, standby: Standby
) -> None:
    eco = await replicated(served)
    stopping = asyncio.create_task(asyncio.to_thread(standby.stop))
    asked = 0
    while standing(served) is not Standing.AWAY:
        assert eco.id in await listed(served, eco.position)
        asked += 1
    await stopping
    try:
        assert asked > 0
        with answered_by("primary", "away"):
            assert eco.id in await listed(served)
        assert (await ready(served))[0] == 200
    finally:
        await asyncio.to_thread(standby.start)
    await until(lambda: standing(served) is Standing.USED)
    with answered_by("replica"):
        assert eco.id in await listed(served)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long one that hangs is waited for; as it is set, two tests would wait for seconds."""
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.5)
    return 0.5


async def test_one_that_hangs_costs_no_request_its_patience_once_that_is_known(
    served: Served, standby: Standby, impatient: float
) -> None:
    eco = await replicated(served)
    standby.hang()
    try:
        async with asyncio.timeout(impatient + 3):
            assert eco.id in await listed(served, eco.position)
        await until(lambda: standing(served) is Standing.AWAY)
        began = time.monotonic()
        with answered_by("primary", "away", times=5):
            for _ in range(5):
                assert eco.id in await listed(served)
        assert time.monotonic() - began < 5 * impatient
    finally:
        standby.go_on()


async def test_the_first_question_that_fails_keeps_the_others_from_it(
    served: Served, standby: Standby, impatient: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks meanwhile: only the question can have found it out."""
    eco = await replicated(served)
    monkeypatch.setattr(module, "LOOK_EVERY", 3_600.0)
    looked = asyncio.Event()
    monkeypatch.setattr(replica_of(served), "_tell", lambda **why: looked.set())
    await asyncio.wait_for(looked.wait(), 10)
    standby.hang()
    try:
        with answered_by("primary", "failed"):
            assert eco.id in await listed(served)
        with answered_by("primary", "away", times=3):
            for _ in range(3):
                assert eco.id in await listed(served)
    finally:
        standby.go_on()


async def test_strangers_see_nothing_on_the_replica_either(
    strike: Strike, served: Served, standby: Standby
) -> None:
    eco = await replicated(served)
    before = read_by("replica")
    asked = {"id": eco.id}
    assert (await served.ask(ONE, asked))["eco"]["id"] == eco.id
    found = await served.ask(ONE, asked, email=TOM.email, tenant=TOM_NOC)
    assert found["eco"] is None
    assert read_by("replica") > before + 1
    unfiltered = "SELECT eco_id FROM eco_views"
    assert await replica_of(served).rows_until(0, TOM_NOC, unfiltered, {}) == []
    ours = await replica_of(served).rows_until(0, NOC_ID, unfiltered, {}) or []
    assert eco.id in {str(one["eco_id"]) for one in ours}
    with psycopg.connect(standby.url(strike.url), autocommit=True) as connection:
        everything = "SELECT count(*) FROM eco_views"
        assert connection.execute(everything).fetchone() == (len(ours),)
        connection.execute(f"SET ROLE {TENANT_ROLE}".encode())
        assert connection.execute(everything).fetchone() == (0,)
        with connection.transaction():
            connection.execute("SELECT set_config('strike.tenant', %s, true)", (str(NOC_ID),))
            assert connection.execute(everything).fetchone() == (len(ours),)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_subscription_that_catches_up_misses_nothing_and_repeats_nothing(
    strike: Strike, served: Served, standby: Standby, transport: Transport
) -> None:
    await until(lambda: is_caught_up(strike.url))
    before_it = strike.log.position()
    eco = await replicated(served)
    lines = "SELECT position FROM eco_timeline WHERE position > %s ORDER BY position"

    def told() -> list[int]:
        return [one["position"] for one in rows(strike.url, lines, before_it)]

    async def caught_up(wanted: list[int]) -> list[int]:
        variables = {"after": before_it}
        async with streaming(served, transport, variables=variables) as stream:
            return [(await stream.change())["position"] for _ in wanted]

    await until(lambda: len(told()) >= 2)
    await until(lambda: replica_of(served)._lag.reached >= told()[-1])
    before = read_by("replica")
    assert await caught_up(told()) == told()
    assert read_by("replica") > before
    with standby.paused():
        note = await served.ask(NOTE, {"id": eco.id})
        await listed(served, note["addNote"]["position"])
        assert await caught_up(told()) == told()


async def test_a_browser_sees_on_whole_pages_what_it_has_just_written(
    served: Served, standby: Standby
) -> None:
    eco = await replicated(served)
    page = f"{served.url}/t/{NOC_ID}/eco/{eco.id}"
    headers = {**served.headers(), "Sec-Fetch-Site": "same-origin"}
    async with browser() as session:
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
    served: Served, standby: Standby
) -> None:
    await replicated(served)
    with standby.paused():
        new = await created(served)
        await listed(served, new.position)
        headers, board = served.headers(OPERATOR.email), f"{served.url}/t/{NOC_ID}/board"
        async with served.session.get(board, headers=headers) as response:
            assert new.job_number in await response.text()


async def test_a_database_that_is_no_standby_is_not_asked(strike: Strike) -> None:
    near = reading_from(strike, strike.url)
    async with serving(near, new_signer()) as served:
        await until(lambda: standing(served) is Standing.NO_STANDBY)
        with answered_by("replica", times=0):
            await listed(served)
    (found,) = examine_replica(near)
    assert (found.verdict, found.what) == (Verdict.WRONG, "replica")


async def test_the_doctor_says_how_it_fares(strike: Strike, standby: Standby) -> None:
    near = reading_from(strike, standby.url(strike.url))
    level = "A standby, 0 events behind."
    await until(lambda: [one.said for one in examine_replica(near)] == [level])
    (found,) = examine_replica(reading_from(strike, "postgresql://x@127.0.0.1:1/strike"))
    assert found.verdict is Verdict.WARNING
    assert [*examine_replica(strike)] == []
