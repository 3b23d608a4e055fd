"""Answers of a subscription: each made and encoded once for all who ask for the same.

Whoever follows a change with the same words and the same rights in a tenant gets the same bytes.
What is not a good subscription goes the library's own way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, cast

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    visit,
)
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types.graphql import OperationType

from strike_app.following import Change
from strike_app.graphql.context import Context
from strike_app.graphql.problems import presentable
from strike_app.graphql.schema import StrikeSchema


@dataclass(frozen=True)
class Asked:
    """An operation as it was sent."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: what GraphQL calls a response, encoded. `position`: where to go on after it."""

    body: bytes
    position: int | None = None


@dataclass(frozen=True)
class Subscribed:
    """A subscription that was parsed, checked, and found good."""

    executor: Executor[Any]
    same: Hashable
    """What makes its answers the same as somebody else's, of the same change."""


async def subscribed(schema: StrikeSchema, asked: Asked, context: Context) -> Subscribed | None:
    """The subscription that was asked for; None if it is none, or has a mistake."""
    document = await _checked(schema, asked, context)
    if document is None:
        return None
    operation = get_operation_ast(document, asked.operation_name)
    if operation is None:
        return None
    executor_class = cast(type[Executor[Any]], schema.execution_context_class or Executor)
    executor = executor_class.build(
        schema._schema,
        document,
        context_value=context,
        raw_variable_values=asked.variables,
        operation_name=asked.operation_name,
    )
    if isinstance(executor, list):
        return None
    return Subscribed(executor, _same(asked, document, operation, context))


async def answers(subscription: Subscribed, context: Context) -> AsyncGenerator[Answer]:
    """Every answer of a subscription; the last one has the error that ended it, if one did."""
    executor = subscription.executor
    try:
        source: Any = create_source_event_stream(executor)
        source = await source if isawaitable(source) else source
        if isinstance(source, ExecutionResult):
            yield Answer(_encoded(source, context))
            return
        async with aclosing(source):
            async for event in source:
                body = await _answer(subscription, event, context)
                yield Answer(body, event.position)
    except Exception as error:
        wrong = GraphQLError(str(error), original_error=error)
        yield Answer(_encoded(ExecutionResult(None, [wrong]), context))


async def _answer(subscription: Subscribed, event: Any, context: Context) -> bytes:
    change: Change | None = event.told
    if change is None:
        return await _made(subscription.executor, event, context)
    making = change.answers.get(subscription.same)
    if making is None:
        made = _made(subscription.executor, event, context)
        # A task of its own: whoever asked first may go while others wait for it.
        making = change.answers[subscription.same] = asyncio.ensure_future(made)
    elif making.done():
        body: bytes = making.result()
        return body
    return await asyncio.shield(making)


async def _made(executor: Executor[Any], event: Any, context: Context) -> bytes:
    result: Any = execute_subscription_event(executor.build_per_event_executor(event))
    return _encoded(await result if isawaitable(result) else result, context)


def _encoded(result: ExecutionResult, context: Context) -> bytes:
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [presentable(error, context).formatted for error in result.errors]
    return orjson.dumps(body)


async def _checked(schema: StrikeSchema, asked: Asked, context: Context) -> DocumentNode | None:
    """The document, if it asks for a subscription and keeps every rule and limit."""
    now = schema._create_execution_context(
        query=asked.query,
        allowed_operation_types=tuple(OperationType),
        variable_values=asked.variables,
        context_value=context,
        root_value=None,
        operation_name=asked.operation_name,
    )
    extensions = schema.get_extensions()
    for extension in extensions:
        extension.execution_context = now
    runner = schema.create_extensions_runner(now, extensions)
    async with runner.operation():
        try:
            mistake = await schema._prepare_operation_async(now, runner)
        except (CannotGetOperationTypeError, MissingQueryError):
            return None
    if mistake or now.operation_type is not OperationType.SUBSCRIPTION:
        return None
    return now.graphql_document


def _same(
    asked: Asked, document: DocumentNode, operation: OperationDefinitionNode, context: Context
) -> Hashable:
    values = asked.variables or {}
    inside = {name: values.get(name) for name in sorted(_names_inside(document, operation))}
    actor = context.actor
    rights = (actor.side, actor.role, actor.scopes) if actor else None
    return asked.query, asked.operation_name, orjson.dumps(inside), rights


def _names_inside(document: DocumentNode, operation: OperationDefinitionNode) -> set[str]:
    """Variables on which an answer depends: not those that only say which changes are told."""
    names = _Names()
    parts: list[Node] = [one for one in document.definitions if _is_fragment(one)]
    for one in operation.selection_set.selections:
        parts += one.directives or ()
        is_field = isinstance(one, FieldNode) and one.selection_set is not None
        parts.append(cast(FieldNode, one).selection_set or one if is_field else one)
    for part in parts:
        visit(part, names)
    return names.found


def _is_fragment(node: Node) -> bool:
    return isinstance(node, FragmentDefinitionNode)


class _Names(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.add(node.name.value)
