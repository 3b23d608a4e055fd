"""Places by name and the contractors for one, over GraphQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, NEWCOMER, NOC_ID
from tests.integration.served import PLACE, Served

PLACES = """
query ($text: String!, $near: GeoJSON, $first: Int! = 8) {
  places(text: $text, near: $near, first: $first) {
    name label kind state latitude longitude population location
  }
}
"""

CONTRACTORS_FOR = """
query ($location: GeoJSON!) {
  contractorsFor(location: $location) {
    covers osp { name } wouldBeRung { listName contacts reason }
  }
}
"""


async def ask(served: Served, query: str, **variables: Any) -> Any:
    return (await served.post(query, variables)).body


async def test_a_place_is_found_by_its_name(served: Served) -> None:
    body = await ask(served, PLACES, text="bolder, colorado")
    assert body["data"]["places"][0] == {
        "name": "Boulder",
        "label": "Boulder, CO",
        "kind": "TOWN",
        "state": "CO",
        "latitude": 40.01499,
        "longitude": -105.27055,
        "population": 106803,
        "location": {"type": "Point", "coordinates": [-105.27055, 40.01499]},
    }


async def test_coordinates_and_what_is_near(served: Served) -> None:
    (found,) = (await ask(served, PLACES, text="40.01, -105.27"))["data"]["places"]
    assert (found["kind"], found["location"], found["state"]) == ("COORDINATES", PLACE, None)
    near = {"type": "Point", "coordinates": [-123.0, 44.0]}
    body = await ask(served, PLACES, text="springfield", near=near, first=1)
    assert body["data"]["places"][0]["label"] == "Springfield, OR"


@pytest.mark.parametrize(
    ("variables", "code", "path"),
    [
        ({"text": "x", "first": 0}, "PAGE_SIZE_INVALID", ["first"]),
        ({"text": "95, 200"}, "LONGITUDE_OUT_OF_RANGE", ["text", "coordinates", "0"]),
        ({"text": "x" * 300}, "TEXT_TOO_LONG", ["text"]),
        ({"text": "x", "near": {"type": "Nothing"}}, "GEOMETRY_TYPE_NOT_ALLOWED", ["near", "type"]),
    ],
)
async def test_what_is_asked_wrongly_says_which_argument(
    served: Served, variables: dict[str, Any], code: str, path: list[str]
) -> None:
    (error,) = (await ask(served, PLACES, **variables))["errors"]
    assert error["extensions"] == {"code": code, "path": path}


async def test_the_fittest_contractor_comes_first_and_who_rings_nobody_last(
    served: Served,
) -> None:
    found = (await ask(served, CONTRACTORS_FOR, location=PLACE))["data"]["contractorsFor"]
    first, *_, last = found
    assert (first["osp"]["name"], first["covers"]) == (CONTRACTORS[0].name, True)
    assert first["wouldBeRung"]["contacts"] == list(CONTRACTORS[0].people)
    assert (last["osp"]["name"], last["wouldBeRung"]["listName"]) == (NEWCOMER.name, None)
    assert last["wouldBeRung"]["reason"]
    assert [one["covers"] for one in found[1:]] == [False] * 3


async def test_a_contractor_without_an_active_link_is_none(served: Served, strike: Strike) -> None:
    with psycopg.connect(strike.url) as connection:
        connection.execute(
            "UPDATE links SET status = 'SUSPENDED' WHERE noc_id = %s AND osp_id = %s",
            (NOC_ID, CONTRACTORS[0].id),
        )
    found = (await ask(served, CONTRACTORS_FOR, location=PLACE))["data"]["contractorsFor"]
    assert CONTRACTORS[0].name not in [one["osp"]["name"] for one in found]
