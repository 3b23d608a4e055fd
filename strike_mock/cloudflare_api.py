"""Cloudflare's public keys, and its wrong tokens on demand: the latter under /_mock/."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from strike_mock.cloudflare import CloudflareFlaw, CloudflareSigner
from strike_mock.control import read
from strike_mock.identity_control import Rotation

CERTS_PATH = "/cdn-cgi/access/certs"


class CloudflareSpoiling(BaseModel):
    """What is wrong with Cloudflare's token of the next `times` forwarded requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    next: CloudflareFlaw
    times: int = Field(default=1, ge=1, le=1000)


class CloudflareApi:
    """The routes."""

    def __init__(self, signer: CloudflareSigner) -> None:
        self._signer = signer

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes; they have no names, so no fault touches them."""
        router.add_get(CERTS_PATH, self._certs)
        router.add_post("/_mock/cloudflare/keys/rotate", self._rotate)
        router.add_post("/_mock/cloudflare/identity", self._spoil)

    async def _certs(self, _: web.Request) -> web.Response:
        return web.json_response(self._signer.certs())

    async def _rotate(self, request: web.Request) -> web.Response:
        asked = await read(request, Rotation)
        return web.json_response({"kid": self._signer.rotate(asked.keep_seconds)})

    async def _spoil(self, request: web.Request) -> web.Response:
        asked = await read(request, CloudflareSpoiling)
        self._signer.spoil(asked.next, asked.times)
        return web.json_response(asked.model_dump())
