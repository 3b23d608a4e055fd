"""Response times: how fast callouts were accepted, started and completed, by whom, where, when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import web

from strike_app.web.asking import ask
from strike_app.web.rendering import render
from strike_app.web.shell import whole_page
from strike_app.web.viewer import Viewer

DAYS = (7, 30, 90, 365)

GROUPS = {"company": None, "region": "LIST", "hour": "HOUR", "day": "DAY"}
"""What bars can stand for; `company` is the other side's."""

MEASURES = ("toAccept", "toStart", "toComplete")

FIRST_COLUMNS = ("group", "callouts")


@dataclass(frozen=True)
class Bar:
    """One group: its name, how many callouts, and the spread of each measure."""

    name: str
    ecos: int
    spreads: dict[str, dict[str, Any]]


async def times(viewer: Viewer) -> web.StreamResponse:
    query = viewer.request.query
    days, by = days_of(query.get("days", "")), query.get("by", "")
    by = by if by in GROUPS else "company"
    zone = query.get("zone", "UTC")
    bars = await _bars(viewer, by, days, zone)
    if query.get("format") == "csv":
        return as_csv(bars, f"response-times-by-{by}-{days}-days.csv")
    most = max((bar.spreads[m]["p90"] or 0 for bar in bars for m in MEASURES[:2]), default=0)
    return render(
        viewer, "times.html", bars=bars, days=days, by=by, zone=zone, most=most, all_days=DAYS
    )


async def _bars(viewer: Viewer, by: str, days: int, zone: str) -> list[Bar]:
    group = GROUPS[by] or ("CONTRACTOR" if viewer.is_noc else "NOC")
    until = viewer.now
    since = until - timedelta(days=days)
    data = await ask(
        viewer,
        "times",
        by=[group],
        since=since.isoformat(),
        until=until.isoformat(),
        timeZone=zone,
    )
    found = [
        Bar(name_of(row, group), row["ecos"], {one: row[one] for one in MEASURES})
        for row in data["responseTimes"]
    ]
    if group in ("HOUR", "DAY"):
        return sorted(found, key=lambda bar: bar.name)
    return sorted(found, key=lambda bar: (-bar.ecos, bar.name))


def days_of(asked: str) -> int:
    """How many days back; 30 for anything that cannot be chosen."""
    return int(asked) if asked.isdigit() and int(asked) in DAYS else 30


def name_of(row: dict[str, Any], group: str) -> str:
    """What a bar is called: a company, a list, an hour as 03:00, a day."""
    match group:
        case "HOUR":
            return f"{row['hour']:02}:00"
        case "DAY":
            return str(row["day"])
        case "LIST":
            return str(row["listName"] or "–")
        case "NOC":
            return str(row["noc"]["name"])
        case _:
            return str(row["contractor"]["name"])


def as_csv(bars: Iterable[Bar], name: str) -> web.Response:
    """Seconds and counts, for a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    spreads = [f"{one}_{part}" for one in MEASURES for part in ("count", "p50_s", "p90_s")]
    writer.writerow([*FIRST_COLUMNS, *spreads])
    for bar in bars:
        cells = [bar.spreads[one][part] for one in MEASURES for part in ("count", "p50", "p90")]
        writer.writerow([harmless(bar.name), bar.ecos, *cells])
    return web.Response(
        text=out.getvalue(),
        content_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def routes() -> list[web.RouteDef]:
    return [web.get("/t/{tenant}/times", whole_page(times))]
