"""Coordinates as people write and paste them: every usual form becomes a `Location`.

Latitude comes first, as on paper and in map programs, unless letters or labels say otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from strike_domain.errors import Rejected
from strike_domain.geometry import FieldPath, Location, parse_location

MAX_TYPED = 2_000
"""Longest text that may be an address of a map, or coordinates, in characters."""

_NUMBER = r"([+-]?\d{1,3}(?:\.\d+)?)"
_PAIR = rf"{_NUMBER}(?:,|%2C)\s*{_NUMBER}"

# What map programs put into addresses: a pin before the middle of the picture.
_ADDRESSES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"!3d{_NUMBER}!4d{_NUMBER}",
        rf"[?&](?:q|query|ll|daddr|destination|coordinate|address|mlat)=(?:loc:)?{_PAIR}",
        rf"[?&]mlat={_NUMBER}&mlon={_NUMBER}",
        rf"/(?:place|search|dir)/{_PAIR}",
        rf"@{_PAIR}",
        rf"[?&](?:sll|center|cp)={_PAIR}",
        rf"#map=\d+(?:\.\d+)?/{_NUMBER}/{_NUMBER}",
    )
)

_SAME = {
    **dict.fromkeys("\u2212\u2013\u2012", "-"),
    **dict.fromkeys("\u00ba\u02da", "\u00b0"),
    **dict.fromkeys("\u2032\u2019\u02b9\u2018\u00b4`", "'"),
    **dict.fromkeys("\u2033\u201d\u201c\u02ba", '"'),
}
_SIGNS = str.maketrans(_SAME)
_WORDS = (
    (r"''", '"'),
    (r"\blat(?:itude)?\b\s*[:=]?", " \u03c6 "),
    (r"\b(?:lon|lng|long)(?:gitude|itude)?\b\s*[:=]?", " \u03bb "),
    (r"\bdeg(?:rees?)?\b\.?", "\u00b0"),
    (r"\bmin(?:utes?)?\b\.?", "'"),
    (r"\bsec(?:onds?)?\b\.?", '"'),
    (r"\b(north|south|east|west)\b", lambda word: word[0][0].upper()),
)
_DECIMAL_COMMAS = re.compile(r"([+-]?\d+),(\d+)(?:\s*;\s*|\s+)([+-]?\d+),(\d+)")
_TOKEN = re.compile(
    r"\s*(?:([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)|([NSEW\u03c6\u03bb])|([\u00b0'\":])|([,;/]))"
)
_LATITUDE, _LONGITUDE = "NS\u03c6", "EW\u03bb"
_MARKS = "\u00b0'\""
_BASE = 60
_MOST_PARTS = 3


def readings(text: str, *, path: FieldPath = ("location",)) -> tuple[Location, ...]:
    """What coordinates or GeoJSON in `text` can mean, the likeliest first; empty if it has none.

    Two plain numbers that fit either way round are read latitude first, then longitude first.
    Raises `Rejected` as `parse_location` does, for coordinates that are not on the globe.
    """
    text = text.strip()
    if text.startswith("{"):
        return (parse_location(text, path=path),)
    if len(text) > MAX_TYPED:
        return ()
    found = _in_address(text) or _pair(text)
    if found is None:
        return ()
    latitude, longitude, is_certain = found
    if is_certain:
        return (_point(latitude, longitude, path),)
    if abs(latitude) > 90 >= abs(longitude):
        return (_point(longitude, latitude, path),)
    first = _point(latitude, longitude, path)
    if abs(longitude) > 90 or latitude == longitude:
        return (first,)
    return first, _point(longitude, latitude, path)


def _point(latitude: float, longitude: float, path: FieldPath) -> Location:
    return parse_location({"type": "Point", "coordinates": [longitude, latitude]}, path=path)


def _in_address(text: str) -> tuple[float, float, bool] | None:
    """Of an address of Google's, Apple's, Bing's or OpenStreetMap's maps, or a geo: URI."""
    if text.lower().startswith("geo:"):
        found = re.match(rf"geo:{_PAIR}", text, re.IGNORECASE)
        return (float(found[1]), float(found[2]), True) if found else None
    if "://" not in text and not re.match(r"(www\.|maps\.)", text, re.IGNORECASE):
        return None
    plain = text.replace("%20", "").replace("+", "").replace("~", ",")
    for pattern in _ADDRESSES:
        if found := pattern.search(plain):
            return float(found[1]), float(found[2]), True
    return None


@dataclass
class _Angle:
    """One of the two: its numbers with the marks after them, and the letter that says which."""

    numbers: list[str]
    marks: list[str]
    letter: str = ""

    def degrees(self) -> float | None:
        """None if these are not degrees, minutes and seconds in their order."""
        if not 1 <= len(self.numbers) <= _MOST_PARTS or not self._marks_fit():
            return None
        whole, *rest = self.numbers
        if any(one[0] in "+-" or float(one) >= _BASE for one in rest):
            return None
        if any("." in one for one in self.numbers[:-1]):
            return None
        if whole[0] in "+-" and self.letter in ("N", "S", "E", "W"):
            return None
        size = math.fsum(abs(float(one)) / 60.0**power for power, one in enumerate(self.numbers))
        return -size if whole[0] == "-" or self.letter in ("S", "W") else size

    def _marks_fit(self) -> bool:
        wanted = zip(self.marks, _MARKS, strict=False)
        return all(mark in ("", ":", right) for mark, right in wanted)


def _pair(text: str) -> tuple[float, float, bool] | None:
    halves = _halves(_tokens(text))
    if halves is None:
        return None
    first, second = halves
    values = first.degrees(), second.degrees()
    if values[0] is None or values[1] is None:
        return None
    letters = first.letter + second.letter
    if not letters:
        return values[0], values[1], False
    if len(letters) != 2 or (letters[0] in _LATITUDE) == (letters[1] in _LATITUDE):
        return None
    if letters[0] in _LATITUDE:
        return values[0], values[1], True
    return values[1], values[0], True


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each: number, letter, mark, comma. Empty if anything else is in it."""
    text = text.translate(_SIGNS)
    for pattern, instead in _WORDS:
        text = re.sub(pattern, instead, text, flags=re.IGNORECASE)
    if commas := _DECIMAL_COMMAS.fullmatch(text.strip()):
        text = f"{commas[1]}.{commas[2]};{commas[3]}.{commas[4]}"
    text = re.sub(r"(?<=[\d\u00b0'\"\s])[nsew](?![a-z])|^[nsew](?=\s*\d)", _upper, text)
    text = re.sub(r"[()\[\]]", " ", text).strip()
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return []
        kind = ("number", "letter", "mark", "comma")[(token.lastindex or 1) - 1]
        found.append((kind, token[token.lastindex or 0]))
        at = token.end()
    return found


