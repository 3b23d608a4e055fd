"""The schema file is what the code says, says what everything is, and has limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    build_schema,
)
from strawberry.extensions.validation_cache import _get_validate_cache

from strike_app.graphql import schema
from strike_app.graphql.schema import CACHED, MAX_ALIASES, MAX_DEPTH, MAX_TOKENS
from strike_domain.eco import EcoStatus, JobType, PagingState, Priority, RenderState
from strike_domain.pager_run import CallOutcome, CallState, RunState

FILE = Path(__file__).parents[2] / "strike_app" / "schema.graphql"

UPDATE = "Update it: python -m strike_app.graphql > strike_app/schema.graphql"

BUILT = build_schema(schema.as_str())


async def _codes(query: str, variables: dict[str, Any] | None = None) -> list[Any]:
    result = await schema.execute(query, variables)
    return [(error.extensions or {}).get("code") for error in result.errors or []]


def test_the_schema_file_is_what_the_code_says() -> None:
    assert FILE.read_text("utf-8") == schema.as_str() + "\n", UPDATE


@pytest.mark.parametrize(
    "domain",
    [EcoStatus, JobType, PagingState, Priority, RenderState, CallOutcome, CallState, RunState],
)
def test_enums_are_the_domains_own(domain: Any) -> None:
    kind = BUILT.type_map[domain.__name__]
    assert isinstance(kind, GraphQLEnumType)
    assert list(kind.values) == [one.name for one in domain]


async def test_too_deep_a_query_is_refused() -> None:
    deep = "{ me " + "{ a " * MAX_DEPTH + "{ b }" + "}" * MAX_DEPTH + " }"
    result = await schema.execute(deep)
    assert any("depth" in error.message for error in result.errors or [])
    assert set(await _codes(deep)) == {"QUERY_INVALID"}


async def test_too_many_aliases_are_refused() -> None:
    many = "{ " + " ".join(f"a{i}: me {{ id }}" for i in range(MAX_ALIASES + 1)) + " }"
    assert await _codes(many) == ["QUERY_INVALID"]


async def test_too_long_a_query_is_refused_before_it_is_parsed_to_its_end() -> None:
    result = await schema.execute("{ me { " + "id " * MAX_TOKENS + "} }")
    assert "tokens" in (result.errors or [])[0].message


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("query Empty { }", {}),
        ("mutation { }", {}),
        ("{ ... { } }", {}),
        ("{ ...F } fragment F on Query { }", {}),
        ("{ __schema { } }", {"__schema": {}}),
    ],
)
async def test_who_asks_for_nothing_gets_nothing(query: str, answer: dict[str, Any]) -> None:
    """graphql-core takes braces with nothing in between; twice: the second time it is known."""
    for _ in range(2):
        result = await schema.execute(query)
        assert (result.data, result.errors or None) == (answer, None)


async def test_fragments_in_a_circle_are_refused() -> None:
    circle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
    assert set(await _codes(circle)) == {"QUERY_INVALID"}


async def test_the_same_query_is_validated_once() -> None:
    cache: Any = _get_validate_cache(CACHED)
    await schema.execute("{ nothing }")
    hits = cache.cache_info().hits
    await schema.execute("{ nothing }")
    assert cache.cache_info().hits == hits + 1


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{", None),
        ("{ nope }", None),
        ('{ eco(id: "x") { id } }', None),
        ("query ($id: UUID!) { eco(id: $id) { id } }", {"id": "x"}),
        ("query ($id: UUID!) { eco(id: $id) { id } }", {"id": 7}),
        ("query ($id: UUID!) { eco(id: $id) { id } }", {}),
        ("query ($p: Position) { ecos(waitFor: $p) { edges { cursor } } }", {"p": -1}),
        ("query ($p: Position) { ecos(waitFor: $p) { edges { cursor } } }", {"p": 2**63}),
        ("query ($p: Position) { ecos(waitFor: $p) { edges { cursor } } }", {"p": True}),
        ("query ($p: Position) { ecos(waitFor: $p) { edges { cursor } } }", {"p": 1.5}),
    ],
)
async def test_a_wrong_query_is_the_callers_and_not_a_failure_of_ours(
    query: str, variables: dict[str, Any] | None
) -> None:
    assert await _codes(query, variables) == ["QUERY_INVALID"]
