"""Nothing is reachable that the rule table does not grant, and what it grants is reachable."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from strike_adapters.postgres import (
    change_lines,
    eco_lists,
    queries,
    settings_queries,
    tenancy,
    timelines,
    times_queries,
)
from strike_app.bootstrap import Strike
from strike_app.graphql import schema
from strike_app.server import create_app
from strike_app.services import Services
from strike_app.web import console
from strike_domain import Actor, LinkStatus, Role, Side
from strike_domain.access import RULES, Action, Over
from strike_domain.actors import Scope
from tests.integration.operations import OPERATIONS, QUESTIONS, STREAMS, Operation
from tests.integration.served import Served
from tests.integration.two_worlds import FOREIGN, Pair, Worlds, actor, leaks

LINK_STATES = (LinkStatus.ACTIVE, LinkStatus.PENDING, LinkStatus.SUSPENDED, None)

REFUSED = {"WRONG_SIDE", "ROLE_MISSING", "SCOPE_MISSING", "NO_TENANT", "NO_ACTIVE_LINK"}


class NoCalls:
    """Nobody outside is asked while the matrix is walked."""

    def twilio(self, noc_id: Any) -> None: ...

    def render(self, osp_id: Any) -> None: ...


@pytest.fixture
async def worlds(strike: Strike, served: Served) -> Worlds:
    services: Services = replace(served.services, checks=NoCalls())  # type: ignore[arg-type]
    return await asyncio.to_thread(Worlds, strike, services)


class Verdict:
    """What came of one operation: `refused` is why the rules stopped it, None if they did not."""

    def __init__(self, operation: Operation, answer: Any, codes: list[tuple[str, str]]) -> None:
        self.answer = answer
        self.refused: str | None = None
        for code, message in codes:
            about = operation.about or "nothing in particular"
            if code in REFUSED or code == "NOT_FOUND" and f"no such {about}," in message:
                self.refused = code
        if operation.about == "null" and answer and not codes:
            (value,) = answer.values()
            self.refused = None if value else "NOT_FOUND"


async def ask(worlds: Worlds, operation: Operation, acting: Actor | None, pair: Pair) -> Verdict:
    """Execute one operation on the things of `pair`."""
    side = acting.side if acting and acting.side else Side.NOC
    variables = operation.variables(pair, side)
    context = worlds.context(acting)
    if operation.kind == "subscription":
        return await _first_of_stream(operation, variables, context)
    result = await schema.execute(operation.document, variables, context_value=context)
    codes = [(str((one.extensions or {}).get("code")), one.message) for one in result.errors or ()]
    for value in (result.data or {}).values():
        if isinstance(value, dict) and "code" in value:
            codes.append((value["code"], value["message"]))
    assert not [code for code, _ in codes if code in ("INTERNAL", "QUERY_INVALID")], codes
    return Verdict(operation, result.data, codes)


async def _first_of_stream(operation: Operation, variables: Any, context: Any) -> Verdict:
    stream: Any = await schema.subscribe(operation.document, variables, context_value=context)
    if not hasattr(stream, "__anext__"):
        codes = [(one.extensions["code"], one.message) for one in stream.errors]
        return Verdict(operation, None, codes)
    try:
        async with asyncio.timeout(0.3):
            result = await anext(stream)
    except TimeoutError:
        return Verdict(operation, None, [])  # Nothing has happened that it would tell.
    finally:
        await stream.aclose()
    codes = [(str((one.extensions or {}).get("code")), one.message) for one in result.errors or ()]
    return Verdict(operation, result.data, codes)


def expected(
    operation: Operation, acting: Actor, link: LinkStatus | None, pair: Pair
) -> str | None:
    """What the rule table says: why it is refused, or None."""
    if operation.action is None:
        return None
    rule = RULES[operation.action]
    if acting.side not in rule.sides:
        return "WRONG_SIDE"
    if not acting.role.covers(rule.role):
        return "ROLE_MISSING"
    if acting.scopes is not None and rule.scope not in acting.scopes:
        return "SCOPE_MISSING"
    return _expected_of_object(operation, acting, link, pair)


def _expected_of_object(
    operation: Operation, acting: Actor, link: LinkStatus | None, pair: Pair
) -> str | None:
    if not operation.about:
        return None
    outside = "NO_ACTIVE_LINK" if operation.action is Action.ECO_CREATE else "NOT_FOUND"
    if pair.word == FOREIGN:
        return outside
    assert operation.action
    rule = RULES[operation.action]
    if rule.over is Over.LINKED and acting.side is Side.NOC and link not in rule.links:
        return outside
    if operation.about == "link" and rule.over is Over.OWN and link is None:
        return "NOT_FOUND"
    return None


def test_every_operation_of_the_schema_is_walked() -> None:
    known = {(one.kind, one.name) for one in OPERATIONS}
    graph: Any = schema._schema
    fields = {
        (kind, name)
        for kind, type_ in (
            ("query", graph.query_type),
            ("mutation", graph.mutation_type),
            ("subscription", graph.subscription_type),
        )
        for name in type_.fields
    }
    assert known == fields


def test_every_action_of_the_table_is_asked_for_somewhere() -> None:
    asked = {one.action for one in OPERATIONS}
    of_the_system = {action for action, rule in RULES.items() if rule.over is Over.SYSTEM}
    assert set(RULES) - asked == of_the_system, "They are the command line's alone."
    assert Action.TENANT_ADD in of_the_system


@pytest.mark.parametrize("link", LINK_STATES, ids=str)
@pytest.mark.parametrize("side", list(Side), ids=str)
async def test_what_is_reached_is_what_the_table_grants(
    worlds: Worlds, side: Side, link: LinkStatus | None
) -> None:
    wrong, granted = [], 0
    roles, pairs = list(Role), (worlds.ours, worlds.foreign)
    for operation, role, pair in itertools.product(OPERATIONS, roles, pairs):
        await asyncio.to_thread(worlds.put_back, link)
        acting = actor(worlds.ours.tenant(side), role)
        verdict = await ask(worlds, operation, acting, pair)
        wanted = expected(operation, acting, link, pair)
        found = leaks(verdict.answer, worlds.foreign)
        granted += wanted is None
        if verdict.refused != wanted or found:
            wrong.append((operation.name, role, pair.word, wanted, verdict.refused, found))
    assert not wrong
    assert granted > 60


@pytest.mark.parametrize("scopes", [set(), {Scope.READ}, {Scope.CALLOUT}, {Scope.ADMIN}], ids=str)
@pytest.mark.parametrize("side", list(Side), ids=str)
async def test_an_api_token_does_what_its_scopes_say(
    worlds: Worlds, side: Side, scopes: set[Scope]
) -> None:
    wrong = []
    for operation in OPERATIONS:
        await asyncio.to_thread(worlds.put_back, LinkStatus.ACTIVE)
        acting = actor(worlds.ours.tenant(side), Role.ADMIN, frozenset(scopes))
        verdict = await ask(worlds, operation, acting, worlds.ours)
        wanted = expected(operation, acting, LinkStatus.ACTIVE, worlds.ours)
        if verdict.refused != wanted:
            wrong.append((operation.name, wanted, verdict.refused))
    assert not wrong


async def test_who_names_no_tenant_reaches_nothing_but_themselves(worlds: Worlds) -> None:
    for operation in OPERATIONS:
        verdict = await ask(worlds, operation, None, worlds.ours)
        assert verdict.refused == (None if operation.name == "me" else "NO_TENANT")
        assert not leaks(verdict.answer, worlds.foreign)


# The second wall ---------------------------------------------------------------------------

FILTERS = (tenancy.MINE, "%(tenant)s = ANY(seen_by)")


def unfiltered(text: str) -> str:
    """A statement without its tenant filter."""
    for one in FILTERS:
        text = text.replace(one, "true")
    for column in ("id", "m.tenant_id", "tenant_id", "osp_id", "noc_id"):
        text = text.replace(f"WHERE {column} = %(tenant)s", "WHERE true")
    return text


WRITERS: tuple[tuple[Any, str], ...] = (
    (queries, "eco_statement"),
    (eco_lists, "ecos_statement"),
    (eco_lists, "total_statement"),
    (eco_lists, "groups_statement"),
    (times_queries, "times_statement"),
    (timelines, "page_statement"),
)
"""What writes a statement for what is asked for."""


@pytest.fixture
def without_filters(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that has the tenant filter, robbed of it; their names."""
    names = []
    for module in (queries, settings_queries, change_lines, timelines):
        for name, text in vars(module).items():
            is_statement = isinstance(text, str) and name.isupper() and "SELECT" in text
            if is_statement and "%(tenant)s" in text and name not in ("IS_MEMBER", "IS_GOOD_TOKEN"):
                bare = unfiltered(text)
                assert "%(tenant)s" not in bare, f"{name} has a filter that this test cannot see"
                monkeypatch.setattr(module, name, bare)
                names.append(name)
    for module, name in WRITERS:
        monkeypatch.setattr(module, name, _without_filter(getattr(module, name)))
    return [*names, *(name for _, name in WRITERS)]


