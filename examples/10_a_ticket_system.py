"""A NOC's ticket system calls a contractor out: one typed client, and what it need not care about.

Its connection is cut in the middle of a command, which is done once all the same. It asks for the
three fields that it shows, follows what happens, and closes its ticket. The server, its database
and its followers run in this process. Run it with `python examples/10_a_ticket_system.py`.
"""

import asyncio
import logging
from contextlib import aclosing
from uuid import uuid4

import httpx
import structlog

from strike_app.client import Answer, Change, Refused, StrikeClient, point
from strike_app.testing import local_strike
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
link = Link(noc_id=noc.id, osp_id=osp.id, status=LinkStatus.ACTIVE)

with local_strike([noc, osp], [link]) as local:
    token = local.token(nina, "tickets", Role.OPERATOR, [Scope.READ, Scope.CALLOUT])
    asyncio.run(ticket_system(local.url, token.text))
