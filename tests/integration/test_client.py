"""The client against the real server: all that a NOC's own ticket system would do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from random import Random
from uuid import uuid4

import pytest

from strike_app.bootstrap import Strike
from strike_app.client import (
    Change,
    Eco,
    EcoFilter,
    EcoWithHistory,
    Patience,
    Refused,
    StreamEnded,
    StrikeClient,
    StrikeError,
    point,
)
from strike_app.demo.seed import NOC_ID
from strike_app.event_stream import OPEN
from strike_app.tokens import new_secret
from strike_domain import Actor, Role, Scope, Side
from tests.integration.served import OSP_ID, Served, new_signer, serving
from tests.integration.stored import Running, eventually, rows
from tests.integration.test_lost_streams import LOSSES, MINE, NEWEST, Busy, Disasters

BOSS = Actor(name="user:boss", tenant_id=NOC_ID, side=Side.NOC, role=Role.ADMIN)
PLACE = point(-105.27, 40.01)


@asynccontextmanager
async def connected(
    strike: Strike,
    served: Served,
    role: Role = Role.OPERATOR,
    patience: Patience | None = None,
) -> AsyncIterator[StrikeClient]:
    """With an API token, as another service has one."""
    secret = new_secret()
    scopes = frozenset({Scope.READ, Scope.CALLOUT})
    strike.administration().create_token(str(uuid4()), role, scopes, 1, secret, BOSS)
    async with StrikeClient(f"{served.url}/graphql", secret, patience=patience) as client:
        yield client


@pytest.mark.usefixtures("followers")
async def test_a_ticket_system_calls_out_and_looks_after_it(strike: Strike) -> None:
    async with serving(strike, new_signer()) as served, connected(strike, served) as client:
        (contractor, *_) = await client.contractors_for(PLACE)
        assert contractor.covers
        (town, *_) = await client.places("Boulder, CO")
        made = await client.create_eco(
            osp_id=OSP_ID,
            location=town.location,
            job_type="FNOL",
            description="Cable cut\u2028by an excavator",
            client_reference="TT-1",
        )
        again = await client.create_eco(
            osp_id=OSP_ID,
            location=town.location,
            job_type="FNOL",
            description="Cable cut\u2028by an excavator",
            client_reference="TT-1",
        )
        assert again.eco.id == made.eco.id

        noted = await client.add_note(made.eco.id, "Traffic is closed.", key="note-1")
        await client.add_note(made.eco.id, "Traffic is closed.", key="note-1")
        amended = await client.amend_eco(made.eco.id, priority="CRITICAL")
        assert amended.eco.priority == "CRITICAL"
        seen = await client.eco(EcoWithHistory, made.eco.id, wait_for=amended.position)
        assert seen
        assert [one.line for one in seen.timeline].count("Note: Traffic is closed.") == 1
        assert noted.position in [one.position for one in seen.timeline]

        cancelled = await client.cancel_eco(made.eco.id, "It was a loose plug.")
        assert cancelled.eco.status == "CANCELLED"
        counts = await client.counts(wait_for=cancelled.position)
        assert {one.status: one.count for one in counts.by_status}["CANCELLED"] == 1


@pytest.mark.usefixtures("followers")
async def test_a_refusal_has_code_and_field(strike: Strike) -> None:
    async with serving(strike, new_signer()) as served, connected(strike, served) as client:
        with pytest.raises(Refused) as caught:
            await client.create_eco(
                osp_id=OSP_ID, location=point(500, 40), job_type="FNOL", description="Cut"
            )
        assert caught.value.path[:1] == ("location",)
        with pytest.raises(Refused, match="NOT_FOUND"):
            await client.start_work(uuid4())
        assert await client.eco(Eco, uuid4()) is None


async def test_who_may_not_is_told_so(strike: Strike) -> None:
    async with serving(strike, new_signer()) as served:
        async with StrikeClient(f"{served.url}/graphql", "no-token") as client:
            with pytest.raises(StrikeError, match="TOKEN_MISSING"):
                await client.counts()
            with pytest.raises(StrikeError, match="TOKEN_MISSING"):
                await anext(client.changes(Change))
        async with connected(strike, served, Role.VIEWER) as client:
            with pytest.raises(Refused, match="ROLE_MISSING"):
                await client.create_eco(
                    osp_id=OSP_ID, location=PLACE, job_type="FNOL", description="Cut"
                )


@pytest.mark.usefixtures("followers")
async def test_all_pages_are_read(strike: Strike) -> None:
    async with serving(strike, new_signer()) as served, connected(strike, served) as client:
        made = [
            await client.create_eco(
                osp_id=OSP_ID, location=PLACE, job_type="FNOL", description=f"Cut {number}"
            )
            for number in range(5)
        ]
        newest = made[-1].position
        found = [one.id async for one in client.ecos(Eco, page=2, sort="OLDEST", wait_for=newest)]
        assert found == [one.eco.id for one in made]
        some = [one async for one in client.ecos(Eco, EcoFilter(search="3"))]
        assert [one.id for one in some] == [made[3].eco.id]


@pytest.mark.usefixtures("followers")
async def test_a_stream_tells_of_changes_until_the_token_is_revoked(strike: Strike) -> None:
    async with serving(strike, new_signer()) as served, connected(strike, served) as client:
        made = await client.create_eco(
            osp_id=OSP_ID, location=PLACE, job_type="FNOL", description="A\u2028B\u2029C\r\nD"
        )
        await client.add_note(made.eco.id, "First.")
        async with aclosing(client.changes(Change, after=0)) as changes:
            while "First." not in (await anext(changes)).line:
                pass
            async with aclosing(client.eco_changes(Eco, made.eco.id)) as now:
                assert (await anext(now)).id == made.eco.id
            (token,) = rows(strike.url, "SELECT id FROM api_tokens")
            strike.administration().revoke_token(token["id"], BOSS)
            with pytest.raises(StreamEnded, match="API_TOKEN_INVALID"):
                [one async for one in changes]


def has_more(got: list[int], count: int, following: asyncio.Task[None]) -> bool:
    if following.done():
        following.result()
    return len(got) >= count


async def test_a_stream_that_begins_while_the_server_stops_is_sent_away(strike: Strike) -> None:
    """Otherwise the stop would wait for it: nobody hangs up on what was not there yet."""
    async with serving(strike, new_signer()) as served:
        body = {"query": "subscription { ecosChanged { position } }"}
        headers = served.headers() | {"Accept": "text/event-stream"}
        served.app[OPEN].hang_up()
        async with served.session.post(
            f"{served.url}/graphql", json=body, headers=headers
        ) as answer:
            assert answer.status == 503


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, true, 60)


@pytest.mark.timeout(1_500)
async def test_each_change_comes_exactly_once_whatever_dies(strike: Strike) -> None:
    """The server is restarted, followers stop, connections are cut; the client notices nothing."""
    disasters = Disasters(strike, Random(f"client-{LOSSES}"))
    got: list[int] = []
    await disasters.start()
    assert disasters.served
    patience = Patience(repeats=300)  # A server that stops may take a minute for it.
    async with connected(strike, disasters.served, patience=patience) as client:

        async def follow() -> None:
            async with aclosing(client.changes(Change, after=0)) as changes:
                async for one in changes:
                    got.append(one.position)

        following = asyncio.create_task(follow())
        try:
            with Running(Busy(strike)):
                for _ in range(LOSSES):
                    await disasters.maybe()
                    await until(partial(has_more, got, len(got) + 3, following))
            (newest,) = rows(strike.url, NEWEST)
            await disasters.served.services.queries.wait_for(newest["position"], 60)
            wanted = [one["position"] for one in rows(strike.url, MINE, NOC_ID, NOC_ID)]
            await until(partial(has_more, got, len(wanted), following))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await disasters.stop()
    assert got == wanted
    assert disasters.happened, "Otherwise nothing went wrong."
