"""`eco_map`: where is each ECO, and in which words is it told? What lists and maps look for it by.

A row changes only when the ECO is created or amended, so its indexes cost nothing while the work
goes on. The box is four plain numbers in an index that begins with the tenant: behind row-level
security PostgreSQL uses no index of its geometric types, and of one company the numbers are faster.
"""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from strike_adapters.postgres.views.rows import Row, Upsert
from strike_adapters.postgres.views.view import NO_CHANGE, Change, View, ViewRecorder, change_of
from strike_adapters.postgres.words import stored_words
from strike_domain.eco import Eco, EcoAmended, EcoCreated

TABLE = "eco_map"

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS eco_map (
    eco_id uuid PRIMARY KEY,
    noc_id uuid NOT NULL,
    osp_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    location jsonb NOT NULL,
    west float8 NOT NULL,
    south float8 NOT NULL,
    east float8 NOT NULL,
    north float8 NOT NULL,
    words tsvector NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL
)
"""

ABOUT_WEST = "COMMENT ON COLUMN eco_map.west IS 'Least longitude in degrees, WGS 84'"

ABOUT_WORDS = """
COMMENT ON COLUMN eco_map.words IS
'Of description, job number and ticket; before each n or o for the side, and the last 8 digits of
the tenant''s id'
"""

BY_NOC = """
CREATE INDEX IF NOT EXISTS eco_map_noc ON eco_map (noc_id, west, south, east, north)
INCLUDE (eco_id)
"""
BY_OSP = BY_NOC.replace("noc", "osp")

# What is new waits in a list that every question reads through; kept short, it costs no time.
BY_WORD = """
CREATE INDEX IF NOT EXISTS eco_map_words ON eco_map USING gin (words)
WITH (gin_pending_list_limit = 256)
"""


class EcoMapRecorder(ViewRecorder):
    DDL = (CREATE_TABLE, ABOUT_WEST, ABOUT_WORDS, BY_NOC, BY_OSP, BY_WORD)


class EcoMap(View):
    name = TABLE
    recorder_class = EcoMapRecorder

    def change(self, event: Any, after: Any, position: int) -> Change:
        if not isinstance(event, EcoCreated | EcoAmended):
            return NO_CHANGE
        return change_of(after, Upsert(TABLE, "eco_id", row_of(after, position)))


def row_of(eco: Eco, position: int) -> Row:
    """The row of an ECO as it stood at `position`."""
    west, south, east, north = eco.location.bounds
    return {
        "eco_id": eco.id,
        "noc_id": eco.noc_id,
        "osp_id": eco.osp_id,
        "created_at": eco.created_on,
        "location": Jsonb(eco.location.geojson()),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "words": stored_words(eco.noc_id, eco.osp_id, eco.description, eco.job_number, eco.ticket),
        "version": eco.version,
        "position": position,
    }
