"""The way in: to the board of the tenant that was looked through last."""

from __future__ import annotations

from aiohttp import web

from strike_app.web.shell import told
from strike_app.web.viewer import TENANT_COOKIE, person_of
from strike_domain.errors import Forbidden


async def home(request: web.Request) -> web.StreamResponse:
    user = await person_of(request)
    known = [str(one.tenant_id) for one in user.memberships]
    if not known:
        raise Forbidden("You belong to no company yet; ask an admin.", "NOT_A_MEMBER")
    last = request.cookies.get(TENANT_COOKIE, "")
    raise web.HTTPFound(f"/t/{last if last in known else known[0]}/board")


def routes() -> list[web.RouteDef]:
    return [web.get("/", told(home))]
