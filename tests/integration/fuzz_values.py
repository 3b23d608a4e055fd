"""Values for the arguments of the schema: what is meant, and what nobody expects.

Ids and words are symbols (`@@eco.foreign.3@@`) that the world resolves when a request is sent, so
that what is drawn does not depend on what is stored.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    is_non_null_type,
    is_required_input_field,
)
from hypothesis import strategies as st

from tests.integration.two_worlds import SQUARE

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Bare:
    """Written without quotes: an enum's value, or a number that Python or JSON has not."""

    literal: str
    in_json: str


def bare(text: str) -> Bare:
    return Bare(text, text)


def enum(name: str) -> Bare:
    return Bare(name, json.dumps(name))


# What nobody expects -----------------------------------------------------------------------

WORDS = (
    "", " ", "\0", "a\0b", "\u202eabc", "\ufeff", "\uffff", "\U0010ffff", "e\u0301" * 20, "𝔘",
    "\x7f",
    "' OR 1=1 --", "%", "_", "\\", "${7*7}", "{{7*7}}", "<script>", "../../etc/passwd", "null",
    "NaN",
    "0", "-1", "1e999", "x" * 201, "é" * 4_001, "\r\nX-Injected: 1", "a\tb", "«»", "🧵" * 70,
)  # fmt: skip
odd_texts = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=40),
    st.text(st.characters(codec="utf-8"), max_size=12).map(lambda one: f"@@mark.own.0@@{one}"),
)
odd_integers = st.one_of(
    st.sampled_from((0, -1, 1, 2**31 - 1, -(2**31), 2**31, 2**53, 2**63 - 1, 2**63, 10**40)),
    st.integers(-1_000, 100_000),
)
HUGE = tuple(map(bare, ("1e308", "-1e308", "5e-324", "-0.0", "1e999", "-1e999", "1" * 400, "0e0")))
odd_floats = st.one_of(
    st.sampled_from(HUGE),
    st.sampled_from((Bare('"NaN"', "NaN"), Bare("1e999", "Infinity"))),
    st.floats(allow_nan=False, allow_infinity=False),
)
odd_json = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_texts, odd_integers, odd_floats),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(("type", "a", "b")), inner)
    ),
    max_leaves=8,
)
odd_ids = st.one_of(
    st.sampled_from(
        ("@@eco.own.0@@", "00000000000000000000000000000000", "urn:uuid:@@eco.own.1@@",
         "{@@eco.own.1@@}", "f" * 36, "0", "")
    ),
    st.uuids().map(str),
    odd_texts,
    odd_integers,
)  # fmt: skip
odd_moments = st.one_of(
    st.sampled_from(
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00", "2026-02-30T00:00:00Z",
         "2026-01-01", "2026-01-01T00:00:00", "now", "@@time.any.86400@@", "1969-12-31T23:59:59Z",
         "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T24:00:00Z",
         "-4712-01-01T00:00:00Z", "2026-01-01T00:00:00+99:99")
    ),
    st.datetimes().map(lambda one: f"{one.isoformat()}Z"),
    odd_texts,
)  # fmt: skip


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def _geometry(kind: str, coordinates: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates, **more}


_numbers = st.one_of(odd_floats, odd_integers, st.just("1"), st.none())
odd_places = st.one_of(
    odd_json,
    st.builds(_geometry, st.just("Point"), st.lists(_numbers, max_size=4)),
    st.builds(
        _geometry,
        st.sampled_from(("LineString", "MultiPoint", "Polygon", "MultiPolygon", "Circle")),
        st.recursive(_numbers, lambda one: st.lists(one, max_size=5), max_leaves=12),
    ),
    st.sampled_from(
        (
            _geometry("Point", _deep(40)),
            _geometry("Point", [40.01, -105.27]),
            _geometry("Point", [180, 90]),
            _geometry("Point", [-105.27, 40.01], crs={"a": 1}, bbox=["x"]),
            _geometry("LineString", [[-105, 40], [-105, 40]]),
            _geometry("LineString", [[179.9, 10], [-179.9, 10]]),
            _geometry("Polygon", [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]),
            _geometry("Polygon", [[[0, 0], [0, 0], [0, 0], [0, 0]]]),
            _geometry("Polygon", [[]]),
            _geometry("Polygon", [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]]),
            {"type": "GeometryCollection", "geometries": [_geometry("Point", [0, 0])]},
            {"type": "Feature", "geometry": _geometry("Point", [0, 0]), "properties": None},
        )
    ),
)
ODD: dict[str, st.SearchStrategy[Any]] = {
    "UUID": odd_ids,
    "String": odd_texts,
    "Int": odd_integers,
    "Float": odd_floats,
    "Boolean": st.one_of(st.booleans(), st.sampled_from(("true", 1))),
    "DateTime": odd_moments,
    "GeoJSON": odd_places,
    "Position": st.one_of(odd_integers, st.sampled_from((True, "1", 1.5))),
}

