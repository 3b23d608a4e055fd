"""`strike lists show`, `save` and `remove`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from strike_app.admin.desk import (
    add_row,
    admin_of,
    at_work,
    counted,
    pick,
    plain_table,
    print_json,
    show_table,
    tell,
)
from strike_app.admin.differences import in_words
from strike_app.admin.list_files import as_file, merged, read_list_file
from strike_app.tenants import find_tenant
from strike_domain.actors import Side
from strike_domain.contacts import PagerList

EVERYWHERE = "everywhere else"


def show_lists(osp: str, name: str | None, *, as_json: bool) -> None:
    """All of a contractor's, or one with its people."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        lists = strike.directory.lists_of(tenant.id)
    if name is not None:
        _show_one(pick(lists, name, "list"), as_json=as_json)
        return
    table = plain_table("list", "region", ">people", ">rounds", ">seconds")
    for one in lists:
        add_row(table, one.name, _ground(one), len(one.contacts), one.rounds, one.answer_seconds)
    rows = [{"id": str(one.id), **as_file(one)} for one in lists]
    otherwise = f"{tenant.name} has no pager list yet: try strike lists save."
    show_table(table, rows, as_json=as_json, otherwise=otherwise)


def save_list(osp: str, file: Path, *, as_json: bool) -> None:
    """Add the file's list, or change the one of that name."""
    given = read_list_file(file)
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        before = _of_that_name(strike.directory.lists_of(tenant.id), given.name)
        wanted, do = merged(given, before, file.parent), strike.administration()
        store = do.change_list if before else do.add_list
        saved = store(wanted, admin_of(tenant))
    what = "is changed" if before else "is added"
    people = counted(len(saved.contacts), "person", "people")
    said = f"The list {saved.name} of {tenant.name} {what}: {people}."
    tell(said, {"id": str(saved.id), **as_file(saved)}, as_json=as_json)


def remove_list(osp: str, name: str, *, as_json: bool) -> None:
    """The one of that name or id."""
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        found: PagerList = pick(strike.directory.lists_of(tenant.id), name, "list")
        removed = strike.administration().remove_list(found.id, admin_of(tenant))
    said = f"{tenant.name} has no list {removed.name} any more."
    tell(said, {"id": str(removed.id), **as_file(removed)}, as_json=as_json)


def _of_that_name(lists: list[PagerList], name: str) -> PagerList | None:
    return next((one for one in lists if one.name == name.strip()), None)


def _show_one(one: PagerList, *, as_json: bool) -> None:
    if as_json:
        print_json(as_file(one))
        return
    console = Console()
    again = one.ring_again
    rules = f"{counted(one.rounds, 'round')} of {one.answer_seconds} s"
    if again and again.times:
        rules += f", again after {again.after_minutes} min, {counted(again.times, 'time')}"
    console.print(Text.assemble((one.name, "bold"), f"  {_ground(one)}  {rules}"))
    table = plain_table(">", "name", "phone", "language", "agreed", "text")
    for rank, person in enumerate(one.contacts, 1):
        agreed = "yes" if person.phone in one.consented else Text("not asked", "yellow")
        texted = "yes" if person.phone in one.texted else "no"
        add_row(table, rank, person.name, person.phone, person.language, agreed, texted)
    console.print(table if one.contacts else "Nobody is on it.")


def _ground(one: PagerList) -> str:
    return EVERYWHERE if one.region is None else in_words(one.region)
