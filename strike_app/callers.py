"""Who is calling: a person by a trusted proxy's signed header, a machine by its API token."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from uuid import UUID

from aiohttp import web
from cachetools import TTLCache

from strike_adapters.identity import Unauthenticated, is_trusted
from strike_adapters.postgres.queries import User
from strike_app.claims import client_of
from strike_app.limits import FAILURES
from strike_app.services import Services
from strike_app.tokens import TOKEN_PREFIX
from strike_domain.actors import Actor, Scope
from strike_domain.administration import token_digest
from strike_domain.errors import Forbidden

TENANT_HEADER = "X-Tenant-ID"
AGENT_HEADER = "X-Strike-Agent"
"""A program that acts by itself on behalf of the login names itself there."""

AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,39}")
AGENT_SCOPES = frozenset({Scope.READ, Scope.CALLOUT})
"""What an agent may use of what its login may: nothing that settings are changed by."""

BEARER = f"Bearer {TOKEN_PREFIX}"

GOOD_TOKENS = web.AppKey("good_tokens", MutableMapping[bytes, bool])
"""Digests of tokens that were good of late: they are looked up, whoever guesses beside them."""


def good_tokens() -> MutableMapping[bytes, bool]:
    """Remembers for ten minutes, and a thousand of them."""
    return TTLCache(1_000, 600)


async def user_of(request: web.Request, services: Services) -> User:
    """The machine whose API token it brings, or the person whom the logins vouch for.

    Raises `Unauthenticated`.
    """
    proof = request.headers.get("Authorization", "")
    if proof.startswith(BEARER):
        return await _machine_of(request, proof.removeprefix("Bearer "), services)
    # Anybody can write headers; only a proxy of ours is believed.
    is_ours = is_trusted(request.remote or "", services.settings.trusted_networks)
    identity = await services.identity.verify(request.headers if is_ours else {})
    user = await services.queries.user_of_login(identity.subject, identity.email)
    if user is None:
        raise Unauthenticated("USER_UNKNOWN", "You are not a user of Strike; ask an admin.")
    return user


async def _machine_of(request: web.Request, token: str, services: Services) -> User:
    known, digest = request.app[GOOD_TOKENS], token_digest(token)
    failures = request.app[FAILURES]
    address = client_of(request, services.settings.trusted_networks)
    if digest not in known and failures.is_over(address):
        raise failures.refusal(address)
    machine = await services.queries.machine_of_token(token, services.clock.now())
    if machine is None:
        known.pop(digest, None)
        message = "This API token is unknown, expired or revoked; ask an admin for another one."
        raise Unauthenticated("API_TOKEN_INVALID", message)
    known[digest] = True
    return machine


def actor_of(user: User, tenant: str | None, request_id: UUID | None = None) -> Actor | None:
    """The user acting for a tenant; None if none was named. Raises `Forbidden` (NOT_A_MEMBER).

    A machine has one tenant, and need not name it.
    """
    if not tenant and not user.is_machine:
        return None
    for one in user.memberships:
        if not tenant or str(one.tenant_id) == tenant.lower():
            return Actor(
                name=f"token:{user.name}" if user.is_machine else f"user:{user.email}",
                tenant_id=one.tenant_id,
                side=one.side,
                role=one.role,
                scopes=user.scopes,
                request_id=request_id,
            )
    raise Forbidden("You are not a member of this tenant.", "NOT_A_MEMBER")


def acting_through(actor: Actor | None, agent: str | None) -> Actor | None:
    """The actor, if it acts through an agent as one with less rights, named in all that it does.

    Raises `Forbidden` (AGENT_NAME_INVALID).
    """
    if actor is None or agent is None:
        return actor
    if not AGENT_NAME.fullmatch(agent):
        message = f"{AGENT_HEADER} is up to 40 letters, digits, spaces, dots, dashes and slashes."
        raise Forbidden(message, "AGENT_NAME_INVALID")
    scopes = AGENT_SCOPES if actor.scopes is None else actor.scopes & AGENT_SCOPES
    return actor.model_copy(update={"name": f"{actor.name} via {agent}", "scopes": scopes})


def tenant_named(request: web.Request, params: Mapping[str, object] | None = None) -> str | None:
    """The tenant that a request, or the first message of a WebSocket, names."""
    named = (params or {}).get("tenantId") or request.headers.get(TENANT_HEADER)
    return str(named) if named else None