def _upper(found: re.Match[str]) -> str:
    return found[0].upper()


def _halves(tokens: Sequence[tuple[str, str]]) -> tuple[_Angle, _Angle] | None:
    """The two angles: parted by letters, by one comma, by a sign, or in the middle."""
    numbers = [index for index, (kind, _) in enumerate(tokens) if kind == "number"]
    if len(numbers) < 2:
        return None
    cut = _cut(tokens, numbers)
    if cut is None:
        return None
    first, second = _angle(tokens[:cut]), _angle(tokens[cut:])
    return (first, second) if first and second else None


def _cut(tokens: Sequence[tuple[str, str]], numbers: Sequence[int]) -> int | None:
    letters = [index for index, (kind, _) in enumerate(tokens) if kind == "letter"]
    if letters:
        return (letters[1] if letters[0] == 0 else letters[0] + 1) if len(letters) == 2 else None
    commas = [index for index, (kind, _) in enumerate(tokens) if kind == "comma"]
    if commas:
        return commas[0] if len(commas) == 1 else None
    signed = [index for index in numbers[1:] if tokens[index][1][0] in "+-"]
    if signed:
        return signed[0] if len(signed) == 1 else None
    return None if len(numbers) % 2 else numbers[len(numbers) // 2]


def _angle(tokens: Sequence[tuple[str, str]]) -> _Angle | None:
    made = _Angle([], [])
    for kind, text in tokens:
        if kind == "number":
            made.numbers.append(text)
            made.marks.append("")
        elif kind == "mark":
            if not made.marks or made.marks[-1]:
                return None
            made.marks[-1] = text
        elif kind == "letter":
            made.letter += text
    return made


def printed(latitude: float, longitude: float) -> str:
    """As it is put into a field: "40.01000, -105.27000", which `readings` reads first."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise Rejected("COORDINATE_NOT_FINITE", "These are no degrees of latitude and longitude.")
    return f"{latitude:.6f}, {longitude:.6f}"
