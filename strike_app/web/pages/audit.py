"""Who changed what in the settings, the newest first."""

from __future__ import annotations

from aiohttp import web

from strike_app.admin.audit import UNTOLD
from strike_app.admin.differences import differences
from strike_app.web.asking import ask
from strike_app.web.rendering import render
from strike_app.web.shell import page
from strike_app.web.viewer import Viewer

FIRST = 50


async def audit(viewer: Viewer) -> web.StreamResponse:
    before = viewer.request.query.get("before", "")
    older_than = int(before) if before.isdecimal() and len(before) < 10 else None
    data = await ask(viewer, "audit", first=FIRST, before=older_than)
    changes = data["settingsChanges"]
    for one in changes:
        one["differences"] = [
            difference
            for difference in differences(one["before"], one["after"])
            if difference.key not in UNTOLD
        ]
    return render(
        viewer,
        "audit.html",
        section="settings/audit",
        changes=changes,
        older=changes[-1]["number"] if len(changes) == FIRST else None,
    )


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/settings/audit", page(audit))]
