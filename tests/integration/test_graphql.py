"""GraphQL over HTTP, on real PostgreSQL with real followers."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any
from uuid import uuid4

import pytest

from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, LOGINS, NEWCOMER, OPERATOR
from tests.integration.served import CREATE, ORDER, OSP_ID, PLACE, Served
from tests.integration.stored import end_connections

ECO = """
query Eco($id: UUID!, $position: Position) {
  eco(id: $id, waitFor: $position) {
    id status pagingState jobNumber listName listReason noc { name } osp { name }
    pagerRuns { state calls { contactName phone } } timeline { line }
  }
}
"""
LIST = """
query List($first: Int!, $after: String, $position: Position) {
  ecos(first: $first, after: $after, waitFor: $position) {
    edges { cursor node { id } } pageInfo { hasNextPage endCursor }
  }
}
"""
WATCH = "subscription ($id: UUID!) { ecoChanged(ecoId: $id) { status position timeline { kind } } }"

TOM = LOGINS[1]


def _line(count: int) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [[-105 + i / 1e5, 40] for i in range(count)]}


@pytest.mark.usefixtures("followers")
async def test_a_created_eco_can_be_read_at_its_position(served: Served) -> None:
    created = await served.create()
    assert created["__typename"] == "EcoChanged"
    assert created["eco"]["status"] == "OPEN"
    eco = (await served.ask(ECO, {"id": created["eco"]["id"], "position": created["position"]}))[
        "eco"
    ]
    assert eco["jobNumber"] == created["eco"]["jobNumber"]
    assert eco["osp"]["name"] == CONTRACTORS[0].name
    assert eco["timeline"][0]["line"].startswith("FNOL")


async def test_the_same_client_reference_gives_the_same_eco(served: Served) -> None:
    first = await served.create(clientReference="INC-1")
    second = await served.create(clientReference="INC-1", description="Something else")
    assert first["eco"]["id"] == second["eco"]["id"]
    assert first["eco"]["jobNumber"] == second["eco"]["jobNumber"]


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"jobType": "REPAIR"}, "UNKNOWN_JOB_TYPE", ["input", "jobType"]),
        ({"description": "  "}, "DESCRIPTION_EMPTY", ["input", "description"]),
        ({"description": "x" * 4001}, "DESCRIPTION_TOO_LONG", ["input", "description"]),
        (
            {"location": {"type": "Point", "coordinates": [40.0, -105.0]}},
            "COORDINATES_SWAPPED",
            ["input", "location", "coordinates"],
        ),
        (
            {"location": {"type": "Point", "coordinates": [-190.0, 40.0]}},
            "LONGITUDE_OUT_OF_RANGE",
            ["input", "location", "coordinates", "0"],
        ),
        (
            {"location": {"type": "Polygon", "coordinates": []}},
            "GEOMETRY_TYPE_NOT_ALLOWED",
            ["input", "location", "type"],
        ),
        (
            {"location": {"type": "LineString", "coordinates": [[1, 2], [1, 2]]}},
            "LINE_TOO_SHORT",
            ["input", "location", "coordinates"],
        ),
        ({"location": _line(10_001)}, "TOO_MANY_VERTICES", ["input", "location", "coordinates"]),
        ({"ospId": str(uuid4())}, "NO_ACTIVE_LINK", ["input", "ospId"]),
        (
            {"affectedCustomers": -1},
            "AFFECTED_CUSTOMERS_INVALID",
            ["input", "affectedCustomers"],
        ),
    ],
)
async def test_bad_input_is_refused_with_code_and_path_and_nothing_is_stored(
    served: Served, strike: Strike, changes: dict[str, Any], code: str, path: list[str]
) -> None:
    refused = await served.create(**changes)
    assert (refused["code"], refused["path"][: len(path)]) == (code, path), refused
    assert refused["message"]
    assert strike.log.position() == 0


async def test_a_suspended_link_stops_new_ecos_only(served: Served, strike: Strike) -> None:
    created = await served.create()
    with strike.pool.connection() as connection:
        connection.execute("UPDATE links SET status = 'SUSPENDED'")
    assert (await served.create())["code"] == "NO_ACTIVE_LINK"
    note = 'mutation ($id: UUID!) { addNote(ecoId: $id, text: "x") { __typename } }'
    answer = await served.ask(note, {"id": created["eco"]["id"]})
    assert answer["addNote"]["__typename"] == "EcoChanged"


async def test_a_viewer_and_an_osp_cannot_create(served: Served, strike: Strike) -> None:
    dispatcher = LOGINS[2]
    answer = await served.ask(
        CREATE, {"input": ORDER}, email=dispatcher.email, tenant=CONTRACTORS[0].id
    )
    assert answer["createEco"]["code"] == "WRONG_SIDE"
    with strike.pool.connection() as connection:
        connection.execute("UPDATE memberships SET role = 'VIEWER'")
    assert (await served.create())["code"] == "ROLE_MISSING"
    assert strike.log.position() == 0


@pytest.mark.usefixtures("followers")
async def test_a_foreign_eco_looks_like_one_that_does_not_exist(
    served: Served, strike: Strike
) -> None:
    created = await served.create()
    with strike.pool.connection() as connection:
        row = connection.execute("SELECT id FROM tenants WHERE name LIKE 'Tidewater%'").fetchone()
    tom = {"email": TOM.email, "tenant": (row or {})["id"]}
    eco_id = created["eco"]["id"]
    for wanted in (eco_id, str(uuid4())):
        asked = {"id": wanted, "position": created["position"]}
        assert (await served.ask(ECO, asked, **tom))["eco"] is None
        timeline = "query ($id: UUID!) { ecoTimeline(ecoId: $id) { line } }"
        assert (await served.ask(timeline, {"id": wanted}, **tom))["ecoTimeline"] == []
        cancel = """mutation ($id: UUID!) {
            cancelEco(ecoId: $id, reason: "x") { ... on Problem { code message } } }"""
        refused = (await served.ask(cancel, {"id": wanted}, **tom))["cancelEco"]
        assert refused["code"] == "NOT_FOUND"


@pytest.mark.usefixtures("followers")
async def test_dispatch_is_refused_while_people_are_rung_and_cancel_ends_it(
    served: Served,
) -> None:
    created = await served.create()
    eco_id = created["eco"]["id"]
    await _until(served, eco_id, "pagingState", "RUNNING")
    dispatch = """mutation ($id: UUID!) { dispatchPager(ecoId: $id) {
        __typename ... on Problem { code } } }"""
    refused = (await served.ask(dispatch, {"id": eco_id}))["dispatchPager"]
    assert refused == {"__typename": "InvalidTransition", "code": "INVALID_TRANSITION"}
    cancel = """mutation ($id: UUID!) { cancelEco(ecoId: $id, reason: "Signal is back") {
        ... on EcoChanged { eco { status pagingState } } } }"""
    cancelled = (await served.ask(cancel, {"id": eco_id}))["cancelEco"]["eco"]
    assert cancelled == {"status": "CANCELLED", "pagingState": "CANCELLED"}
    eco = await _until(served, eco_id, "status", "CANCELLED")
    assert eco["listReason"] == "covers the point"


@pytest.mark.usefixtures("followers")
async def test_pages_neither_repeat_nor_miss_an_eco_while_new_ones_arrive(served: Served) -> None:
    made = [(await served.create())["eco"]["id"] for _ in range(5)]
    newest = (await served.create())["position"]
    seen, after, position = [], None, newest
    while True:
        asked = {"first": 2, "after": after, "position": position}
        page = (await served.ask(LIST, asked))["ecos"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
        position = (await served.create())["position"]
    assert seen[1:] == list(reversed(made))
    assert len(set(seen)) == len(seen)


async def test_a_bad_page_is_refused_with_a_code(served: Served) -> None:
    for asked, code in (
        ({"first": 0}, "PAGE_SIZE_INVALID"),
        ({"first": 1, "after": "nonsense"}, "CURSOR_INVALID"),
    ):
        answer = await served.post(LIST, asked)
        assert answer.body["errors"][0]["extensions"]["code"] == code


async def test_waiting_for_a_position_that_nobody_follows_ends_with_a_clear_error(
    served: Served,
) -> None:
    served.services.queries._wait_seconds = 0.2
    created = await served.create()
    answer = await served.post(ECO, {"id": created["eco"]["id"], "position": created["position"]})
    assert answer.body["errors"][0]["extensions"] == {"code": "WAIT_TIMED_OUT", "path": ["waitFor"]}


async def test_nobody_is_served_without_a_valid_header(served: Served) -> None:
    me = "{ me { name } }"
    assert (await served.post(me, headers={})).body["code"] == "TOKEN_MISSING"
    good = served.headers()
    for broken in ("x", good["x-amzn-oidc-data"][:-8] + "AAAAAAA="):
        answer = await served.post(me, headers=good | {"x-amzn-oidc-data": broken})
        assert (answer.status, answer.body["code"]) == (401, "TOKEN_INVALID")
    stranger = await served.post(me, headers=served.headers(email="stranger@nowhere.example"))
    assert (stranger.status, stranger.body["code"]) == (401, "USER_UNKNOWN")
    foreign = await served.post(me, headers=served.headers(tenant=CONTRACTORS[1].id))
    assert (foreign.status, foreign.body["code"]) == (403, "NOT_A_MEMBER")
    assert (await served.post(me)).body["data"]["me"]["name"] == OPERATOR.name


async def test_a_header_from_an_untrusted_address_is_ignored(served: Served) -> None:
    object.__setattr__(
        served.services.settings, "trusted_networks", served.services.settings.trusted_networks[1:]
    )
    answer = await served.post("{ me { name } }")
    assert (answer.status, answer.body["code"]) == (401, "TOKEN_MISSING")


async def test_without_a_tenant_only_me_is_answered(served: Served) -> None:
    headers = served.headers(tenant=None)
    assert "errors" not in (await served.post("{ me { name } }", headers=headers)).body
    answer = await served.post("{ ecos { edges { cursor } } }", headers=headers)
    assert answer.body["errors"][0]["extensions"]["code"] == "NO_TENANT"


async def test_limits_hold_for_the_body_and_for_renamed_fields(served: Served) -> None:
    body = io.BytesIO(b'{"query": "' + b"y" * 1_100_000 + b'"}')
    headers = served.headers() | {"Content-Type": "application/json"}
    async with served.session.post(f"{served.url}/graphql", data=body, headers=headers) as big:
        assert big.status == 413
    kinds = "{ name " + "ofType { name " * 14 + "}" * 15
    answer = await served.post("{ __schema { types { fields { type " + kinds + " } } } }")
    assert "errors" not in answer.body, "Introspection is not what the limit is for."
    many = " ".join(f"a{number}: ecos {{ edges {{ cursor }} }}" for number in range(31))
    answer = await served.post("{ " + many + " }")
    assert answer.body["errors"][0]["extensions"]["code"] == "QUERY_INVALID"


async def test_what_fails_inside_tells_a_stranger_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr(served.services.queries.lists, "page", fail)
    answer = await served.post("{ ecos { edges { cursor } } }")
    told = answer.body["errors"][0]
    assert told["extensions"]["code"] == "INTERNAL"
    assert "secret-detail" not in json.dumps(answer.body)


@pytest.mark.usefixtures("followers")
async def test_who_would_be_rung_is_told_to_those_who_have_a_link(
    served: Served, strike: Strike
) -> None:
    ask = """query ($osp: UUID!, $place: GeoJSON!) {
      whoWouldBeRung(ospId: $osp, location: $place) { listName contacts reason } }"""
    asked = {"osp": str(OSP_ID), "place": PLACE}
    told = (await served.ask(ask, asked))["whoWouldBeRung"]
    assert told["listName"] == "Boulder County, Colorado"
    assert told["contacts"][0] == "Ana Reyes"
    with strike.pool.connection() as connection:
        connection.execute("DELETE FROM links")
    answer = await served.post(ask, asked)
    assert answer.body["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.usefixtures("followers")
async def test_a_subscription_tells_the_state_and_every_change_even_after_losing_its_connection(
    served: Served, database_url: str
) -> None:
    created = await served.create()
    eco_id = created["eco"]["id"]
    await _until(served, eco_id, "pagingState", "RUNNING")
    headers = served.headers(tenant=None)
    url = f"{served.url}/graphql"
    async with served.session.ws_connect(
        url, protocols=("graphql-transport-ws",), headers=headers
    ) as socket:
        tenant = served.headers()["X-Tenant-ID"]
        await socket.send_json({"type": "connection_init", "payload": {"tenantId": tenant}})
        assert (await socket.receive_json())["type"] == "connection_ack"
        payload = {"query": WATCH, "variables": {"id": eco_id}}
        await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        first = await _next(socket)
        assert first["timeline"][0]["kind"] == "strike.eco.created"
        end_connections(database_url, "query = 'LISTEN strike_changes'")
        note = 'mutation ($id: UUID!) { addNote(ecoId: $id, text: "x") { __typename } }'
        await served.ask(note, {"id": eco_id})
        async with asyncio.timeout(20):
            while (await _next(socket))["timeline"][-1]["kind"] != "strike.eco.note-added":
                pass


async def _next(socket: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (body := await socket.receive_json())["type"] != "next":
            assert body["type"] in ("ping", "pong"), body
    changed: dict[str, Any] = body["payload"]["data"]["ecoChanged"]
    return changed


async def _until(served: Served, eco_id: str, name: str, value: str) -> dict[str, Any]:
    """The ECO once a field has a value; woken by the change feed."""
    async with asyncio.timeout(15):
        with served.services.changes.watch() as watch:
            while True:
                eco: dict[str, Any] | None = (await served.ask(ECO, {"id": eco_id}))["eco"]
                if eco and eco[name] == value:
                    return eco
                await watch.wait(0.2)


READINESS = """
query ($osp: UUID) {
  readiness(ospId: $osp) {
    isReady lists contacts mapSvg
    problems { code severity said cure listName contact } gaps { areaM2 } overlaps { first }
  }
}
"""
DRILL = """
query ($osp: UUID!, $at: GeoJSON!) {
  drill(ospId: $osp, location: $at) {
    listName reason moments { seconds line } prompts { contactName language sentences }
  }
}
"""
DISPATCHER = LOGINS[2]


async def test_the_contractor_and_its_nocs_see_whether_its_lists_are_ready(
    served: Served, strike: Strike
) -> None:
    before = strike.log.position()
    as_dispatcher: dict[str, Any] = {"email": DISPATCHER.email, "tenant": OSP_ID}
    own = (await served.ask(READINESS, {}, **as_dispatcher))["readiness"]
    assert own["isReady"] is True
    assert own["lists"] == 9
    assert [one["code"] for one in own["problems"]] == ["NO_CONSENT"]
    assert own["mapSvg"].startswith("<svg")
    assert (await served.ask(READINESS, {"osp": str(OSP_ID)}))["readiness"] == own
    stranger = await served.post(
        READINESS, {"osp": str(CONTRACTORS[1].id)}, served.headers(**as_dispatcher)
    )
    assert stranger.body["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert strike.log.position() == before


async def test_a_drill_rings_nobody_and_stores_nothing(served: Served, strike: Strike) -> None:
    before = strike.log.position()
    done = (await served.ask(DRILL, {"osp": str(OSP_ID), "at": PLACE}))["drill"]
    assert done["reason"] == "covers the point"
    assert [one["contactName"] for one in done["prompts"]] == list(CONTRACTORS[0].people)
    assert done["prompts"][2]["language"] == "SPANISH"
    assert done["moments"][-1]["seconds"] == 90
    assert strike.log.position() == before
    answer = await served.post(DRILL, {"osp": str(NEWCOMER.id), "at": PLACE})
    assert answer.body["errors"][0]["extensions"]["code"] == "NO_LIST"
