"""graphql-core's executor, with the fields below the root compiled."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLObjectType
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.types import ExecutionResult, ExperimentalIncrementalExecutionResults
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from strike_app.graphql.compiled.program import Program, program_of


class Compiled(Executor[Any]):
    """To be mixed into an executor class: it runs what can be compiled, the other class the rest.

    The root fields are still gathered, ordered and awaited by graphql-core, one after the other for
    a mutation; so are variables, and the answer's errors.
    """

    _program: Program | None = None

    def execute_operation(
        self, serially: bool | None = None
    ) -> AwaitableOrValue[ExecutionResult | ExperimentalIncrementalExecutionResults]:
        self._program = program_of(self)
        return super().execute_operation(serially)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        # Below the root only for values that were left to graphql-core.
        field = None
        if self._program is not None and path.prev is None:
            key = str(path.key)
            field = self._program.root_field(self, parent_type, key, field_details_list)
        if field is None:
            return super().execute_field(
                parent_type, source, field_details_list, path, position_context
            )
        return field(self, source, None)


class CompiledExecutor(Compiled, StrawberryGraphQLCoreExecutionContext):
    """What a Strawberry schema takes as its `execution_context_class`."""
