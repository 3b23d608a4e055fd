"""Would the right phones ring tonight? Every list is checked before it is needed.

The on-call person without a number that can be called, the empty list, the strip between two
regions that belongs to nobody: all of them are otherwise found out during the incident.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import phonenumbers
import shapely
from phonenumbers import PhoneNumberType
from shapely import Polygon, STRtree
from shapely.affinity import scale
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from strike_domain.contacts import Contact, PagerList, is_callable
from strike_domain.geometry import in_words
from strike_domain.regions import region_shape, shape_area_m2

LEAST_M2 = 10_000.0
"""Square metres (one hectare) below which a gap or an overlap is a matter of drawing."""

NARROW_M = 250.0
"""Metres: how far apart two regions may be for the strip between them to count as a gap."""

METRES_PER_DEGREE = 111_195.0

NOT_A_PERSON = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PAGER: "a pager, which cannot press a key",
    PhoneNumberType.VOICEMAIL: "a voicemail box",
    PhoneNumberType.UAN: "a company's universal number",
}


class Severity(StrEnum):
    """How bad it is: WRONG keeps somebody from being rung, a WARNING may."""

    WRONG = "WRONG"
    WARNING = "WARNING"


@dataclass(frozen=True)
class Problem:
    """One thing to mend. `list_id` is None where it concerns all lists, `contact` is a name.

    `between`: the names of the two lists of an overlap.
    """

    code: str
    severity: Severity
    said: str
    cure: str
    list_id: UUID | None = None
    list_name: str | None = None
    contact: str | None = None
    between: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gap:
    """Ground between regions, or inside one, that no region covers."""

    area_m2: float
    geometry: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Overlap:
    """Ground that two regions cover. `first` is rung for a point there: it is the smaller."""

    first: str
    second: str
    area_m2: float
    geometry: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Readiness:
    """What was checked, and what is to be mended, the worst first."""

    lists: int
    contacts: int
    problems: tuple[Problem, ...]
    gaps: tuple[Gap, ...]
    overlaps: tuple[Overlap, ...]

    @property
    def is_ready(self) -> bool:
        """Nothing is WRONG; there may be warnings."""
        return all(one.severity is not Severity.WRONG for one in self.problems)


def check_lists(
    lists: Sequence[PagerList], service_area: dict[str, Any] | None = None
) -> Readiness:
    """Check an OSP's lists, and the regions against each other.

    `service_area` is a region (as `parse_region` returns it) that ought to be covered; without one,
    gaps are looked for between the regions and inside them.
    """
    shapes = [(one, region_shape(one.region)) for one in lists if one.region is not None]
    gaps = tuple(_gaps([shape for _, shape in shapes], service_area))
    overlaps = tuple(_overlaps(shapes))
    has_default = any(one.region is None for one in lists)
    problems = [
        *_whole(lists, has_default=has_default),
        *(problem for one in lists for problem in _of_list(one)),
        *_of_ground(gaps, overlaps, has_default=has_default),
    ]
    problems.sort(key=lambda one: one.severity is not Severity.WRONG)
    numbers = {contact.phone for one in lists for contact in one.contacts}
    return Readiness(len(lists), len(numbers), tuple(problems), gaps, overlaps)


# Lists and people --------------------------------------------------------------------------


def _whole(lists: Sequence[PagerList], *, has_default: bool) -> Iterator[Problem]:
    if not lists:
        said = "There is no list at all: a callout to this contractor rings nobody."
        yield Problem("NO_LISTS", Severity.WRONG, said, "Make a default list.")
    elif not has_default:
        said = "There is no default list: a callout outside every region rings nobody."
        yield Problem("NO_DEFAULT_LIST", Severity.WARNING, said, "Make a list without a region.")


def _of_list(pager_list: PagerList) -> Iterator[Problem]:
    about: dict[str, Any] = {"list_id": pager_list.id, "list_name": pager_list.name}
    people = pager_list.contacts
    if not people:
        said, cure = "Nobody is on the list.", "Add two people at least."
        yield Problem("LIST_EMPTY", Severity.WRONG, said, cure, **about)
        return
    if not any(is_callable(one.phone) for one in people):
        said, cure = "No number on the list can be called.", "Correct the numbers."
        yield Problem("LIST_UNREACHABLE", Severity.WRONG, said, cure, **about)
    elif len({one.phone for one in people}) == 1:
        said = f"Only {people[0].name} is on the list: nobody else is rung."
        yield Problem("ONLY_ONE", Severity.WARNING, said, "Add somebody.", **about)
    for one in people:
        for problem in _of_contact(one, pager_list):
            yield Problem(*problem, **about, contact=one.name)
    for phone, count in Counter(one.phone for one in people).items():
        if count > 1:
            names = " and ".join(one.name for one in people if one.phone == phone)
            said = f"{names} have one number: it is rung {count} times."
            cure = "Give each their own, or use rounds to ring the list again."
            yield Problem("NUMBER_REPEATED", Severity.WARNING, said, cure, **about)


def _of_contact(
    contact: Contact, pager_list: PagerList
) -> Iterator[tuple[str, Severity, str, str]]:
    if not is_callable(contact.phone):
        said = f"{contact.name}'s number {contact.phone!r} cannot be called."
        cure = "Write it with its country code, as +13035550101."
        yield "NUMBER_INVALID", Severity.WRONG, said, cure
        return
    kind = NOT_A_PERSON.get(phonenumbers.number_type(phonenumbers.parse(contact.phone)))
    if kind:
        said = f"{contact.name}'s number {contact.phone} is {kind}."
        yield "NUMBER_NOT_A_PERSON", Severity.WARNING, said, "Ask for the person's own number."
    if contact.phone not in pager_list.consented:
        said = f"{contact.name} has not agreed to be rung by a machine."
        yield "NO_CONSENT", Severity.WARNING, said, "Ask them, and note the day of their consent."


# Ground ------------------------------------------------------------------------------------


def _of_ground(
    gaps: Sequence[Gap], overlaps: Sequence[Overlap], *, has_default: bool
) -> Iterator[Problem]:
    for gap in gaps:
        where = _where(gap.geometry)
        severity = Severity.WARNING if has_default else Severity.WRONG
        whom = "the default list is rung there" if has_default else "nobody is rung there"
        said = f"{_area(gap.area_m2)} {where} lie in no region: {whom}."
        yield Problem("REGION_GAP", severity, said, "Move a border, if that is not meant so.")
    for one in overlaps:
        said = (
            f"{one.first} and {one.second} overlap on {_area(one.area_m2)} "
            f"{_where(one.geometry)}: {one.first} is rung there."
        )
        cure = "Move a border, if that is not meant so."
        between = (one.first, one.second)
        yield Problem("REGION_OVERLAP", Severity.WARNING, said, cure, between=between)


def _gaps(shapes: Sequence[BaseGeometry], service_area: dict[str, Any] | None) -> Iterator[Gap]:
    covered = shapely.union_all(shapes)
    if service_area is not None:
        yield from _as_gaps(region_shape(service_area).difference(covered))
    elif shapes:
        holes = _holes(covered)
        yield from _as_gaps(holes)
        yield from _as_gaps(_strips(shapes, covered, holes))


def _as_gaps(ground: BaseGeometry) -> Iterator[Gap]:
    for part in _polygons(ground):
        area = shape_area_m2(part)
        if area >= LEAST_M2:
            yield Gap(area, dict(mapping(part)))


def _holes(covered: BaseGeometry) -> BaseGeometry:
    filled = shapely.union_all([Polygon(one.exterior) for one in _polygons(covered)])
    return filled.difference(covered)


def _strips(
    shapes: Sequence[BaseGeometry], covered: BaseGeometry, holes: BaseGeometry
) -> BaseGeometry:
    """Narrow ground between two regions: what is closed when both grow towards each other."""
    _, south, _, north = covered.bounds
    stretch = max(0.05, math.cos(math.radians((south + north) / 2)))
    flat = scale(covered, xfact=stretch, origin=(0, 0))
    by = NARROW_M / 2 / METRES_PER_DEGREE
    closed = flat.buffer(by, join_style="mitre").buffer(-by, join_style="mitre")
    ground = scale(closed, xfact=1 / stretch, origin=(0, 0)).difference(covered)
    tree = STRtree(shapes)
    strips = [
        part
        for part in _polygons(ground)
        if len(tree.query(part.buffer(by / 10), predicate="intersects")) > 1
        and not Polygon(part.exterior).intersects(holes)
    ]
    return shapely.union_all(strips)


def _overlaps(shapes: Sequence[tuple[PagerList, BaseGeometry]]) -> Iterator[Overlap]:
    """Pairs that share ground; a region wholly inside another is meant as an exception from it."""
    tree = STRtree([shape for _, shape in shapes])
    for (one, first), (other, second) in _pairs(shapes, tree):
        if first.covers(second) or second.covers(first):
            continue
        ground = shapely.union_all(list(_polygons(first.intersection(second))))
        area = shape_area_m2(ground)
        if area < LEAST_M2:
            continue
        order = sorted(((shape_area_m2(first), one.name), (shape_area_m2(second), other.name)))
        yield Overlap(order[0][1], order[1][1], area, dict(mapping(ground)))


def _pairs(
    shapes: Sequence[tuple[PagerList, BaseGeometry]], tree: STRtree
) -> Iterator[tuple[tuple[PagerList, BaseGeometry], ...]]:
    for left, (_, shape) in enumerate(shapes):
        for right in sorted(tree.query(shape, predicate="intersects")):
            if left < right:
                yield shapes[left], shapes[right]


def _polygons(geometry: BaseGeometry) -> Iterator[Polygon]:
    parts: Iterable[BaseGeometry] = shapely.get_parts(geometry)
    return (part for part in parts if isinstance(part, Polygon) and not part.is_empty)


def _area(square_metres: float) -> str:
    square_kilometres = square_metres / 1e6
    return f"{square_kilometres:,.{0 if square_kilometres >= 10 else 2}f} km²"


def _where(geometry: dict[str, Any]) -> str:
    point = region_shape(geometry).representative_point()
    return f"around {in_words((point.x, point.y), decimals=3)}"
