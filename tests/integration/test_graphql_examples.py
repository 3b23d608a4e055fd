"""docs/graphql.md: every operation has an example, and each does what the page says.

With STRIKE_WRITE_EXAMPLES set, the answers on the page are written anew instead of compared.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse
from pydantic import SecretStr

from strike_app.bootstrap import Strike
from strike_app.graphql import schema
from strike_domain import Actor, EcoOrder, LinkStatus, Role, Side
from strike_domain.actors import Stamp
from strike_domain.outside import RenderTerms
from tests.integration.served import Served
from tests.integration.stored import execute, follow, rows
from tests.integration.test_access_matrix import NoCalls
from tests.integration.two_worlds import PLACE, Worlds, actor

PAGE = Path(__file__).parents[2] / "docs" / "graphql.md"

EXAMPLE = re.compile(r"```graphql (noc|contractor)\n(.*?)```\n+```json\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Example:
    """What is asked, as whom, and what the page says comes back."""

    side: Side
    query: str
    answer: str

    @property
    def operation(self) -> OperationDefinitionNode:
        (found,) = (
            one for one in parse(self.query).definitions if isinstance(one, OperationDefinitionNode)
        )
        return found

    @property
    def names(self) -> list[str]:
        """The fields of the schema's own types that it shows."""
        chosen = self.operation.selection_set.selections
        return [one.name.value for one in chosen if isinstance(one, FieldNode)]


def examples() -> list[Example]:
    sides = {"noc": Side.NOC, "contractor": Side.OSP}
    found = EXAMPLE.findall(PAGE.read_text("utf-8"))
    return [Example(sides[side], query, answer) for side, query, answer in found]


EXAMPLES = examples()


class Stage:
    """Two companies, as every example finds them; and what some of them need besides."""

    def __init__(self, strike: Strike, worlds: Worlds) -> None:
        self.strike, self.worlds, self.pair = strike, worlds, worlds.ours
        self.boss = {side: actor(self.pair.tenant(side), Role.ADMIN) for side in Side}
        self.eco_id = self.pair.eco_id
        self.number = 0
        self.confirmation = "none yet"

    def set(self, name: str) -> dict[str, str]:
        """Get ready for one example; the ids that stand for the page's capitals."""
        self.worlds.put_back(LinkStatus.ACTIVE)
        execute(self.strike.url, "DELETE FROM render_instances WHERE osp_id = %s", self.pair.osp.id)
        self.eco_id = self._create()
        if name in PREPARED:
            PREPARED[name](self)
        follow(self.strike.url)
        return self.ids()

    def _create(self) -> UUID:
        self.number += 1
        order = EcoOrder(
            osp_id=self.pair.osp.id,
            location=PLACE,
            job_type="FNOL",
            description="A digger went through the cable at Pearl Street.",
            client_reference=f"INC-{self.number}",
            ticket="T-4711",
        )
        return self.strike.callouts().create_eco(order, self.boss[Side.NOC]).aggregate.id

    def ids(self) -> dict[str, str]:
        pair = self.pair
        found = {
            "ECO_ID": self.eco_id,
            "NOC_ID": pair.noc.id,
            "CONTRACTOR_ID": pair.osp.id,
            "LIST_ID": pair.spare_list_id,
            "USER_ID": pair.members[Side.NOC],
            "TOKEN_ID": pair.tokens[Side.NOC],
            "CALL_ID": UUID(int=0xCA11),
            "CONFIRMATION": self.confirmation,
        }
        now = self.strike.clock.now().isoformat()
        return {name: str(one) for name, one in found.items()} | {"MOMENT": now}

    # What some examples need

    def drafted(self) -> None:
        email = "chief@ours-noc.example"
        (chief,) = rows(self.strike.url, "SELECT id FROM users WHERE email = %s", email)
        order = EcoOrder(
            osp_id=self.pair.osp.id, location=PLACE, job_type="FNOL", description="No light."
        )
        boss = self.boss[Side.NOC]
        self.confirmation = self.strike.drafting().draft(order, chief["id"], boss).confirmation

    def completed(self) -> None:
        self.strike.callouts().complete_eco(self.eco_id, self.boss[Side.OSP])

    def has_render(self) -> None:
        do = self.strike.administration()
        terms = RenderTerms(
            osp_id=self.pair.osp.id,
            base_url="https://render.example",
            client_id="strike",
            project="P-1",
        )
        do.set_render(terms, SecretStr("not-on-the-page"), self.boss[Side.OSP])

    def pending(self) -> None:
        self.worlds.set_link(self.pair, LinkStatus.PENDING)

    def suspended(self) -> None:
        self.strike.administration().suspend_link(self.pair.osp.id, self.boss[Side.NOC])

    def unlinked(self) -> None:
        self.worlds.set_link(self.pair, None)

    def nobody_can_be_rung(self) -> None:
        system = Actor.system("pager")

        def unroutable(eco: Any) -> None:
            stamp: Stamp = self.strike.callouts().stamp(system)
            eco.report_unroutable("The contractor has no pager list.", stamp)

        self.strike.log.change_eco(self.eco_id, unroutable)


