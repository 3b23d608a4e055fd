"""Lists of ECOs: every filter and sort finds what Python finds in the same rows, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from strike_adapters.embedded import EmbeddedServer
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.cursors import write_cursor
from strike_adapters.postgres.eco_lists import (
    EVERYTHING,
    KEYS,
    Box,
    EcoFilter,
    EcoSort,
    Page,
    PageAsked,
    Period,
)
from strike_adapters.postgres.queries import Queries, open_async_pool
from strike_adapters.postgres.row_security import NAME_TENANT
from strike_adapters.postgres.tenancy import BECOME_FOR_NOW
from strike_adapters.postgres.words import asked_words, stored_words, words_of
from strike_domain.actors import Side
from strike_domain.errors import Rejected
from tests.integration.stored import CREWED, LISTLESS, execute, follow, rows, stored_night, table
from tests.integration.stories import tell_all
from tests.unit.given import NOC, OPERATOR, OSP

ALL = PageAsked(200)

Rows = list[dict[str, Any]]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Queries]:
    queries = Queries(
        open_async_pool(url, size=1),
        open_async_pool(url, size=2, for_tenants=True),
        Changes(url),
        1,
    )
    await queries.open()
    try:
        yield queries
    finally:
        await queries.close()


@pytest.fixture(scope="module")
def template(postgres: EmbeddedServer) -> Iterator[str]:
    """All stories, and a few ECOs that hardly differ; the name of the database."""
    name = "told_for_lists"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE prepared")
    url = postgres.url(name)
    with stored_night(url) as night:
        tell_all(night)
        for number, word in enumerate(("Excavator", "Éxcavator hit", "flood"), 1):
            place = {"type": "Point", "coordinates": [179.0 - 2 * number, number]}
            description = f"{word} no. {number}"
            night.create(client_reference=word, description=description, location=place)
    follow(url)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def told(template: str, postgres: EmbeddedServer) -> Iterator[str]:
    """A copy of it, for one test."""
    name = f"{template}_copy"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield postgres.url(name)
    postgres.drop_database(name)


def placed(url: str) -> Rows:
    """Every row of `eco_views`, with what `eco_map` has of it."""
    maps = {row["eco_id"]: row for row in table(url, "eco_map")}
    found = table(url, "eco_views")
    assert maps.keys() == {row["eco_id"] for row in found}
    return [{**maps[row["eco_id"]], **row} for row in found]


def in_order(found: Rows, sort: EcoSort) -> list[UUID]:
    by_key = sorted(found, key=lambda row: tuple(row[name] for name in KEYS[sort]))
    ids = [row["eco_id"] for row in by_key]
    return ids if sort is EcoSort.OLDEST else ids[::-1]


def ids_of(page: Page) -> list[UUID]:
    return [row["eco_id"] for row in page.rows]


async def walked(queries: Queries, sort: EcoSort, size: int, *, backwards: bool) -> list[UUID]:
    """All pages, joined in the order of the list."""
    found: list[UUID] = []
    cursor = None
    while True:
        asked = PageAsked(size, cursor, backwards)
        page = await queries.lists.page(NOC, asked, EVERYTHING, sort)
        has_more = page.has_previous if backwards else page.has_next
        has_before = page.has_next if backwards else page.has_previous
        assert has_before == (cursor is not None)
        found = [*ids_of(page), *found] if backwards else [*found, *ids_of(page)]
        if not has_more:
            return found
        cursor = write_cursor(page.rows[0 if backwards else -1], sort, KEYS[sort])


@pytest.mark.parametrize("sort", EcoSort)
async def test_pages_both_ways_are_the_whole_list_in_its_order(told: str, sort: EcoSort) -> None:
    wanted = in_order(placed(told), sort)
    assert len(wanted) > 8
    async with opened(told) as queries:
        for size in (1, 3, 200):
            for backwards in (False, True):
                assert await walked(queries, sort, size, backwards=backwards) == wanted


@pytest.mark.parametrize("sort", EcoSort)
async def test_what_arrives_meanwhile_moves_no_edge_of_a_page(told: str, sort: EcoSort) -> None:
    before = in_order(placed(told), sort)
    async with opened(told) as queries:
        first = await queries.lists.page(NOC, PageAsked(4), EVERYTHING, sort)
        copied = "INSERT INTO eco_views ({0}) SELECT {1} FROM eco_views WHERE eco_id = ANY(%s)"
        names = await asyncio.to_thread(_columns, told)
        values = [one if one != "eco_id" else "gen_random_uuid()" for one in names]
        statement = copied.format(", ".join(names), ", ".join(values))
        await asyncio.to_thread(execute, told, statement, ids_of(first))
        cursor = write_cursor(first.rows[-1], sort, KEYS[sort])
        rest = await queries.lists.page(NOC, PageAsked(200, cursor), EVERYTHING, sort)
    assert ids_of(first) == before[:4]
    assert [one for one in ids_of(rest) if one in before] == before[4:]


def _columns(url: str) -> list[str]:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = 'eco_views'::regclass AND attnum > 0"
    return [row["attname"] for row in rows(url, query) if row["attname"] != "urgency"]


HOUR = timedelta(hours=1)


def filters(found: Rows) -> list[tuple[EcoFilter, Callable[[dict[str, Any]], bool]]]:
    """Every kind of filter, and the same said in Python."""
    moments = sorted(row["created_at"] for row in found)
    middle = moments[len(moments) // 2]
    late = Period(since=middle)
    early = Period(until=middle)
    both = Period(middle - HOUR, middle + HOUR)
    some = [row["eco_id"] for row in found[:2]]
    cases: list[tuple[EcoFilter, Callable[[dict[str, Any]], bool]]] = [
        (EcoFilter(stale=True), lambda row: row["stale"]),
        (EcoFilter(stale=False), lambda row: not row["stale"]),
        (EcoFilter(status=[]), lambda _: True),
        (EcoFilter(ids=some), lambda row: row["eco_id"] in some),
        (EcoFilter(other_side=[CREWED, LISTLESS]), lambda r: r["osp_id"] in (CREWED, LISTLESS)),
        (EcoFilter(created=early), lambda row: row["created_at"] < middle),
        (EcoFilter(created=both), lambda r: middle - HOUR <= r["created_at"] < middle + HOUR),
        (EcoFilter(search="excavator"), lambda r: "xcavator" in r["description"]),
        (EcoFilter(search="EXCA. hit"), lambda r: "xcavator hit" in r["description"]),
        (EcoFilter(search="T-1"), lambda r: r["ticket"] == "T-1"),
        (EcoFilter(search=found[0]["job_number"]), lambda r: True),
        (EcoFilter(search="nowhere"), lambda r: False),
        (EcoFilter(within=Box(-180, -90, 180, 90)), lambda _: True),
        (EcoFilter(within=Box(-110, 30, -100, 45)), lambda r: 30 <= r["south"] <= 45),
        (EcoFilter(within=Box(176, 0, -104, 90)), lambda r: r["east"] >= 176 or r["west"] <= -104),
    ]
    for name in ("status", "paging_state", "render_state", "job_type", "priority"):
        for value in {row[name] for row in found}:
            cases.append((only(name, [value]), partial(_equals, name, value)))
    for name in ("updated", "accepted", "started", "completed", "closed", "cancelled"):
        cases.append((only(name, late), partial(_is_from, f"{name}_at", middle)))
    return cases


def only(name: str, value: Any) -> EcoFilter:
    """A filter by one thing."""
    return replace(EVERYTHING, **{name: value})


def _equals(name: str, value: Any, row: dict[str, Any]) -> bool:
    return bool(row[name] == value)


def _is_from(name: str, moment: datetime, row: dict[str, Any]) -> bool:
    return row[name] is not None and row[name] >= moment


async def test_every_filter_finds_what_it_says_and_counts_the_same(told: str) -> None:
    found = placed(told)
    kinds = 0
    async with opened(told) as queries:
        for wanted, is_wanted in filters(found):
            expected = [row for row in found if is_wanted(row)]
            if wanted.search and wanted.search[0].isdigit():
                expected = [r for r in found if r["job_number"] == wanted.search]
            for sort in (EcoSort.NEWEST, EcoSort.MOST_URGENT):
                page = await queries.lists.page(NOC, ALL, wanted, sort)
                assert ids_of(page) == in_order(expected, sort), wanted
            assert await queries.lists.total(NOC, wanted) == (len(expected), True), wanted
            groups = await queries.lists.groups(NOC, wanted)
            assert sum(row["count"] for row in groups) == len(expected), wanted
            kinds += 0 < len(expected) < len(found)
    assert kinds > 15, "A filter that finds all or nothing proves little."


async def test_filters_together_find_what_is_true_of_all(told: str) -> None:
    found = placed(told)
    wanted = EcoFilter(
        status=["OPEN", "IN_PROGRESS"],
        other_side=[OSP],
        search="excavator",
        within=Box(170, 0, 180, 10),
        created=Period(since=min(row["created_at"] for row in found)),
    )
    async with opened(told) as queries:
        page = await queries.lists.page(NOC, ALL, wanted, EcoSort.RECENTLY_UPDATED)
        other = await queries.lists.page(OSP, ALL, EcoFilter(other_side=[NOC], search="flood"))
    assert len(page.rows) == 2
    assert [row["description"] for row in other.rows] == ["flood no. 3"]


async def test_the_most_urgent_come_first(told: str) -> None:
    async with opened(told) as queries:
        page = await queries.lists.page(NOC, ALL, EVERYTHING, EcoSort.MOST_URGENT)

    def kind(row: dict[str, Any]) -> int:
        if row["status"] not in ("OPEN", "IN_PROGRESS"):
            return 4 if row["status"] == "COMPLETED" else 5
        states = {"EXHAUSTED": 0, "NO_LIST": 1}
        return states.get(row["paging_state"], 2 if row["stale"] else 3)

    kinds = [kind(row) for row in page.rows]
    assert kinds == sorted(kinds) and len(set(kinds)) > 2


async def test_only_so_many_are_counted(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strike_adapters.postgres.eco_lists.COUNTED", 3)
    async with opened(told) as queries:
        assert await queries.lists.total(NOC) == (3, False)


async def test_only_the_columns_that_are_asked_for_are_read(told: str) -> None:
    wanted = frozenset({"job_number", "noc_name", "osp_name"})
    async with opened(told) as queries:
        page = await queries.lists.page(NOC, PageAsked(1), columns=wanted)
    names = {"eco_id", "created_at", "job_number", "noc_id", "osp_id", "noc_name", "osp_name"}
    assert page.rows[0].keys() == names
    assert page.rows[0]["noc_name"] == "Nordlicht"


async def test_an_amended_eco_is_found_by_its_new_words_and_place(database_url: str) -> None:
    def amend() -> None:
        with stored_night(database_url) as night:
            night.create(description="A pole is down.")
            place = {"type": "Point", "coordinates": [10.0, 50.0]}
            night.strike.callouts.amend_eco(
                night.eco_id, OPERATOR, description="A manhole burns.", location=place
            )
        follow(database_url)

    await asyncio.to_thread(amend)
    async with opened(database_url) as queries:

        async def count(**wanted: Any) -> int:
            ((name, value),) = wanted.items()
            return (await queries.lists.total(NOC, only(name, value)))[0]

        assert await count(search="pole") == 0 and await count(search="manhole") == 1
        assert await count(within=Box(9, 49, 11, 51)) == 1
        assert await count(within=Box(-110, 30, -100, 45)) == 0


@pytest.mark.parametrize(
    ("wanted", "code", "path"),
    [
        (EcoFilter(search=" .-! "), "SEARCH_EMPTY", ("filter", "search")),
        (EcoFilter(within=Box(0, 10, 1, 5)), "BOX_INVALID", ("filter", "within")),
        (EcoFilter(within=Box(0, 10, 181, 50)), "BOX_INVALID", ("filter", "within")),
        (EcoFilter(within=Box(float("nan"), 1, 2, 3)), "BOX_INVALID", ("filter", "within")),
    ],
)
async def test_a_filter_that_cannot_be_is_refused_with_its_path(
    database_url: str, wanted: EcoFilter, code: str, path: tuple[str, ...]
) -> None:
    async with opened(database_url) as queries:
        with pytest.raises(Rejected) as refused:
            await queries.lists.page(NOC, ALL, wanted)
    assert (refused.value.code, refused.value.path) == (code, path)


async def test_of_the_past_words_and_places_cannot_be_looked_for(told: str) -> None:
    moment = placed(told)[0]["created_at"]
    async with opened(told) as queries:
        for wanted in (EcoFilter(search="flood"), EcoFilter(within=Box(-180, -90, 180, 90))):
            with pytest.raises(Rejected) as refused:
                await queries.lists.page(NOC, ALL, wanted, as_of=moment)
            assert refused.value.code == "AS_OF_FILTER_UNKNOWN"


# The index of words, which stands beside the wall -------------------------------------------


def test_the_index_of_words_tells_a_tenant_of_its_own_only(told: str) -> None:
    """Also whoever puts another tenant's mark into the question learns nothing of it."""
    with psycopg.connect(told) as connection:
        connection.execute(BECOME_FOR_NOW)
        ask = "SELECT count(*) FROM strike_ecos_told_with(%s::tsquery)"
        theirs = asked_words(Side.NOC, NOC, "excavator")
        mine = asked_words(Side.OSP, LISTLESS, "excavator")
        for named, question, count in (
            (None, theirs, 0),
            (LISTLESS, theirs, 0),
            (LISTLESS, mine, 0),
            (NOC, theirs, 2),
        ):
            connection.execute(NAME_TENANT, (str(named or ""),))
            assert connection.execute(ask, (question,)).fetchone() == (count,)


def test_words_are_told_alike_when_stored_and_when_asked() -> None:
    assert words_of("Éxcavator, 26-0042; STRASSE straße!", None) == [
        "excavator",
        "26",
        "0042",
        "strasse",
    ]
    noc, osp = UUID(int=0xAB), UUID(int=0xCD)
    assert stored_words(noc, osp, "b a") == "n000000abb n000000aba o000000cdb o000000cda"
    assert asked_words(Side.OSP, osp, "a b'c") == "o000000cda:* & o000000cdb:* & o000000cdc:*"
    assert asked_words(Side.NOC, noc, "'&|:*()") is None
