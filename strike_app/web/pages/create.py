"""A new callout: where, what, whom. One form, which a script makes quick and which works without.

The form carries a reference that was made with the page: sent twice, it creates one callout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
from aiohttp import web

from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import form_of
from strike_app.web.locating import Suggestion, geometry_of, suggestions
from strike_app.web.refusals import said
from strike_app.web.rendering import render
from strike_app.web.shell import form, page
from strike_app.web.viewer import Viewer
from strike_app.web.wording import JOB_TYPES, N_, PRIORITIES, PRIORITY
from strike_app.web.words import words_in
from strike_domain.access import Action, require
from strike_domain.errors import StrikeError

FIELDS = {
    "place": "",
    "location": "",
    "located": "",
    "previewed": "",
    "ospId": "",
    "jobType": "FNOL",
    "priority": "NORMAL",
    "description": "",
    "ticket": "",
    "affectedCustomers": "",
}
"""What the form holds and begins with. `located`: the text that `location` was found for;
`previewed`: the location for which it was shown who would be rung."""

MOST_CUSTOMERS = 2_000_000_000

SHOWN_AT = {"location": "place", "clientReference": "description"}
"""Where an error of a field that nobody sees is shown."""


@dataclass
class Draft:
    """The form as it was sent, and what is to be said beside its fields."""

    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    found: list[Suggestion] = field(default_factory=list)
    contractors: list[Mapping[str, Any]] = field(default_factory=list)
    unlinked: list[Mapping[str, Any]] = field(default_factory=list)
    location: dict[str, Any] | None = None
    already: str = ""
    """Id of the callout that this form created before."""

    def refuse(self, name: str, message: str) -> None:
        self.errors.setdefault(SHOWN_AT.get(name, name), message)


async def new(viewer: Viewer) -> web.StreamResponse:
    require(viewer.actor, Action.ECO_CREATE)
    return _shown(viewer, Draft(_fresh()))


async def create(viewer: Viewer) -> web.StreamResponse:
    """Create it, and go to its page; or show the form again with everything that was typed."""
    require(viewer.actor, Action.ECO_CREATE)
    draft = Draft(_fresh() | await _sent(viewer))
    await _locate(viewer, draft)
    customers = _customers(viewer, draft)
    if not draft.errors and (draft.location != geometry_of(draft.values["previewed"])):
        draft.refuse("ospId", _say(viewer, N_("Look who would be rung, then create the callout.")))
    if not draft.errors and not draft.values["ospId"]:
        draft.refuse("ospId", _say(viewer, N_("Choose the contractor.")))
    if not draft.errors and (eco := await _created(viewer, draft, customers)):
        return _gone(viewer, str(eco["id"]))
    return await _refused(viewer, draft)


async def places(viewer: Viewer) -> web.StreamResponse:
    """What the typed text, or a dropped file, can mean: the options of the place's list."""
    sent = await form_of(viewer.request)
    found, error = [], ""
    try:
        found = await suggestions(viewer, sent["text"], geometry_of(sent["near"]))
    except StrikeError as refused:
        error = said(refused, viewer.language)
    return render(viewer, "new_places.html", found=found, error=error)


async def contractors(viewer: Viewer) -> web.StreamResponse:
    """Who would be rung, in which order, and why: shown before the button."""
    sent = await form_of(viewer.request)
    draft = Draft(FIELDS | {"ospId": sent["ospId"]})
    draft.location = geometry_of(sent["location"])
    await _preview(viewer, draft)
    return render(viewer, "new_contractors.html", draft=draft)


async def _sent(viewer: Viewer) -> dict[str, str]:
    sent = await form_of(viewer.request)
    given = {name: sent[name] for name in (*FIELDS, "clientReference") if sent[name]}
    if sent["found"]:
        given["location"] = sent["found"]
    if sent.file:
        given |= {"place": sent.file.decode("utf-8", "replace").strip(), "location": ""}
    return given


async def _locate(viewer: Viewer, draft: Draft) -> None:
    """The location that was chosen for the text as it is; else what the text means."""
    values = draft.values
    if values["location"] and values["located"] == values["place"]:
        draft.location = geometry_of(values["location"])
    if draft.location is None:
        await _search(viewer, draft)
    if draft.location is not None:
        values |= {"location": _text(draft.location), "located": values["place"]}


