"""The server as `strike serve` runs it, with routes beside GraphQL that it is compared with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from pydantic import AnyHttpUrl

from strike_adapters.identity import Identities, LoadBalancerIdentity, LoadBalancerSettings
from strike_adapters.postgres.eco_lists import PageAsked
from strike_adapters.postgres.fold import BRIEFLY, seldom_collecting
from strike_app.bootstrap import open_services, open_strike
from strike_app.callers import user_of
from strike_app.graphql.schema import build_schema
from strike_app.limits import Rates
from strike_app.mute import StrikeRunner
from strike_app.server import StrikeView, create_app
from strike_app.services import SERVICES
from strike_app.settings import Settings
from tests.unit.given import NOC

SIGNER = "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/bench/1"
RATE = "100000000/minute"
ROWS = 50

COLUMNS = (
    "eco_id",
    "job_number",
    "job_type",
    "status",
    "paging_state",
    "render_state",
    "priority",
    "stale",
    "description",
    "location",
    "responder_name",
    "list_name",
    "created_at",
    "updated_at",
    "position",
)
"""Fifteen: what the query asks for, too."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Given(NamedTuple):
    """What the server's process is told: where the database is, and the key that logins have."""

    url: str
    public_key: str
    key_file: Path


def serve(given: Given, ready: Connection) -> None:
    """Serve until killed; sends the port."""
    settings = Settings(
        database_url=given.url,
        oidc_signer=SIGNER,
        public_url=AnyHttpUrl("https://strike.example"),
        rate_per_user=RATE,
        rate_per_tenant=RATE,
        secrets_key_file=given.key_file,
    )
    with open_strike(settings) as strike:
        asyncio.run(_serve(strike, settings, given.public_key, ready))


async def _serve(strike: Any, settings: Settings, public_key: str, ready: Connection) -> None:
    async def fetch_key(_kid: str) -> str:
        return public_key

    believed = LoadBalancerSettings(signer=SIGNER, key_endpoint="https://keys.invalid")
    identity = LoadBalancerIdentity(believed, fetch_key, now=lambda: datetime.now(UTC))
    services = replace(open_services(strike, settings), identity=Identities(identity, None))
    app = create_app(services)
    rates = Rates(RATE, RATE, asyncio.get_running_loop().time)
    core = StrikeView(services, rates, build_schema(compiled=False))
    app.add_routes(
        [
            web.post("/core", core),
            web.post("/plain", _plain),
            web.post("/plain-with-login", _after_login(_plain)),
            web.post("/login", _after_login(_nothing)),
        ]
    )
    runner = StrikeRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ready.send(runner.addresses[0][1])
    with seldom_collecting(BRIEFLY):
        await asyncio.Event().wait()


async def _plain(request: web.Request) -> web.Response:
    """The limit: the statement of GraphQL's list, its columns as JSON, and nothing else."""
    page = await request.app[SERVICES].queries.lists.page(
        NOC, PageAsked(size=ROWS), columns=frozenset(COLUMNS)
    )
    rows = [{name: row[name] for name in COLUMNS} for row in page.rows]
    return web.Response(body=orjson.dumps({"rows": rows}), content_type="application/json")


async def _nothing(_request: web.Request) -> web.Response:
    return web.Response(body=b"{}", content_type="application/json")


def _after_login(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        await user_of(request, request.app[SERVICES])
        return await handler(request)

    return handle
