"""A gazetteer of a few places, gone through one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strike_domain.geometry import Position
from strike_domain.place_names import Closeness, closeness, folded, likeliest, questions
from strike_domain.places import Place


class ListedPlaces:
    """The port `Places` on a list: slow, and plain enough to see that it is right."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = tuple(places)

    def find(self, text: str, limit: int, near: Position | None = None) -> tuple[Place, ...]:
        """As the port says."""
        return likeliest(self._fitting(text), limit, near)

    def _fitting(self, text: str) -> Iterator[tuple[Closeness, Place]]:
        for asked in questions(text):
            for place in self._places:
                fits = closeness(asked.name, folded(place.name))
                if fits is not None and asked.is_in(place.state):
                    yield fits, place