PREPARED: dict[str, Callable[[Stage], None]] = {
    "confirmEco": Stage.drafted,
    "reopenEco": Stage.completed,
    "retryFieldTasks": Stage.has_render,
    "renderInstance": Stage.has_render,
    "testRenderInstance": Stage.has_render,
    "acceptLink": Stage.pending,
    "declineLink": Stage.pending,
    "withdrawLink": Stage.pending,
    "resumeLink": Stage.suspended,
    "proposeLink": Stage.unlinked,
    "pagingAlerts": Stage.nobody_can_be_rung,
}


@pytest.fixture
async def stage(strike: Strike, served: Served) -> Stage:
    services = replace(served.services, checks=NoCalls())  # type: ignore[arg-type]
    worlds = await asyncio.to_thread(Worlds, strike, services)
    return Stage(strike, worlds)


def shape(value: Any) -> Any:
    """What an answer is made of: names and kinds, not the values."""
    if isinstance(value, dict):
        kept = ("__typename", "code")
        return {key: one if key in kept else shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def is_alike(told: Any, found: Any) -> bool:
    """Whether an answer is made as the page says; what may be null, or empty, may be so."""
    if told in ("NoneType", []) or found in ("NoneType", []):
        return True
    if isinstance(told, dict) and isinstance(found, dict):
        return told.keys() == found.keys() and all(is_alike(told[k], found[k]) for k in told)
    if isinstance(told, list) and isinstance(found, list):
        return is_alike(told[0], found[0])
    return {told, found} == {"int", "float"} or told == found


def test_every_operation_of_the_schema_has_an_example() -> None:
    graph: Any = schema._schema
    kinds = (graph.query_type, graph.mutation_type, graph.subscription_type)
    fields = {name for kind in kinds for name in kind.fields}
    assert fields - {name for one in EXAMPLES for name in one.names} == set()


async def run(example: Example, stage: Stage, served: Served) -> tuple[Any, dict[str, str]]:
    ids = await asyncio.to_thread(stage.set, example.names[0])
    query = example.query
    for name, one in ids.items():
        query = re.sub(rf"\b{name}\b", one, query)
    acting = stage.boss[example.side]
    if example.operation.operation.value == "subscription":
        context = stage.worlds.context(acting)
        stream: Any = await schema.subscribe(query, {}, context_value=context)
        async with asyncio.timeout(20):
            result = await anext(stream)
        await stream.aclose()
        return {"data": result.data}, ids
    tenant = stage.pair.tenant(example.side)
    email = f"chief@ours-{example.side.lower()}.example"
    answer = await served.post(query, {}, served.headers(email, tenant.id))
    return answer.body, ids


async def test_every_example_comes_back_as_the_page_says(stage: Stage, served: Served) -> None:
    wrong, answers = [], []
    for example in EXAMPLES:
        body, ids = await run(example, stage, served)
        answers.append(_as_on_the_page(body, ids))
        told = json.loads(example.answer or "{}")
        if not is_alike(shape(told), shape(body)):
            wrong.append((example.names, told, body))
    if os.environ.get("STRIKE_WRITE_EXAMPLES"):
        _write(answers)
        return
    assert wrong == []


def _as_on_the_page(body: Any, ids: dict[str, str]) -> str:
    text = pretty(body)
    for name, one in ids.items():
        text = text.replace(one, name)
    return re.sub(r'"secret": ".*?"', '"secret": "…"', text)


def pretty(value: Any, indent: str = "") -> str:
    """JSON on as few lines as are readable; of long lists the first two entries."""
    if isinstance(value, list):
        value = value[:2]
    line = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or len(indent) + len(line) <= WIDTH:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        parts, ends = [pretty(one, inner) for one in value], "[]"
    else:
        parts = [f"{json.dumps(key)}: {pretty(one, inner)}" for key, one in value.items()]
        ends = "{}"
    body = ",\n".join(inner + part for part in parts)
    return f"{ends[0]}\n{body}\n{indent}{ends[1]}"


WIDTH = 100


def _write(answers: list[str]) -> None:
    left = iter(answers)

    def anew(found: re.Match[str]) -> str:
        return f"```graphql {found[1]}\n{found[2]}```\n\n```json\n{next(left)}\n```"

    PAGE.write_text(EXAMPLE.sub(anew, PAGE.read_text("utf-8")), "utf-8")


def test_an_answer_that_is_made_otherwise_is_seen() -> None:
    told = shape({"data": {"a": [{"b": 1, "c": None}], "__typename": "X"}})
    assert is_alike(told, shape({"data": {"a": [], "__typename": "X"}}))
    assert is_alike(told, shape({"data": {"a": [{"b": 2, "c": "x"}], "__typename": "X"}}))
    assert not is_alike(told, shape({"data": {"a": [{"b": 2}], "__typename": "X"}}))
    assert not is_alike(told, shape({"data": {"a": [{"b": "2", "c": 1}], "__typename": "X"}}))
    assert not is_alike(told, shape({"data": {"a": [], "__typename": "Y"}}))
    assert not is_alike(told, shape({"errors": []}))
