"""`strike lists import`: pager lists for the regions of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from strike_adapters.geojson_files import NamedShape, Network, read_shapes
from strike_app.admin.desk import add_row, admin_of, at_work, pick, plain_table, print_json
from strike_app.tenants import find_tenant
from strike_domain.actors import Actor, Side
from strike_domain.administration import MAX_NAME, Administration
from strike_domain.contacts import PagerList
from strike_domain.corridors import corridor
from strike_domain.eco import is_storable
from strike_domain.errors import Rejected, StrikeError
from strike_domain.geometry import FieldPath, Location


class Outcome(StrEnum):
    """What becomes of one list."""

    ADDED = "added"
    CHANGED = "region changed"
    SAME = "as it is"
    REFUSED = "refused"


_STYLES = {Outcome.ADDED: "green", Outcome.CHANGED: "yellow", Outcome.REFUSED: "bold red"}


@dataclass(frozen=True)
class Wanted:
    """A region that a list is to have: `region`, or the `error` why there is none."""

    name: str
    path: FieldPath
    region: dict[str, Any] | None = None
    error: StrikeError | None = None


@dataclass(frozen=True)
class Step:
    """What is done for one list: `pager_list` is stored unless it is `SAME` or `REFUSED`."""

    name: str
    path: FieldPath
    outcome: Outcome
    pager_list: PagerList | None = None
    error: StrikeError | None = None


def import_regions(
    osp: str, file: Path, contacts_from: str | None, buffer: float, *, dry_run: bool, as_json: bool
) -> int:
    """One list after the other, in the file's order; the exit status is 1 if one was refused."""
    wanted = regions_of(read_shapes(file), buffer, file.stem)
    with at_work() as strike:
        tenant = find_tenant(strike, osp, Side.OSP)
        lists = strike.directory.lists_of(tenant.id)
        steps = plan(wanted, lists, _pattern(lists, contacts_from))
        if not dry_run:
            do, actor = strike.administration(), admin_of(tenant)
            steps = [_done(step, do, actor) for step in steps]
    if as_json:
        print_json([_as_json(one) for one in steps])
    else:
        _print(steps, tenant.name, dry_run=dry_run)
    return 1 if any(one.error for one in steps) else 0


# What the file wants --------------------------------------------------------------------------


def regions_of(shapes: Sequence[NamedShape], buffer: float, otherwise: str) -> list[Wanted]:
    """Each polygon's region, and one along the lines and points of each network.

    A network stands where its first feature does. `otherwise` names the one of features that do
    not say what network they belong to.
    """
    found: dict[object, Callable[[], Wanted]] = {}
    networks: dict[Network, list[NamedShape]] = {}
    for number, one in enumerate(shapes):
        if one.location is None:
            found[number] = _itself(one)
            continue
        network = networks.setdefault(one.network, [])
        network.append(one)
        found.setdefault(
            one.network, _along(network, _called(one.network, shapes, otherwise), buffer)
        )
    return [make() for make in found.values()]


def _itself(one: NamedShape) -> Callable[[], Wanted]:
    return lambda: Wanted(one.name, one.path, one.region, one.error)


def _along(network: list[NamedShape], name: str, buffer: float) -> Callable[[], Wanted]:
    def make() -> Wanted:
        path = network[0].path
        places: list[Location] = [one.location for one in network if one.location]
        try:
            return Wanted(name, path, corridor(places, buffer, path=path))
        except Rejected as error:
            return Wanted(name, path, error=error)

    return make


def _called(network: Network, shapes: Sequence[NamedShape], otherwise: str) -> str:
    """By its name; with its id where another network of the file has the same."""
    name = network.name or network.id or otherwise
    same = {one.network for one in shapes if one.network.name == network.name}
    return f"{name} ({network.id})" if network.name and len(same) > 1 else name


# What is to be done ---------------------------------------------------------------------------


def plan(
    wanted: Sequence[Wanted], lists: Sequence[PagerList], pattern: PagerList | None
) -> list[Step]:
    """What to do for each region. `pattern` is the list whose people a new list gets."""
    known = {one.name: one for one in lists}
    seen: set[str] = set()
    steps = []
    for one in wanted:
        steps.append(_step(one, known, seen, pattern))
        seen.add(one.name.strip())
    return steps


def _step(
    wanted: Wanted, known: Mapping[str, PagerList], seen: set[str], pattern: PagerList | None
) -> Step:
    name, path = wanted.name.strip(), wanted.path
    before = known.get(name)
    base = before or pattern
    error = wanted.error or _against(name, path, before, seen, pattern)
    if error or base is None:
        return Step(name, path, Outcome.REFUSED, error=error)
    if before:
        same = before.region == wanted.region
        after = before.model_copy(update={"region": wanted.region})
        return Step(name, path, Outcome.SAME if same else Outcome.CHANGED, after)
    update = {"name": name, "region": wanted.region}
    return Step(name, path, Outcome.ADDED, base.model_copy(update=update))


def _against(
    name: str,
    path: FieldPath,
    before: PagerList | None,
    seen: set[str],
    pattern: PagerList | None,
) -> Rejected | None:
    """Why a good region can be no list's."""
    if len(name) > MAX_NAME or not is_storable(name):
        return Rejected("NAME_INVALID", f"Use 1 to {MAX_NAME} ordinary characters.", path)
    if name in seen:
        message = "An earlier feature of the file has this name too; give each its own."
        return Rejected("NAME_TAKEN", message, path)
    if before and before.region is None:
        message = "This is the default list, which answers everywhere else; name the region anew."
        return Rejected("IS_DEFAULT_LIST", message, path)
    if not before and not (pattern and pattern.contacts):
        message = "A new list needs people; name a list with --contacts-from, or add a default one."
        return Rejected("CONTACTS_NEEDED", message, path)
    return None


def _pattern(lists: Sequence[PagerList], contacts_from: str | None) -> PagerList | None:
    if contacts_from is not None:
        found: PagerList = pick(lists, contacts_from, "list")
        return found
    return next((one for one in lists if one.region is None), None)


def _done(step: Step, do: Administration, actor: Actor) -> Step:
    """Store it; what is refused on the way does not keep the others from being stored."""
    if step.pager_list is None or step.outcome is Outcome.SAME:
        return step
    store = do.add_list if step.outcome is Outcome.ADDED else do.change_list
    try:
        store(step.pager_list, actor)
    except StrikeError as error:
        return Step(step.name, step.path, Outcome.REFUSED, error=error)
    return step


# Telling --------------------------------------------------------------------------------------


def _print(steps: Sequence[Step], osp: str, *, dry_run: bool) -> None:
    table = plain_table("list", "what", "why")
    for one in steps:
        outcome = Text(one.outcome, _STYLES.get(one.outcome, ""))
        add_row(table, one.name, outcome, _why(one))
    console = Console()
    if steps:
        console.print(table)
    times = Counter(one.outcome for one in steps)
    told = ", ".join(f"{times[outcome]} {outcome}" for outcome in Outcome if times[outcome])
    would = "would be done" if dry_run else "is done"
    console.print(Text(f"{osp}: this {would}: {told or 'nothing'}."), soft_wrap=True)


def _why(step: Step) -> str:
    if step.error is None:
        return ""
    where = ".".join(map(str, step.error.path or step.path))
    return f"{step.error.message} ({step.error.code} at {where})"


def _as_json(step: Step) -> dict[str, Any]:
    error = step.error
    shown = error and {
        "code": error.code,
        "message": error.message,
        "path": [*(error.path or step.path)],
    }
    return {"list": step.name, "outcome": step.outcome, "path": [*step.path], "error": shown}
