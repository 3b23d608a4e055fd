"""Names searched as one long text, which is faster than any index that would have to be built."""

from __future__ import annotations

import gzip
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import nsmallest
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from strike_domain.errors import Unavailable
from strike_domain.geometry import Position
from strike_domain.place_names import (
    SHORTEST_MISSPELT,
    Closeness,
    Question,
    folded,
    likeliest,
    misspelt,
    questions,
    weight,
)
from strike_domain.places import Place, PlaceKind

FILE = Path(__file__).parent / "places.json.gz"
"""Written when the package is built, by `build_places.py`."""

SCALE = 100_000
"""Coordinates are whole numbers of a hundred thousandth of a degree, about a metre."""


class GazetteerMissing(Unavailable):
    """The package was not built: there are no names to look through."""

    def __init__(self) -> None:
        message = "The names of places are not built; type coordinates, or install Strike anew."
        super().__init__(message, "PLACES_NOT_BUILT", can_retry=False)


class GeoNamesPlaces:
    """The port `Places` on the file that the build writes, read when it is first asked."""

    def __init__(self, file: Path = FILE) -> None:
        self._file = file

    def find(self, text: str, limit: int, near: Position | None = None) -> tuple[Place, ...]:
        """As the port says. Raises `GazetteerMissing`."""
        asked = questions(text)
        if not asked:
            return ()
        book = self._book
        rows = list(chain.from_iterable(book.fitting(one) for one in asked))
        if not rows:
            rows = list(chain.from_iterable(book.misspelt(one) for one in asked))
        best = nsmallest(limit * 8, rows, key=lambda found: book.order(found, near))
        return likeliest(((fits, book.place(row)) for fits, row in best), limit, near)

    @cached_property
    def _book(self) -> _Book:
        try:
            content = self._file.read_bytes()
        except OSError:
            raise GazetteerMissing from None
        return _Book.read(orjson.loads(gzip.decompress(content)))


@dataclass
class _Book:
    """Columns of one length, and the folded names as lines of one text."""

    names: list[str]
    states: list[str]
    latitudes: list[int]
    longitudes: list[int]
    populations: list[int]
    towns: int
    text: str
    starts: list[int]

    @classmethod
    def read(cls, content: dict[str, Any]) -> _Book:
        text = f"\n{folded(content['names'])}\n"
        codes = content["states"]
        return cls(
            names=content["names"].split("\n"),
            states=[codes[at : at + 2] for at in range(0, len(codes), 2)],
            latitudes=content["latitudes"],
            longitudes=content["longitudes"],
            populations=content["populations"],
            towns=content["towns"],
            text=text,
            starts=[found.end() for found in re.finditer("\n", text)],
        )

    def place(self, row: int) -> Place:
        return Place(
            name=self.names[row],
            kind=PlaceKind.TOWN if row < self.towns else PlaceKind.COUNTY,
            state=self.states[row],
            latitude=self.latitudes[row] / SCALE,
            longitude=self.longitudes[row] / SCALE,
            population=self.populations[row],
        )

    def order(self, found: tuple[Closeness, int], near: Position | None) -> tuple[object, ...]:
        """As `likeliest` has it, without making the places."""
        fits, row = found
        at = (self.longitudes[row] / SCALE, self.latitudes[row] / SCALE)
        heavy = weight(self.populations[row], at, near)
        return fits, -heavy, self.names[row], self.states[row], at

    def fitting(self, asked: Question) -> Iterator[tuple[Closeness, int]]:
        """The rows that begin with it, or have a word that does."""
        size = len(asked.name) + 1
        for at in self._all(f"\n{asked.name}"):
            is_whole = self.text[at + size] == "\n"
            yield from self._row(asked, at, Closeness.EXACT if is_whole else Closeness.BEGINNING)
        for at in self._all(f" {asked.name}"):
            yield from self._row(asked, at, Closeness.WORD)

    def misspelt(self, asked: Question) -> Iterator[tuple[Closeness, int]]:
        """One wrong letter leaves one half of the word as it is: that half is searched."""
        name = asked.name
        if len(name) < SHORTEST_MISSPELT:
            return
        half = len(name) // 2
        left, right = name[:half], name[half:]
        begun = (f"\n{left}", f"\n{left[:-1]}{right[0]}{left[-1]}")
        rows = {self._row_at(at) for beginning in begun for at in self._all(beginning)}
        for at in self._all(right):
            row = self._row_at(at)
            if half - 1 <= at - self.starts[row] <= half + 1:
                rows.add(row)
        for row in rows:
            if not asked.is_in(self.states[row]):
                continue
            fits = misspelt(name, self.text[self.starts[row] : self.starts[row + 1] - 1])
            if fits is not None:
                yield fits, row

    def _row(self, asked: Question, at: int, fits: Closeness) -> Iterator[tuple[Closeness, int]]:
        row = self._row_at(at)
        if asked.is_in(self.states[row]):
            yield fits, row

    def _row_at(self, at: int) -> int:
        """The row that a hit is in; one that begins with the line's end is in the next."""
        return bisect_right(self.starts, at + (self.text[at] == "\n")) - 1

    def _all(self, wanted: str) -> Iterator[int]:
        find, at = self.text.find, self.text.find(wanted)
        while at >= 0:
            yield at
            at = find(wanted, at + 1)
