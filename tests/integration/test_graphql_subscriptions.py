"""Subscriptions and waiting, on real PostgreSQL: nothing is lost, nothing is told to strangers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from strike_adapters.memory import FakeTelephone
from strike_adapters.postgres import queries
from strike_adapters.postgres.changes import FOLLOWED
from strike_app.bootstrap import Strike
from strike_app.demo.seed import LOGINS, NEWCOMER, NOCS, OPERATOR, _id
from strike_app.following import feeds, standings
from strike_app.graphql import subscription
from strike_domain import CallReport, Ringer
from strike_domain.errors import WaitTimedOut
from strike_mock.settings import Person
from tests.integration.served import CREATE, ORDER, Served
from tests.integration.stored import eventually

TOM, TOM_NOC = LOGINS[1], _id(NOCS[1])

CHANGED = """
subscription ($id: UUID!, $after: Position) {
  ecoChanged(ecoId: $id, afterPosition: $after) {
    position status pagingState timeline { position kind line } pagerRuns { state }
  }
}
"""
TIMELINE = "query ($id: UUID!, $p: Position) { eco(id: $id, waitFor: $p) { timeline { line } } }"
NOTE = """
mutation ($id: UUID!, $text: String!) {
  addNote(ecoId: $id, text: $text) { ... on EcoChanged { position } ... on Problem { code } }
}
"""


@dataclass
class Talk:
    """One graphql-transport-ws connection."""

    socket: aiohttp.ClientWebSocketResponse

    async def begin(self, name: str, query: str, variables: dict[str, Any]) -> None:
        payload = {"query": query, "variables": variables}
        await self.socket.send_json({"id": name, "type": "subscribe", "payload": payload})

    async def next(self, name: str = "1") -> dict[str, Any]:
        """The payload of the next answer to `name`."""
        async with asyncio.timeout(10):
            while True:
                message = await self.socket.receive_json()
                if message["type"] in ("next", "error") and message["id"] == name:
                    payload: dict[str, Any] = message["payload"]
                    return payload

    async def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        name = str(uuid4())
        await self.begin(name, query, variables)
        data: dict[str, Any] = (await self.next(name))["data"]
        return data

    async def eco(self) -> dict[str, Any]:
        changed: dict[str, Any] = (await self.next())["data"]["ecoChanged"]
        return changed


@asynccontextmanager
async def _talk(served: Served, **who: Any) -> AsyncIterator[Talk]:
    async with served.session.ws_connect(
        f"{served.url}/graphql",
        protocols=("graphql-transport-ws",),
        headers=served.headers(**who),
    ) as socket:
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"
        yield Talk(socket)


@contextmanager
def _following(strike: Strike, *names: str) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=one.run, args=(stop,)) for one in strike.followers(tuple(names))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


async def _note(served: Served, eco_id: str, text: str) -> int:
    position: int = (await served.ask(NOTE, {"id": eco_id, "text": text}))["addNote"]["position"]
    return position


async def _until_it_has_a_row(served: Served, eco_id: str) -> None:
    """Whatever the other read models have by then."""
    query = "query ($id: UUID!) { eco(id: $id) { id } }"
    async with asyncio.timeout(10):
        with served.services.changes.watch() as watch:
            while not (await served.ask(query, {"id": eco_id}))["eco"]:
                await watch.wait(1)


async def _created(served: Served) -> tuple[str, int]:
    created = await served.create()
    await served.services.queries.wait_for(created["position"])
    return created["eco"]["id"], created["position"]


def _kinds(eco: dict[str, Any]) -> list[str]:
    return [one["kind"] for one in eco["timeline"]]


async def test_who_goes_on_from_a_position_is_told_only_what_is_newer(
    served: Served, strike: Strike
) -> None:
    with _following(strike, *FOLLOWED):
        eco_id, _ = await _created(served)
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id})
            seen = await talk.eco()
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id, "after": seen["position"]})
            position = await _note(served, eco_id, "while connected")
            first = await talk.eco()
        assert first["position"] == position
        assert first["timeline"][-1]["line"] == "Note: while connected"
        missed = await _note(served, eco_id, "while away")
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id, "after": first["position"]})
            assert (await talk.eco())["position"] == missed


async def test_who_was_told_half_a_state_is_told_the_rest_after_a_lost_connection(
    served: Served, strike: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(feeds, "HOLD_SECONDS", 0.05)
    with _following(strike, "pager", "eco_views", "eco_timeline", "eco_map"):
        created = await served.create()
        eco_id = created["eco"]["id"]
        await _until_it_has_a_row(served, eco_id)
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id})
            half = await talk.eco()
            while "strike.run.started" not in _kinds(half):
                half = await talk.eco()
    assert half["pagerRuns"] == []
    assert half["position"] < half["timeline"][-1]["position"], "It must not promise the run."
    with _following(strike, "pager_run_views", "eco_map"):
        await served.services.queries.wait_for(half["timeline"][-1]["position"])
    async with _talk(served) as talk:
        await talk.begin("1", CHANGED, {"id": eco_id, "after": half["position"]})
        assert (await talk.eco())["pagerRuns"] == [{"state": "RUNNING"}]


async def test_the_state_that_is_told_last_is_the_last_one_under_a_flood_of_changes(
    served: Served, strike: Strike
) -> None:
    with _following(strike, *FOLLOWED):
        eco_id, _ = await _created(served)
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id})
            notes = [_note(served, eco_id, f"note {number}") for number in range(30)]
            newest = max(await asyncio.gather(*notes))
            told = [await talk.eco()]
            while told[-1]["position"] < newest:
                told.append(await talk.eco())
    assert len(told[-1]["timeline"]) == 31
    positions = [one["position"] for one in told]
    assert positions == sorted(set(positions))


async def test_a_change_is_told_although_its_notify_was_lost(
    served: Served, strike: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _following(strike, *FOLLOWED):
        eco_id, _ = await _created(served)
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id})
            await talk.eco()
            monkeypatch.setattr(served.services.changes, "take", lambda _: None)
            position = await _note(served, eco_id, "x")
            eco = await talk.eco()
            while eco["position"] < position:
                eco = await talk.eco()


async def test_an_answer_over_a_socket_is_of_now_however_often_it_was_asked_for(
    served: Served, strike: Strike
) -> None:
    with _following(strike, *FOLLOWED):
        eco_id, _ = await _created(served)
        async with _talk(served) as talk:
            before = await talk.ask(TIMELINE, {"id": eco_id})
            position = await _note(served, eco_id, "new")
            after = await talk.ask(TIMELINE, {"id": eco_id, "p": position})
    assert len(after["eco"]["timeline"]) == len(before["eco"]["timeline"]) + 1


async def test_a_foreign_eco_is_not_found_and_a_failure_tells_nothing(
    served: Served, strike: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _following(strike, *FOLLOWED):
        eco_id, _ = await _created(served)
    with strike.pool.connection() as connection:
        row = connection.execute("SELECT id FROM tenants WHERE name LIKE 'Tidewater%'").fetchone()
    async with _talk(served, email=LOGINS[1].email, tenant=(row or {})["id"]) as talk:
        for name, wanted in (("1", eco_id), ("2", str(uuid4()))):
            await talk.begin(name, CHANGED, {"id": wanted})
            error = (await talk.next(name))["errors"][0]
            assert error["extensions"]["code"] == "NOT_FOUND"

    async def fail(*_: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr(served.services.queries, "eco_now", fail)
    async with _talk(served) as talk:
        await talk.begin("1", CHANGED, {"id": eco_id})
        error = (await talk.next())["errors"][0]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "secret-detail" not in str(error)


async def test_a_wrong_query_over_a_socket_is_answered_with_a_code(served: Served) -> None:
    async with _talk(served) as talk:
        await talk.begin("1", "{ nope }", {})
        refused: Any = await talk.next()
        assert refused[0]["extensions"]["code"] == "QUERY_INVALID"


async def test_who_leaves_the_tenant_is_told_nothing_more(
    served: Served, strike: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "MEMBER_SECONDS", 0.05)
    monkeypatch.setattr(served.services.changes, "take_access", lambda _: None)
    with _following(strike, *FOLLOWED):
        eco_id, _ = await _created(served)
        async with _talk(served) as talk:
            await talk.begin("1", CHANGED, {"id": eco_id})
            await talk.eco()
            with strike.pool.connection() as connection:
                connection.execute("DELETE FROM memberships")
            error = (await talk.next())["errors"][0]
            assert error["extensions"]["code"] == "NOT_A_MEMBER"


async def test_waiting_is_ended_by_the_feed_and_not_by_looking(
    served: Served, strike: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "FIRST_PAUSE", 60)
    created = await served.create()
    asked = {"id": created["eco"]["id"], "p": created["position"]}
    waiting = asyncio.create_task(served.ask(TIMELINE, asked))
    with _following(strike, *FOLLOWED):
        assert len((await waiting)["eco"]["timeline"]) == 1


async def test_waiting_is_ended_by_looking_where_the_feed_is_silent(
    served: Served, strike: Strike
) -> None:
    await served.services.changes.stop()
    created = await served.create()
    asked = {"id": created["eco"]["id"], "p": created["position"]}
    waiting = asyncio.create_task(served.ask(TIMELINE, asked))
    with _following(strike, *FOLLOWED):
        assert len((await waiting)["eco"]["timeline"]) == 1


async def test_one_read_model_that_stays_behind_is_waited_for(
    served: Served, strike: Strike
) -> None:
    created = await served.create()
    with (
        _following(strike, "eco_views", "eco_timeline"),
        pytest.raises(WaitTimedOut),
    ):
        await served.services.queries.wait_for(created["position"], 0.3)


async def test_a_stored_subject_is_the_person_whatever_address_they_have(
    served: Served, strike: Strike
) -> None:
    with strike.pool.connection() as connection:
        connection.execute(
            "UPDATE users SET subject = 'olivia-1' WHERE email = %s", (OPERATOR.email,)
        )

    async def status(subject: str, email: str) -> int:
        token = served.signer.sign(Person(sub=subject, email=email, name="x"))
        answer = await served.post("{ me { id } }", headers={"x-amzn-oidc-data": token})
        return answer.status

    assert await status("olivia-1", OPERATOR.email) == 200
    assert await status("olivia-1", "married@bluestem.example") == 200
    assert await status("mallory", OPERATOR.email) == 401
    assert await status("mallory", LOGINS[1].email.upper()) == 200, "Not pinned yet: by address."


async def test_without_the_database_the_server_is_alive_and_not_ready(served: Served) -> None:
    await served.services.queries.close()
    for path, status in (("healthz", 200), ("readyz", 503)):
        async with served.session.get(f"{served.url}/{path}") as health:
            assert health.status == status
    answer = await served.post("{ me { id } }")
    assert (answer.status, answer.body["code"]) == (503, "DATABASE_UNAVAILABLE")


# Alerts -----------------------------------------------------------------------------------

ALERTS = """
subscription ($after: Position) {
  pagingAlerts(afterPosition: $after) {
    position kind line eco { id pagingState offers { callId name minutes } }
  }
}
"""
TAKE_UP = """
mutation ($id: UUID!, $call: UUID!) {
  takeUpOffer(ecoId: $id, callId: $call) {
    ... on EcoChanged { eco { pagingState listReason } } ... on Problem { code }
  }
}
"""


def _everybody_presses(strike: Strike, eco_id: str, key: str) -> None:
    """Ring each person of the newest run, and let them press `key`."""
    ringer = Ringer(strike.log, FakeTelephone(), strike.clock, strike.directory)
    eco = strike.log.eco(UUID(eco_id))
    assert eco.latest_run_id is not None
    while (run := ringer.work_on(eco.latest_run_id)).live_call:
        call = run.live_call
        strike.paging().key_pressed(CallReport(run.id, call.id, str(call.sid)), key)


@pytest.mark.usefixtures("followers")
async def test_nobody_to_ring_and_nobody_who_accepts_are_told_at_once_and_once(
    served: Served, strike: Strike
) -> None:
    async with _talk(served) as talk:
        await talk.begin("1", ALERTS, {})
        await asyncio.sleep(0.1)
        listless = await served.create(ospId=str(NEWCOMER.id))
        first = (await talk.next())["data"]["pagingAlerts"]
        assert (first["kind"], first["eco"]["id"]) == ("NO_LIST", listless["eco"]["id"])
        assert first["eco"]["pagingState"] == "NO_LIST"
        eco_id = (await served.create())["eco"]["id"]
        await asyncio.to_thread(eventually, lambda: strike.log.eco(UUID(eco_id)).latest_run_id)
        await asyncio.to_thread(_everybody_presses, strike, eco_id, "4")
        second = (await talk.next())["data"]["pagingAlerts"]
    assert (second["kind"], second["eco"]["id"]) == ("EXHAUSTED", eco_id)
    assert [one["minutes"] for one in second["eco"]["offers"]] == [60, 60, 60]
    assert second["line"].startswith("Nobody accepted")
    # Who was away meanwhile is told what was missed, and nothing twice.
    async with _talk(served) as talk:
        await talk.begin("1", ALERTS, {"after": first["position"] - 1})
        again = [(await talk.next())["data"]["pagingAlerts"]["position"] for _ in range(2)]
    assert again == [first["position"], second["position"]]
    async with _talk(served) as talk:
        await talk.begin("1", ALERTS, {"after": first["position"]})
        assert (await talk.next())["data"]["pagingAlerts"]["position"] == second["position"]
    offer = second["eco"]["offers"][1]
    taken = (await served.ask(TAKE_UP, {"id": eco_id, "call": offer["callId"]}))["takeUpOffer"]
    assert taken["eco"]["pagingState"] == "RUNNING"
    assert offer["name"] in taken["eco"]["listReason"]
    refused = await served.ask(TAKE_UP, {"id": eco_id, "call": str(uuid4())})
    assert refused["takeUpOffer"]["code"] == "NOT_FOUND"


@pytest.mark.usefixtures("followers")
async def test_another_noc_s_alerts_are_not_told(served: Served) -> None:
    async with _talk(served, email=TOM.email, tenant=TOM_NOC) as talk:
        await talk.begin("1", ALERTS, {"after": 0})
        theirs = await served.create(ospId=str(NEWCOMER.id))
        await served.services.queries.wait_for(theirs["position"])
        data = await served.ask(
            CREATE, {"input": ORDER | {"ospId": str(NEWCOMER.id)}}, email=TOM.email, tenant=TOM_NOC
        )
        told = (await talk.next())["data"]["pagingAlerts"]
    assert told["eco"]["id"] == data["createEco"]["eco"]["id"]


@pytest.mark.usefixtures("followers")
async def test_the_ecos_that_nobody_is_coming_for_can_be_listed(served: Served) -> None:
    query = "query ($p: [PagingState!]) { ecos(pagingState: $p) { edges { node { id } } } }"
    listless = await served.create(ospId=str(NEWCOMER.id))
    await served.create()
    async with asyncio.timeout(10):
        edges: list[Any] = []
        while not edges:
            edges = (await served.ask(query, {"p": ["NO_LIST", "EXHAUSTED"]}))["ecos"]["edges"]
    assert [one["node"]["id"] for one in edges] == [listless["eco"]["id"]]
