"""As of a past time: an ECO, and the list of ECOs, are what they were shown as then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.cursors import write_cursor
from strike_adapters.postgres.eco_lists import KEYS, EcoFilter, EcoSort, PageAsked
from strike_adapters.postgres.fold import Fold, Read
from strike_adapters.postgres.followers import open_view
from strike_adapters.postgres.past import Past, past_of
from strike_adapters.postgres.queries import Queries, open_async_pool
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.eco_history import STILL, TABLE, EcoHistory
from strike_app.bootstrap import Strike
from strike_app.graphql.timelines import TimelineEntry
from strike_app.graphql.types import Call, Eco, PagerRun
from strike_domain import Callouts, EcoStatus, PagingState
from strike_domain.eco import Eco as Aggregate
from tests.integration.served import Served
from tests.integration.stored import StoredNight, follow, forget, stored_night, table
from tests.integration.stories import STORIES
from tests.unit.given import NOC, OPERATOR, OSP

ALL = PageAsked(200)

Ask = Callable[[Queries], Awaitable[Any]]


@dataclass
class Shown:
    """What the read models showed at one moment."""

    at: datetime
    ecos: dict[UUID, Eco]
    lines: list[TimelineEntry]
    runs: list[PagerRun]
    calls: list[Call]

    @classmethod
    def now(cls, night: StoredNight) -> Shown:
        follow(night.url)
        rows = {name: table(night.url, name) for name in TABLES}
        ecos = {row["eco_id"]: Eco.of(row) for row in rows["eco_views"]}
        return cls(
            night.clock.now(),
            ecos,
            [TimelineEntry.of(row) for row in rows["eco_timeline"]],
            [PagerRun.of(row) for row in rows["pager_run_views"]],
            [Call.of(row) for row in rows["pager_calls"]],
        )


TABLES = ("eco_views", "eco_timeline", "pager_run_views", "pager_calls")


def asked(url: str, ask: Ask) -> Any:
    async def main() -> Any:
        queries = Queries(
            open_async_pool(url, size=1),
            open_async_pool(url, size=2, for_tenants=True),
            Changes(url),
            1,
        )
        await queries.open()
        try:
            return await ask(queries)
        finally:
            await queries.close()

    return asyncio.run(main())


def told_with_looks(night: StoredNight) -> list[Shown]:
    """Every story, with what was shown after each of them."""
    looks = []
    for story in STORIES:
        story(night)
        night.crew.fail(None)
        looks.append(Shown.now(night))
        night.clock.advance(1)
    return looks


def without_as_of(eco: Eco) -> dict[str, Any]:
    of_no_column = ("as_of", "past", "told")
    known = [one.name for one in fields(eco) if one.init and one.name not in of_no_column]
    return {name: getattr(eco, name) for name in known}


def test_an_eco_as_of_a_past_time_is_what_was_shown_then(database_url: str) -> None:
    with stored_night(database_url) as night:
        looks = told_with_looks(night)
        histories = night.strike.log.histories(looks[-1].ecos)
    for look in looks:
        pasts: dict[UUID, Past | None] = {
            eco_id: past_of(history, look.at) for eco_id, history in histories.items()
        }
        there = {eco_id: past for eco_id, past in pasts.items() if past}
        assert there.keys() == look.ecos.keys()
        for eco_id, past in there.items():
            shown = Eco.of_past(past, look.at)
            assert without_as_of(shown) == without_as_of(look.ecos[eco_id])
        lines = [TimelineEntry.of(row) for past in there.values() for row in past.timeline]
        assert sorted(lines, key=lambda one: one.position) == look.lines
        runs = [PagerRun.of(row) for past in there.values() for row in past.runs]
        assert sorted(runs, key=lambda one: one.id) == look.runs
        calls = [
            Call.of(one) for past in there.values() for row in past.calls.values() for one in row
        ]
        assert sorted(calls, key=lambda one: one.id) == look.calls


def test_the_list_as_of_a_past_time_is_the_list_of_then(database_url: str) -> None:
    with stored_night(database_url) as night:
        looks = told_with_looks(night)
        follow(database_url)
    for look in looks:
        for tenant in (NOC, OSP):
            page = asked(database_url, lambda q: q.lists.page(tenant, ALL, as_of=look.at))  # noqa: B023
            mine = [one for one in look.ecos.values() if tenant in (one.noc_id, one.osp_id)]
            mine.sort(key=lambda one: (one.created_at, one.id), reverse=True)
            assert [Eco.of(row) for row in page.rows] == mine


def test_the_list_as_of_a_past_time_has_the_filters_and_pages_of_the_live_one(
    database_url: str,
) -> None:
    with stored_night(database_url) as night:
        look = told_with_looks(night)[4]

    async def pages(queries: Queries, sort: EcoSort) -> list[UUID]:
        found, after = [], None
        while True:
            asked_for = PageAsked(2, after)
            page = await queries.lists.page(NOC, asked_for, sort=sort, as_of=look.at)
            found += [row["eco_id"] for row in page.rows]
            if not page.has_next:
                return found
            after = write_cursor(page.rows[-1], sort, KEYS[sort])

    for sort in EcoSort:
        found = asked(database_url, lambda q: pages(q, sort))  # noqa: B023
        assert sorted(found) == sorted(look.ecos)
    for status in EcoStatus:
        wanted = {one.id for one in look.ecos.values() if one.status is status}
        page = asked(
            database_url,
            lambda q: q.lists.page(NOC, ALL, EcoFilter(status=[status]), as_of=look.at),  # noqa: B023
        )
        assert {row["eco_id"] for row in page.rows} == wanted
    for state in PagingState:
        wanted = {one.id for one in look.ecos.values() if one.paging_state is state}
        page = asked(
            database_url,
            lambda q: q.lists.page(NOC, ALL, EcoFilter(paging_state=[state]), as_of=look.at),  # noqa: B023
        )
        assert {row["eco_id"] for row in page.rows} == wanted


def test_an_eco_stands_in_the_list_once_at_any_moment(database_url: str) -> None:
    with stored_night(database_url) as night:
        looks = told_with_looks(night)
        follow(database_url)
    rows = table(database_url, "eco_history")
    moments = {row["from_at"] for row in rows}
    for moment in moments:
        there = [row for row in rows if row["created_at"] <= moment]
        held = [row["eco_id"] for row in there if row["from_at"] <= moment < row["until_at"]]
        assert len(held) == len(set(held))
        created = {row["eco_id"] for row in there}
        assert set(held) == created
    assert len(looks[-1].ecos) < len(rows)


def test_where_a_clock_went_backwards_the_order_of_the_log_decides(database_url: str) -> None:
    """Two machines' clocks differ: an event may be earlier than the one before it in the log."""
    with stored_night(database_url) as night:
        eco_id = night.order()
        for seconds, text in ((20, "second"), (10, "third"), (15, "fourth")):
            clock = type(night.clock)(night.clock.now() + timedelta(seconds=seconds))
            Callouts(night.strike.log, None, clock).add_note(eco_id, text, OPERATOR)  # type: ignore[arg-type]
        follow(database_url, EcoHistory)
        history = night.strike.log.histories([eco_id])[eco_id]
        start = night.clock.now()
    for seconds, version in ((0, 1), (9, 1), (10, 3), (14, 3), (15, 4), (20, 4), (99, 4)):
        moment = start + timedelta(seconds=seconds)
        past = past_of(history, moment)
        assert past is not None and past.eco.version == version
        page = asked(database_url, lambda q: q.lists.page(NOC, PageAsked(9), as_of=moment))  # noqa: B023
        assert [row["version"] for row in page.rows] == [version]


