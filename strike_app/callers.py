"""Who is calling: from the signed header of a trusted proxy to an actor of one tenant."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from strike_adapters.identity import Unauthenticated, is_trusted
from strike_adapters.postgres.queries import User
from strike_app.services import Services
from strike_domain.actors import Actor
from strike_domain.errors import Forbidden

IDENTITY_HEADER = "x-amzn-oidc-data"
TENANT_HEADER = "X-Tenant-ID"


async def user_of(request: web.Request, services: Services) -> User:
    """The user whom the load balancer vouches for. Raises `Unauthenticated`."""
    token = request.headers.get(IDENTITY_HEADER)
    if not is_trusted(request.remote or "", services.settings.trusted_networks):
        token = None  # Anybody can write headers; only a proxy of ours is believed.
    identity = await services.identity.verify(token)
    user = await services.queries.user_of_login(identity.subject, identity.email)
    if user is None:
        raise Unauthenticated("USER_UNKNOWN", "You are not a user of Strike; ask an admin.")
    return user


def actor_of(user: User, tenant: str | None) -> Actor | None:
    """The user acting for a tenant; None if none was named. Raises `Forbidden` (NOT_A_MEMBER)."""
    if not tenant:
        return None
    for one in user.memberships:
        if str(one.tenant_id) == tenant.lower():
            name = f"user:{user.email}"
            return Actor(name=name, tenant_id=one.tenant_id, side=one.side, role=one.role)
    raise Forbidden("You are not a member of this tenant.", "NOT_A_MEMBER")


def tenant_named(request: web.Request, params: Mapping[str, object] | None = None) -> str | None:
    """The tenant that a request, or the first message of a WebSocket, names."""
    named = (params or {}).get("tenantId") or request.headers.get(TENANT_HEADER)
    return str(named) if named else None
