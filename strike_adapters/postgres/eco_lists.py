"""Lists of a tenant's ECOs: filtered, sorted, by pages whose edges no new ECO moves, and counted.

Each set of conditions has a statement of its own: "the value is null, or ..." in one for all would
keep the cursor out of the index as soon as the server plans for any values, and a later page would
read all the rows before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from strike_adapters.postgres.cursors import read_cursor
from strike_adapters.postgres.settings_queries import Mine
from strike_adapters.postgres.words import asked_words
from strike_domain.actors import Side
from strike_domain.errors import Rejected

MAX_PAGE = 200
"""Most rows that one page of a list can have."""

USUAL_PAGE = 50

COUNTED = 10_000
"""So many are counted exactly; of more it is only said that there are more."""

STATEMENTS = 500
"""So many different ones are kept; whoever asks for others has them written again."""


class EcoSort(StrEnum):
    """In which order a list stands. The id makes each order total."""

    NEWEST = "NEWEST"
    OLDEST = "OLDEST"
    RECENTLY_UPDATED = "RECENTLY_UPDATED"
    MOST_URGENT = "MOST_URGENT"


KEYS: Mapping[EcoSort, tuple[str, ...]] = {
    EcoSort.NEWEST: ("created_at", "eco_id"),
    EcoSort.OLDEST: ("created_at", "eco_id"),
    EcoSort.RECENTLY_UPDATED: ("updated_at", "eco_id"),
    EcoSort.MOST_URGENT: ("urgency", "created_at", "eco_id"),
}
"""What a list is sorted by, from the greatest to the least; `OLDEST` the other way round."""

TYPES = {"created_at": "timestamptz", "updated_at": "timestamptz", "urgency": "int"}


@dataclass(frozen=True)
class Period:
    """From a moment, that one included, until another one, that one not. None: without an end."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Box:
    """A part of the map, in degrees of WGS 84. Where `west` is above `east` it crosses 180°."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True)
class EcoFilter:
    """Which ECOs are wanted: those for which all of it is true. None, or empty: whatever it is."""

    ids: Sequence[UUID] | None = None
    status: Sequence[str] | None = None
    paging_state: Sequence[str] | None = None
    render_state: Sequence[str] | None = None
    job_type: Sequence[str] | None = None
    priority: Sequence[str] | None = None
    other_side: Sequence[UUID] | None = None
    stale: bool | None = None
    created: Period | None = None
    updated: Period | None = None
    accepted: Period | None = None
    started: Period | None = None
    completed: Period | None = None
    closed: Period | None = None
    cancelled: Period | None = None
    search: str | None = None
    within: Box | None = None


EVERYTHING = EcoFilter()

PERIODS = ("created", "updated", "accepted", "started", "completed", "closed", "cancelled")

_OVERLAPS = "west <= %(east)s AND east >= %(west)s AND south <= %(north)s AND north >= %(south)s"
_OVERLAPS_OVER_180 = (
    "(west <= %(east)s OR east >= %(west)s) AND south <= %(north)s AND north >= %(south)s"
)
_PLACED = "eco_id IN (SELECT eco_id FROM eco_map WHERE {mine} = %(tenant)s AND "

CONDITIONS = {
    **{
        name: f"{name} = ANY(%({name})s)"
        for name in ("status", "paging_state", "render_state", "job_type", "priority")
    },
    "ids": "eco_id = ANY(%(ids)s)",
    "other_side": "{other} = ANY(%(other_side)s)",
    "stale": "stale = %(stale)s",
    **{f"{name}_since": f"{name}_at >= %({name}_since)s" for name in PERIODS},
    **{f"{name}_until": f"{name}_at < %({name}_until)s" for name in PERIODS},
    "search": "eco_id IN (SELECT strike_ecos_told_with(%(search_{mine})s::tsquery))",
    "within": f"{_PLACED}{_OVERLAPS})",
    "within_over_180": f"{_PLACED}{_OVERLAPS_OVER_180})",
    "as_of": "created_at <= %(as_of)s AND from_at <= %(as_of)s AND until_at > %(as_of)s",
}
"""What a row is asked for, by the value that asks for it. `{mine}` is the tenant's own side."""

NAMES = {"noc_name": "noc_id", "osp_name": "osp_id"}
"""Columns that are no table's: names of the companies of these columns."""


def company_name(ids: str) -> str:
    """What reads the name of the company whose id is in that column."""
    return f"(SELECT name FROM tenants WHERE id = {ids})"  # noqa: S608


@dataclass(frozen=True)
class PageAsked:
    """The first so many after a cursor, or the last so many before one."""

    size: int = USUAL_PAGE
    cursor: str | None = None
    backwards: bool = False

    @classmethod
    def of(
        cls, first: int | None, after: str | None, last: int | None, before: str | None
    ) -> PageAsked:
        """As Relay asks. Raises `Rejected`: PAGE_SIZE_INVALID, PAGE_DIRECTION_UNCLEAR."""
        backwards = last is not None or before is not None
        if backwards and (first is not None or after is not None):
            message = "Ask for the first after a cursor, or for the last before one, not for both."
            raise Rejected("PAGE_DIRECTION_UNCLEAR", message, ("last",))
        size = last if backwards else first
        size = USUAL_PAGE if size is None else size
        if not 1 <= size <= MAX_PAGE:
            message = f"Ask for 1 to {MAX_PAGE} at a time."
            raise Rejected("PAGE_SIZE_INVALID", message, ("last" if backwards else "first",))
        return cls(size, before if backwards else after, backwards)


