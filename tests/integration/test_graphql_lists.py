"""Lists and one ECO over GraphQL: what is asked for, in how few statements, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from psycopg import AsyncConnection

from strike_app.bootstrap import Strike
from strike_app.graphql import schema
from strike_domain import Role, Side
from tests.integration.served import Served
from tests.integration.stored import follow
from tests.integration.two_worlds import Worlds, actor


@pytest.fixture
async def worlds(strike: Strike, served: Served) -> Worlds:
    return await asyncio.to_thread(Worlds, strike, served.services)


class Asked:
    """What comes of a query, and the statements that it took."""

    def __init__(self, worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
        self._worlds = worlds
        self.statements: list[str] = []
        execute = AsyncConnection.execute

        async def counted(connection: Any, query: Any, *args: Any, **options: Any) -> Any:
            self.statements.append(query.decode() if isinstance(query, bytes) else str(query))
            return await execute(connection, query, *args, **options)

        monkeypatch.setattr(AsyncConnection, "execute", counted)

    async def __call__(self, query: str, side: Side = Side.NOC, **variables: Any) -> Any:
        context = self._worlds.context(actor(self._worlds.ours.tenant(side), Role.OPERATOR))
        self.statements.clear()
        result = await schema.execute(query, variables, context_value=context)
        # A pool looks whether its connection is alive before it lends it, and the server looks each
        # second how far the read models are.
        asked = [one for one in self.statements if "FROM" in one]
        self.statements = [one for one in asked if "_tracking" not in one]
        assert not result.errors, result.errors
        return result.data


@pytest.fixture
def ask(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(worlds, monkeypatch)


ECO = """
query ($id: UUID!) { eco(id: $id) {
  ...Basics pagerRuns { listName state calls { contactName phone } } timeline { line }
} }
fragment Basics on Eco { jobNumber description noc { id name side } ... on Eco { osp { name } } }
"""


async def test_one_eco_with_timeline_runs_and_calls_takes_three_statements(
    worlds: Worlds, ask: Asked
) -> None:
    data = await ask(ECO, id=str(worlds.ours.eco_id))
    assert len(ask.statements) == 3, ask.statements
    eco = data["eco"]
    assert eco["noc"] == {"id": str(worlds.ours.noc.id), "name": "OURS NOC", "side": "NOC"}
    assert eco["osp"]["name"] == "OURS OSP"
    assert len(eco["pagerRuns"]) == 1 and len(eco["timeline"]) > 2


@pytest.mark.parametrize(
    "node",
    [
        "id",
        "id jobNumber status noc { name } osp { id name side }",
        "location description offers { name } fieldTasks { name } position",
    ],
)
async def test_a_list_takes_one_statement_and_reads_what_is_asked_for(
    worlds: Worlds, ask: Asked, node: str
) -> None:
    data = await ask(
        f"{{ ecos {{ edges {{ cursor node {{ {node} }} }} pageInfo {{ endCursor }} }} }}"
    )
    assert len(data["ecos"]["edges"]) == 1
    (statement,) = ask.statements
    for column in ("description", "location", "ticket", "field_tasks"):
        assert (column in statement) == ("fieldTasks" in node and column != "ticket")


async def test_both_totals_cost_one_question_and_only_when_they_are_asked_for(
    worlds: Worlds, ask: Asked
) -> None:
    data = await ask("{ ecos { totalCount totalCountIsExact edges { node { id } } } }")
    assert (data["ecos"]["totalCount"], data["ecos"]["totalCountIsExact"]) == (1, True)
    assert len(ask.statements) == 2


async def test_old_arguments_mean_what_they_meant(worlds: Worlds, ask: Asked) -> None:
    query = "query ($status: [EcoStatus!]) { ecos(status: $status) { edges { node { id } } } }"
    for status, count in ((None, 1), ([], 1), (["OPEN"], 1), (["CLOSED"], 0)):
        assert len((await ask(query, status=status))["ecos"]["edges"]) == count
    query = "{ ecos(pagingState: [CANCELLED], filter: {status: [OPEN]}) { edges { node { id } } } }"
    assert (await ask(query))["ecos"]["edges"] == []


async def test_counts_are_by_state_with_zero_where_there_is_none(
    worlds: Worlds, ask: Asked
) -> None:
    query = "{ ecoCounts { total stale nobodyComing byStatus { status count } } }"
    counts = (await ask(query))["ecoCounts"]
    assert (counts["total"], counts["nobodyComing"]) == (1, 0)
    assert {one["status"]: one["count"] for one in counts["byStatus"]} == {
        "OPEN": 1,
        "IN_PROGRESS": 0,
        "COMPLETED": 0,
        "CLOSED": 0,
        "CANCELLED": 0,
    }


async def test_response_times_are_grouped_as_they_are_asked_for(
    worlds: Worlds, ask: Asked, strike: Strike
) -> None:
    pair = worlds.ours
    boss = pair.admin(Side.NOC)
    await asyncio.to_thread(lambda: strike.callouts().cancel_eco(pair.eco_id, "over", boss))
    await asyncio.to_thread(follow, strike.url)
    query = """{
      responseTimes(by: [NOC, CONTRACTOR, LIST, JOB_TYPE, DAY, HOUR], timeZone: "Asia/Tokyo") {
        noc { name } contractor { name } listName jobType day hour ecos
        toAccept { count p50 } toStart { count } toComplete { count p90 }
      } }"""
    (times,) = (await ask(query, Side.OSP))["responseTimes"]
    assert times["noc"]["name"] == "OURS NOC" and times["contractor"]["name"] == "OURS OSP"
    assert (times["ecos"], times["toAccept"]) == (1, {"count": 0, "p50": None})
    (everything,) = (await ask("{ responseTimes(by: []) { ecos noc { id } } }"))["responseTimes"]
    assert everything == {"ecos": 1, "noc": None}


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
@pytest.mark.parametrize(
    "asks",
    [
        'responseTimes(by: [DAY, HOUR], until: "{}") {{ ecos }}',
        'responseTimes(by: [DAY], since: "{}", timeZone: "Asia/Tokyo") {{ ecos }}',
        'ecos(filter: {{created: {{since: "{0}", until: "{0}"}}}}) {{ totalCount }}',
        'ecos(asOf: "{}") {{ totalCount }}',
        'ecoCounts(asOf: "{}") {{ total }}',
    ],
)
async def test_the_first_and_the_last_moment_there_are_can_be_asked_for(
    served: Served, asks: str, moment: str
) -> None:
    answer = await served.post(f"{{ {asks.format(moment)} }}")
    codes = [one["extensions"]["code"] for one in answer.body.get("errors", ())]
    assert "INTERNAL" not in codes


@pytest.mark.parametrize(
    ("asks", "code", "path"),
    [
        ("ecos(first: 1, last: 1) { totalCount }", "PAGE_DIRECTION_UNCLEAR", ["last"]),
        ('ecos(before: "x") { totalCount }', "CURSOR_INVALID", ["before"]),
        ('ecos(filter: {search: "!"}) { totalCount }', "SEARCH_EMPTY", ["filter", "search"]),
        (
            'ecos(filter: {closed: {until: "2026-01-01T00:00:00"}}) { totalCount }',
            "TIME_WITHOUT_ZONE",
            ["filter", "closed", "until"],
        ),
        (
            'ecoCounts(asOf: "2026-01-01T00:00:00Z", filter: {search: "x"}) { total }',
            "AS_OF_FILTER_UNKNOWN",
            ["filter", "search"],
        ),
        ('responseTimes(by: [], timeZone: "Mars") { ecos }', "TIME_ZONE_UNKNOWN", ["timeZone"]),
        (
            'responseTimes(by: [], since: "2026-01-01T00:00:00") { ecos }',
            "TIME_WITHOUT_ZONE",
            ["since"],
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_code_and_path(
    served: Served, asks: str, code: str, path: list[str]
) -> None:
    answer = await served.post(f"{{ {asks} }}")
    (error,) = answer.body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["path"]) == (code, path)


async def test_a_note_with_a_key_is_made_once_over_graphql(worlds: Worlds, ask: Asked) -> None:
    query = """mutation ($id: UUID!, $text: String!) {
      addNote(ecoId: $id, text: $text, idempotencyKey: "k") {
        __typename ... on EcoChanged { position }
      } }"""
    eco_id = str(worlds.ours.eco_id)
    positions = [
        (await ask(query, id=eco_id, text=text))["addNote"]["position"] for text in ("a", "a", "b")
    ]
    assert positions[0] == positions[1] < positions[2]


async def test_permissions_are_told_for_each_company(worlds: Worlds, ask: Asked) -> None:
    data = await ask("{ me { memberships { role permissions } } }")
    (member,) = data["me"]["memberships"]
    assert member["role"] == "OPERATOR" and "eco.create" in member["permissions"]
    assert "members.edit" not in member["permissions"]
