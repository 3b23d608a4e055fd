"""The schema: questions, commands and subscriptions under one set of limits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, cast

import strawberry
from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    get_operation_ast,
)
from graphql.execution import Executor
from strawberry.execution import optimized_is_awaitable
from strawberry.extensions import (
    AddValidationRules,
    MaxTokensLimiter,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.utils.await_maybe import await_maybe

from strike_app.graphql.compiled import CompiledExecutor
from strike_app.graphql.context import Context
from strike_app.graphql.cost import Costed
from strike_app.graphql.drafts import DraftMutation
from strike_app.graphql.measures import measures_rule
from strike_app.graphql.mutation import Mutation
from strike_app.graphql.places import PlacesQuery
from strike_app.graphql.prepared import RememberPrepared, prepared
from strike_app.graphql.problems import presentable
from strike_app.graphql.query import Query
from strike_app.graphql.scalars import SCALARS
from strike_app.graphql.settings_mutation import SettingsMutation
from strike_app.graphql.settings_query import SettingsQuery
from strike_app.graphql.subscription import Subscription
from strike_app.metrics import METRICS

MAX_DEPTH = 12
"""Most levels of a query."""

MAX_INTROSPECTION_DEPTH = 20
"""Most levels of a question for the schema: as many as the usual one has."""

MAX_TOKENS = 2_000
"""Most words and brackets of a query: about ten times what the console asks for."""

CACHED = 500
"""How many different queries are parsed and checked once only."""

MAX_ALIASES = 30
"""Most renamed fields: the same list a thousand times is one short query."""


# Made once: the cache knows a document by the rules that it has passed, too.
LIMITS: list[type[ASTValidationRule]] = [
    measures_rule(MAX_DEPTH, MAX_INTROSPECTION_DEPTH, MAX_ALIASES)
]


@strawberry.type(name="Query", description="Questions: of ECOs, from the read models; of settings.")
class AllQueries(Query, PlacesQuery, SettingsQuery):
    pass


@strawberry.type(
    name="Mutation",
    description="Commands: durable when they are answered. Those on ECOs are events of the log and "
    "answer with a position. Those on settings are not in the log and have none: they are audited "
    "(`settingsChanges`), and the next question sees them.",
)
class AllMutations(Mutation, DraftMutation, SettingsMutation):
    pass


class ErrorsOfStreams(SchemaExtension):
    """What `StrikeSchema.execute` does, for each answer over a WebSocket."""

    def on_stream_result(self, result: object) -> Iterator[None]:
        _make_presentable(result, self.execution_context.context)
        yield


class ForgivingParserCache(ParserCache):
    """The library's lets a syntax error escape from where it would become an answer."""

    def on_parse(self) -> Iterator[None]:
        now = self.execution_context
        with suppress(GraphQLSyntaxError):
            now.graphql_document = self.cached_parse_document(now.query, **now.parse_options)
        yield


class CostedExecutor(Costed, CompiledExecutor):
    """Runs what does not cost too much, compiled where that is possible."""


class CostedCoreExecutor(Costed, StrawberryGraphQLCoreExecutionContext):
    """The same, all by graphql-core: what the other one is compared with."""


class StrikeSchema(strawberry.Schema):
    """Refusals keep their code and path; anything unforeseen tells a stranger nothing.

    `compiled`: operations are compiled where that is possible; else graphql-core runs them all, as
    the tests do to compare the two.
    """

    def __init__(self, *args: Any, compiled: bool = True, **options: Any) -> None:
        executor = CostedExecutor if compiled else CostedCoreExecutor
        super().__init__(*args, execution_context_class=executor, **options)  # type: ignore[misc]
        self._compiled = compiled
        self.prepared = prepared(CACHED)

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """As the library's. A document that has passed all checks before goes straight to work.

        Raises `InvalidOperationTypeError` for a subscription: it has no single answer.
        """
        began = time.monotonic()
        allowed = set(allowed_operation_types or OperationType) - {OperationType.SUBSCRIPTION}
        document = self.prepared.get(query or "") if self._compiled else None
        if document is not None and _is_allowed(document, operation_name, allowed):
            executor = CostedExecutor.build(
                self._schema,
                document,
                root_value,
                context_value,
                variable_values,
                operation_name,
                is_awaitable=cast(Any, optimized_is_awaitable),
                operation_extensions=operation_extensions,
            )
            result = await _run(executor)
        else:
            result = await super().execute(
                query,
                variable_values,
                context_value,
                root_value,
                operation_name,
                allowed,
                operation_extensions,
            )
        _make_presentable(result, context_value)
        kind = _kind(self.prepared.get(query or ""), operation_name)
        METRICS.operated(kind, _result_of(result), time.monotonic() - began)
        return result

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing here: `presentable` does, with the correlation id."""


async def _run(executor: list[GraphQLError] | Executor[Any]) -> ExecutionResult:
    """What comes of an operation for which no extension of ours has anything left to do."""
    if isinstance(executor, list):
        return ExecutionResult(data=None, errors=executor)
    try:
        done: Any = await await_maybe(executor.execute_operation())
    except Exception as error:
        unforeseen = GraphQLError(str(error), original_error=error)
        known = error if isinstance(error, GraphQLError) else unforeseen
        return ExecutionResult(data=None, errors=[known])
    return ExecutionResult(data=done.data, errors=done.errors)


def _is_allowed(document: DocumentNode, name: str | None, allowed: set[OperationType]) -> bool:
    """Whether the operation is there and may be run; if not, the library says why."""
    operation = get_operation_ast(document, name)
    return operation is not None and OperationType(operation.operation.value) in allowed


def _kind(document: DocumentNode | None, name: str | None) -> str:
    """Of the operation that was run; `invalid` for one that is none of the schema's."""
    operation = get_operation_ast(document, name) if document is not None else None
    return operation.operation.value if operation is not None else "invalid"


def _result_of(result: ExecutionResult) -> str:
    """`ok`, or the code of its first error. A command that is refused is answered, and ok."""
    if not result.errors:
        return "ok"
    return str((result.errors[0].extensions or {}).get("code", "error"))


def _make_presentable(result: Any, context: Context | None) -> None:
    if result.errors:
        result.errors = [presentable(error, context) for error in result.errors]


def build_schema(*, compiled: bool = True) -> StrikeSchema:
    """The schema; not `compiled`: as graphql-core runs it."""
    return StrikeSchema(
        query=AllQueries,
        mutation=AllMutations,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        compiled=compiled,
        extensions=[
            ErrorsOfStreams,
            RememberPrepared,
            lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
            lambda: ForgivingParserCache(maxsize=CACHED),
            lambda: ValidationCache(maxsize=CACHED),
            lambda: AddValidationRules(LIMITS),
        ],
    )


schema = build_schema()
