"""Where something is, by the name that people give it: towns, counties, and typed coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from strike_domain.coordinates import readings
from strike_domain.errors import Rejected
from strike_domain.geometry import Location, Position

MAX_TEXT = 200
"""Longest text that is looked up as a name, in characters. GeoJSON may be longer."""

MAX_PLACES = 50
"""Most answers at a time."""


class PlaceKind(StrEnum):
    TOWN = "TOWN"
    COUNTY = "COUNTY"
    COORDINATES = "COORDINATES"


@dataclass(frozen=True)
class Place:
    """A place that was found. Degrees in WGS 84; `state` is a postal code such as CO.

    `population` is 0 where it is not known. A county's point is the middle of its area.
    `geometry` is what was typed, if that was coordinates or GeoJSON.
    """

    name: str
    kind: PlaceKind
    state: str
    latitude: float
    longitude: float
    population: int = 0
    geometry: Location | None = None

    @property
    def label(self) -> str:
        """As it is written on an envelope: "Boulder, CO"."""
        return f"{self.name}, {self.state}" if self.state else self.name

    @property
    def location(self) -> Location:
        """For a callout there."""
        return self.geometry or Location(type="Point", coordinates=(self.longitude, self.latitude))


class Places(Protocol):
    """A gazetteer that needs no network."""

    def find(self, text: str, limit: int, near: Position | None = None) -> tuple[Place, ...]:
        """The towns and counties that `text` may mean, the likeliest first; see `place_names`.

        `near` is longitude and latitude; what is near there comes first among equally good names.
        """


def look_up(
    places: Places, text: str, limit: int, near: Position | None = None
) -> tuple[Place, ...]:
    """What a person means who types `text`: coordinates in any usual form, GeoJSON, or a name.

    Raises `Rejected`: PAGE_SIZE_INVALID, TEXT_TOO_LONG, and the codes of `parse_location` for
    coordinates that are none, with the path `text`.
    """
    if not 1 <= limit <= MAX_PLACES:
        message = f"Ask for 1 to {MAX_PLACES} at a time."
        raise Rejected("PAGE_SIZE_INVALID", message, ("first",))
    if found := readings(text, path=("text",)):
        return tuple(_typed(one) for one in found)[:limit]
    if len(text) > MAX_TEXT:
        message = f"A place's name has at most {MAX_TEXT} characters."
        raise Rejected("TEXT_TOO_LONG", message, ("text",))
    return places.find(text, limit, near)


def _typed(location: Location) -> Place:
    west, south, east, north = location.bounds
    return Place(
        name=location.describe(),
        kind=PlaceKind.COORDINATES,
        state="",
        latitude=(south + north) / 2,
        longitude=(west + east) / 2,
        geometry=location,
    )