async def _search(viewer: Viewer, draft: Draft) -> None:
    values = draft.values
    values |= {"location": "", "located": values["place"]}
    try:
        draft.found = await suggestions(viewer, values["place"])
    except StrikeError as refused:
        draft.refuse("place", said(refused, viewer.language))
        return
    exact = [one for one in draft.found if one.is_exact]
    if len(exact) == 1:
        draft.location, draft.found = dict(exact[0].location or {}), []
    elif not values["place"]:
        draft.refuse("place", _say(viewer, N_("Say where it is: click on the map, or type it.")))
    elif any(one.location for one in draft.found):
        draft.refuse("place", _say(viewer, N_("Choose which of these you mean.")))
    else:
        wrong = next((one.error for one in draft.found if one.error), "")
        unknown = _say(viewer, N_("Nothing of that name is known; type coordinates."))
        draft.refuse("place", wrong or unknown)
        draft.found = []


def _customers(viewer: Viewer, draft: Draft) -> int | None:
    text = draft.values["affectedCustomers"].replace(",", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:12]) <= MOST_CUSTOMERS):
        draft.refuse("affectedCustomers", _say(viewer, N_("A whole number from 0, or nothing.")))
        return None
    return int(text)


async def _created(viewer: Viewer, draft: Draft, customers: int | None) -> Mapping[str, Any] | None:
    values = draft.values
    order = {
        "ospId": values["ospId"],
        "location": draft.location,
        "jobType": values["jobType"],
        "description": values["description"],
        "clientReference": values["clientReference"],
        "ticket": values["ticket"] or None,
        "priority": values["priority"],
        "affectedCustomers": customers,
    }
    try:
        eco: Mapping[str, Any] = (await tell(viewer, "create", input=order))["eco"]
    except Refused as refused:
        draft.refuse(refused.field or "description", said(refused, viewer.language))
        return None
    if _is_another(eco, order):
        draft.already = str(eco["id"])
        values["clientReference"] = str(uuid4())
        message = _say(viewer, N_("This form has created a callout already, with another text."))
        draft.refuse("description", f"{message} {eco['jobNumber']}")
        return None
    return eco


def _is_another(eco: Mapping[str, Any], order: Mapping[str, Any]) -> bool:
    """A form that came back by the browser's back button has the reference of the last callout."""
    return bool(eco["description"].split() != order["description"].split())


async def _preview(viewer: Viewer, draft: Draft) -> None:
    """Fill in the contractors; the fittest is chosen where none of them is."""
    try:
        data = await ask(viewer, "contractors_for", location=draft.location)
    except StrikeError as refused:
        if refused.path[:1] != ("location",):
            raise
        draft.refuse("place", said(refused, viewer.language))
        return
    draft.contractors = data["contractorsFor"]
    draft.unlinked = [one for one in data["links"] if one["status"] != "ACTIVE"]
    draft.values["previewed"] = _text(draft.location)
    known = [one["osp"]["id"] for one in draft.contractors]
    if draft.values["ospId"] not in known:
        draft.values["ospId"] = known[0] if known else ""


def _say(viewer: Viewer, text: str) -> str:
    return words_in(viewer.language).gettext(text)


def _fresh() -> dict[str, str]:
    return FIELDS | {"clientReference": str(uuid4())}


def _text(location: Mapping[str, Any] | None) -> str:
    return orjson.dumps(location).decode() if location else ""


def _wants_json(viewer: Viewer) -> bool:
    return viewer.request.headers.get("Accept", "").startswith("application/json")


def _gone(viewer: Viewer, eco_id: str) -> web.StreamResponse:
    address = viewer.path("eco", eco_id)
    if _wants_json(viewer):
        return web.json_response({"go": address}, status=201)
    return web.Response(status=303, headers={"Location": address})


async def _refused(viewer: Viewer, draft: Draft) -> web.StreamResponse:
    if _wants_json(viewer):
        reference = draft.values["clientReference"]
        already = viewer.path("eco", draft.already) if draft.already else ""
        body = {"errors": draft.errors, "clientReference": reference, "already": already}
        return web.json_response(body)  # As GraphQL does: to refuse is no failure.
    if draft.location is not None:
        await _preview(viewer, draft)
    return _shown(viewer, draft, 422)


def _shown(viewer: Viewer, draft: Draft, status: int = 200) -> web.StreamResponse:
    choices = {
        "job_types": JOB_TYPES,
        "priorities": [(one, PRIORITY[one].words) for one in PRIORITIES],
    }
    return render(viewer, "new.html", status, draft=draft, **choices)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/t/{tenant}/new", page(new)),
        web.post("/t/{tenant}/new", form(create)),
        web.post("/t/{tenant}/new/places", form(places)),
        web.post("/t/{tenant}/new/contractors", form(contractors)),
    ]
