"""A timeline by pages: over GraphQL, by the client and on a page, now and as it was."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from strike_adapters.postgres import timelines
from strike_adapters.postgres.timelines import LinesAsked
from strike_app.bootstrap import Strike
from strike_app.mcp import server as mcp_server
from strike_app.web.pages import timeline as page_of_console
from strike_domain.errors import Rejected
from tests.integration.served import Served, new_signer, serving
from tests.integration.stored import follow
from tests.integration.test_client import connected
from tests.integration.test_graphql_lists import Asked, ask, worlds
from tests.integration.test_mcp import agent, use
from tests.integration.two_worlds import Worlds

__all__ = ["ask", "worlds"]

PAGE = """
query ($id: UUID!, $first: Int, $after: String, $last: Int, $before: String, $asOf: DateTime) {
  eco(id: $id, asOf: $asOf) {
    timelineConnection(first: $first, after: $after, last: $last, before: $before) {
      totalCount edges { cursor node { position line } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
NOTE = "mutation ($id: UUID!, $text: String!) { addNote(ecoId: $id, text: $text) { __typename } }"


class Noted:
    """An ECO of which a test knows every line."""

    def __init__(self, strike: Strike, served: Served, eco_id: str) -> None:
        self._strike, self._served, self.id, self.count = strike, served, eco_id, 0

    async def note(self, count: int = 1) -> None:
        for _ in range(count):
            self.count += 1
            await self._served.ask(NOTE, {"id": self.id, "text": f"n{self.count}"})
        await asyncio.to_thread(follow, self._strike.url)

    async def page(self, **asked: Any) -> dict[str, Any]:
        data = await self._served.ask(PAGE, {"id": self.id, **asked})
        found: dict[str, Any] = data["eco"]["timelineConnection"]
        return found

    async def lines(self, **asked: Any) -> list[str]:
        return _lines(await self.page(**asked))


def _lines(page: dict[str, Any]) -> list[str]:
    return [edge["node"]["line"].removeprefix("Note: ") for edge in page["edges"]]


@pytest.fixture
async def noted(strike: Strike, served: Served) -> Noted:
    made = Noted(strike, served, (await served.create())["eco"]["id"])
    await made.note(7)
    return made


async def test_pages_neither_repeat_nor_miss_a_line_while_new_ones_arrive(noted: Noted) -> None:
    seen: list[str] = []
    page = await noted.page(first=3)
    assert not page["pageInfo"]["hasPreviousPage"]
    while True:
        seen += _lines(page)
        if not page["pageInfo"]["hasNextPage"]:
            break
        if noted.count < 9:
            await noted.note()
        page = await noted.page(first=3, after=page["pageInfo"]["endCursor"])
        assert page["pageInfo"]["hasPreviousPage"] and page["totalCount"] == noted.count + 1
    assert seen[1:] == [f"n{number}" for number in range(1, 10)]


async def test_the_newest_come_first_and_older_ones_before_them(noted: Noted) -> None:
    newest = await noted.page(last=3)
    assert _lines(newest) == ["n5", "n6", "n7"]
    assert newest["totalCount"] == 8
    assert newest["pageInfo"]["hasPreviousPage"] and not newest["pageInfo"]["hasNextPage"]
    await noted.note()
    older = await noted.page(last=3, before=newest["pageInfo"]["startCursor"])
    assert _lines(older) == ["n2", "n3", "n4"] and older["pageInfo"]["hasNextPage"]
    first = await noted.page(last=3, before=older["pageInfo"]["startCursor"])
    assert len(first["edges"]) == 2 and not first["pageInfo"]["hasPreviousPage"]
    end = first["edges"][0]["cursor"]
    assert (await noted.page(last=3, before=end))["edges"] == []


async def test_pages_of_the_past_are_cut_like_those_of_today(noted: Noted) -> None:
    then = datetime.now(UTC).isoformat()
    live = [
        await noted.page(first=3),
        await noted.page(last=3),
        await noted.page(first=3, after=(await noted.page(first=3))["pageInfo"]["endCursor"]),
        await noted.page(last=2, before=(await noted.page(last=2))["pageInfo"]["startCursor"]),
    ]
    asked: list[dict[str, Any]] = [
        {"first": 3},
        {"last": 3},
        {"first": 3, "after": live[0]["pageInfo"]["endCursor"]},
        {"last": 2, "before": live[1]["edges"][1]["cursor"]},
    ]
    await noted.note(3)
    assert [await noted.page(asOf=then, **one) for one in asked] == live
    assert (await noted.page(asOf=then, last=1))["totalCount"] == 8


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"first": 0}, "PAGE_SIZE_INVALID"),
        ({"last": 201}, "PAGE_SIZE_INVALID"),
        ({"first": 1, "before": "x"}, "PAGE_DIRECTION_UNCLEAR"),
        ({"after": "x"}, "CURSOR_INVALID"),
        ({"after": "WyJUSU1FTElORSIsLTFd"}, "CURSOR_INVALID"),
        ({"after": "WyJUSU1FTElORSIsdHJ1ZV0="}, "CURSOR_INVALID"),
        ({"after": "WyJUSU1FTElORSIsOTIyMzM3MjAzNjg1NDc3NTgwOF0="}, "CURSOR_INVALID"),
    ],
)
def test_what_no_page_gave_is_refused(asked: dict[str, Any], code: str) -> None:
    given = dict.fromkeys(("first", "after", "last", "before")) | asked
    with pytest.raises(Rejected) as caught:
        LinesAsked.of(**given)
    assert caught.value.code == code


