"""Links: which NOC may call out which contractor, and how ready the contractors are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from aiohttp import web

from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import Filled, form_of, see
from strike_app.web.pages.lists import ground_of
from strike_app.web.rendering import render
from strike_app.web.shell import form, page
from strike_app.web.viewer import Viewer, uuid_in
from strike_domain.errors import NotFound

POLICIES = ("AUTOMATIC", "MANUAL")


async def links(viewer: Viewer) -> web.StreamResponse:
    said = viewer.request.query.get("said", "")
    return await _links(viewer, Filled({"ospId": "", "pagingPolicy": "AUTOMATIC"}), said)


async def propose(viewer: Viewer) -> web.StreamResponse:
    sent = await form_of(viewer.request)
    filled = Filled({name: sent[name] for name in ("ospId", "pagingPolicy")})
    try:
        try:
            osp = str(UUID(filled.get("ospId")))
        except ValueError:
            message = "Write the contractor's Strike number, as its settings page shows it."
            raise Refused("ID_INVALID", message, ("ospId",)) from None
        await tell(viewer, "propose_link", osp=osp, policy=_policy(filled.get("pagingPolicy")))
    except Refused as refused:
        if refused.code == "NOT_FOUND":
            refused.path = ("ospId",)
        filled.refuse(refused)
        return await _links(viewer, filled)
    return see(viewer.path("links"), "proposed")


def command(document: str, said: str) -> Callable[[Viewer], Any]:
    """A command on the link with the company of the address."""

    async def run(viewer: Viewer) -> web.StreamResponse:
        await tell(viewer, document, other=str(uuid_in(viewer.request, "other")))
        return see(viewer.path("links"), said)

    return run


async def set_policy(viewer: Viewer) -> web.StreamResponse:
    sent = await form_of(viewer.request)
    policy = _policy(sent["pagingPolicy"])
    other = str(uuid_in(viewer.request, "other"))
    await tell(viewer, "paging_policy", other=other, policy=policy)
    return see(viewer.path("links"), "saved")


async def contractor(viewer: Viewer) -> web.StreamResponse:
    """Where a linked contractor answers, and what keeps it from being ready."""
    link, readiness = await _contractor(viewer)
    ground = ground_of(readiness)
    return render(viewer, "contractor.html", link=link, readiness=readiness, ground=ground)


async def contractor_state(viewer: Viewer) -> web.StreamResponse:
    """The same in a line, for the table of links; nothing if it was suspended meanwhile."""
    try:
        _, readiness = await _contractor(viewer)
    except NotFound:
        readiness = None
    return render(viewer, "contractor_state.html", readiness=readiness)


async def _contractor(viewer: Viewer) -> tuple[dict[str, Any], dict[str, Any]]:
    osp = str(uuid_in(viewer.request, "other"))
    known = (await ask(viewer, "links"))["links"]
    link = next((one for one in known if viewer.is_noc and one["osp"]["id"] == osp), None)
    if link is None:
        raise NotFound("contractor")
    return link, (await ask(viewer, "contractor", osp=osp))["readiness"]


async def _links(viewer: Viewer, filled: Filled, said: str = "") -> web.Response:
    found = (await ask(viewer, "links"))["links"]
    order = {"PENDING": 0, "SUSPENDED": 1, "ACTIVE": 2}
    other = "osp" if viewer.is_noc else "noc"
    found.sort(key=lambda one: (order[one["status"]], one[other]["name"]))
    return render(viewer, "links.html", links=found, other=other, form=filled, said=said)


def _policy(given: str) -> str:
    return given if given in POLICIES else POLICIES[0]


def routes() -> list[web.RouteDef]:
    one = "/t/{tenant}/links/{other}"
    return [
        web.get("/t/{tenant}/links", page(links)),
        web.post("/t/{tenant}/links", form(propose)),
        web.get(one, page(contractor)),
        web.get(f"{one}/state", page(contractor_state)),
        web.post(f"{one}/accept", form(command("accept_link", "accepted"))),
        web.post(f"{one}/decline", form(command("decline_link", "declined"))),
        web.post(f"{one}/withdraw", form(command("withdraw_link", "withdrawn"))),
        web.post(f"{one}/suspend", form(command("suspend_link", "suspended"))),
        web.post(f"{one}/resume", form(command("resume_link", "resumed"))),
        web.post(f"{one}/policy", form(set_policy)),
    ]
