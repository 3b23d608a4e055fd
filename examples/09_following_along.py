"""Following a company's callouts as they change: lose the connection, miss nothing, see it end.

A program with an API token follows over server-sent events, with nothing but an HTTP client. It
keeps one number, the id of the last event, and shows it when it comes back. When the token is
revoked, the stream ends and says why. The server, its database and its followers run in this
process. Run it with `python examples/09_following_along.py`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import structlog

from strike_app.testing import LocalStrike, local_strike
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


async def read(session: aiohttp.ClientSession, url: str, last_id: str, until: str) -> str:
    """Tell what changed, until a line with these words; where to go on."""
    async for newest, told in changes(session, url, last_id):
        last_id = newest
        for error in told.get("errors", ()):
            print(f"  It ends: {error['extensions']['code']}")
            return last_id
        change = told["data"]["ecosChanged"]
        print(f"  {change['eco']['jobNumber']} {change['eco']['status']}: {change['line']}")
        if until in change["line"]:
            break
    return last_id


# The company that is followed -------------------------------------------------------------------

noc = Tenant(id=uuid4(), name="Nordlicht", side=Side.NOC)
osp = Tenant(id=uuid4(), name="Splice & Sons", side=Side.OSP)
nina = Actor(name="user:nina", tenant_id=noc.id, side=noc.side, role=Role.ADMIN)
place = {"type": "Point", "coordinates": [-105.27, 40.01]}
order = EcoOrder(osp_id=osp.id, location=place, job_type="FNOL", description="Light lost.")


async def story(local: LocalStrike) -> None:
    url, callouts = local.url, local.strike.callouts()
    token = local.token(nina, "board", Role.VIEWER, [Scope.READ])
    proof = {"Authorization": f"Bearer {token.text}"}

    async with aiohttp.ClientSession(headers=proof) as session:
        eco_id = callouts.create_eco(order, nina).aggregate.id
        callouts.add_note(eco_id, "A digger was seen there.", nina)
        print("Following from the beginning:")
        last_id = await read(session, url, "0", "A digger")

        print("The connection is lost, and things go on:")
        callouts.add_note(eco_id, "Said while nobody listened.", nina)
        callouts.cancel_eco(eco_id, "It was a loose plug.", nina)
        last_id = await read(session, url, last_id, "a loose plug")

        print("The token is revoked:")
        reading = asyncio.create_task(read(session, url, last_id, "nothing more"))
        await asyncio.sleep(0.2)
        local.strike.administration().revoke_token(token.id, nina)
        await reading


link = Link(noc_id=noc.id, osp_id=osp.id, status=LinkStatus.ACTIVE)
with local_strike([noc, osp], [link]) as local:
    asyncio.run(story(local))
