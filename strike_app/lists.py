"""`strike lists`: are the pager lists ready for the night?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from strike_app.bootstrap import Strike, open_strike
from strike_app.contractors import contractors
from strike_app.list_map import draw
from strike_app.settings import Settings
from strike_domain.contacts import PagerList
from strike_domain.drill import Drill, drill
from strike_domain.errors import Rejected
from strike_domain.geometry import Location, parse_location
from strike_domain.ports import Tenant
from strike_domain.readiness import Problem, Readiness, Severity, check_lists
from strike_domain.regions import parse_region, region_shape
from strike_domain.routing import NoRoute

NOCS_OF = """
SELECT t.id, t.name FROM links l JOIN tenants t ON t.id = l.noc_id
WHERE l.osp_id = %s AND l.status = 'ACTIVE' ORDER BY t.name
"""

NOWHERE = Location(type="Point", coordinates=((0.0, 0.0),))


@dataclass(frozen=True)
class Checked:
    """One contractor's lists, and what was found."""

    osp: Tenant
    lists: list[PagerList]
    readiness: Readiness


def check(osp: str | None, *, area: Path | None, map_file: Path | None, as_json: bool) -> int:
    """Check one contractor's lists, or everybody's; the exit status is 1 if anything is wrong."""
    wanted = parse_region(area.read_text("utf-8"), path=(str(area),)) if area else None
    with open_strike(Settings()) as strike:
        checked = [
            Checked(one, lists, check_lists(lists, wanted))
            for one in contractors(strike, osp)
            for lists in [strike.directory.lists_of(one.id)]
        ]
    if map_file:
        _draw(checked, map_file)
    if as_json:
        text = json.dumps([_as_json(one) for one in checked], indent=2, ensure_ascii=False)
        Console().out(text, highlight=False)
    else:
        _print(checked, Console())
    return 0 if all(one.readiness.is_ready for one in checked) else 1


def run_drill(osp: str, *, at: str | None, list_name: str | None, as_json: bool) -> int:
    """Ring a list down on paper; the exit status is 1 if somebody could not be rung for real."""
    with open_strike(Settings()) as strike:
        (found,) = contractors(strike, osp)
        done = _drill(strike, found, at, list_name)
        lines = [*_reach_provider(strike, found)]
    if as_json:
        moments = [vars(one) for one in done.moments]
        provider = [{"noc": noc, "problem": problem} for noc, problem in lines]
        text = {"list": done.list_name, "reason": done.reason, "moments": moments}
        Console().out(json.dumps({**text, "provider": provider}, indent=2), highlight=False)
    else:
        _print_drill(done, lines, Console())
    return 1 if any(problem for _, problem in lines) else 0


# Check -------------------------------------------------------------------------------------


def _draw(checked: list[Checked], map_file: Path) -> None:
    if len(checked) != 1:
        raise Rejected("ONE_MAP", "Name the contractor whose regions the map shows.", ("osp",))
    (one,) = checked
    map_file.write_text(draw(one.lists, one.readiness, one.osp.name), "utf-8")


def _print(checked: list[Checked], console: Console) -> None:
    for one in checked:
        found = one.readiness
        mark = Text("ready", "green") if found.is_ready else Text("not ready", "bold red")
        head = f"{found.lists} lists, {found.contacts} numbers"
        console.print(Text.assemble((one.osp.name, "bold"), f"  {head}  ", mark))
        if found.problems:
            console.print(_table(found.problems))
        console.print()


def _table(problems: tuple[Problem, ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for one in problems:
        wrong = one.severity is Severity.WRONG
        mark = Text("wrong", "bold red") if wrong else Text("warning", "yellow")
        said = Text(one.said)
        said.append(f" {one.cure}", "dim")
        table.add_row("", mark, one.list_name or "", said)
    return table


def _as_json(checked: Checked) -> dict[str, Any]:
    found = checked.readiness
    return {
        "osp": {"id": str(checked.osp.id), "name": checked.osp.name},
        "ready": found.is_ready,
        "lists": found.lists,
        "contacts": found.contacts,
        "problems": [
            {**vars(one), "list_id": str(one.list_id) if one.list_id else None}
            for one in found.problems
        ],
        "gaps": [vars(one) for one in found.gaps],
        "overlaps": [vars(one) for one in found.overlaps],
    }


# Drill -------------------------------------------------------------------------------------


def _drill(strike: Strike, osp: Tenant, at: str | None, list_name: str | None) -> Drill:
    if at is not None:
        location = _location(at)
        route = strike.router.route(osp.id, location)
        if isinstance(route, NoRoute):
            raise Rejected("NO_LIST", route.reason, ("at",))
        return drill(route.pager_list, location, route.reason)
    lists = strike.directory.lists_of(osp.id)
    found = next((one for one in lists if list_name in (None, one.name)), None)
    if found is None:
        names = ", ".join(one.name for one in lists) or "none"
        raise Rejected("NO_SUCH_LIST", f"Its lists are: {names}.", ("list",))
    if not found.contacts:
        raise Rejected("NO_LIST", f"Nobody is on the list {found.name!r}.", ("list",))
    return drill(found, _inside(found), "chosen by hand")


def _location(at: str) -> Location:
    try:
        longitude, latitude = (float(part) for part in at.split(","))
    except ValueError:
        message = "Write longitude and latitude as -105.27,40.01."
        raise Rejected("INVALID_POSITION", message, ("at",)) from None
    return parse_location({"type": "Point", "coordinates": [longitude, latitude]}, path=("at",))


def _inside(pager_list: PagerList) -> Location:
    if pager_list.region is None:
        return NOWHERE
    point = region_shape(pager_list.region).representative_point()
    return Location(type="Point", coordinates=((point.x, point.y),))


def _reach_provider(strike: Strike, osp: Tenant) -> Iterator[tuple[str, str]]:
    """For each NOC that may call this contractor out: whether its account could place a call."""
    checks = strike.checks()
    with strike.pool.connection() as connection:
        nocs = connection.execute(NOCS_OF, (osp.id,)).fetchall()
    for noc in nocs:
        yield noc["name"], checks.twilio(noc["id"]) or ""


def _print_drill(done: Drill, provider: list[tuple[str, str]], console: Console) -> None:
    console.print(Text.assemble((done.list_name, "bold"), f"  {done.reason}"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for moment in done.moments:
        table.add_row("", Text(_clock(moment.seconds), "cyan"), moment.line)
    console.print(table)
    for prompt in done.prompts:
        heard = " ".join(prompt.sentences)
        console.print(Text.assemble(("\n" + prompt.contact.name, "bold"), f" hears: {heard}"))
    console.print()
    for noc, problem in provider:
        mark = Text(problem, "bold red") if problem else Text("could place calls", "green")
        console.print(Text.assemble(f"{noc}: ", mark))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:>3}:{int(seconds) % 60:02d}"
