"""Places by name, on the command line."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from strike_adapters.places import GeoNamesPlaces
from strike_domain.coordinates import printed, readings
from strike_domain.errors import Rejected
from strike_domain.geometry import Position
from strike_domain.places import Place, look_up


def show_places(text: str, near: str | None, limit: int, *, as_json: bool) -> int:
    """Print what was found; the exit status. Raises `Rejected` as `look_up` does."""
    found = look_up(GeoNamesPlaces(), text, limit, _position(near) if near else None)
    if as_json:
        sys.stdout.write(orjson.dumps([_row(one) for one in found]).decode() + "\n")
    elif found:
        Console().print(_table(found))
    else:
        Console(stderr=True).print(f"Nothing is called {text}.", markup=False)
    return 0 if found else 1


def _position(near: str) -> Position:
    found = readings(near, path=("near",))
    if not found:
        message = f"{near!r} are no coordinates; write them as 40.01, -105.27."
        raise Rejected("COORDINATES_EXPECTED", message, ("near",))
    return found[0].positions[0]


def _row(place: Place) -> dict[str, Any]:
    return {
        "name": place.name,
        "kind": place.kind.value,
        "state": place.state or None,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "population": place.population or None,
        "location": place.location.geojson(),
    }


def _table(found: tuple[Place, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("place", "kind", "latitude, longitude", "people"):
        table.add_column(heading)
    for one in found:
        people = f"{one.population:,}" if one.population else ""
        table.add_row(one.label, one.kind.lower(), printed(one.latitude, one.longitude), people)
    return table
