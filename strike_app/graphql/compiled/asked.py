"""A field as it is asked for, and what happens where something in it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.executor import to_nodes
from graphql.pyutils import Path

from strike_app.graphql.compiled.leaves import PLAIN

Run = Executor[Any]
"""The executor of one request: graphql-core's, which keeps the errors and the variables."""

Complete = Callable[[Run, Any, Path, Any], Any]
"""Gives what is answered for a value at this path, or an awaitable of it; raises its errors."""


class Asked:
    """One place of a query, for one type. It holds nothing of a request."""

    __slots__ = ("definition", "details", "key", "needs_info", "nodes", "parent", "typename")

    def __init__(
        self,
        definition: GraphQLField,
        parent: GraphQLObjectType,
        key: str,
        details: FieldDetailsList,
    ) -> None:
        self.definition = definition
        self.parent = parent
        self.typename = parent.name
        self.key = key
        self.details = details
        self.nodes = to_nodes(details)
        self.needs_info = _asks_types(definition.type)

    def below(self, path: Path | None) -> Path:
        return Path(path, self.key, self.typename)

    def info(self, run: Run, here: Path) -> Any:
        return run.build_resolve_info(self.definition, self.nodes, self.parent, here)

    def info_if_needed(self, run: Run, here: Path) -> Any:
        """For a field without a resolver: only if its value has to be asked for its type."""
        return self.info(run, here) if self.needs_info else None

    def failed(self, run: Run, error: Exception, declared: GraphQLOutputType, path: Path) -> None:
        """Null where that is allowed, with the error noted; else raises the error, located."""
        run.handle_field_error(error, declared, self.details, path)

    def null_refused(self) -> TypeError:
        field = f"{self.parent}.{self.nodes[0].name.value}"
        return TypeError(f"Cannot return null for non-nullable field {field}.")


def shielded(asked: Asked, declared: GraphQLOutputType, complete: Complete) -> Complete:
    """Complete a field or an item of a list, awaited or not: its errors end here if it may be null.

    Else they are raised, located, and end further up.
    """

    def shield(run: Run, value: Any, path: Path, info: Any) -> Any:
        if type(value) not in PLAIN and run.is_awaitable(value):
            return later(run, value, path, info)
        try:
            done = complete(run, value, path, info)
        except Exception as error:
            return asked.failed(run, error, declared, path)
        if type(done) not in PLAIN and run.is_awaitable(done):
            return rest(run, done, path)
        return done

    async def later(run: Run, value: Any, path: Path, info: Any) -> Any:
        try:
            done = complete(run, await value, path, info)
            if type(done) not in PLAIN and run.is_awaitable(done):
                done = await done
        except Exception as error:
            return asked.failed(run, error, declared, path)
        return done

    async def rest(run: Run, done: Any, path: Path) -> Any:
        try:
            return await done
        except Exception as error:
            return asked.failed(run, error, declared, path)

    return shield


def _asks_types(kind: GraphQLOutputType) -> bool:
    """Whether a value of this type is asked which type, or whether of its type, it is."""
    while is_non_null_type(kind) or is_list_type(kind):
        kind = kind.of_type
    return is_abstract_type(kind) or (is_object_type(kind) and kind.is_type_of is not None)