def _without_filter(write: Callable[..., str]) -> Callable[..., str]:
    def written(*wanted: Any, **how: Any) -> str:
        bare = unfiltered(write(*wanted, **how))
        assert "%(tenant)s" not in bare
        return bare

    return written


async def test_with_the_filter_switched_off_the_second_wall_still_shows_nothing_foreign(
    worlds: Worlds, without_filters: list[str]
) -> None:
    assert len(without_filters) == 25
    asked = 0
    for operation, side in itertools.product((*QUESTIONS, *STREAMS), Side):
        for pair in (worlds.ours, worlds.foreign):
            acting = actor(worlds.ours.tenant(side), Role.ADMIN)
            verdict = await ask(worlds, operation, acting, pair)
            assert not leaks(verdict.answer, worlds.foreign), operation.name
            asked += bool(leaks(verdict.answer, worlds.ours))
    assert asked > 20, "Otherwise nothing was shown at all."


async def test_without_both_walls_foreign_things_are_shown(
    worlds: Worlds, without_filters: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: with the system's connections, it does."""
    monkeypatch.setattr(worlds.services.queries, "_tenants", worlds.services.queries._pool)
    acting = actor(worlds.ours.noc, Role.ADMIN)
    ecos = next(one for one in QUESTIONS if one.name == "ecos")
    verdict = await ask(worlds, ecos, acting, worlds.ours)
    assert leaks(verdict.answer, worlds.foreign)


# Paths -------------------------------------------------------------------------------------

OPEN = {
    ("GET", "/healthz"): 200,
    ("GET", "/readyz"): 200,
}
"""What a stranger may ask: it says nothing of anybody."""

CLOSED = {
    ("GET", "/graphql"): 401,
    ("POST", "/graphql"): 401,
    ("POST", "/twilio/voice/{run}/{call}"): 403,
    ("POST", "/twilio/key/{run}/{call}"): 403,
    ("POST", "/twilio/status/{run}/{call}"): 403,
    ("POST", "/twilio/text/{run}/{call}"): 403,
}


PLACE_IN_PATH = re.compile(r"\{[^}]*\}")
PATTERN_IN_PATH = re.compile(r":[^}]+\}")


def pages() -> dict[tuple[str, str], int]:
    """Every page of the console; a form is refused already because no page of ours sent it."""
    found = {
        (one.method, PATTERN_IN_PATH.sub("}", one.path)): 401 if one.method == "GET" else 403
        for one in console.routes()
    }
    return found | {("GET", "/own/{digest}/{name}"): 404, ("GET", "/j/{token}"): 404}


async def test_a_stranger_reaches_no_path_that_says_anything(
    served: Served, worlds: Worlds
) -> None:
    app = create_app(worlds.services)
    paths = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"
    }
    assets = {one for one in paths if one[1] == "/assets"}
    assert paths - assets == set(OPEN) | set(CLOSED) | set(pages())
    for (method, path), status in (OPEN | CLOSED | pages()).items():
        where = PLACE_IN_PATH.sub(str(worlds.ours.eco_id), path.replace("{command}", "note"))
        body = {"query": "{ me { id } }"} if path == "/graphql" and method == "POST" else None
        async with served.session.request(
            method, f"{served.url}{where}", json=body, allow_redirects=False
        ) as answer:
            text = await answer.text()
            assert answer.status == status, (method, path, text)
            said = text.replace("ORIGIN_FOREIGN", "")
            assert not leaks(said, worlds.ours) and not leaks(said, worlds.foreign)
