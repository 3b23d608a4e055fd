"""GraphQL: one more thin edge. Resolvers ask the read models, or give the domain a command."""

from __future__ import annotations

from uuid import UUID

from strike_adapters.postgres.queries import User
from strike_app.graphql.context import Context
from strike_app.graphql.schema import schema
from strike_app.services import Services
from strike_domain.actors import Actor

__all__ = ["Context", "make_context", "schema"]


def make_context(
    services: Services, user: User, actor: Actor | None, correlation_id: UUID
) -> Context:
    """What the resolvers of one request, or one WebSocket, are given."""
    return Context(services, user, actor, correlation_id)
