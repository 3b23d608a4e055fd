"""Tells a page that what it shows has changed; the page then asks anew.

The events carry no data, so a lost one costs nothing: the page asks when it is connected again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from uuid import UUID

from aiohttp import web

from strike_app.event_stream import EventStream
from strike_app.following import Reader
from strike_app.web.asking import ask
from strike_app.web.shell import page
from strike_app.web.viewer import Viewer
from strike_domain.errors import Forbidden, NotFound

PAUSE_SECONDS = 0.25
"""Least time between two events of one page: a storm of changes is one look every so often."""

RETRY_MS = 1_000
"""After how long a page that lost its connection comes back."""


async def live(viewer: Viewer) -> web.StreamResponse:
    """Server-sent events: `changed` whenever the ECO, or any of the tenant's, has changed."""
    eco_id = await _asked(viewer)
    reader = Reader(viewer.user, viewer.actor, viewer.here.tenant_id, "page")
    wakings = viewer.services.following.wakings(reader, eco_id)
    async with aclosing(wakings):
        # Who may not follow is told so, and not by a stream that ends at once.
        await anext(wakings)
        async with EventStream(viewer.request, retry_ms=RETRY_MS) as stream:
            await stream.send("changed", b"connected")
            # Who has left the tenant is told nothing more; coming back shows why.
            with suppress(Forbidden):
                async for _ in wakings:
                    await stream.send("changed")
                    await asyncio.sleep(PAUSE_SECONDS)
    return stream.response


async def _asked(viewer: Viewer) -> UUID | None:
    """The ECO that the page shows, if it shows one. Raises `NotFound`."""
    asked = viewer.request.query.get("eco")
    if not asked:
        return None
    found = await ask(viewer, "eco_exists", id=asked)
    if found["eco"] is None:
        raise NotFound("ECO")
    return UUID(asked)


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/live", page(live))]