# Over GraphQL ------------------------------------------------------------------------------

ECO_AS_OF = """
query ($id: UUID!, $asOf: DateTime, $waitFor: Position) {
  eco(id: $id, asOf: $asOf, waitFor: $waitFor) {
    id description status noc { name } timeline { line } pagerRuns { state calls { contactName } }
  }
}
"""
ECOS_AS_OF = """
query ($asOf: DateTime) {
  ecos(asOf: $asOf) { edges { node {
    id description location timeline { line } pagerRuns { state calls { contactName } }
  } } }
}
"""


async def test_the_past_is_answered_with_everything_about_it(
    served: Served, strike: Strike
) -> None:
    before = datetime.now(UTC)
    created = await served.create()
    await asyncio.to_thread(follow, strike.url)
    then = datetime.now(UTC)
    eco_id = created["eco"]["id"]
    amend = 'mutation ($id: UUID!) { amendEco(ecoId: $id, description: "Two.") { __typename } }'
    await served.ask(amend, {"id": eco_id})
    await asyncio.to_thread(follow, strike.url)
    eco = (await served.ask(ECO_AS_OF, {"id": eco_id, "asOf": then.isoformat()}))["eco"]
    assert eco["description"] == "Cable cut by an excavator" and len(eco["timeline"]) == 1
    (edge,) = (await served.ask(ECOS_AS_OF, {"asOf": then.isoformat()}))["ecos"]["edges"]
    assert edge["node"]["description"] == eco["description"]
    assert edge["node"]["timeline"] == eco["timeline"]
    assert edge["node"]["location"]["type"] == "Point"
    now = (await served.ask(ECO_AS_OF, {"id": eco_id}))["eco"]
    assert now["description"] == "Two." and len(now["timeline"]) == 2
    earlier = {"id": eco_id, "asOf": before.isoformat()}
    assert (await served.ask(ECO_AS_OF, earlier))["eco"] is None
    assert (await served.ask(ECOS_AS_OF, earlier))["ecos"]["edges"] == []


