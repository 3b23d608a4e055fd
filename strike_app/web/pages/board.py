"""The board: the tenant's ECOs, the most urgent first."""

from __future__ import annotations

from aiohttp import web

from strike_app.web.asking import ask
from strike_app.web.rendering import render
from strike_app.web.shell import page
from strike_app.web.viewer import TENANT_COOKIE, Viewer
from strike_app.web.wording import urgency

FIRST = 200


async def board(viewer: Viewer) -> web.StreamResponse:
    data = await ask(viewer, "board", first=FIRST, status=["OPEN", "IN_PROGRESS", "COMPLETED"])
    ecos = sorted((edge["node"] for edge in data["ecos"]["edges"]), key=urgency)
    response = render(viewer, "board.html", ecos=ecos)
    response.set_cookie(TENANT_COOKIE, str(viewer.here.tenant_id), httponly=True, samesite="Lax")
    return response


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/board", page(board))]
