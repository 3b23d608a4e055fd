"""The board: the tenant's ECOs by urgency, as a table and on a map, as they change."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from strike_app.web.asking import ask
from strike_app.web.board_filter import BoardFilter
from strike_app.web.rendering import HTMX, render
from strike_app.web.shell import page
from strike_app.web.viewer import TENANT_COOKIE, Viewer
from strike_app.web.wording import tone_of

PAGE = 100
"""Rows at once. Nobody reads more than the most urgent ones; the map has all."""

MOST_POINTS = 2_000
"""Callouts that the map shows at the most."""

POINTS_PAGE = 200


async def board(viewer: Viewer) -> web.StreamResponse:
    """The page; for htmx, and when something changed, its rows and counts only."""
    chosen = BoardFilter.of(viewer.request.query)
    after = viewer.request.query.get("after") or None
    is_part = HTMX in viewer.request.headers
    data = await ask(
        viewer, "board", **chosen.variables(), first=PAGE, after=after, isWhole=not is_part
    )
    values = {
        "ecos": [edge["node"] for edge in data["ecos"]["edges"]],
        "page_info": data["ecos"]["pageInfo"],
        "total": data["ecos"]["totalCount"],
        "is_exact": data["ecos"]["totalCountIsExact"],
        "counts": counted(data["ecoCounts"]),
        "chosen": chosen,
    }
    if is_part:
        return render(viewer, "board_rows.html" if after else "board_parts.html", **values)
    response = render(viewer, "board.html", **values, others=others(viewer, data["links"]))
    response.set_cookie(TENANT_COOKIE, str(viewer.here.tenant_id), httponly=True, samesite="Lax")
    return response


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
        web.get("/t/{tenant}/board", page(board)),
        web.get("/t/{tenant}/board/points", page(points)),
    ]
