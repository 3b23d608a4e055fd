"""The schema: questions, commands and subscriptions under one set of limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult

from strike_app.graphql.context import Context
from strike_app.graphql.mutation import Mutation
from strike_app.graphql.places import PlacesQuery
from strike_app.graphql.problems import presentable
from strike_app.graphql.query import Query
from strike_app.graphql.scalars import SCALARS
from strike_app.graphql.settings_mutation import SettingsMutation
from strike_app.graphql.settings_query import SettingsQuery
from strike_app.graphql.subscription import Subscription

MAX_DEPTH = 12
"""Most levels of a query."""

MAX_TOKENS = 2_000
"""Most words and brackets of a query: about ten times what the console asks for."""

CACHED = 500
"""How many different queries are parsed and checked once only."""

MAX_ALIASES = 30
"""Most renamed fields: the same list a thousand times is one short query."""


# Made once: the cache knows a document by the rules that it has passed, too.
LIMITS = [
    *QueryDepthLimiter(max_depth=MAX_DEPTH).validation_rules,
    *MaxAliasesLimiter(max_alias_count=MAX_ALIASES).validation_rules,
]


@strawberry.type(name="Query", description="Questions: of ECOs, from the read models; of settings.")
class AllQueries(Query, PlacesQuery, SettingsQuery):
    pass


@strawberry.type(name="Mutation", description="Commands: durable when they are answered.")
class AllMutations(Mutation, SettingsMutation):
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


class StrikeSchema(strawberry.Schema):
    """Refusals keep their code and path; anything unforeseen tells a stranger nothing."""

    async def execute(self, *args: Any, **options: Any) -> ExecutionResult:
        result = await super().execute(*args, **options)
        _make_presentable(result, options.get("context_value"))
        return result

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing here: `presentable` does, with the correlation id."""


def _make_presentable(result: Any, context: Context | None) -> None:
    if result.errors:
        result.errors = [presentable(error, context) for error in result.errors]


schema = StrikeSchema(
    query=AllQueries,
    mutation=AllMutations,
    subscription=Subscription,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[
        ErrorsOfStreams,
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: ForgivingParserCache(maxsize=CACHED),
        lambda: ValidationCache(maxsize=CACHED),
        lambda: AddValidationRules(LIMITS),
    ],
)