async def test_a_cursor_of_a_list_is_none_of_a_timeline_and_spoils_no_other_page(
    noted: Noted, served: Served
) -> None:
    edge = (await served.ask("{ ecos(first: 1) { edges { cursor } } }"))["ecos"]["edges"][0]
    query = """query ($id: UUID!, $after: String) {
      wrong: eco(id: $id) { timelineConnection(after: $after) { totalCount } }
      right: eco(id: $id) { timelineConnection { totalCount } }
    }"""
    answer = await served.post(query, {"id": noted.id, "after": edge["cursor"]})
    assert answer.body["data"] == {
        "wrong": None,
        "right": {"timelineConnection": {"totalCount": 8}},
    }
    (error,) = answer.body["errors"]
    assert error["extensions"]["code"] == "CURSOR_OF_OTHER_SORT"


async def test_one_eco_with_a_page_runs_and_calls_takes_three_statements(
    worlds: Worlds, ask: Asked
) -> None:
    query = """query ($id: UUID!) { eco(id: $id) {
      jobNumber noc { name } pagerRuns { listName calls { contactName } }
      timelineConnection(last: %d) { totalCount edges { node { line } } }
    } }"""
    data = await ask(query % 100, id=str(worlds.ours.eco_id))
    assert len(ask.statements) == 3, ask.statements
    whole = data["eco"]["timelineConnection"]
    assert whole["totalCount"] == len(whole["edges"]) > 2
    data = await ask(query % 1, id=str(worlds.ours.eco_id))
    assert len(ask.statements) == 4, "Only a count that the page does not tell is asked for."
    assert data["eco"]["timelineConnection"]["totalCount"] == whole["totalCount"]


async def test_pages_of_all_ecos_of_a_list_are_one_statement(worlds: Worlds, ask: Asked) -> None:
    await ask("{ ecos { edges { node { timelineConnection(last: 2) { edges { cursor } } } } } }")
    assert len(ask.statements) == 2


def test_a_page_reads_no_line_before_its_edge(strike: Strike, noted: Noted) -> None:
    statement = timelines.page_statement(backwards=True, with_cursor=True)
    values = {"ids": [UUID(noted.id)], "at": 10**9, "limit": 3, "tenant": UUID(int=0)}
    with psycopg.connect(strike.url) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_sort = off")
        found = connection.execute(f"EXPLAIN {statement}".encode(), values).fetchall()
    plan = "\n".join(line for (line,) in found)
    assert "Index Scan Backward using eco_timeline_eco" in plan, plan
    assert '"position" <' in plan.split("Index Cond:")[1].splitlines()[0], plan


@pytest.mark.usefixtures("followers")
async def test_the_client_reads_on_in_either_direction(strike: Strike) -> None:
    async with serving(strike, new_signer()) as served, connected(strike, served) as client:
        eco_id = UUID((await served.create())["eco"]["id"])
        done = [await client.add_note(eco_id, f"n{number}") for number in range(5)]
        newest = done[-1].position
        # The pager writes lines of its own meanwhile.
        lines = [one async for one in client.timeline(eco_id, page=2, wait_for=newest)]
        notes = [one for one in lines if one.line.startswith("Note: ")]
        assert [one.line for one in notes] == [f"Note: n{number}" for number in range(5)]
        back = [one async for one in client.timeline(eco_id, page=2, newest_first=True)]
        assert [one for one in back if one in lines] == lines[::-1]
        then = [one async for one in client.timeline(eco_id, as_of=notes[1].at)]
        assert then == lines[: len(then)] and then[-1] == notes[1]
        assert [one async for one in client.timeline(UUID(int=7))] == []


async def test_a_long_timeline_stands_on_pages_of_its_own(
    noted: Noted, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_console, "LINES", 3)

    async def look(address: str) -> str:
        async with served.session.get(f"{served.url}{address}", headers=served.headers()) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    address = f"/t/{served.headers()['X-Tenant-ID']}/eco/{noted.id}/timeline"
    first = await look(address)
    assert "data-traced" not in first and "traces.js" not in first, "Nobody is told of traces."
    assert first.index("n7") < first.index("n5") and "n4" not in first and ">Newer<" not in first
    older = await look(_link(first, "before"))
    assert "n4" in older and "n5" not in older and "n1<" not in older
    again = await look(_link(older, "after"))
    assert "n5" in again and "n7" in again


def _link(page: str, word: str) -> str:
    start = page.index(f"timeline?{word}=")
    return page[page.rindex('"', 0, start) + 1 : page.index('"', start)]


async def test_an_agent_is_shown_the_newest_lines_and_told_of_older_ones(
    strike: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_server, "MOST_LINES", 3)
    async with agent(strike) as (client, served):
        noted = Noted(strike, served, (await served.create())["eco"]["id"])
        await noted.note(5)
        story = await use(client, "timeline", eco_id=noted.id)
        assert [one["line"]["quoted"] for one in story["lines"]] == [
            f"Note: n{number}" for number in (3, 4, 5)
        ]
        assert story["more"]
        before = await use(client, "timeline", eco_id=noted.id, as_of=story["lines"][0]["at"])
        assert [one["line"]["quoted"] for one in before["lines"]][-1] == "Note: n3"
        assert before["lines"][0]["line"]["quoted"] == "Note: n1"
