"""A whole Strike in one process, for tests and for trying things out: nothing has to be set up.

    with local_strike([noc, osp], [link]) as local:
        local.strike.callouts().create_eco(order, nina)
        httpx.post(local.url, ...)

The database is an embedded PostgreSQL that is gone at the end, the followers are threads, and the
server listens on a free port. Nobody is rung: there is no worker. For phones there is
`strike_mock.testing`.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from aiohttp import web

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import Strike, open_services, open_strike
from strike_app.mute import StrikeRunner
from strike_app.processes import start
from strike_app.server import create_app
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain import Actor, Link, Role, Scope, Tenant

SIGNER = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/local/1"
"""A load balancer that there is not: nobody can log in, and programs come with a token."""


class LocalToken(NamedTuple):
    """`text` is what a program sends: `Authorization: Bearer TEXT`."""

    id: UUID
    text: str


@dataclass(frozen=True)
class LocalStrike:
    """`url` is that of GraphQL."""

    strike: Strike
    url: str

    def token(self, admin: Actor, name: str, role: Role, scopes: Sequence[Scope]) -> LocalToken:
        """An API token of the admin's company, good for a day."""
        secret, do = new_secret(), self.strike.administration()
        made = do.create_token(name, role, frozenset(scopes), 1, secret, admin)
        return LocalToken(made.id, secret.get_secret_value())


@contextmanager
def local_strike(tenants: Sequence[Tenant], links: Sequence[Link]) -> Iterator[LocalStrike]:
    """Started with these companies, and stopped at the end."""
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
        server.ensure_database("local")
        url = server.url("local")
        prepare(url)
        key = Path(folder) / "key"
        settings = Settings(database_url=url, secrets_key_file=key, oidc_signer=SIGNER)
        with open_strike(settings) as it:
            for tenant in tenants:
                save_tenant(it.pool, tenant)
            for link in links:
                save_link(it.pool, link)
            stop = threading.Event()
            threads = start(it.followers(), stop)
            try:
                with _serving(it) as address:
                    yield LocalStrike(it, f"{address}/graphql")
            finally:
                stop.set()
                for thread in threads:
                    thread.join()


@contextmanager
def _serving(strike: Strike) -> Iterator[str]:
    """The server, in an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[StrikeRunner, str]:
        services = open_services(strike, strike.settings)
        runner = StrikeRunner(create_app(services), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    try:
        runner, address = asyncio.run_coroutine_threadsafe(begin(), loop).result()
        try:
            yield address
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
