"""Coordinates as people write and paste them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strike_domain import Rejected
from strike_domain.coordinates import printed, readings

BOULDER = (-105.27, 40.01)

FORMS = [
    "40.01, -105.27",
    "40.01 -105.27",
    "40.01,-105.27",
    "40.01; -105.27",
    "(40.01, -105.27)",
    "40,01; -105,27",
    "40.01N 105.27W",
    "40.01 n, 105.27 w",
    "40.01° N, 105.27° W",
    "N40.01 W105.27",
    "105.27 W 40.01 N",
    "40°00'36\"N 105°16'12\"W",
    "40°00′36″N, 105°16′12″W",
    "40º 0' 36'' N 105º 16' 12'' W",
    "40 00 36 N 105 16 12 W",
    "40:00:36 N, 105:16:12 W",
    "40 0.6 -105 16.2",
    "40 deg 0.6 min north, 105 deg 16.2 min west",
    "N 40° 0.6' W 105° 16.2'",
    "lat: 40.01, lon: -105.27",
    "lng=-105.27 lat=40.01",
    "Latitude 40.01 Longitude -105.27",
    "\u221240.01, -105.27".replace("\u2212", ""),
    "40.01, \u2212105.27",
    "geo:40.01,-105.27?z=12",
    "https://www.google.com/maps/@40.01,-105.27,12z",
    "https://www.google.com/maps/place/X/@40.5,-105.9,9z/data=!3m1!4b1!3d40.01!4d-105.27",
    "https://www.google.com/maps?q=40.01,-105.27&z=3",
    "https://www.google.com/maps/search/?api=1&query=40.01%2C-105.27",
    "https://www.google.com/maps/search/40.01,+-105.27?entry=tts",
    "https://maps.google.com/?q=loc:40.01,-105.27",
    "https://maps.apple.com/?ll=40.01,-105.27&q=Dropped%20Pin",
    "https://maps.apple.com/place?coordinate=40.01,-105.27",
    "maps.apple.com/?daddr=40.01,-105.27",
    "https://www.openstreetmap.org/?mlat=40.01&mlon=-105.27#map=12/40.5/-105.9",
    "https://www.openstreetmap.org/#map=12/40.01/-105.27",
    "https://www.bing.com/maps?cp=40.01~-105.27&lvl=12",
    '{"type": "Point", "coordinates": [-105.27, 40.01]}',
    '{"type": "Feature", "properties": {}, '
    '"geometry": {"type": "Point", "coordinates": [-105.27, 40.01]}}',
]


@pytest.mark.parametrize("text", FORMS)
def test_every_usual_form_is_read(text: str) -> None:
    first, *_ = readings(f"  {text} ")
    assert first.coordinates == pytest.approx(BOULDER)


def test_longitude_first_is_read_only_where_the_other_order_is_impossible() -> None:
    assert [one.coordinates for one in readings("-105.27 40.01")] == [BOULDER]
    assert [one.coordinates for one in readings("40.01 -75.2")] == [(-75.2, 40.01), (40.01, -75.2)]


def test_a_line_is_a_line() -> None:
    line = {"type": "LineString", "coordinates": [[-105.2, 40.0], [-105.3, 40.1]]}
    (found,) = readings(json.dumps(line))
    assert found.geojson() == line


@pytest.mark.parametrize(
    "text",
    ["", "80301", "Boulder", "North Platte", "40", "40 50 60", "40.5.1, 2", "40 61 0 N 105 0 0 W"]
    + ["-40 N 105 W", "40 N 105 N", "40, -105, 7", "1e5, 2", "https://maps.app.goo.gl/abc"]
    + ["https://example.com/40.01", "geo:x", "x" * 3_000, "1-2-3"],
)
def test_what_has_no_coordinates_is_left_to_the_gazetteer(text: str) -> None:
    assert readings(text) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("95.0, 200.0", "LONGITUDE_OUT_OF_RANGE"),
        ("40.0, 195.0", "LONGITUDE_OUT_OF_RANGE"),
        ("95 N 100 W", "LATITUDE_OUT_OF_RANGE"),
        ("{nonsense", "INVALID_JSON"),
        ('{"type": "Polygon", "coordinates": []}', "GEOMETRY_TYPE_NOT_ALLOWED"),
    ],
)
def test_coordinates_off_the_globe_are_refused(text: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        readings(text, path=("text",))
    assert refused.value.code == code
    assert refused.value.path[0] == "text"


def _sexagesimal(value: float) -> tuple[int, int, float]:
    total = round(abs(value) * 3600, 2)
    return int(total // 3600), int(total % 3600 // 60), total % 60


def _dms(value: float, letters: str) -> str:
    degrees, minutes, seconds = _sexagesimal(value)
    return f"{degrees}°{minutes:02d}'{seconds:05.2f}\"{letters[value < 0]}"


def _dm(value: float, letters: str) -> str:
    total = round(abs(value) * 60, 4)
    return f"{int(total // 60)}° {total % 60:.4f}' {letters[value < 0]}"


PRINTED: list[Callable[[float, float], str]] = [
    printed,
    lambda y, x: f"{y:.6f} {x:+.6f}",
    lambda y, x: f"({y:.5f}; {x:.5f})",
    lambda y, x: f"{abs(y):.6f}{'NS'[y < 0]} {abs(x):.6f}{'EW'[x < 0]}",
    lambda y, x: f"{'NS'[y < 0]} {abs(y):.6f}, {'EW'[x < 0]} {abs(x):.6f}",
    lambda y, x: f"{_dms(y, 'NS')} {_dms(x, 'EW')}",
    lambda y, x: f"{_dms(x, 'EW')}, {_dms(y, 'NS')}",
    lambda y, x: f"{_dm(y, 'NS')}, {_dm(x, 'EW')}",
    lambda y, x: f"lon: {x:.6f}, lat: {y:.6f}",
    lambda y, x: f"geo:{y:.6f},{x:.6f}",
    lambda y, x: f"https://www.google.com/maps/@{y:.6f},{x:.6f},15z",
    lambda y, x: f"https://maps.apple.com/?ll={y:.6f},{x:.6f}",
    lambda y, x: f"https://www.openstreetmap.org/#map=12/{y:.6f}/{x:.6f}",
    lambda y, x: json.dumps({"type": "Point", "coordinates": [x, y]}),
]


@given(st.sampled_from(PRINTED), st.floats(-90, 90), st.floats(-180, 180))
def test_every_printed_form_is_read_back(
    form: Callable[[float, float], str], latitude: float, longitude: float
) -> None:
    (x, y), *_ = [one.positions[0] for one in readings(form(latitude, longitude))]
    assert abs(x - longitude) < 1e-5
    assert abs(y - latitude) < 1e-5


@given(st.text(max_size=60) | st.text(alphabet="0123456789.,-+°'\"NSEW :;/latlon@?=&", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(Rejected):
        found = readings(text)
        assert all(abs(x) <= 180 and abs(y) <= 90 for one in found for x, y in one.positions)