@pytest.mark.parametrize(
    ("asked_for", "code", "path"),
    [
        ({"asOf": "2999-01-01T00:00:00Z"}, "AS_OF_IN_FUTURE", ["asOf"]),
        ({"asOf": "2026-01-01T00:00:00"}, "AS_OF_WITHOUT_ZONE", ["asOf"]),
        ({"asOf": "2026-01-01T00:00:00Z", "waitFor": 1}, "AS_OF_WITH_WAIT_FOR", ["waitFor"]),
    ],
)
async def test_a_moment_that_is_no_past_is_refused_with_code_and_path(
    served: Served, asked_for: dict[str, Any], code: str, path: list[str]
) -> None:
    answer = await served.post(ECO_AS_OF, {"id": str(uuid4()), **asked_for})
    (error,) = answer.body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["path"]) == (code, path)


def test_states_end_alike_however_the_log_is_cut_into_batches(database_url: str) -> None:
    """Also where clocks went backwards: a state ends with the earliest time of all that follow."""
    chance = random.Random(7)
    with stored_night(database_url) as night:
        for tell in STORIES[:3]:
            tell(night)
        log = night.strike.log
        fold = Fold(log)
        found = log.recorder.select_notifications(None, 10_000)
        reads = [_jittered(one, chance) for one in fold.read(found)]
        wanted = _ended(reads)
        assert len(wanted) > 12 and len({end for _, end in wanted}) > 6
        for most in (1, 2, 4, 9, len(reads)):
            forget(night.url, EcoHistory)
            view = open_view(EcoHistory, log, store_env(night.url))
            with view.view.datastore:
                for batch in _cut(reads, most, chance):
                    view.process_batch(batch)
            stored = [(row["from_position"], row["until_at"]) for row in table(night.url, TABLE)]
            assert stored == wanted, f"in batches of up to {most}"


def _jittered(one: Read, chance: random.Random) -> Read:
    at = one.event.timestamp + timedelta(seconds=chance.choice((0, 0, -90, 30)))
    return replace(one, event=one.event.model_copy(update={"timestamp": at}))


def _cut(reads: list[Read], most: int, chance: random.Random) -> Iterator[list[Read]]:
    rest = reads
    while rest:
        size = chance.randint(1, most)
        yield rest[:size]
        rest = rest[size:]


def _ended(reads: list[Read]) -> list[tuple[int, datetime]]:
    """Each state of an ECO and when it ended, by the rule."""
    states = [one for one in reads if isinstance(one.after, Aggregate)]
    return [
        (
            one.position,
            min(
                (
                    later.event.timestamp
                    for later in states
                    if later.after.id == one.after.id and later.position > one.position
                ),
                default=STILL,
            ),
        )
        for one in states
    ]
