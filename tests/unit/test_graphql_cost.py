"""What a query may cost, how deep it may go, and how much of the schema it may ask for at once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from graphql import get_introspection_query, parse

from strike_app.graphql import schema
from strike_app.graphql.cost import INTROSPECTION_COST, MAX_COST, cost_of
from strike_app.graphql.schema import MAX_DEPTH, CostedExecutor, build_schema

NODES = "edges { node { id jobNumber timeline { line } pagerRuns { calls { phone } } } }"


def _cost(query: str, variables: dict[str, Any] | None = None) -> int:
    built = CostedExecutor.build(schema._schema, parse(query), raw_variable_values=variables)
    assert isinstance(built, CostedExecutor)
    return cost_of(built)


async def _codes(query: str, variables: dict[str, Any] | None = None) -> list[Any]:
    result = await schema.execute(query, variables)
    return [(error.extensions or {}).get("code") for error in result.errors or []]


def test_a_field_counts_once_for_each_item_of_the_lists_that_it_stands_in() -> None:
    assert _cost("{ me { id name } }") == 3
    assert _cost("{ me { id memberships { role } } }") == 2 + 1 + 10
    each = 1 + 2 + (1 + 30) + (1 + 2 * (1 + 10))
    assert _cost(f"{{ ecos(first: 7) {{ {NODES} }} }}") == 2 + 7 * each
    assert _cost(f"{{ ecos(last: 9) {{ {NODES} }} }}") == 2 + 9 * each
    assert _cost(f"{{ ecos {{ {NODES} }} }}") == 2 + 50 * each


def test_a_page_of_a_timeline_counts_as_often_as_it_has_lines() -> None:
    page = "timelineConnection%s { edges { node { line } } }"
    for size, lines in (("", 50), ("(first: 3)", 3), ("(last: 200)", 200)):
        assert _cost(f'{{ eco(id: "x") {{ {page % size} }} }}') == 1 + 1 + 1 + lines * 2
    within = page % "(last: 3)"
    assert _cost(f"{{ ecos(first: 7) {{ edges {{ node {{ {within} }} }} }} }}") == 2 + 7 * 9


def test_the_size_of_a_page_may_be_a_variable() -> None:
    query = "query ($n: Int! = 20) { ecos(first: $n) { edges { cursor } } }"
    assert _cost(query) == 2 + 20
    assert _cost(query, {"n": 3}) == 2 + 3
    assert _cost(query, {"n": -3}) == 2 + 1


def test_a_fragment_counts_wherever_it_is_used() -> None:
    fragment = "fragment F on EcoConnection { edges { node { id jobNumber } } }"
    twice = f"{{ a: ecos(first: 2) {{ ...F ...F }} b: ecos(first: 3) {{ ...F }} }} {fragment}"
    assert _cost(twice) == 2 + 2 * 3 + 2 + 3 * 3


@pytest.mark.parametrize("compiled", [True, False])
async def test_too_costly_a_query_is_refused_with_what_would_be_right(*, compiled: bool) -> None:
    asked = build_schema(compiled=compiled)
    query = f"query ($n: Int!) {{ ecos(first: $n) {{ {NODES} }} }}"
    for _ in range(2):  # Also when its text is known.
        result = await asked.execute(query, {"n": 1_000})
        (error,) = result.errors or []
        assert error.extensions == {"code": "QUERY_TOO_COSTLY", "path": []}
        assert f"{MAX_COST:,} is the most" in error.message
        assert "fewer items with `first`" in error.message
    (allowed,) = (await asked.execute(query, {"n": 200})).errors or []
    assert (allowed.extensions or {})["code"] != "QUERY_TOO_COSTLY"


async def test_fragments_that_use_one_another_often_are_refused_at_once() -> None:
    levels = 60
    doubling = " ".join(
        f"fragment F{n} on Query {{ ...F{n + 1} ... on Query {{ ...F{n + 1} }} }}"
        for n in range(levels)
    )
    began = time.process_time()
    last = f"fragment F{levels} on Query {{ me {{ id }} }}"
    await schema.execute(f"{{ ...F0 }} {doubling} {last}")
    assert time.process_time() - began < 5


async def test_a_small_text_that_asks_for_very_much_is_refused() -> None:
    fields = " ".join(f"m{n}: memberships {{ role }}" for n in range(20))
    assert await _codes(f"{{ me {{ {fields} }} }}") != ["QUERY_TOO_COSTLY"]
    pages = " ".join(f"p{n}: ecos(first: 200) {{ {NODES} }}" for n in range(20))
    assert await _codes(f"{{ {pages} }}") == ["QUERY_TOO_COSTLY"]


async def test_the_usual_question_for_the_schema_is_answered() -> None:
    assert await _codes(get_introspection_query()) == []
    assert _cost(get_introspection_query()) == INTROSPECTION_COST


async def test_the_schema_is_not_shown_without_end() -> None:
    of_type = "ofType { " * 30 + "name" + " }" * 30
    assert await _codes(f'{{ __type(name: "Eco") {{ fields {{ type {{ {of_type} }} }} }} }}') == [
        "QUERY_INVALID"
    ]
    bomb = "fields { type { " * 5 + "name" + " } }" * 5
    assert set(await _codes(f'{{ __type(name: "Eco") {{ {bomb} }} }}')) == {"QUERY_INVALID"}
    often = " ".join(f'a{n}: __type(name: "Eco") {{ name }}' for n in range(9))
    assert await _codes(f"{{ {often} }}") == ["QUERY_TOO_COSTLY"]


async def test_depth_is_that_of_the_deepest_leaf_through_fragments() -> None:
    deep = "{ ...A } fragment A on Query { me { ...B } } fragment B on Me { x %s }"
    inner = "{ y " * MAX_DEPTH + "}" * MAX_DEPTH
    result = await schema.execute(deep % inner)
    assert any("depth" in error.message for error in result.errors or [])
