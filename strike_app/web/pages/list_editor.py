"""One pager list: its people in order, its region, its rules; checked before it is saved."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from strike_app.posted import Posted
from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import form_of, see
from strike_app.web.list_forms import DECLINE_KEYS, ListForm
from strike_app.web.pages.lists import ground_of
from strike_app.web.region_files import Offer, offers_of, refused_file, take_only
from strike_app.web.rendering import render
from strike_app.web.shell import form, page
from strike_app.web.viewer import Viewer, uuid_in
from strike_domain.access import Action, require
from strike_domain.errors import Forbidden, NotFound, StrikeError

NEW = "new"


async def new_list(viewer: Viewer) -> web.StreamResponse:
    require(viewer.actor, Action.LISTS_EDIT)
    return await _editor(viewer, ListForm.new())


async def one_list(viewer: Viewer) -> web.StreamResponse:
    """To change, or only to look at for those who may not."""
    found = (await ask(viewer, "list", id=str(uuid_in(viewer.request, "id"))))["pagerList"]
    if found is None:
        raise NotFound("pager list")
    if not viewer.may("lists.edit"):
        return render(viewer, "list.html", one=found)
    return await _editor(viewer, ListForm.of_list(found))


async def send_list(viewer: Viewer) -> web.StreamResponse:
    """What a button of the form does: `save`, or something that stores nothing."""
    require(viewer.actor, Action.LISTS_EDIT)
    sent = await form_of(viewer.request)
    filled = ListForm.of_sent(sent)
    do = "take" if sent["take"] else sent["do"] or "save"
    offers: list[Offer] = []
    try:
        match do:
            case "save":
                await tell(viewer, "save_list", input=filled.list_input(_id_of(viewer)))
                return see(viewer.path("lists"), "saved")
            case "check":
                return await _editor(viewer, filled, found=await _found(viewer, filled))
            case "import":
                offers = await _imported(viewer, filled, sent)
            case "take":
                filled.values |= {"region": sent["take"], "ground": "region"}
            case _:
                filled.press(do)
    except Refused as refused:
        filled.refuse(refused)
    return await _editor(viewer, filled, offers=offers)


async def check_list(viewer: Viewer) -> web.StreamResponse:
    """The part of the page that says how ready the lists would be with this one."""
    require(viewer.actor, Action.LISTS_EDIT)
    filled = ListForm.of_sent(await form_of(viewer.request))
    return render(viewer, "list_check.html", found=await _found(viewer, filled), form=filled)


async def remove_list(viewer: Viewer) -> web.StreamResponse:
    await tell(viewer, "remove_list", id=str(uuid_in(viewer.request, "id")))
    return see(viewer.path("lists"), "removed")


async def _editor(
    viewer: Viewer,
    filled: ListForm,
    *,
    offers: list[Offer] | None = None,
    found: dict[str, Any] | None = None,
) -> web.Response:
    list_id = _id_of(viewer)
    known = (await ask(viewer, "list_regions"))["pagerLists"]
    others = [one for one in known if one["region"] and one["id"] != list_id]
    return render(
        viewer,
        "list_editor.html",
        form=filled,
        list_id=list_id,
        others=[{"listName": one["name"], "geometry": one["region"]} for one in others],
        offers=offers or [],
        found=found,
        keys=DECLINE_KEYS,
    )


async def _found(viewer: Viewer, filled: ListForm) -> dict[str, Any]:
    """What the check says of this list and of the ground around it, or why it says nothing."""
    try:
        given = filled.list_input(_id_of(viewer))
        given["name"] = given["name"] or "?"
        found = (await ask(viewer, "readiness_with", input=given))["readinessWith"]
    except Forbidden:
        raise
    except (Refused, StrikeError) as error:
        return {"problem": error}
    mine = given["name"].strip()
    overlaps = [one for one in found["overlaps"] if mine in (one["first"], one["second"])]
    problems = [
        one
        for one in found["problems"]
        if one["listName"] == mine or one["code"] == "REGION_GAP" or mine in one["between"]
    ]
    problems.sort(key=lambda one: not one["code"].startswith("REGION_"))
    return {"problems": problems, "ground": {**ground_of(found), "overlaps": overlaps}}


async def _imported(viewer: Viewer, filled: ListForm, sent: Posted) -> list[Offer]:
    """What a file, or else what was pasted, has to offer. Raises `Refused`."""
    content: bytes | str = sent.file or sent["paste"]
    if not content:
        raise Refused("FILE_MISSING", "Choose a file, or paste GeoJSON.", ("paste",))
    buffer = filled.number("buffer") or 0
    try:
        offers = await viewer.services.run(lambda: offers_of(content, sent.file_name, buffer))
    except StrikeError as error:
        raise refused_file(error) from None
    return take_only(filled, offers)


def _id_of(viewer: Viewer) -> str | None:
    """None for a new list."""
    if viewer.request.match_info.get("id", NEW) == NEW:
        return None
    return str(uuid_in(viewer.request, "id"))


def routes() -> list[web.RouteDef]:
    return [
        web.get("/t/{tenant}/lists/new", page(new_list)),
        web.post("/t/{tenant}/lists/new", form(send_list)),
        web.get("/t/{tenant}/lists/{id}", page(one_list)),
        web.post("/t/{tenant}/lists/{id}", form(send_list)),
        web.post("/t/{tenant}/lists/{id}/check", form(check_list)),
        web.post("/t/{tenant}/lists/{id}/remove", form(remove_list)),
    ]
