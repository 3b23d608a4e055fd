"""API tokens: each is shown once, in the answer to the form that made it, and nowhere else."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import Filled, form_of, see
from strike_app.web.rendering import render
from strike_app.web.settings_wording import ROLES, SCOPES
from strike_app.web.shell import form, page
from strike_app.web.viewer import Viewer, uuid_in


async def tokens(viewer: Viewer) -> web.StreamResponse:
    empty = Filled({"name": "", "role": "VIEWER", "scopes": ["READ"], "days": "90"})
    return await _tokens(viewer, empty)


async def make_token(viewer: Viewer) -> web.StreamResponse:
    sent = await form_of(viewer.request)
    scopes = [one for one in sent.fields.getall("scopes", []) if one in SCOPES]
    filled = Filled({"name": sent["name"], "role": sent["role"], "days": sent["days"]})
    filled.values["scopes"] = scopes
    role = sent["role"] if sent["role"] in ROLES else "VIEWER"
    made = None
    try:
        days = filled.whole("days") or 0
        made = await tell(
            viewer, "make_token", name=filled.get("name"), role=role, scopes=scopes, days=days
        )
    except Refused as refused:
        filled.refuse(refused)
    return await _tokens(viewer, filled, made)


async def revoke_token(viewer: Viewer) -> web.StreamResponse:
    await tell(viewer, "revoke_token", id=str(uuid_in(viewer.request, "id")))
    return see(viewer.path("settings/tokens"), "revoked")


async def _tokens(
    viewer: Viewer, filled: Filled, made: dict[str, Any] | None = None
) -> web.Response:
    found = (await ask(viewer, "tokens"))["apiTokens"]
    now = viewer.now.isoformat()
    for one in found:
        one["isOver"] = bool(one["revokedAt"]) or one["expiresAt"] <= now
    return render(
        viewer,
        "tokens.html",
        section="settings/tokens",
        tokens=found,
        form=filled,
        made=made,
        said=viewer.request.query.get("said", ""),
    )


def routes() -> list[web.RouteDef]:
    settings = "/t/{tenant}/settings"
    return [
        web.get(f"{settings}/tokens", page(tokens)),
        web.post(f"{settings}/tokens", form(make_token)),
        web.post(f"{settings}/tokens/{{id}}/revoke", form(revoke_token)),
    ]