# What is meant -----------------------------------------------------------------------------

OTHERS = ("own", "partner", "partner", "partner", "partner", "foreign")
WHOSE = ("own",) * 11 + ("partner",) * 4 + ("foreign",) * 5


def one_of_these(
    kind: str, whose: tuple[str, ...] = WHOSE, most: int = 15
) -> st.SearchStrategy[str]:
    return st.builds(
        lambda whom, number: f"@@{kind}.{whom}.{number}@@",
        st.sampled_from(whose),
        st.integers(0, most),
    )


def texts(seen: str, *words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words).map(lambda one: f"@@mark.{seen}.0@@ {one}")


def _moment(*, since: int) -> st.SearchStrategy[str]:
    return st.integers(-since, -1).map(lambda one: f"@@time.any.{one}@@")


places = st.one_of(
    st.builds(
        lambda x, y: _geometry("Point", [x, y]), st.floats(-105.9, -105.1), st.floats(39.1, 40.9)
    ),
    st.builds(
        lambda x, y: _geometry("LineString", [[x, y], [x + 0.05, y + 0.05], [x + 1.5, y]]),
        st.floats(-105.9, -105.1),
        st.floats(39.1, 40.9),
    ),
)
regions = st.one_of(
    st.just(SQUARE),
    st.builds(
        lambda x, y, side: _geometry(
            "Polygon", [[[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]]
        ),
        st.floats(-120, -80),
        st.floats(25, 45),
        st.floats(0.01, 2),
    ),
)
phones = st.integers(0, 99).map(lambda one: f"@@phone.own.{one}@@")
keys = st.sampled_from(("0", "3", "4", "5", "6", "7", "8"))
MEANT: dict[str, st.SearchStrategy[Any]] = {
    "ecoId": one_of_these("eco"),
    "eco.id": one_of_these("eco"),
    "callId": one_of_these("call"),
    # Both of them are about the same offer one time in three.
    "takeUpOffer.ecoId": one_of_these("offered", most=2),
    "takeUpOffer.callId": one_of_these("offer", most=2),
    "listId": one_of_these("list"),
    "pagerList.id": one_of_these("list"),
    "removePagerList.id": one_of_these("list"),
    "PagerListInput.id": one_of_these("list"),
    "revokeApiToken.id": one_of_these("token"),
    "userId": one_of_these("user"),
    "ospId": one_of_these("osp", OTHERS),
    "nocId": one_of_these("noc", OTHERS),
    "tenantId": one_of_these("tenant", OTHERS),
    "otherSide": one_of_these("tenant", ("partner", "foreign")),
    # Whoever proposes a link to a contractor sees its name: north and south keep apart here.
    "proposeLink.ospId": one_of_these("osp", ("own", "partner", "partner", "partner", "partner")),
    "email": texts("own", "x").map(lambda one: one.replace(" ", "@") + ".example"),
    "setMember.name": texts("own", "Kim", "Lee"),
    "createApiToken.name": texts("own", "robot", "meter"),
    "renameTenant.name": texts("shared", "Company", "Firm"),
    "PagerListInput.name": texts("shared", "nights", "days", "hills", "elsewhere", "square"),
    "ContactInput.name": texts("shared", "Ana", "Ben", "Cem"),
    "phone": phones,
    "fromNumber": phones,
    "accountSid": st.just("@@account.own.0@@"),
    "authToken": texts("own", "token"),
    "baseUrl": st.sampled_from(
        ("http://127.0.0.1:9/@@mark.own.0@@", "https://@@mark.own.0@@.invalid/")
    ),
    "clientId": texts("own", "client"),
    "clientSecret": texts("own", "secret"),
    "project": texts("own", "project"),
    "pollingSeconds": st.floats(5, 600),
    "inactivityHours": st.floats(1, 100),
    "graceHours": st.floats(0, 100),
    "clientReference": texts("shared", "r1", "r2", "r3"),
    "idempotencyKey": texts("shared", "k1", "k2", "k3"),
    "ticket": texts("shared", "T-1", "T-2"),
    "jobType": st.sampled_from(("CMR", "MFR", "FNOL")),
    "description": texts("shared", "cable cut", "pole down"),
    "text": texts("shared", "the light is back", "boulder co"),
    "places.text": st.sampled_from(
        ("boulder co", "Denver", "40.01 -105.27", '{"type":"Point","coordinates":[1,2]}', "bolder")
    ),
    "reason": texts("shared", "a false alarm"),
    "search": st.sampled_from(("cable", "cut", "zq", "@@mark.shared.0@@", "zq-shared-southnoc-qz")),
    "key": keys,
    "affectedCustomers": st.integers(0, 10_000),
    "minutes": st.integers(5, 600),
    "rounds": st.integers(1, 10),
    "answerSeconds": st.integers(5, 120),
    "ringAgainMinutes": st.integers(1, 1440),
    "ringAgainTimes": st.integers(0, 20),
    "first": st.integers(1, 20),
    "last": st.integers(1, 20),
    "settingsChanges.before": st.integers(1, 100_000),
    "raiseJobNumbers.last": st.just(bare("@@higher.any.0@@")),
    "year": st.sampled_from((2025, 2026, 2027)),
    "days": st.integers(1, 366),
    "after": st.integers(0, 50).map(lambda one: f"@@cursor.any.{one}@@"),
    "ecos.before": st.integers(0, 50).map(lambda one: f"@@cursor.any.{one}@@"),
    "timeZone": st.sampled_from(("UTC", "America/Denver", "Asia/Kathmandu")),
    "asOf": _moment(since=3_000),
    "since": _moment(since=5_000_000),
    "until": _moment(since=3_000),
    "waitFor": st.integers(0, 50).map(lambda one: bare(f"@@position.any.{one}@@")),
    "afterPosition": st.integers(0, 300).map(lambda one: bare(f"@@position.any.{one}@@")),
    "west": st.floats(-110, -105.5),
    "east": st.floats(-105.4, -100),
    "south": st.floats(30, 39.5),
    "north": st.floats(40.5, 50),
    "region": regions,
    "location": places,
    "near": places,
}
"""By `owner.argument` or by the argument alone."""


class Values:
    """Draws values of the schema's input types; `oddness`: how many of them nobody expects."""

    def __init__(self, draw: Draw, rng: random.Random, oddness: float) -> None:
        self._draw, self._rng, self._oddness = draw, rng, oddness

    def given(self, owner: str, name: str, kind: GraphQLInputType, *, needed: bool) -> list[Any]:
        """The value of an argument or field, in a list that is empty where it is left out."""
        if not needed and self._rng.random() < (0.8 if name in RARE else 0.5):
            return [] if self._rng.random() < 0.9 else [None]
        return [self.of(owner, name, kind)]

    def of(self, owner: str, name: str, kind: GraphQLInputType) -> Any:
        if self._rng.random() < self._oddness / 10:
            return self._draw(odd_json)
        if is_non_null_type(kind):
            kind = kind.of_type
        if isinstance(kind, GraphQLList):
            many = self._rng.choice((0, 1, 1, 2, 2, 3))
            return [self.of(owner, name, kind.of_type) for _ in range(many)]
        if isinstance(kind, GraphQLEnumType):
            return enum(self._rng.choice(list(kind.values)))
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind)
        meant = MEANT.get(f"{owner}.{name}", MEANT.get(name))
        if meant is None or self._rng.random() < self._oddness:
            return self._draw(ODD[str(kind)])
        return self._draw(meant)

    def _object(self, kind: GraphQLInputObjectType) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, one in kind.fields.items():
            needed = is_required_input_field(one)
            for value in self.given(kind.name, name, one.type, needed=needed):
                found[name] = value
        return found


RARE = {"waitFor", "asOf", "last", "before", "after", "idempotencyKey", "status", "pagingState"}
"""Arguments that mostly refuse each other."""


def literal(value: Any) -> str:
    """As it is written in a document."""
    match value:
        case Bare():
            return value.literal
        case None:
            return "null"
        case dict():
            inner = ", ".join(f"{name}: {literal(one)}" for name, one in value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case str() | bool() | int():
            return json.dumps(value)
        case _:
            return repr(float(value))


def in_json(value: Any) -> str:
    """As it is written among the variables."""
    match value:
        case Bare():
            return value.in_json
        case dict():
            inner = ", ".join(f"{json.dumps(name)}: {in_json(one)}" for name, one in value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{', '.join(map(in_json, value))}]"
        case _:
            return json.dumps(value)
