"""Tells a page what has changed; the page then asks anew.

The events carry no data of an ECO, so there is one way only in which a page is made.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from uuid import UUID

from aiohttp import web

from strike_app.event_stream import EventStream, resumed_after
from strike_app.following import Reader, StreamEnded
from strike_app.web.asking import ask
from strike_app.web.shell import page
from strike_app.web.viewer import Viewer
from strike_domain.errors import Forbidden, NotFound

PAUSE_SECONDS = 0.25
"""Least time between two events of one page: a storm of changes is one look every so often."""

RETRY_MS = 1_000
"""After how long a page that lost its connection comes back."""

ALL = b"all"
"""What a board is told instead of ids when it has to ask for everything."""


async def live(viewer: Viewer) -> web.StreamResponse:
    """Server-sent events `changed`: of one ECO, or for the board with the ids of those changed.

    A board is told of each change after the position `after`, or after the event that the browser
    has seen last: nothing is missed while a connection is lost.
    """
    reader = Reader(viewer.user, viewer.actor, viewer.here.tenant_id, "page")
    if asked := viewer.request.query.get("eco"):
        return await _one(viewer, reader, await _known(viewer, asked))
    return await _all(viewer, reader, _after(viewer.request))


async def _one(viewer: Viewer, reader: Reader, eco_id: UUID) -> web.StreamResponse:
    wakings = viewer.services.following.wakings(reader, eco_id)
    async with aclosing(wakings):
        # Who may not follow is told so, and not by a stream that ends at once.
        await anext(wakings)
        async with EventStream(viewer.request, retry_ms=RETRY_MS) as stream:
            await stream.send("changed")
            # Who has left the tenant is told nothing more; coming back shows why.
            with suppress(Forbidden):
                async for _ in wakings:
                    await stream.send("changed")
                    await asyncio.sleep(PAUSE_SECONDS)
    return stream.response


async def _all(viewer: Viewer, reader: Reader, after: int | None) -> web.StreamResponse:
    batches = viewer.services.following.batches(reader, after)
    async with aclosing(batches):
        ended: StreamEnded | None = None
        try:
            await anext(batches)
        except StreamEnded as error:
            ended = error
        async with EventStream(viewer.request, retry_ms=RETRY_MS) as stream:
            with suppress(Forbidden):
                try:
                    async for batch in batches:
                        ids = {str(change.eco_id).encode(): None for change in batch}
                        await stream.send("changed", b" ".join(ids), batch[-1].position)
                        await asyncio.sleep(PAUSE_SECONDS)
                except StreamEnded as error:
                    ended = error
            if ended is not None:
                # The browser comes back by itself, and goes on from there.
                await stream.send("changed", ALL, ended.position)
    return stream.response


def _after(request: web.Request) -> int | None:
    """Raises `Rejected`."""
    asked = request.query.get("after", "")
    resumed = resumed_after(request)
    if resumed is not None:
        return resumed
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= 18 else None


async def _known(viewer: Viewer, asked: str) -> UUID:
    """The ECO that the page shows. Raises `NotFound`."""
    found = await ask(viewer, "eco_exists", id=asked)
    if found["eco"] is None:
        raise NotFound("ECO")
    return UUID(asked)


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/live", page(live))]
