"""Keys that change and tokens that are wrong, on demand: under /_mock/."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from strike_mock.control import read
from strike_mock.identity import Flaw, IdentitySigner
from strike_mock.keyring import KEEP_SECONDS


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rotation(_Asked):
    """How long the old key stays published, in simulated seconds."""

    keep_seconds: float = Field(default=KEEP_SECONDS, ge=0)


class Spoiling(_Asked):
    """What is wrong with the identity of the next `times` forwarded requests."""

    next: Flaw
    times: int = Field(default=1, ge=1, le=1000)


class IdentityControl:
    """The routes."""

    def __init__(self, identity: IdentitySigner) -> None:
        self._identity = identity

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes; they have no names, so no fault touches them."""
        router.add_post("/_mock/keys/rotate", self._rotate)
        router.add_post("/_mock/identity", self._spoil)

    async def _rotate(self, request: web.Request) -> web.Response:
        asked = await read(request, Rotation)
        return web.json_response({"kid": self._identity.rotate(asked.keep_seconds)})

    async def _spoil(self, request: web.Request) -> web.Response:
        asked = await read(request, Spoiling)
        self._identity.spoil(asked.next, asked.times)
        return web.json_response(asked.model_dump())
