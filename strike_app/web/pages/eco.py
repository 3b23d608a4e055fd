"""One ECO: who is being rung, what the field says, all that happened; as of any second, too."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import form_of
from strike_app.web.rendering import HTMX, render
from strike_app.web.shell import form, page, whole_page
from strike_app.web.viewer import Viewer, uuid_in
from strike_domain.errors import NotFound, Rejected

COMMANDS = {
    "note": ("text",),
    "cancel": ("reason",),
    "dispatch": (),
    "take_up_offer": ("callId",),
    "retry_field_tasks": (),
    "start_work": (),
    "complete": (),
    "reopen": (),
    "amend": ("description", "priority"),
}
"""What can be done on the page: the document, and the fields that its form sends."""


async def eco(viewer: Viewer) -> web.StreamResponse:
    """The page; for htmx only the part that changes. `after`: not before that position."""
    if (after := viewer.request.query.get("after", "")).isdigit():
        await viewer.services.queries.wait_for(int(after))
    return await _show(viewer, moment_of(viewer.request.query.get("at", ""), viewer.now))


async def command(viewer: Viewer) -> web.StreamResponse:
    """Give a command, and show how the ECO stands then; a refusal stands beside its form."""
    name = viewer.request.match_info["command"]
    if name not in COMMANDS:
        raise NotFound("page")
    eco_id = uuid_in(viewer.request, "eco")
    sent = await form_of(viewer.request)
    values = {field: sent[field] for field in COMMANDS[name] if sent[field]}
    try:
        told = await tell(viewer, name, id=str(eco_id), **values)
    except Refused as refused:
        return await _show(viewer, None, status=422, refused=refused, command=name, sent=sent)
    await viewer.services.queries.wait_for(told["position"])
    if HTMX in viewer.request.headers:
        return await _show(viewer, None, done=name)
    raise web.HTTPSeeOther(viewer.path("eco", eco_id))


async def region(viewer: Viewer) -> web.StreamResponse:
    """The region of the list that was rung last, for who may see it; else null."""
    found = await _found(viewer, "eco_region", id=str(uuid_in(viewer.request, "eco")))
    if found is None:
        raise NotFound("ECO")
    response = web.json_response(found["pagerRuns"][-1]["region"] if found["pagerRuns"] else None)
    response.enable_compression()
    return response


async def evidence(viewer: Viewer) -> web.StreamResponse:
    """The bundle that `strike verify` checks, as a file."""
    found = await ask(viewer, "evidence", id=str(uuid_in(viewer.request, "eco")))
    if found["evidence"] is None:
        raise NotFound("ECO")
    disposition = f'attachment; filename="{found["evidence"]["fileName"]}"'
    return web.Response(
        body=base64.b64decode(found["evidence"]["zip"]),
        content_type="application/zip",
        headers={"Content-Disposition": disposition},
    )


def moment_of(asked: str, now: datetime) -> datetime | None:
    """The past second that is asked for; None for now. Raises `Rejected` (MOMENT_INVALID)."""
    if not asked:
        return None
    try:
        at = datetime.fromisoformat(asked)
    except ValueError:
        message = "Write the moment as 2026-01-15T03:00:00Z."
        raise Rejected("MOMENT_INVALID", message, ("at",)) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at < now else None


async def _show(
    viewer: Viewer, at: datetime | None, status: int = 200, **values: Any
) -> web.StreamResponse:
    eco_id = uuid_in(viewer.request, "eco")
    found = await _found(viewer, "eco", id=str(eco_id), asOf=at.isoformat() if at else None)
    now = found if at is None else await _found(viewer, "eco_card", id=str(eco_id))
    if now is None:
        raise NotFound("ECO")
    is_part = HTMX in viewer.request.headers
    template = "eco_parts.html" if is_part else "eco.html"
    shown = {"refused": None, "command": "", "sent": {}, "done": "", **values}
    return render(viewer, template, status, eco=found, newest=now, at=at, **shown)


async def _found(viewer: Viewer, document: str, **variables: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await ask(viewer, document, **variables))["eco"]
    return found


def routes() -> list[web.RouteDef]:
    address = "/t/{tenant}/eco/{eco}"
    return [
        web.get(address, whole_page(eco)),
        web.get(f"{address}/evidence", page(evidence)),
        web.get(f"{address}/region", page(region)),
        web.post(f"{address}/{{command:[a-z_]+}}", form(command)),
    ]
