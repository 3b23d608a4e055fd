"""What is compiled answers as graphql-core does: the same data, the same errors.

Random schemas, objects and queries; STRIKE_DIFFERENTIAL says how many of them (the long form is
`tox -e graphql-differential`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from graphql import DocumentNode, ExecutionResult, parse, validate
from graphql.execution import execute
from graphql.pyutils import Path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from strike_app.graphql.compiled import CompiledExecutor, asked, program, rows, values
from tests.unit.graphql_asking import Asker, variables
from tests.unit.graphql_worlds import World, world

# graphql-core leaves what it cancels before it has begun; so does what is compiled.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """What was left is found here, where it is known, and not at the end of all tests."""
    yield
    gc.collect()


EXAMPLES = int(os.environ.get("STRIKE_DIFFERENTIAL", "60"))

QUERIES = 3
"""For each schema; each is asked twice, with other variables."""


async def _run(made: World, document: DocumentNode, given: dict[str, Any], executor: Any) -> Any:
    is_awaitable: Any = optimized_is_awaitable
    result: Any = execute(
        made.schema._schema,
        document,
        made.root,
        "context",
        given,
        executor_class=executor,
        is_awaitable=is_awaitable,
    )
    done = await result if is_awaitable(result) else result
    for _ in range(10):  # What goes on in the background ends here, and not in the next example.
        await asyncio.sleep(0)
    return done


def _told(result: ExecutionResult) -> tuple[str, Counter[str]]:
    """The data with the order of its keys; the errors without theirs."""
    errors = Counter(
        repr((one.message, one.path, one.locations, one.extensions, type(one.original_error)))
        for one in result.errors or ()
    )
    return json.dumps(result.data, default=repr), errors


async def _compare(seed: int) -> tuple[int, int]:
    """How many were compared, and how many of them had errors."""
    made = world(seed)
    rng = random.Random(seed)
    compared = wrong = 0
    for _ in range(QUERIES):
        text = Asker(made.schema._schema, rng).document()
        document = parse(text)
        if validate(made.schema._schema, document):
            continue
        for _again in range(2):
            drawn = variables(rng)
            expected = await _run(made, document, drawn, StrawberryGraphQLCoreExecutionContext)
            found = await _run(made, document, drawn, CompiledExecutor)
            assert _told(found) == _told(expected), (text, drawn)
            compared += 1
            wrong += bool(expected.errors)
    return compared, wrong


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 1_000,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**48))
def test_the_answer_is_the_same(seed: int) -> None:
    asyncio.run(_compare(seed))


def test_the_examples_have_something_to_say() -> None:
    counted = [asyncio.run(_compare(seed)) for seed in range(40)]
    compared, wrong = (sum(one) for one in zip(*counted, strict=True))
    assert compared > 150
    assert 0.2 < wrong / compared < 0.9


def _compare_many(seeds: int) -> None:
    for seed in range(seeds):
        asyncio.run(_compare(seed))


def _no_null_goes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_required", lambda inner, _asked: inner)


def _conditions_are_those_of_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program._Shape, "__init__", lambda self, _: setattr(self, "conditions", ()))


def _paths_end_one_step_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked.Asked, "below", lambda self, path: path or Path(None, self.key, None))


def _a_row_takes_what_a_serializer_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ANSWERS", frozenset({*rows.ANSWERS, type(None)}))


def _errors_as_values_are_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_or_null", lambda inner: inner)


@pytest.mark.parametrize(
    "plant",
    [
        _no_null_goes_up,
        _conditions_are_those_of_the_first_request,
        _paths_end_one_step_early,
        _a_row_takes_what_a_serializer_gives,
        _errors_as_values_are_values,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        _compare_many(100)


def test_what_is_not_compiled_is_left_to_graphql_core() -> None:
    schema = world(0).schema._schema
    for text in ("{ __schema { types { name } } }", "query @other { __typename }"):
        built = CompiledExecutor.build(schema, parse(text))
        assert isinstance(built, CompiledExecutor)
        assert program.program_of(built) is None
    built = CompiledExecutor.build(schema, parse("{ __typename }"))
    assert isinstance(built, CompiledExecutor)
    assert program.program_of(built) is program.program_of(built) is not None
