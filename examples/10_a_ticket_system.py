"""A NOC's ticket system calls a contractor out: one typed client, and what it need not care about.

Its connection is cut in the middle of a command, which is done once all the same. It asks for the
three fields that it shows, follows what happens, and closes its ticket. The server, its database
and its followers run in this process. Run it with `python examples/10_a_ticket_system.py`.
"""

import asyncio
import logging
import tempfile
import threading
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import httpx
import structlog
from aiohttp import web

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import Strike, open_services, open_strike
from strike_app.client import Answer, Change, Refused, StrikeClient, point
from strike_app.server import create_app
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain import Actor, Link, LinkStatus, Role, Scope, Side, Tenant

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

# The ticket system ------------------------------------------------------------------------------


class Row(Answer):
    """What its table shows of a callout; so this is what it asks for."""

    ticket: str | None
    status: str
    description: str


class FlakyNetwork(httpx.AsyncHTTPTransport):
    """Loses the first answer: the server has done what was asked, and nobody learns of it."""

    lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if b"createEco" in request.content and not self.lost:
            self.lost += 1
            await response.aclose()
            raise httpx.ReadError("the connection was cut")
        return response


async def ticket_system(url: str, token: str) -> None:
    network = FlakyNetwork()
    async with (
        httpx.AsyncClient(transport=network) as http,
        StrikeClient(url, token, http=http) as strike,
    ):
        place = point(-105.27, 40.01)
        (contractor, *_) = await strike.contractors_for(place)
        print(f"It calls out {contractor.osp.name}.")
        made = await strike.create_eco(
            osp_id=contractor.osp.id,
            location=place,
            job_type="FNOL",
            description="Light lost between Boulder and Denver.",
            client_reference="ticket-4711",
            ticket="4711",
        )
        again = len([one async for one in strike.ecos(Row, wait_for=made.position)])
        print(f"  {network.lost} answer lost on the way, {again} callout made.")

        try:
            await strike.amend_eco(made.eco.id, location=point(40.01, -105.27))
        except Refused as refused:
            print(f"Latitude first: {refused.code} at {'.'.join(refused.path)}")

        print("It follows what happens:")
        async with aclosing(strike.changes(Change, after=0)) as changes:
            await strike.add_note(made.eco.id, "The road is closed.")
            cancelled = await strike.cancel_eco(made.eco.id, "It was a loose plug.")
            async for change in changes:
                print(f"  {change.line}")
                if change.position >= cancelled.position:
                    break

        async for row in strike.ecos(Row):
            print(f"Ticket {row.ticket}: {row.status}. {row.description}")


# Strike, with the two companies -----------------------------------------------------------------

noc = Tenant(id=uuid4(), name="Nordlicht", side=Side.NOC)
osp = Tenant(id=uuid4(), name="Splice & Sons", side=Side.OSP)
nina = Actor(name="user:nina", tenant_id=noc.id, side=noc.side, role=Role.ADMIN)


async def story(strike: Strike, settings: Settings) -> None:
    runner = web.AppRunner(create_app(open_services(strike, settings)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    secret, scopes = new_secret(), frozenset({Scope.READ, Scope.CALLOUT})
    strike.administration().create_token("tickets", Role.OPERATOR, scopes, 1, secret, nina)
    port = runner.addresses[0][1]
    await ticket_system(f"http://127.0.0.1:{port}/graphql", secret.get_secret_value())
    await runner.cleanup()


with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
    server.ensure_database("example")
    settings = Settings(
        database_url=server.url("example"),
        secrets_key_file=Path(folder) / "key",
        oidc_signer="arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/example/1",
    )
    prepare(server.url("example"))
    with open_strike(settings) as strike:
        for one in (noc, osp):
            save_tenant(strike.pool, one)
        save_link(strike.pool, Link(noc_id=noc.id, osp_id=osp.id, status=LinkStatus.ACTIVE))
        stop = threading.Event()
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in strike.followers()]
        for thread in threads:
            thread.start()
        try:
            asyncio.run(story(strike, settings))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
