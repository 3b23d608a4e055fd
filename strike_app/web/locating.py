"""What a person typed, pasted or dropped as the place of a callout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from strike_adapters.geojson_files import NamedGeometry, callout_geometry_in
from strike_app.web.asking import ask
from strike_app.web.refusals import said
from strike_app.web.viewer import Viewer
from strike_domain.errors import Rejected

SUGGESTIONS = 8

MOST_OF_A_FILE = 100
"""Most spans of a file that one is offered to choose from."""

GEOMETRY, GAZETTEER = "GEOMETRY", "GAZETTEER"


@dataclass(frozen=True)
class Suggestion:
    """Something that can be meant: a GeoJSON `location`, or an `error` that says why it cannot.

    `kind`: TOWN, COUNTY, COORDINATES, or GEOMETRY from a file.
    """

    label: str
    kind: str
    detail: str = ""
    location: Mapping[str, Any] | None = None
    error: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether it is the very place, and no town or county around it."""
        return self.kind in ("COORDINATES", GEOMETRY) and self.location is not None


async def suggestions(
    viewer: Viewer, text: str, near: Mapping[str, Any] | None = None
) -> list[Suggestion]:
    """What `text` can mean. Raises `StrikeError`: see `look_up` and `callout_geometry_in`."""
    if not text.strip():
        return []
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        found = callout_geometry_in(text.strip("\ufeff \t\r\n"))
        return [_of_file(one, viewer.language) for one in found[:MOST_OF_A_FILE]]
    data = await ask(viewer, "places", text=text, near=near, first=SUGGESTIONS)
    return [
        Suggestion(one["label"], one["kind"], _people(one["population"]), one["location"])
        for one in data["places"]
    ]


def geometry_of(text: str) -> dict[str, Any] | None:
    """A GeoJSON object that a page of ours keeps in a field; None for anything else."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _of_file(one: NamedGeometry, language: str) -> Suggestion:
    if one.location is None:
        wrong: Rejected | None = one.error
        return Suggestion(one.name, GEOMETRY, error=said(wrong, language) if wrong else "")
    location = one.location
    return Suggestion(one.name, GEOMETRY, location.describe(), location.geojson())


def _people(population: int | None) -> str:
    return f"{population:,}" if population else ""
