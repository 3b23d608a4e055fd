"""Documents that have passed all checks, known by their text: they are not checked again."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, cast

from cachetools import LRUCache
from graphql import DocumentNode
from strawberry.extensions import SchemaExtension

if TYPE_CHECKING:
    from strike_app.graphql.schema import StrikeSchema

Prepared = MutableMapping[str, DocumentNode]
"""By query text. What has been checked depends on the text and the schema only."""


def prepared(most: int) -> Prepared:
    """None yet; `most` are kept, and the one that was asked for longest ago goes first."""
    return LRUCache(most)


class RememberPrepared(SchemaExtension):
    """Notes the document when it is about to be run: then every limit and rule has let it pass."""

    def on_execute(self) -> Iterator[None]:
        now = self.execution_context
        if now.query and now.graphql_document:
            cast("StrikeSchema", now.schema).prepared[now.query] = now.graphql_document
        yield
