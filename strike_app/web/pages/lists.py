"""An OSP's pager lists: who is on them, where they answer, whether they are ready for the night."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from strike_app.web.asking import Refused, ask
from strike_app.web.forms import Filled
from strike_app.web.rendering import render
from strike_app.web.shell import page
from strike_app.web.viewer import Viewer
from strike_domain.errors import Forbidden, StrikeError


async def lists(viewer: Viewer) -> web.StreamResponse:
    """All lists on one map. With `latitude` and `longitude`: also the silent drill for there."""
    data = await ask(viewer, "lists")
    query = viewer.request.query
    names = ("latitude", "longitude")
    form = Filled({name: query.get(name, "").strip() for name in names})
    drilled = await drill(viewer, form) if any(form.values.values()) else None
    return render(
        viewer,
        "lists.html",
        lists=data["pagerLists"],
        readiness=data["readiness"],
        ground=ground_of(data["readiness"]),
        form=form,
        drilled=drilled,
        said=query.get("said", ""),
    )


async def drill(viewer: Viewer, form: Filled) -> dict[str, Any] | None:
    """What would happen there, or None with the reason in the form."""
    try:
        place = {
            "type": "Point",
            "coordinates": [form.number("longitude") or 0, form.number("latitude") or 0],
        }
        osp = str(viewer.here.tenant_id)
        found: dict[str, Any] = (await ask(viewer, "drill", osp=osp, place=place))["drill"]
    except Refused as refused:
        form.refuse(refused)
    except Forbidden:
        raise
    except StrikeError as error:
        form.errors[""] = error
    else:
        return {**found, "place": place}
    return None


def ground_of(readiness: dict[str, Any]) -> dict[str, Any]:
    """What the map of a readiness report shows."""
    return {name: readiness[name] for name in ("regions", "gaps", "overlaps")}


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/lists", page(lists))]
