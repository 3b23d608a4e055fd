"""Strike's own schema, compiled and by graphql-core: the same answers, in as many statements."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from graphql import GraphQLObjectType, parse, validate
from structlog.testing import capture_logs

from strike_adapters.postgres.eco_lists import Page
from strike_adapters.postgres.queries import Membership, User
from strike_adapters.postgres.timelines import Timelines
from strike_app.graphql import Context
from strike_app.graphql.schema import MAX_ALIASES, build_schema
from strike_domain.actors import Actor, Role, Side
from strike_domain.eco import EcoStatus, JobType, PagingState, Priority, RenderState
from strike_domain.errors import Rejected
from strike_domain.field_tasks import TaskState
from strike_domain.ports import Tenant
from tests.unit.graphql_asking import Asker

COMPILED, CORE = build_schema(), build_schema(compiled=False)
NOC, OSP, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
AT = datetime(2026, 1, 15, 3, tzinfo=UTC)

WORDS: dict[str, list[str]] = {
    "status": [one.value for one in EcoStatus],
    "paging_state": [one.value for one in PagingState],
    "render_state": [one.value for one in RenderState],
    "job_type": [one.value for one in JobType],
    "priority": [one.value for one in Priority],
}
TASK = {"id": "t", "name": "n", "state": TaskState.RELEASED.value, "cloned_from": None}
NULLABLE = ("ticket", "client_reference", "affected_customers", "responder_name", "list_name")
TIMES = ("accepted_at", "started_at", "completed_at", "closes_at", "closed_at", "cancelled_at")


class Rows:
    """What the read models would say, now and then not what the schema promises."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.asked: Counter[str] = Counter()
        self.ecos_of_page = [self.eco_row(n) for n in range(5)]

    def eco_row(self, number: int) -> dict[str, Any]:
        rng = self.rng
        row: dict[str, Any] = dict.fromkeys((*NULLABLE, *TIMES))
        row |= {name: rng.choice(words) for name, words in WORDS.items()}
        row |= {name: rng.choice((None, AT)) for name in TIMES}
        row |= {
            "eco_id": UUID(int=100 + number),
            "noc_id": NOC,
            "osp_id": rng.choice((OSP, OTHER)),
            "job_number": rng.choice(("J-1", None)) if rng.random() < 0.1 else f"J-{number}",
            "stale": rng.random() < 0.5,
            "description": "Cable cut",
            "affected_customers": rng.choice((None, 7, 2**40)),
            "location": {"type": "Point", "coordinates": [-105.27, 40.01]},
            "position": rng.choice((number, -1)) if rng.random() < 0.1 else number,
            "expected_at": None,
            "run_id": None,
            "list_reason": None,
            "field_summary": None,
            "field_problem": None,
            "field_problem_since": None,
            "created_at": AT - timedelta(hours=number),
            "updated_at": AT,
            "offers": [],
            "field_tasks": [
                {"id": "t", "name": "n", "state": TaskState.RELEASED.value, "cloned_from": None}
            ]
            * rng.randrange(3),
        }
        return row

    @property
    def lists(self) -> Rows:
        return self

    async def page(self, *_: Any, **_options: Any) -> Page:
        self.asked["ecos"] += 1
        return Page(self.ecos_of_page, has_next=True)

    async def eco(self, *_: Any) -> dict[str, Any] | None:
        self.asked["eco"] += 1
        return self.ecos_of_page[0]

    async def tenants(self, _tenant: UUID, ids: list[UUID]) -> dict[UUID, Tenant]:
        self.asked["tenants"] += 1
        known = {NOC: Side.NOC, OSP: Side.OSP}
        # One of them is not found, so its loader fails.
        return {one: Tenant(id=one, name=str(one), side=known[one]) for one in ids}

    async def timelines(self, _tenant: UUID, ids: list[UUID]) -> list[dict[str, Any]]:
        self.asked["timelines"] += 1
        same = {"at": AT, "kind": "strike.eco.created", "line": "Created", "actor": "user"}
        return [
            {**same, "eco_id": one, "position": n, "run_id": None, "correlation_id": NOC}
            for one in ids
            for n in range(one.int % 4)
        ]

    @property
    def timeline_pages(self) -> Timelines:
        return Timelines(self.lines)

    async def lines(self, statement: str, **_values: Any) -> list[dict[str, Any]]:
        """As a page's statement would say, of which the last has more than it shows."""
        if "count(*)" in statement:
            self.asked["counts of timelines"] += 1
            return [{"eco_id": one, "count": 9} for one in _values["ids"]]
        self.asked["pages of timelines"] += 1
        found = await self.timelines(NOC, sorted(_values["ids"]) * 51)
        self.asked["timelines"] -= 1
        if self.rng.random() < 0.1:
            raise Rejected("NO_LINES", "There are none.")
        return found

    async def runs(self, _tenant: UUID, ids: list[UUID]) -> list[dict[str, Any]]:
        self.asked["runs"] += 1
        if self.rng.random() < 0.3:
            raise Rejected("NO_RUNS", "There are none.")
        return []


