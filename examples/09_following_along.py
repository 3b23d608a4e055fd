"""Following a company's callouts as they change: lose the connection, miss nothing, see it end.

A program with an API token follows over server-sent events, with nothing but an HTTP client. It
keeps one number, the id of the last event, and shows it when it comes back. When the token is
revoked, the stream ends and says why. The server, its database and its followers run in this
process. Run it with `python examples/09_following_along.py`.
"""

import asyncio
import json
import logging
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import structlog
from aiohttp import web

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import Strike, open_services, open_strike
from strike_app.server import create_app
from strike_app.settings import Settings
from strike_app.tokens import new_secret
from strike_domain import Actor, EcoOrder, Link, LinkStatus, Role, Scope, Side, Tenant

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

# The program that follows -----------------------------------------------------------------------

FOLLOW = """
subscription ($after: Position) {
  ecosChanged(afterPosition: $after) { line eco { jobNumber status } }
}
"""


async def changes(
    session: aiohttp.ClientSession, url: str, last_id: str
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Each event's id, and its data; from where `last_id` says."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id}
    async with session.post(url, json={"query": FOLLOW}, headers=headers) as response:
        event: dict[str, str] = {}
        async for raw in response.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value  # A line that begins with a colon is only a sign of life.
            elif event.get("event") == "next":
                yield event.get("id", last_id), json.loads(event["data"])
                event = {}


async def read(session: aiohttp.ClientSession, url: str, last_id: str, most: int) -> str:
    """Tell what changed, at most so much; where to go on."""
    async for newest, told in changes(session, url, last_id):
        last_id = newest
        for error in told.get("errors", ()):
            print(f"  It ends: {error['extensions']['code']}")
            return last_id
        change = told["data"]["ecosChanged"]
        print(f"  {change['eco']['jobNumber']} {change['eco']['status']}: {change['line']}")
        most -= 1
        if not most:
            break
    return last_id


# The company that is followed -------------------------------------------------------------------

noc = Tenant(id=uuid4(), name="Nordlicht", side=Side.NOC)
osp = Tenant(id=uuid4(), name="Splice & Sons", side=Side.OSP)
nina = Actor(name="user:nina", tenant_id=noc.id, side=noc.side, role=Role.ADMIN)
place = {"type": "Point", "coordinates": [-105.27, 40.01]}
order = EcoOrder(osp_id=osp.id, location=place, job_type="FNOL", description="Light lost.")


async def story(strike: Strike, settings: Settings) -> None:
    runner = web.AppRunner(create_app(open_services(strike, settings)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
    secret, do, callouts = new_secret(), strike.administration(), strike.callouts()
    token = do.create_token("board", Role.VIEWER, frozenset({Scope.READ}), 1, secret, nina)
    proof = {"Authorization": f"Bearer {secret.get_secret_value()}"}

    async with aiohttp.ClientSession(headers=proof) as session:
        eco_id = callouts.create_eco(order, nina).aggregate.id
        callouts.add_note(eco_id, "A digger was seen there.", nina)
        print("Following from the beginning:")
        last_id = await read(session, url, "0", 2)

        print("The connection is lost, and things go on:")
        callouts.add_note(eco_id, "Said while nobody listened.", nina)
        callouts.cancel_eco(eco_id, "It was a loose plug.", nina)
        last_id = await read(session, url, last_id, 2)

        print("The token is revoked:")
        reading = asyncio.create_task(read(session, url, last_id, 1))
        await asyncio.sleep(0.2)
        do.revoke_token(token.id, nina)
        await reading
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
        names = ("eco_views", "eco_timeline", "pager_run_views")
        threads = [
            threading.Thread(target=one.run, args=(stop,)) for one in strike.followers(names)
        ]
        for thread in threads:
            thread.start()
        try:
            asyncio.run(story(strike, settings))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
