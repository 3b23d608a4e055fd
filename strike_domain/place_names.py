"""How well a typed name fits a place: accents, abbreviations, states, and one wrong letter.

One rule for every gazetteer: `questions` says what a text can mean, `closeness` how well a name
fits, `likeliest` which of the fitting places come first.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from heapq import nsmallest

from strike_domain.geometry import Position
from strike_domain.places import Place

SHORTEST = 2
"""Fewer letters are not looked up."""

SHORTEST_MISSPELT = 4
"""Among fewer letters every other name is one letter away."""

NEAR_KM = 50.0
"""At this distance a place counts half as much as one of its size at the point itself."""

STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California",
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia",
    "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois",
    "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada",
    "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York",
    "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon",
    "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia",
    "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
    "AS": "American Samoa", "GU": "Guam", "MP": "Northern Mariana Islands", "PR": "Puerto Rico",
    "VI": "Virgin Islands",
}  # fmt: skip
"""Postal codes of the states, the District and the territories."""


class Closeness(IntEnum):
    """How well a name fits; the better the less."""

    EXACT = 0
    BEGINNING = 1
    WORD = 2
    MISSPELT = 3
    MISSPELT_BEGINNING = 4


@dataclass(frozen=True)
class Question:
    """One thing that a text can mean: a folded name, anywhere or in one of some states."""

    name: str
    states: frozenset[str] | None = None

    def is_in(self, state: str) -> bool:
        return self.states is None or state in self.states


_SHORT = {"saint": "st", "sainte": "ste", "fort": "ft", "mount": "mt"}
_SHORTENED = re.compile(rf"\b({'|'.join(_SHORT)})\b")
_TAIL = re.compile(r"( \d{5}( \d{4})?| usa| us| united states( of america)?)+$")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_STATE_WORDS = 3


def folded(text: str) -> str:
    """Without accents, signs and upper case, `Saint` as `st`; line by line, if there are several.

    "Coeur d'Alene" becomes "coeur dalene", "Saint Paul" and "St. Paul" become "st paul".
    """
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    text = re.sub(r"['.\u2019\u02bb`]", "", text.lower())
    text = re.sub(r" *\n *", "\n", re.sub(r"[^a-z0-9\n]+", " ", text)).strip(" ")
    return _SHORTENED.sub(lambda word: _SHORT[word[0]], text)


_BY_WORDS = {folded(name): code for code, name in STATES.items()} | {
    code.lower(): code for code in STATES
}


def questions(text: str) -> tuple[Question, ...]:
    """What a text can mean: a name, or a name and a state ("boulder co", "Boulder, Colo")."""
    whole = folded(text)
    words = _TAIL.sub("", whole).split()
    found = [Question(whole), Question(" ".join(words))]
    for count in range(1, min(_STATE_WORDS, len(words) - 1) + 1):
        if code := _BY_WORDS.get(" ".join(words[-count:])):
            found.append(Question(" ".join(words[:-count]), frozenset({code})))
    head, comma, tail = text.rpartition(",")
    begun = _TAIL.sub("", folded(tail))
    if comma:  # The first letters of a state may follow, or nothing yet.
        codes = {code for name, code in _BY_WORDS.items() if name.startswith(begun.strip())}
        found.append(Question(folded(head), frozenset(codes)))
    return tuple(dict.fromkeys(one for one in found if len(one.name) >= SHORTEST))


def closeness(asked: str, name: str) -> Closeness | None:
    """How well the folded `name` fits; None if it does not."""
    if name == asked:
        return Closeness.EXACT
    if name.startswith(asked):
        return Closeness.BEGINNING
    if f" {asked}" in name:
        return Closeness.WORD
    return misspelt(asked, name)


def misspelt(asked: str, name: str) -> Closeness | None:
    """Whether one letter too many, too few, wrong, or two the wrong way round, is the difference.

    Of the whole name, or of its beginning: people stop typing when they see it.
    """
    size = len(asked)
    if size < SHORTEST_MISSPELT:
        return None
    if _is_one_edit(asked, name):
        return Closeness.MISSPELT
    if any(_is_one_edit(asked, name[:length]) for length in (size - 1, size, size + 1)):
        return Closeness.MISSPELT_BEGINNING
    return None


def _is_one_edit(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])


def weight(population: int, position: Position, near: Position | None) -> float:
    """How likely a place is meant among others of its name: by its size, and how near it is."""
    size = population + 500.0
    if near is None:
        return size
    across = (position[0] - near[0] + 180) % 360 - 180
    east = across * math.cos(math.radians((position[1] + near[1]) / 2))
    km = 111.2 * math.hypot(east, position[1] - near[1])
    return size / (1 + (km / NEAR_KM) ** 2)


def likeliest(
    found: Iterable[tuple[Closeness, Place]], limit: int, near: Position | None
) -> tuple[Place, ...]:
    """The best-fitting places, each once; misspelt names only where nothing fits as it is typed."""

    def order(one: tuple[Closeness, Place]) -> tuple[object, ...]:
        fits, place = one
        at = (place.longitude, place.latitude)
        return fits, -weight(place.population, at, near), place.name, place.state, at

    ordered = list(found)
    best = min((fits for fits, _ in ordered), default=Closeness.EXACT)
    last = Closeness.WORD if best <= Closeness.WORD else Closeness.MISSPELT_BEGINNING
    fitting = [one for one in ordered if one[0] <= last]
    # Two readings of a text can find the same place: twice the limit holds every one.
    chosen = dict.fromkeys(place for _, place in nsmallest(limit * 8, fitting, key=order))
    return tuple(chosen)[:limit]
