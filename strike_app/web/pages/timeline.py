"""All of an ECO's timeline, page by page, the newest first; its own page shows the newest lines."""

from __future__ import annotations

from aiohttp import web

from strike_app.web.asking import ask
from strike_app.web.pages.eco import moment_of
from strike_app.web.rendering import render
from strike_app.web.shell import page
from strike_app.web.viewer import Viewer, uuid_in
from strike_domain.errors import NotFound

LINES = 200
"""Of one page."""


async def timeline(viewer: Viewer) -> web.StreamResponse:
    """The lines before or after a cursor; `at`: as they were at that moment."""
    eco_id, query = uuid_in(viewer.request, "eco"), viewer.request.query
    at = moment_of(query.get("at", ""), viewer.now)
    if after := query.get("after"):
        place = {"first": LINES, "after": after}
    else:
        place = {"last": LINES, "before": query.get("before") or None}
    moment = at.isoformat() if at else None
    found = await ask(viewer, "timeline", id=str(eco_id), asOf=moment, **place)
    if found["eco"] is None:
        raise NotFound("ECO")
    return render(viewer, "timeline.html", eco=found["eco"], at=at)


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/eco/{eco}/timeline", page(timeline))]
