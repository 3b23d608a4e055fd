"""The company's name, and who belongs to it with which role."""

from __future__ import annotations

from aiohttp import web

from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import Filled, form_of, see
from strike_app.web.rendering import render
from strike_app.web.settings_wording import ROLES
from strike_app.web.shell import form, page
from strike_app.web.viewer import Viewer, uuid_in


async def company(viewer: Viewer) -> web.StreamResponse:
    return await _company(viewer, said=viewer.request.query.get("said", ""))


async def rename(viewer: Viewer) -> web.StreamResponse:
    sent = await form_of(viewer.request)
    filled = Filled({"name": sent["name"]})
    try:
        await tell(viewer, "rename_tenant", name=filled.get("name"))
    except Refused as refused:
        filled.refuse(refused)
        return await _company(viewer, name=filled)
    return see(viewer.path("settings"), "saved")


async def set_member(viewer: Viewer) -> web.StreamResponse:
    """Add somebody, or give them another role."""
    sent = await form_of(viewer.request)
    filled = Filled({name: sent[name] for name in ("email", "name", "role")})
    role = filled.get("role") if filled.get("role") in ROLES else "VIEWER"
    try:
        await tell(
            viewer, "set_member", email=filled.get("email"), name=filled.get("name"), role=role
        )
    except Refused as refused:
        filled.refuse(refused)
        return await _company(viewer, person=filled)
    return see(viewer.path("settings"), "saved")


async def remove_member(viewer: Viewer) -> web.StreamResponse:
    try:
        await tell(viewer, "remove_member", id=str(uuid_in(viewer.request, "user")))
    except Refused as refused:
        filled = _nobody()
        filled.refuse(refused)
        return await _company(viewer, person=filled)
    return see(viewer.path("settings"), "removed")


def _nobody() -> Filled:
    return Filled({"email": "", "name": "", "role": "OPERATOR"})


async def _company(
    viewer: Viewer, *, name: Filled | None = None, person: Filled | None = None, said: str = ""
) -> web.Response:
    data = await ask(viewer, "company")
    return render(
        viewer,
        "company.html",
        section="settings",
        tenant=data["tenant"],
        members=sorted(data["members"], key=lambda one: one["email"]),
        name=name or Filled({"name": data["tenant"]["name"]}),
        form=person or _nobody(),
        said=said,
    )


def routes() -> list[web.RouteDef]:
    return [
        web.get("/t/{tenant}/settings", page(company)),
        web.post("/t/{tenant}/settings/name", form(rename)),
        web.post("/t/{tenant}/settings/members", form(set_member)),
        web.post("/t/{tenant}/settings/members/{user}/remove", form(remove_member)),
    ]
