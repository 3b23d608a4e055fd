"""Tells a page that what it shows has changed; the page then asks anew.

The events carry no data, so a lost one costs nothing: the page asks when it is connected again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

from aiohttp import web

from strike_adapters.postgres.changes import Watch
from strike_app.web.asking import ask
from strike_app.web.shell import page
from strike_app.web.viewer import Viewer
from strike_domain.errors import NotFound

BEAT_SECONDS = 15.0
"""How often a quiet stream says that it is alive: proxies cut what is silent."""

PAUSE_SECONDS = 0.25
"""Least time between two events of one page: a storm of changes is one look every so often."""

MEMBER_SECONDS = 30.0
"""How long somebody who left the tenant may still be told that something changed."""

WRITE_SECONDS = 20.0
"""A page that takes in nothing for so long is gone."""

STREAMS = web.AppKey("console_streams", set[asyncio.Task[Any]])


async def live(viewer: Viewer) -> web.StreamResponse:
    """Server-sent events: `changed` whenever the ECO, or any of the tenant's, has changed."""
    services = viewer.services
    asked = viewer.request.query.get("eco")
    if asked:
        found = await ask(viewer, "eco_exists", id=asked)
        if found["eco"] is None:
            raise NotFound("ECO")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    watching = (
        services.changes.watch(UUID(asked))
        if asked
        else services.changes.watch(tenant_id=viewer.here.tenant_id)
    )
    with watching as watch:
        await response.prepare(viewer.request)
        telling = asyncio.create_task(_tell(viewer, response, watch))
        viewer.request.app[STREAMS].add(telling)
        try:
            with suppress(ConnectionError, TimeoutError):
                await telling
        finally:
            telling.cancel()
            viewer.request.app[STREAMS].discard(telling)
    return response


async def _tell(viewer: Viewer, response: web.StreamResponse, watch: Watch) -> None:
    checked = time.monotonic()
    await _write(response, b"retry: 1000\nevent: changed\ndata: connected\n\n")
    while True:
        changed = await watch.wait(BEAT_SECONDS)
        if time.monotonic() - checked >= MEMBER_SECONDS:
            checked = time.monotonic()
            if not await viewer.services.queries.belongs(
                viewer.user, viewer.here.tenant_id, viewer.services.clock.now()
            ):
                return
        await _write(response, b"event: changed\ndata: \n\n" if changed else b": alive\n\n")
        await asyncio.sleep(PAUSE_SECONDS)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(data)


async def hang_up(app: web.Application) -> None:
    """Nobody who listens may hold up the end; pages come back to whoever serves then."""
    streams: set[asyncio.Task[Any]] = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/live", page(live))]
