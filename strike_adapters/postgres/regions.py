"""Which of an OSP's lists cover a place: two adapters, one answer.

`PostgisRegions` lets PostGIS compare, by `ST_Covers` over a GiST index; no region leaves the
database. `BoxRegions` needs no extension: an index of bounding boxes offers candidates, and shapely
compares them exactly. Both measure lengths and areas with the domain's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from uuid import UUID

import psycopg
import shapely
import structlog
from psycopg.rows import DictRow
from shapely.geometry.base import BaseGeometry

from strike_adapters.postgres.pools import Connections, Pool
from strike_domain.geometry import Location
from strike_domain.regions import (
    ListName,
    Matches,
    RegionCandidate,
    RegionMatch,
    images,
    lines_length_m,
    match_regions,
    place_length_m,
    region_match,
)

HAS_POSTGIS = "SELECT 1 FROM pg_extension WHERE extname = 'postgis'"

HAS_SHAPES = """
SELECT 1 FROM pg_attribute
WHERE attrelid = to_regclass('pager_lists') AND attname = 'region_shape' AND NOT attisdropped
"""

# Made valid as the domain does with what was stored before today's checks.
ADD_SHAPES = """
ALTER TABLE pager_lists ADD COLUMN IF NOT EXISTS region_shape geometry
    GENERATED ALWAYS AS (
        ST_MakeValid(ST_SetSRID(ST_GeomFromGeoJSON(region), 4326), 'method=structure keepcollapsed=false')
    ) STORED;
CREATE INDEX IF NOT EXISTS pager_lists_shape ON pager_lists USING gist (region_shape);
"""  # noqa: E501

# Boxes that touch are near; which region covers the place is decided by its exact form.
LISTS_NEAR = """
SELECT list.id, list.name, list.region, list.region_area_m2,
       array_agg(DISTINCT place.number) AS places
FROM unnest(%(numbers)s::int[], %(osp_ids)s::uuid[], %(places)s::text[])
    AS place (number, osp_id, box)
CROSS JOIN LATERAL (
    SELECT id FROM pager_lists WHERE osp_id = place.osp_id AND region IS NULL
    UNION ALL
    SELECT id FROM pager_lists WHERE osp_id = place.osp_id AND region_box && place.box::box
) AS near
JOIN pager_lists AS list USING (id)
GROUP BY list.id
"""

LISTS_COVERING = """
SELECT number, list.id, list.name, list.region_area_m2, ST_Covers(region_shape, place) AS covers,
       CASE WHEN NOT ST_Covers(region_shape, place)
            THEN ST_AsBinary(ST_Intersection(region_shape, place)) END AS part
FROM unnest(%(numbers)s::int[], %(osp_ids)s::uuid[], %(places)s::bytea[])
    AS asked (number, osp_id, wkb)
CROSS JOIN LATERAL ST_GeomFromWKB(wkb, 4326) AS place
JOIN pager_lists AS list ON list.osp_id = asked.osp_id AND ST_Intersects(region_shape, place)
"""

DEFAULT_LISTS = """
SELECT osp_id, id, name FROM pager_lists WHERE osp_id = ANY(%s) AND region IS NULL
"""

logger = structlog.get_logger()

Places = Sequence[tuple[UUID, Location]]
"""Of which OSP's lists, and where; at least one."""


class Regions(Protocol):
    """The part of `PagerLists` that compares places with regions."""

    def matches_of(self, places: Places) -> list[Matches]:
        """As `PagerLists.matches_of`."""

    def on(self, pool: Connections) -> Regions:
        """The same by other connections."""


class BoxRegions:
    """Bounding boxes in PostgreSQL, the exact comparison in shapely."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool

    def on(self, pool: Connections) -> BoxRegions:
        """The same by other connections."""
        return BoxRegions(pool)

    def matches_of(self, places: Places) -> list[Matches]:
        """Every list whose region covers a place or a part of it, and the default list."""
        values = _asked(places, lambda one: box_text(one.bounds))
        with self._pool.connection() as connection:
            rows = connection.execute(LISTS_NEAR, values).fetchall()
        near: list[list[RegionCandidate]] = [[] for _ in places]
        for row in rows:
            candidate = RegionCandidate(
                list_id=row["id"],
                name=row["name"],
                region=row["region"],
                area_m2=row["region_area_m2"],
            )
            for number in row["places"]:
                near[number].append(candidate)
        return [match_regions(place[1], some) for place, some in zip(places, near, strict=True)]


class PostgisRegions:
    """PostGIS compares. Should it fail, boxes and shapely do: no page waits for an extension."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self._otherwise = BoxRegions(pool)

    def on(self, pool: Connections) -> PostgisRegions:
        """The same by other connections."""
        return PostgisRegions(pool)

    def matches_of(self, places: Places) -> list[Matches]:
        """Every list whose region covers a place or a part of it, and the default list."""
        values = _asked(places, shapely.to_wkb)
        try:
            with self._pool.connection() as connection:
                rows = connection.execute(LISTS_COVERING, values).fetchall()
                defaults = connection.execute(DEFAULT_LISTS, (values["osp_ids"],)).fetchall()
        except (psycopg.ProgrammingError, psycopg.InternalError):
            logger.exception("PostGIS could not compare regions")
            return self._otherwise.matches_of(places)
        return [
            Matches(
                [*_best_of_each(location, [one for one in rows if one["number"] == number])],
                [ListName(one["id"], one["name"]) for one in defaults if one["osp_id"] == osp_id],
            )
            for number, (osp_id, location) in enumerate(places)
        ]


def _asked(places: Places, written: Callable[[BaseGeometry], object]) -> dict[str, list[object]]:
    """Each image of each place, with the number of the place and whose lists, for a statement."""
    asked = [
        (number, osp_id, written(one))
        for number, (osp_id, location) in enumerate(places)
        for one in images(location)
    ]
    numbers, osp_ids, written_places = map(list, zip(*asked, strict=True))
    return {"numbers": numbers, "osp_ids": osp_ids, "places": written_places}


def _best_of_each(location: Location, rows: Sequence[DictRow]) -> Iterator[RegionMatch]:
    """One match for each list, however many images of the place it meets."""
    whole_m = place_length_m(location.shape())
    covered: dict[UUID, float] = {}
    whole = {row["id"] for row in rows if row["covers"]}
    for row in rows:
        part = row["part"]
        length = lines_length_m(shapely.from_wkb(bytes(part))) if part is not None else 0.0
        covered[row["id"]] = max(covered.get(row["id"], 0.0), length)
    for row in {row["id"]: row for row in rows}.values():
        list_id = row["id"]
        if list_id in whole or covered[list_id] > 0:
            length = 0.0 if list_id in whole else covered[list_id]
            name = ListName(list_id, row["name"])
            yield region_match(name, whole_m, row["region_area_m2"], length)


def regions_of(pool: Pool) -> Regions:
    """The better adapter for this database. Raises `psycopg.Error` if it cannot be asked."""
    with pool.connection() as connection:
        has_shapes = connection.execute(HAS_SHAPES).fetchone()
    return PostgisRegions(pool) if has_shapes else BoxRegions(pool)


def box_text(bounds: tuple[float, float, float, float]) -> str:
    """Bounds as PostgreSQL's `box` is written, to the last digit."""
    west, south, east, north = bounds
    return f"({east!r},{north!r}),({west!r},{south!r})"