FIRST_PAGE = PageAsked()


@dataclass(frozen=True)
class Page:
    """A part of a list. `rows` have the columns that were asked for, and those of the sort."""

    rows: Sequence[DictRow]
    has_next: bool
    has_previous: bool = False


@lru_cache(maxsize=STATEMENTS)
def ecos_statement(
    *wanted: str,
    sort: EcoSort = EcoSort.NEWEST,
    backwards: bool = False,
    columns: frozenset[str] | None = None,
) -> str:
    """A page of the list, of rows that are as `wanted`: keys of `CONDITIONS`, and `cursor`.

    `columns`: which are wanted; None: all of `eco_views`.
    """
    is_falling = (sort is not EcoSort.OLDEST) != backwards
    order = _order(sort, is_falling=is_falling)
    conditions = [one for one in wanted if one != "cursor"]
    if "cursor" in wanted:
        places = ", ".join(f"%(at_{name})s::{TYPES.get(name, 'uuid')}" for name in KEYS[sort])
        sign = "<" if is_falling else ">"
        tail = f" AND ({', '.join(KEYS[sort])}) {sign} ({places}) {order} LIMIT %(limit)s"
    else:
        tail = f" {order} LIMIT %(limit)s"
    is_past = "as_of" in wanted
    places_wanted = is_past and (columns is None or "location" in columns)
    read = _read(sort, columns, is_past=is_past)
    halves = _halves(conditions, read, tail)
    named = "".join(
        f", {company_name(ids)} AS {name}"
        for name, ids in NAMES.items()
        if columns is not None and name in columns
    )
    page = f"SELECT mine.*{named} FROM ({halves}) AS mine {order} LIMIT %(limit)s"  # noqa: S608
    return _with_places(page, order) if places_wanted else page


def _order(sort: EcoSort, *, is_falling: bool) -> str:
    direction = "DESC" if is_falling else "ASC"
    return "ORDER BY " + ", ".join(f"{name} {direction}" for name in KEYS[sort])


def _read(sort: EcoSort, columns: frozenset[str] | None, *, is_past: bool) -> str:
    if columns is None:
        return "*"
    needed = {*columns, *KEYS[sort], "eco_id"} - NAMES.keys()
    needed |= {ids for name, ids in NAMES.items() if name in columns}
    if is_past and "location" in columns:
        needed.add("from_position")
    return ", ".join(sorted(needed))


def _halves(conditions: Sequence[str], read: str, tail: str) -> str:
    """The rows of which the tenant is the NOC, and those of which it is the contractor.

    A tenant is on one side only. Asked for by "or", all of its rows would be sorted for one page;
    asked for one by one, each side is read in the order of its index.
    """
    table = "eco_history" if "as_of" in conditions else "eco_views"
    halves = []
    for mine, other in (("noc_id", "osp_id"), ("osp_id", "noc_id")):
        asked = "".join(
            f" AND {CONDITIONS[one].format(mine=mine, other=other)}" for one in conditions
        )
        halves.append(f"(SELECT {read} FROM {table} WHERE {mine} = %(tenant)s{asked}{tail})")  # noqa: S608
    return " UNION ALL ".join(halves)


def _with_places(page: str, order: str) -> str:
    """The page with each ECO's place as it was then, which only the row that set it has."""
    return f"""
        SELECT page.*, place.location AS place FROM ({page}) AS page
        CROSS JOIN LATERAL (
            SELECT location FROM eco_history h
            WHERE h.eco_id = page.eco_id AND h.from_position <= page.from_position
              AND h.location IS NOT NULL
            ORDER BY h.from_position DESC LIMIT 1
        ) AS place
        {order}"""  # noqa: S608 - a statement of ours


@lru_cache(maxsize=STATEMENTS)
def total_statement(*wanted: str) -> str:
    """How many there are, no more than `limit`."""
    halves = _halves(wanted, "1", " LIMIT %(limit)s")
    return f"SELECT count(*) AS total FROM ({halves}) AS mine"  # noqa: S608


GROUPS = "status, paging_state, render_state, priority, stale"


@lru_cache(maxsize=STATEMENTS)
def groups_statement(*wanted: str) -> str:
    """How many there are of each combination of states."""
    halves = _halves(wanted, GROUPS, "")
    return f"SELECT {GROUPS}, count(*) AS count FROM ({halves}) AS mine GROUP BY {GROUPS}"  # noqa: S608


