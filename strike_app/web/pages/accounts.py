"""Accounts at outside systems, whose secrets are set and never shown; and job numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from strike_app.web.asking import Refused, ask, tell
from strike_app.web.forms import Filled, form_of, see
from strike_app.web.rendering import render
from strike_app.web.shell import form, page
from strike_app.web.viewer import Viewer

TWILIO = ("accountSid", "fromNumber")
RENDER = ("baseUrl", "clientId", "project", "pollingSeconds", "inactivityHours", "graceHours")
USUAL = {"pollingSeconds": "30", "inactivityHours": "72", "graceHours": "24"}


# The NOC's phone account -------------------------------------------------------------------


async def twilio(viewer: Viewer) -> web.StreamResponse:
    return await _twilio(viewer)


async def set_twilio(viewer: Viewer) -> web.StreamResponse:
    filled, secret = await _sent(viewer, TWILIO, "authToken")
    try:
        values = {name: filled.get(name) for name in TWILIO}
        await tell(viewer, "set_twilio", input={**values, "authToken": secret})
    except Refused as refused:
        filled.refuse(refused)
        return await _twilio(viewer, filled)
    return see(viewer.path("settings/twilio"), "saved")


async def try_twilio(viewer: Viewer) -> web.StreamResponse:
    return await _twilio(viewer, tested=await tell(viewer, "test_twilio"))


async def _twilio(
    viewer: Viewer, filled: Filled | None = None, tested: dict[str, Any] | None = None
) -> web.Response:
    found = (await ask(viewer, "twilio"))["twilioAccount"]
    filled = filled or _filled(found, TWILIO, "authToken")
    return _account(viewer, "twilio", filled, found, tested, {})


# The OSP's field work ----------------------------------------------------------------------


async def field_work(viewer: Viewer) -> web.StreamResponse:
    return await _render(viewer)


async def set_render(viewer: Viewer) -> web.StreamResponse:
    filled, secret = await _sent(viewer, RENDER, "clientSecret")
    try:
        values: dict[str, Any] = {name: filled.get(name) for name in RENDER[:3]}
        for name in RENDER[3:]:
            number = filled.number(name)
            if number is None:
                raise Refused("NUMBER_EXPECTED", "Write a number.", (name,))
            values[name] = number
        await tell(viewer, "set_render", input={**values, "clientSecret": secret})
    except Refused as refused:
        filled.refuse(refused)
        return await _render(viewer, filled)
    return see(viewer.path("settings/render"), "saved")


async def try_render(viewer: Viewer) -> web.StreamResponse:
    return await _render(viewer, tested=await tell(viewer, "test_render"))


async def _render(
    viewer: Viewer, filled: Filled | None = None, tested: dict[str, Any] | None = None
) -> web.Response:
    data = await ask(viewer, "render")
    found = data["renderInstance"]
    filled = filled or _filled(found, RENDER, "clientSecret", USUAL)
    ecos = [edge["node"] for edge in data["ecos"]["edges"]]
    health = {
        "failed": [one for one in ecos if one["renderState"] == "FAILED"],
        "waiting": [one for one in ecos if one["renderState"] == "PENDING"],
        "unread": [one for one in ecos if one["fieldProblem"]],
        "tasked": [one for one in ecos if one["renderState"] == "TASKED"],
    }
    return _account(viewer, "render", filled, found, tested, health)


def _account(
    viewer: Viewer,
    kind: str,
    filled: Filled,
    found: dict[str, Any] | None,
    tested: dict[str, Any] | None,
    health: dict[str, Any],
) -> web.Response:
    return render(
        viewer,
        f"{kind}.html",
        section=f"settings/{kind}",
        form=filled,
        account=found,
        tested=tested,
        health=health,
        said=viewer.request.query.get("said", ""),
    )


def _filled(
    found: dict[str, Any] | None,
    names: Sequence[str],
    secret: str,
    otherwise: dict[str, str] | None = None,
) -> Filled:
    """The stored terms; of the secret there is only an empty field."""
    values = {name: _text(found[name]) if found else "" for name in names}
    return Filled({**values, secret: ""} | ({} if found else otherwise or {}))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


async def _sent(viewer: Viewer, names: Sequence[str], secret: str) -> tuple[Filled, str | None]:
    """What was filled in; the secret apart, so that no page can hold it. None: as it was."""
    sent = await form_of(viewer.request)
    return Filled({**{name: sent[name] for name in names}, secret: ""}), (sent[secret] or None)


# Job numbers -------------------------------------------------------------------------------


async def jobs(viewer: Viewer) -> web.StreamResponse:
    return await _jobs(viewer, Filled({"year": str(viewer.now.year), "last": ""}))


async def raise_jobs(viewer: Viewer) -> web.StreamResponse:
    sent = await form_of(viewer.request)
    filled = Filled({name: sent[name] for name in ("year", "last")})
    try:
        numbers = {name: filled.whole(name) for name in ("year", "last")}
        for name, number in numbers.items():
            if number is None:
                raise Refused("NUMBER_EXPECTED", "Write a whole number.", (name,))
        await tell(viewer, "raise_jobs", **numbers)
    except Refused as refused:
        filled.refuse(refused)
        return await _jobs(viewer, filled)
    return see(viewer.path("settings/jobs"), "saved")


async def _jobs(viewer: Viewer, filled: Filled) -> web.Response:
    numbers = (await ask(viewer, "jobs"))["jobNumbers"]
    said = viewer.request.query.get("said", "")
    return render(
        viewer, "jobs.html", section="settings/jobs", numbers=numbers, form=filled, said=said
    )


def routes() -> list[web.RouteDef]:
    settings = "/t/{tenant}/settings"
    return [
        web.get(f"{settings}/twilio", page(twilio)),
        web.post(f"{settings}/twilio", form(set_twilio)),
        web.post(f"{settings}/twilio/test", form(try_twilio)),
        web.get(f"{settings}/render", page(field_work)),
        web.post(f"{settings}/render", form(set_render)),
        web.post(f"{settings}/render/test", form(try_render)),
        web.get(f"{settings}/jobs", page(jobs)),
        web.post(f"{settings}/jobs", form(raise_jobs)),
    ]