class Given:
    """Services of which only the read side is there."""

    def __init__(self, rows: Rows) -> None:
        self.queries = rows


def _context(seed: int) -> tuple[Context, Rows]:
    rows = Rows(seed)
    user = User(NOC, "nina@noc.example", "Nina", (Membership(NOC, "Noc", Side.NOC, Role.ADMIN),))
    actor = Actor(name="user:nina", tenant_id=NOC, side=Side.NOC, role=Role.ADMIN)
    return Context(cast(Any, Given(rows)), user, actor), rows


def _query(seed: int) -> str | None:
    """A list and an ECO with random fields; None if they would be refused."""
    rng = random.Random(seed)
    kinds = COMPILED._schema.type_map
    asker = Asker(COMPILED._schema, rng)
    eco = cast(GraphQLObjectType, kinds["Eco"])
    me = cast(GraphQLObjectType, kinds["Me"])
    nodes, one, who = (asker.selection(kind, 1) for kind in (eco, eco, me))
    found = f"ecos(first: 5) {{ edges {{ cursor node {{ {nodes} }} }} pageInfo {{ endCursor }} }}"
    document = asker.wrapped(f'{found} eco(id: "{NOC}") {{ {one} }} me {{ {who} }}')
    is_right = document.count(":") < MAX_ALIASES and not validate(COMPILED._schema, parse(document))
    return document if is_right else None


@pytest.mark.parametrize("part", range(4))
async def test_strikes_own_answers_are_the_same(part: int) -> None:
    compared = 0
    for seed in range(part * 40, part * 40 + 40):
        query = _query(seed)
        if query is None:
            continue
        told = []
        for schema in (CORE, COMPILED, COMPILED):
            context, rows = _context(seed)
            with capture_logs():
                result = await schema.execute(query, None, context)
            errors = Counter(
                repr((one.message, one.path, one.locations, _without_id(one.extensions)))
                for one in result.errors or ()
            )
            told.append((json.dumps(result.data), errors, rows.asked))
        assert told[0] == told[1] == told[2], query
        compared += 1
    assert compared > 10


def _without_id(extensions: dict[str, Any] | None) -> dict[str, Any]:
    return {key: one for key, one in (extensions or {}).items() if key != "correlationId"}


async def test_what_rows_of_a_list_ask_for_is_one_statement() -> None:
    query = "{ ecos { edges { node { noc { name } timeline { line } "
    query += "timelineConnection(last: 1) { totalCount } pagerRuns { id } } } } }"
    for schema in (CORE, COMPILED, COMPILED):
        context, rows = _context(1)
        with capture_logs():
            await schema.execute(query, None, context)
        once = ("ecos", "tenants", "timelines", "pages of timelines", "counts of timelines", "runs")
        assert rows.asked == dict.fromkeys(once, 1)


async def test_a_refusal_keeps_its_code_and_path() -> None:
    for schema in (CORE, COMPILED, COMPILED):
        context, _ = _context(1)
        query = '{ ecos(asOf: "2026-01-15T03:00:00") { __typename } }'
        result = await schema.execute(query, None, context)
        (error,) = result.errors or []
        assert error.path == ["ecos"]
        assert (error.extensions or {})["code"] == "AS_OF_WITHOUT_ZONE"
