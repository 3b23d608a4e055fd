"""`strike render`: how each contractor's Render answers, and asking again for what had failed."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from strike_adapters.postgres.render_health import RenderStatus, render_status, untasked_ecos
from strike_app.admin.desk import plain_table
from strike_app.bootstrap import open_strike
from strike_app.contractors import contractors
from strike_app.settings import Settings
from strike_domain.actors import Actor, Role, Side
from strike_domain.errors import InvalidTransition


def show_status(osp: str | None, *, as_json: bool, console: Console | None = None) -> int:
    """Say how it goes with each Render; the exit status is 1 if somebody has to look."""
    console = console or Console()
    with open_strike(Settings()) as strike:
        wanted = {one.id for one in contractors(strike, osp)}
        now = strike.clock.now()
        found = [one for one in render_status(strike.pool, now) if one.osp_id in wanted]
    if as_json:
        rows = [{**vars(one), "is_well": one.is_well} for one in found]
        console.out(json.dumps(rows, indent=2, default=str, ensure_ascii=False), highlight=False)
    elif not found:
        console.print("No contractor works with Render.")
    else:
        _print(found, now, console)
    return 0 if all(one.is_well for one in found) else 1


def retry(osp: str, *, as_json: bool, console: Console | None = None) -> int:
    """Have the field tasks made that could not be made before."""
    console = console or Console()
    asked: list[str] = []
    with open_strike(Settings()) as strike:
        (found,) = contractors(strike, osp)
        actor = Actor(
            name="strike:command-line", tenant_id=found.id, side=Side.OSP, role=Role.OPERATOR
        )
        callouts = strike.callouts()
        for row in untasked_ecos(strike.pool, found.id):
            try:
                callouts.retry_field_tasks(row["eco_id"], actor)
            except InvalidTransition:
                continue  # Somebody was faster, or it is over meanwhile.
            asked.append(row["job_number"])
    if as_json:
        console.out(json.dumps({"osp": str(found.id), "asked": asked}), highlight=False)
    elif asked:
        console.print(f"{found.name}: field tasks are made again for {', '.join(asked)}.")
    else:
        console.print(f"{found.name}: no callout is without its field tasks.")
    return 0


def _print(found: list[RenderStatus], now: datetime, console: Console) -> None:
    figures = (">followed", ">late", ">polls/min", ">unchanged", ">errors/min", ">token")
    table = plain_table("contractor", "circuit", *figures)
    for one in found:
        table.add_row(
            Text(one.name, "bold"),
            _circuit(one, now),
            str(one.followed),
            Text(f"{one.late:.0f} s", "" if one.late < one.polling_seconds else "bold red"),
            f"{one.polls:.0f}",
            f"{one.unchanged / one.polls:.0%}" if one.polls else "-",
            Text(f"{one.failures:.0f}", "red" if one.failures else ""),
            _age(one.token_since, now),
        )
    console.print(table)
    for one in found:
        for line in _troubles(one, now):
            console.print(Text.assemble((f"{one.name}: ", "bold"), line))


def _circuit(one: RenderStatus, now: datetime) -> Text:
    if one.circuit is None:
        return Text("not asked yet", "dim" if not one.followed else "bold red")
    if one.circuit == "CLOSED":
        return Text("closed", "green")
    left = max(0.0, (one.circuit_until - now).total_seconds()) if one.circuit_until else 0
    return Text(f"open, tried in {left:.0f} s", "bold red")


def _troubles(one: RenderStatus, now: datetime) -> list[Any]:
    lines: list[Any] = []
    if one.untasked:
        lines.append(
            f"Callouts without field tasks: {one.untasked}. Try strike render retry {one.name!r}."
        )
    if one.unreadable:
        lines.append(f"Callouts of which nobody knows how the work stands: {one.unreadable}.")
    if one.circuit is None and one.followed:
        lines.append("Nobody looks after its field tasks: run strike work.")
    if one.last_error and one.last_error_at:
        lines.append(f"{one.last_error} ({_age(one.last_error_at, now)} ago)")
    return lines


def _age(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "-"
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"
