"""What every command of admins needs: who acts, for whom, and how the outcome is told."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strike_app.bootstrap import Strike, open_strike
from strike_app.settings import Settings
from strike_domain.actors import Actor, Role
from strike_domain.errors import Rejected
from strike_domain.ports import Tenant


@contextmanager
def at_work() -> Iterator[Strike]:
    """Strike on its database, for one command."""
    with open_strike(Settings()) as strike:
        yield strike


def admin_of(tenant: Tenant) -> Actor:
    """The person at the command line, as an admin of that tenant."""
    return Actor(name=_caller(), tenant_id=tenant.id, side=tenant.side, role=Role.ADMIN)


def system_admin() -> Actor:
    """The person at the command line, as whoever runs Strike."""
    return Actor.system("cli").model_copy(update={"name": _caller()})


def _caller() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # A container's user may have no name.
        return "cli:unknown"


def rejected(error: ValidationError, code: str) -> Rejected:
    """The first thing that a model has against what was given, as everything else is told."""
    first = error.errors(include_input=False, include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return Rejected(code, f"{message[:1].upper()}{message[1:]}.", first["loc"])


def pick(things: Sequence[Any], wanted: str, what: str, name: str = "name") -> Any:
    """The one of that name or id, or else with that in its name. Raises `Rejected`, with all."""
    sought = wanted.strip().lower()
    found = [one for one in things if sought == str(_id_of(one))]
    found = found or [one for one in things if sought == getattr(one, name).lower()]
    found = found or [one for one in things if sought in getattr(one, name).lower()]
    if len(found) == 1:
        return found[0]
    which = f"Several {what}s are called that" if found else f"There is no such {what}"
    names = ", ".join(_told(one, name, found) for one in found or things) or "none"
    code = f"UNKNOWN_{what.upper().replace(' ', '_')}"
    raise Rejected(code, f"{which}; there are: {names}.", (what.split()[-1],))


def _id_of(thing: Any) -> UUID:
    found: UUID = thing.id if hasattr(thing, "id") else thing.user_id
    return found


def _told(thing: Any, name: str, found: Sequence[Any]) -> str:
    called: str = getattr(thing, name)
    same = [one for one in found if getattr(one, name) == called]
    return f"{called} ({_id_of(thing)})" if len(same) > 1 else called


# Telling ------------------------------------------------------------------------------------


def print_json(value: Any) -> None:
    """For machines, on standard output."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    Console().out(text, highlight=False)


def tell(said: str, value: Any, *, as_json: bool) -> None:
    """One sentence, or for machines what it is about."""
    if as_json:
        print_json(value)
    else:
        Console().print(Text(said), soft_wrap=True)


def plain_table(*columns: str) -> Table:
    """Columns without lines; one whose heading begins with > is set to the right.

    Ids are never broken or cut: they are there to be copied.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in columns:
        right = heading.startswith(">")
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=heading == "id",
        )
    return table


def counted(count: int, one: str, many: str | None = None) -> str:
    """ "1 person", "2 people"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def add_row(table: Table, *cells: object) -> None:
    """What is text already keeps its style; nothing in a name is taken for one."""
    table.add_row(*(one if isinstance(one, Text) else Text(str(one)) for one in cells))


def show_table(table: Table, value: Any, *, as_json: bool, otherwise: str) -> None:
    """The table, `otherwise` if it has no rows, or the value for machines."""
    if as_json:
        print_json(value)
    elif table.row_count:
        Console().print(table)
    else:
        Console().print(Text(otherwise), soft_wrap=True)
