"""Whether those who are being told things may still be told: asked again when it may have changed.

Once for everybody who has the same rights by the same proof: a person in a tenant, an API token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from strike_adapters.ending import ended
from strike_adapters.postgres.queries import User
from strike_domain.access import Action, require
from strike_domain.actors import Actor, Role, Scope, Side
from strike_domain.errors import Forbidden, StrikeError, Unavailable
from strike_domain.ports import Clock

MEMBER_SECONDS = 30.0
"""How long somebody who left the tenant may still be told something, if nobody said so."""

LOOK_SECONDS = 1.0
"""How often it is looked whose turn it is, and whose token has expired."""

logger = structlog.get_logger()


class Endable(Protocol):
    """A stream that ends when its reader may no longer see it."""

    def end(self, error: StrikeError) -> None: ...


class Ask(Protocol):
    """`ChangeLines`, as far as standings need it."""

    async def standing(
        self, user_id: UUID, tenant_id: UUID, at: datetime, *, is_machine: bool
    ) -> DictRow | None: ...


class Standing:
    """Of one user in one tenant. `actor` has the rights of now."""

    def __init__(self, user: User, actor: Actor, tenant_id: UUID) -> None:
        self.user = user
        self.actor = actor
        self.tenant_id = tenant_id
        self.streams: set[Endable] = set()
        self.holders = 0
        self.is_doubtful = True
        self.checked_at = -MEMBER_SECONDS
        self.expires_at: datetime | None = None
        self.asking = asyncio.Lock()
        self._refusal: StrikeError | None = None

    def check(self) -> None:
        """Raise the refusal, if it was refused."""
        if self._refusal is not None:
            raise self._refusal

    def concerns(self, told: Mapping[str, Any]) -> bool:
        """Whether what was told of somebody's rights may be about these."""
        user, tenant = told.get("user"), told.get("tenant")
        return user in (None, str(self.user.id)) and tenant in (None, str(self.tenant_id))

    def now_is(self, row: DictRow | None) -> None:
        """Take in what the tables say; end every stream that it no longer allows."""
        if row is None:
            self._refuse(_refusal(self.user))
            return
        scopes = row["scopes"]
        self.expires_at = row["expires_at"]
        rights = {
            "side": Side(row["side"]),
            "role": Role(row["role"]),
            "scopes": frozenset(map(Scope, scopes)) if scopes is not None else None,
        }
        self.actor = self.actor.model_copy(update=rights)
        try:
            require(self.actor, Action.ECO_SEE)
        except Forbidden as error:
            self._refuse(error)
        else:
            self._refusal = None

    def _refuse(self, error: StrikeError) -> None:
        self._refusal = error
        for one in tuple(self.streams):
            one.end(error)


def _refusal(user: User) -> Forbidden:
    if user.is_machine:
        return Forbidden("This API token was revoked, or has expired.", "API_TOKEN_INVALID")
    return Forbidden("You are not a member of this tenant.", "NOT_A_MEMBER")


class Standings:
    """A listener of `Changes`, which asks again whenever rights have changed."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._held: dict[tuple[UUID, UUID], Standing] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._task:
            await ended(self._task)

    @asynccontextmanager
    async def of(self, user: User, actor: Actor, tenant_id: UUID) -> AsyncIterator[Standing]:
        """The rights of now, and of each moment until the end. Raises `Forbidden`."""
        key = (user.id, tenant_id)
        standing = self._held.setdefault(key, Standing(user, actor, tenant_id))
        standing.holders += 1
        try:
            await self._recheck(standing)
            standing.check()
            yield standing
        finally:
            standing.holders -= 1
            if not standing.holders:
                self._held.pop(key, None)

    # A listener of `Changes` -------------------------------------------------------------------

    def told(self, told: Mapping[str, Any]) -> None: ...

    def looked(self) -> None: ...

    def access_told(self, told: Mapping[str, Any]) -> None:
        for one in self._held.values():
            if one.concerns(told):
                one.is_doubtful = True
        self._woken.set()

    def connected(self) -> None:
        self.access_told({})

    # -------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, MEMBER_SECONDS)):
                    await self._woken.wait()
            self._woken.clear()
            for one in tuple(self._held.values()):
                try:
                    await self._recheck(one)
                except Unavailable:
                    break  # Nothing can be read, so nothing is told either.
                except Exception:
                    logger.exception("rights could not be checked", user=str(one.user.id))

    async def _recheck(self, standing: Standing) -> None:
        async with standing.asking:
            if not self._is_due(standing):
                return
            standing.is_doubtful, at = False, time.monotonic()
            try:
                row = await self._ask.standing(
                    standing.user.id,
                    standing.tenant_id,
                    self._clock.now(),
                    is_machine=standing.user.is_machine,
                )
            except BaseException:
                standing.is_doubtful = True
                raise
            standing.checked_at = at
            standing.now_is(row)

    def _is_due(self, one: Standing) -> bool:
        has_expired = one.expires_at is not None and self._clock.now() >= one.expires_at
        is_old = time.monotonic() - one.checked_at >= MEMBER_SECONDS
        return one.is_doubtful or has_expired or is_old
