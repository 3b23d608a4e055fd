"""`strike size`: the sizes as tables, for people, for docs/sizing.md and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import typer
from rich.console import Console

from strike_app.admin.desk import add_row, plain_table, print_json
from strike_app.sizing import figures
from strike_app.sizing.figures import Figure
from strike_app.sizing.rule import Companies, Size, size_of

BEGIN = "<!-- sizes: strike size --markdown -->"
END = "<!-- end of sizes -->"
"""Between the two, docs/sizing.md holds the tables."""

SHOWN = (10, 100, 1_000)
"""Numbers of NOCs that the page works out."""

Row = tuple[str, ...]


def show_size(companies: Companies, *, markdown: bool, as_json: bool) -> None:
    """As tables, as Markdown for the page, or for machines."""
    if markdown:
        typer.echo(as_markdown())
    elif as_json:
        print_json(told(size_of(companies)))
    else:
        size = size_of(companies)
        for rows in (needs([size]), work(size), limits(size)):
            table = plain_table(rows[0][0], *(f">{one}" for one in rows[0][1:]))
            for row in rows[1:]:
                add_row(table, *row)
            Console().print(table, "")


def told(size: Size) -> dict[str, Any]:
    """All of it by name; rates are a second, cores those worked on in the worst hour."""
    found = asdict(size)
    found["work"] = [
        {
            "name": one.name,
            "rate": one.rate,
            "milliseconds": {part: figure.value for part, figure in one.takes.items()},
        }
        for one in size.work
    ]
    found["figures"] = {name: asdict(one) for name, one in all_figures().items()}
    return found


def all_figures() -> dict[str, Figure]:
    """Every measurement that the rule goes by, by its name in `figures`."""
    return {name: one for name, one in vars(figures).items() if isinstance(one, Figure)}


def as_markdown() -> str:
    """The tables of docs/sizing.md."""
    sizes = [size_of(Companies(nocs)) for nocs in SHOWN]
    parts = (needs(sizes), work(sizes[-1]), limits(sizes[-1]), measured())
    return "\n\n".join(_markdown(rows) for rows in parts)


def needs(sizes: Sequence[Size]) -> list[Row]:
    """What each deployment needs, by part."""
    head = ("worst hour", *(f"{one.companies.nocs:,} NOCs" for one in sizes))
    lines: list[Row] = [head]
    for part in sizes[0].cores:
        lines.append((part, *(_part(one, part) for one in sizes)))
    for name in sizes[0].gigabytes_a_year:
        row = (_size(one.gigabytes_a_year[name]) for one in sizes)
        lines.append((f"{name}, a year", *row))
    return lines


def _part(size: Size, part: str) -> str:
    cores = f"{size.cores[part]:.2f} cores"
    if part in size.processes:
        return f"{cores}: {size.processes[part]} processes"
    if part in size.database_cores:
        return f"{cores}: a machine of {size.database_cores[part]}"
    return cores


def _size(gigabytes: float) -> str:
    return f"{gigabytes:,.1f} GB" if gigabytes < 100 else f"{gigabytes:,.0f} GB"


def work(size: Size) -> list[Row]:
    """What is done how often, and what it takes of whom."""
    lines: list[Row] = [(f"work of {size.companies.nocs:,} NOCs", "a second", "ms of CPU each")]
    for one in size.work:
        takes = ", ".join(f"{part} {figure.value:.2g}" for part, figure in one.takes.items())
        lines.append((one.name, f"{one.rate:,.1f}", takes))
    return lines


def limits(size: Size) -> list[Row]:
    """What does not grow by adding machines, the nearest first."""
    lines: list[Row] = [("limit", f"used by {size.companies.nocs:,} NOCs", "reached at")]
    for one in size.limits:
        used = f"{one.used:.0%}" if one.used >= 0.01 else "below 1%"
        lines.append((one.name, used, f"{one.at:,} NOCs"))
    return lines


def measured() -> list[Row]:
    """Every figure, and where it is from."""
    lines: list[Row] = [("figure", "value", "measured by")]
    for one in all_figures().values():
        by = one.measured if one.measured == figures.COUNTED else f"`{one.measured}`"
        lines.append((one.what, f"{one.value:,g} {one.unit}", by))
    return lines


def _markdown(rows: Sequence[Row]) -> str:
    head, *others = rows
    rule = tuple("---" for _ in head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *others))


def of_options(nocs: int, given: dict[str, float | None]) -> Companies:
    """The usual companies, but for what was said."""
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(Companies(nocs), **said)