def values_of(tenant_id: UUID, wanted: EcoFilter, as_of: datetime | None) -> dict[str, Any]:
    """The conditions of a filter, by the keys of `CONDITIONS`, each with its value.

    Raises `Rejected`: SEARCH_EMPTY, BOX_INVALID, AS_OF_FILTER_UNKNOWN.
    """
    found: dict[str, Any] = {}
    for each in fields(wanted):
        value = getattr(wanted, each.name)
        if value is not None and value != []:
            found.update(_values_of(each.name, value, tenant_id))
    if as_of is not None:
        for name in ("search", "within", "within_over_180"):
            if name in found:
                message = "Of the past neither words nor places can be looked for; leave it out."
                path = ("filter", name.removesuffix("_over_180"))
                raise Rejected("AS_OF_FILTER_UNKNOWN", message, path)
        found["as_of"] = as_of
    return found


def _values_of(name: str, value: Any, tenant_id: UUID) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Period):
        for end in ("since", "until"):
            if (moment := getattr(value, end)) is not None:
                yield f"{name}_{end}", zoned(moment, ("filter", name, end))
    elif isinstance(value, Box):
        _check_box(value)
        yield "within_over_180" if value.west > value.east else "within", value
    elif name == "search":
        words = {
            "search_noc_id": asked_words(Side.NOC, tenant_id, value),
            "search_osp_id": asked_words(Side.OSP, tenant_id, value),
        }
        if None in words.values():
            message = "Look for at least one word or number; marks alone are not looked for."
            raise Rejected("SEARCH_EMPTY", message, ("filter", "search"))
        yield name, words
    else:
        yield name, value if isinstance(value, bool) else list(value)


def zoned(moment: datetime, path: tuple[str, ...]) -> datetime:
    """The moment, if it says of which time zone it is. Raises `Rejected` (TIME_WITHOUT_ZONE)."""
    if moment.tzinfo is None:
        message = "Say of which time zone it is, as 2026-01-15T03:00:00Z."
        raise Rejected("TIME_WITHOUT_ZONE", message, path)
    return moment


def _check_box(box: Box) -> None:
    is_on_map = all(-180 <= one <= 180 for one in (box.west, box.east))
    if not (is_on_map and -90 <= box.south <= box.north <= 90):
        message = "Longitudes are -180 to 180, latitudes -90 to 90, the south not above the north."
        raise Rejected("BOX_INVALID", message, ("filter", "within"))


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """As the statement's parameters are called."""
    flat = dict(values)
    for name in ("within", "within_over_180"):
        if name in flat:
            flat.update(vars(flat.pop(name)))
    flat.update(flat.pop("search", {}))
    return flat


class EcoLists:
    """Answers for one tenant at a time, from `eco_views`, or `eco_history` for past moments."""

    def __init__(self, mine: Mine) -> None:
        self._mine = mine

    async def page(
        self,
        tenant_id: UUID,
        asked: PageAsked = FIRST_PAGE,
        wanted: EcoFilter = EVERYTHING,
        sort: EcoSort = EcoSort.NEWEST,
        *,
        as_of: datetime | None = None,
        columns: frozenset[str] | None = None,
    ) -> Page:
        """A page of the tenant's ECOs; `as_of`: as they were at that moment.

        Raises `Rejected` for a cursor (CURSOR_INVALID, CURSOR_OF_OTHER_SORT) or a filter.
        """
        values = values_of(tenant_id, wanted, as_of)
        conditions = [*values]
        flat = _flat(values)
        if asked.cursor is not None:
            path = ("before" if asked.backwards else "after",)
            places = read_cursor(asked.cursor, sort, KEYS[sort], path)
            flat.update({f"at_{name}": place for name, place in places.items()})
            conditions.append("cursor")
        statement = ecos_statement(
            *conditions, sort=sort, backwards=asked.backwards, columns=columns
        )
        rows = await self._mine(statement, tenant=tenant_id, limit=asked.size + 1, **flat)
        has_more, has_cursor = len(rows) > asked.size, asked.cursor is not None
        rows = rows[: asked.size]
        if as_of is not None and rows and "place" in rows[0]:
            rows = [{**row, "location": row["place"]} for row in rows]
        if asked.backwards:
            return Page(rows[::-1], has_cursor, has_more)
        return Page(rows, has_more, has_cursor)

    async def total(
        self, tenant_id: UUID, wanted: EcoFilter = EVERYTHING, as_of: datetime | None = None
    ) -> tuple[int, bool]:
        """How many there are, and whether that is exact: above `COUNTED` nobody counts."""
        values = values_of(tenant_id, wanted, as_of)
        statement = total_statement(*values)
        rows = await self._mine(statement, tenant=tenant_id, limit=COUNTED + 1, **_flat(values))
        total = int(rows[0]["total"])
        return min(total, COUNTED), total <= COUNTED

    async def groups(
        self, tenant_id: UUID, wanted: EcoFilter = EVERYTHING, as_of: datetime | None = None
    ) -> list[DictRow]:
        """How many (`count`) there are of each combination of `GROUPS`."""
        values = values_of(tenant_id, wanted, as_of)
        return await self._mine(groups_statement(*values), tenant=tenant_id, **_flat(values))
