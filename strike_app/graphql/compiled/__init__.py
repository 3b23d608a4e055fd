"""Operations compiled once into closures, run as graphql-core would run them.

Knows no type of ours. What it does not know either is left to graphql-core, for the whole operation
(`program.shape_of`) or for one value (`values`), so that there is one meaning of a query.
"""

from __future__ import annotations

from strike_app.graphql.compiled.executor import Compiled, CompiledExecutor

__all__ = ["Compiled", "CompiledExecutor"]
