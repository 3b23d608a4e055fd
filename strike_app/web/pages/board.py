"""The board: the tenant's ECOs by urgency, as a table and on a map, as they change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aiohttp import web

from strike_adapters.postgres.replica import must_have
from strike_app.web.asking import ask
from strike_app.web.board_filter import BoardFilter
from strike_app.web.rendering import HTMX, render, text_of
from strike_app.web.shell import page, whole_page
from strike_app.web.viewer import TENANT_COOKIE, Viewer
from strike_app.web.wording import tone_of
from strike_domain.errors import Rejected

PAGE = 100
"""Rows at once. Nobody reads more than the most urgent ones; the map has all."""

MOST_POINTS = 2_000
"""Callouts that the map shows at the most."""

POINTS_PAGE = 200

MOST_CHANGED = 100
"""ECOs of which a page may ask at once what became of them."""

MARK = 8
"""Characters of an id by which a page says which rows it has. Should two begin alike, the page
sees that one is missing, and asks for everything."""


async def board(viewer: Viewer) -> web.StreamResponse:
    """The page; for htmx, and when something changed, its rows and counts only."""
    chosen = BoardFilter.of(viewer.request.query)
    after = viewer.request.query.get("after") or None
    is_part = HTMX in viewer.request.headers
    # Before anything is read: what comes after it is told to the page, twice rather than never.
    position = viewer.services.changes.reached()
    must_have(position)
    data = await ask(
        viewer, "board", **chosen.variables(), first=PAGE, after=after, isWhole=not is_part
    )
    values = {**shown(data), "chosen": chosen}
    if is_part:
        return render(viewer, "board_rows.html" if after else "board_parts.html", **values)
    companies = others(viewer, data["links"])
    response = render(viewer, "board.html", **values, others=companies, position=position)
    response.set_cookie(TENANT_COOKIE, str(viewer.here.tenant_id), httponly=True, samesite="Lax")
    return response


async def changes(viewer: Viewer) -> web.StreamResponse:
    """What became of some ECOs on the board, for a page that has the rest.

    `shown` and `other`: ids of those that have changed, on the page and not on it. `has`: the
    beginnings of the ids of its rows. The answer: `parts`, the counts and those rows only that are
    not on the page as they are; `order`, the ids of the first rows; `gone`, those of the changed
    ones that are not wanted by the filter; `points`, those that are, for the map.
    """
    query = viewer.request.query
    chosen = BoardFilter.of(query)
    shown_ids, other_ids = (_ids(query.get(name, "")) for name in ("shown", "other"))
    asked = [*shown_ids, *other_ids]
    if not 0 < len(asked) <= MOST_CHANGED:
        message = f"Ask for 1 to {MOST_CHANGED} ECOs."
        raise Rejected("IDS_EXPECTED", message, ("shown",))
    is_map = chosen.view == "map"
    variables = chosen.variables()
    changed_filter = {**variables["filter"], "ids": asked}
    data = await ask(
        viewer,
        "board_changes",
        **variables,
        changed=changed_filter,
        first=PAGE,
        most=len(asked),
        isMap=is_map,
    )
    changed = {edge["node"]["id"]: edge["node"] for edge in data["changed"]["edges"]}
    page_values = shown(data)
    order = [eco["id"] for eco in page_values["ecos"]]
    has = set(query.get("has", "").split("."))
    first = {
        eco["id"]: eco
        for eco in page_values["ecos"]
        if eco["id"] in asked or eco["id"][:MARK] not in has
    }
    rows = first | {one: changed[one] for one in shown_ids if one in changed and one not in first}
    values = {**page_values, "ecos": list(rows.values()), "is_empty": not order, "chosen": chosen}
    response = web.json_response(
        {
            "parts": text_of(viewer, "board_parts.html", **values),
            "order": order,
            "gone": [one for one in asked if one not in changed],
            "points": [point(eco) for eco in changed.values()] if is_map else [],
        }
    )
    response.enable_compression()
    return response


def _ids(text: str) -> list[str]:
    """Raises `Rejected` (ID_INVALID)."""
    try:
        return [str(UUID(one)) for one in text.split(".") if one]
    except ValueError:
        raise Rejected("ID_INVALID", "Give ids of ECOs, with points between.") from None


def shown(data: dict[str, Any]) -> dict[str, Any]:
    """What the templates of the board show of its document's answer."""
    ecos = [edge["node"] for edge in data["ecos"]["edges"]]
    return {
        "ecos": ecos,
        "is_empty": not ecos,
        "page_info": data["ecos"]["pageInfo"],
        "total": data["ecos"]["totalCount"],
        "is_exact": data["ecos"]["totalCountIsExact"],
        "counts": counted(data["ecoCounts"]),
    }


async def points(viewer: Viewer) -> web.StreamResponse:
    """All places for the map, the most urgent first: id, words, tone and geometry of each."""
    chosen = BoardFilter.of(viewer.request.query)
    variables: dict[str, Any] = {"filter": chosen.variables()["filter"], "first": POINTS_PAGE}
    found: list[dict[str, Any]] = []
    after = None
    while len(found) < MOST_POINTS:
        data = await ask(viewer, "board_points", **variables, after=after)
        found += [point(edge["node"]) for edge in data["ecos"]["edges"]]
        after = data["ecos"]["pageInfo"]["endCursor"]
        if not data["ecos"]["pageInfo"]["hasNextPage"]:
            break
    response = web.json_response({"points": found})
    response.enable_compression()
    return response


def point(eco: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": eco["id"],
        "words": f"{eco['jobNumber']}: {eco['description'][:80]}",
        "tone": tone_of(eco),
        "place": eco["location"],
    }


def counted(counts: dict[str, Any]) -> dict[str, int]:
    """By the name of the state; `stale`, `nobodyComing` and `total` beside."""
    found = {key: counts[key] for key in ("total", "stale", "nobodyComing")}
    found |= {one["status"]: one["count"] for one in counts["byStatus"]}
    return found | {f"paging_{one['pagingState']}": one["count"] for one in counts["byPagingState"]}


def others(viewer: Viewer, links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The companies on the other side, by name."""
    found = [one["osp"] if viewer.is_noc else one["noc"] for one in links]
    return sorted(found, key=lambda one: str(one["name"]).lower())


def routes() -> list[web.RouteDef]:
    return [
        web.get("/t/{tenant}/board", whole_page(board)),
        web.get("/t/{tenant}/board/changes", page(changes)),
        web.get("/t/{tenant}/board/points", page(points)),
    ]
