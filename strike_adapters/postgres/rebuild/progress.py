"""How far a rebuild is, in `view_rebuilds`: for each view, and each part of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

import strike_domain
from strike_adapters.postgres.rebuild import beside
from strike_adapters.postgres.views import view as view_module
from strike_adapters.postgres.views.view import View

STATE = """
SELECT part, parts, position, events FROM view_rebuilds
WHERE view = %s AND fingerprint = %s ORDER BY part
"""

BEGIN = """
INSERT INTO view_rebuilds (view, part, parts, fingerprint, position, events)
SELECT %(view)s, part, %(parts)s, %(fingerprint)s, %(position)s,
       CASE WHEN part = 0 THEN %(events)s ELSE 0 END
FROM generate_series(0, %(parts)s - 1) AS part
"""

FORGET = "DELETE FROM view_rebuilds WHERE view = ANY(%s)"


@dataclass(frozen=True)
class Part:
    """A part of the log's streams: those whose id modulo `parts` is `part`."""

    part: int
    parts: int
    position: int
    events: int


def state_of(connection: psycopg.Connection[Any], view: type[View]) -> list[Part]:
    """How far the tables beside a view are; nothing if there are none of this very version."""
    cursor = connection.cursor(row_factory=dict_row)
    rows = cursor.execute(STATE, (view.name, fingerprint())).fetchall()
    return [Part(**row) for row in rows]


def begin(connection: psycopg.Connection[Any], view: type[View], parts: int) -> list[Part]:
    """Make the tables beside, or find those of an interrupted rebuild; how far they are."""
    with connection.transaction():
        found = state_of(connection, view)
        if len({one.position for one in found}) > 1:
            return found  # Each part goes on from where it stands.
        connection.execute(FORGET, ([view.name],))
        if not found:
            beside.create(connection, view)
        values = {
            "view": view.name,
            "parts": parts,
            "fingerprint": fingerprint(),
            "position": found[0].position if found else 0,
            "events": sum(one.events for one in found),
        }
        connection.execute(BEGIN, values)
        return state_of(connection, view)


def forget(connection: psycopg.Connection[Any], views: Sequence[type[View]]) -> None:
    """The rebuild of these views is over."""
    connection.execute(FORGET, ([one.name for one in views],))


@cache
def fingerprint() -> str:
    """Changes with whatever a row may be made from: rows of two versions do not mix."""
    digest = sha256()
    for folder in (Path(view_module.__file__).parent, Path(strike_domain.__file__).parent):
        for file in sorted(folder.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
