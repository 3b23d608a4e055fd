"""A client that loses its connection at random sees each change exactly once, whatever else dies.

The server is restarted, followers stop, every database connection is cut. The long form is
`STRIKE_LOSSES=100 pytest tests/integration/test_lost_streams.py`, or `tox -e losses`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import aiohttp
import psycopg
import pytest
from eventsourcing.domain import EventSourcingError

from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_domain import Actor, EcoOrder, Role, Side
from strike_domain.errors import StrikeError
from tests.integration.served import PLACE, Served, new_signer, serving
from tests.integration.stored import Running, end_connections, rows
from tests.integration.streamed import TRANSPORTS, Ended, Transport, streaming

LOSSES = int(os.environ.get("STRIKE_LOSSES", "20"))

BOSS = Actor(name="user:boss", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)

LOST = (Ended, TimeoutError, aiohttp.ClientError, ConnectionError, AssertionError)

MINE = "SELECT position FROM eco_timeline WHERE noc_id = %s OR osp_id = %s ORDER BY position"

NEWEST = "SELECT max(notification_id) AS position FROM strike_events"


class Busy:
    """Somebody who writes notes all the time, into an ECO of the NOC and a foreign one."""

    def __init__(self, strike: Strike) -> None:
        self._strike = strike

    def run(self, stop: threading.Event) -> None:
        callouts = self._strike.callouts()
        order = EcoOrder(
            osp_id=CONTRACTORS[0].id, location=PLACE, job_type="FNOL", description="Cut"
        )
        eco_id = callouts.create_eco(order, BOSS).aggregate.id
        number = 0
        while not stop.wait(0.02):
            number += 1
            try:
                callouts.add_note(eco_id, f"note {number}", BOSS)
            except (StrikeError, psycopg.Error, EventSourcingError):
                continue  # The database is away; the log says what came of it.


class Disasters:
    """What goes wrong beside the client's own losses."""

    def __init__(self, strike: Strike, dice: Random) -> None:
        self._strike = strike
        self._dice = dice
        self._signer = new_signer()
        self._stack = AsyncExitStack()
        self._followers: Running | None = None
        self.served: Served | None = None
        self._port = 0
        self.happened: list[str] = []

    async def start(self) -> None:
        self._follow()
        await self._serve()

    async def stop(self) -> None:
        await self._stack.aclose()
        await asyncio.to_thread(self._stop_following)

    async def maybe(self) -> None:
        """One of them, now and then."""
        if self._dice.random() > 0.25:
            return
        what = self._dice.choice(("server", "followers", "database"))
        self.happened.append(what)
        if what == "server":
            await self._stack.aclose()
            await self._serve()
        elif what == "followers":
            await asyncio.to_thread(self._stop_following)
            self._follow()
        else:
            await asyncio.to_thread(end_connections, self._strike.url)

    async def _serve(self) -> None:
        self._stack = AsyncExitStack()
        opened = serving(self._strike, self._signer, self._port)
        self.served = await self._stack.enter_async_context(opened)
        self._port = int(self.served.url.rpartition(":")[2])

    def _follow(self) -> None:
        self._followers = Running(*self._strike.followers())
        self._followers.__enter__()

    def _stop_following(self) -> None:
        if self._followers:
            self._followers.__exit__()


class Follower:
    """The client: it knows nothing but the last position that it has got."""

    def __init__(self, disasters: Disasters, transport: Transport, dice: Random) -> None:
        self._disasters = disasters
        self._transport = transport
        self._dice = dice
        self.got: list[int] = []

    async def read(self, most: int, seconds: float) -> None:
        """Read that many changes, or for that long; then the connection is lost."""
        served = self._disasters.served
        assert served
        after = self.got[-1] if self.got else 0
        try:
            async with streaming(served, self._transport, variables={"after": after}) as stream:
                for _ in range(most):
                    self.got.append((await stream.change(seconds))["position"])
                _abort(stream.answer)
        except LOST:
            await asyncio.sleep(0.05)


def _abort(answer: Any) -> None:
    """As a cable that is cut: without a word."""
    connection = answer.connection if hasattr(answer, "connection") else None
    connection = connection or getattr(answer, "_response", answer).connection
    if connection and connection.transport:
        connection.transport.abort()


@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_each_change_is_seen_exactly_once_over_many_lost_connections(
    strike: Strike, transport: Transport
) -> None:
    dice = Random(f"{transport}-{LOSSES}")
    disasters = Disasters(strike, dice)
    client = Follower(disasters, transport, dice)
    await disasters.start()
    try:
        with Running(Busy(strike)):
            for _ in range(LOSSES):
                await client.read(dice.randint(0, 12), dice.uniform(0.1, 2))
                await disasters.maybe()
        assert disasters.served
        (newest,) = rows(strike.url, NEWEST)
        await disasters.served.services.queries.wait_for(newest["position"], 60)
        wanted = [one["position"] for one in rows(strike.url, MINE, NOC_ID, NOC_ID)]
        async with asyncio.timeout(60):
            while not client.got or client.got[-1] < wanted[-1]:
                await client.read(1_000, 1)
    finally:
        await disasters.stop()
    assert client.got == wanted
    assert len(wanted) > LOSSES, "Otherwise nothing was lost or seen."
    assert disasters.happened, "Otherwise nothing went wrong."
