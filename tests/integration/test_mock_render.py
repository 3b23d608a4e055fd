"""The mock keeps docs/render-contract.md; the crew moves by the clock, here a virtual one."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from strike_mock.clock import VirtualClock
from strike_mock.scenarios import Scenario, load
from strike_mock.server import Mock
from strike_mock.settings import MockSettings, RenderClient

pytestmark = pytest.mark.asyncio

CLIENT = RenderClient(id="osp-1", secret="s3cret")
POINT = {"type": "Point", "coordinates": [-97.74, 30.27]}
SUBSECTOR = {"external_reference": "eco-1", "name": "ECO 1", "geometry": POINT}
TASK = {
    "external_reference": "eco-1",
    "kind": "investigation",
    "name": "Investigate",
    "description": "cut",
    "geometry": POINT,
}
Answer = tuple[int, Any, Mapping[str, str]]


class Render:
    """A client of the contract, with a token."""

    def __init__(self, mock: Mock, clock: VirtualClock, http: ClientSession) -> None:
        self.mock, self.clock, self.http = mock, clock, http
        self.token = ""

    async def log_in(
        self, secret: str = CLIENT.secret, grant: str = "client_credentials"
    ) -> Answer:
        url = f"{self.mock.url}/oauth/token"
        basic = b64encode(f"{CLIENT.id}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        async with self.http.post(url, headers=headers, data={"grant_type": grant}) as answer:
            body = await answer.json()
        self.token = body.get("access_token", "")
        return answer.status, body, answer.headers

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        headers["Authorization"] = f"Bearer {self.token}"
        url = f"{self.mock.url}/api/v1/projects/P/{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            read = await answer.json() if answer.status != 304 else None
            return answer.status, read, answer.headers

    async def tasked(self) -> str:
        """Make the subsector and its task; return the subsector's id."""
        await self.log_in()
        _, subsector, _ = await self.ask("POST", "subsectors", SUBSECTOR)
        await self.ask("POST", "tasks", TASK | {"subsector_id": subsector["id"]})
        return str(subsector["id"])

    async def states(self, subsector: str) -> dict[str, str]:
        _, body, _ = await self.ask("GET", f"tasks?subsector_id={subsector}")
        return {task["kind"]: task["state"] for task in body["items"]}


async def playing(scenario: Scenario) -> AsyncIterator[Render]:
    clock = VirtualClock(datetime(2026, 3, 1, 2, tzinfo=UTC))
    settings = MockSettings(render_clients=(CLIENT,))
    async with Mock(settings, clock=clock, scenario=scenario) as mock, ClientSession() as http:
        yield Render(mock, clock, http)


@pytest_asyncio.fixture
async def render() -> AsyncIterator[Render]:
    async for playing_render in playing(load("happy-path")):
        yield playing_render


@pytest_asyncio.fixture
async def broken_render() -> AsyncIterator[Render]:
    async for playing_render in playing(load("render-failure")):
        yield playing_render


async def test_client_credentials_buy_a_token_for_an_hour(render: Render) -> None:
    status, body, _ = await render.log_in()
    assert status == 200
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    await render.clock.advance(3599)
    assert (await render.ask("POST", "subsectors", SUBSECTOR))[0] == 201
    await render.clock.advance(1)
    status, body, _ = await render.ask("POST", "subsectors", SUBSECTOR)
    assert status == 401
    assert body["error"]["code"] == "invalid_token"


async def test_wrong_credentials_and_grants_are_refused(render: Render) -> None:
    assert (await render.log_in(secret="wrong"))[:2] == (401, {"error": "invalid_client"})
    status, body, _ = await render.log_in(grant="password")
    assert (status, body) == (400, {"error": "unsupported_grant_type"})


async def test_no_token_no_answer(render: Render) -> None:
    assert (await render.ask("GET", "tasks?subsector_id=x"))[0] == 401


async def test_the_same_reference_makes_nothing_twice(render: Render) -> None:
    await render.log_in()
    status, subsector, _ = await render.ask("POST", "subsectors", SUBSECTOR)
    assert status == 201
    assert set(subsector) == {"id", "external_reference", "name"}
    again = await render.ask("POST", "subsectors", SUBSECTOR | {"name": "other"})
    assert again[:2] == (200, subsector)
    asked = TASK | {"subsector_id": subsector["id"]}
    status, task, _ = await render.ask("POST", "tasks", asked)
    assert status == 201
    assert task == {
        "id": task["id"],
        "external_reference": "eco-1",
        "subsector_id": subsector["id"],
        "kind": "investigation",
        "name": "Investigate",
        "state": "blueprinted",
        "cloned_from": None,
        "updated_at": "2026-03-01T02:00:00.000Z",
    }
    assert (await render.ask("POST", "tasks", asked))[:2] == (200, task)
    _, listed, _ = await render.ask("GET", f"tasks?subsector_id={subsector['id']}")
    assert listed == {"items": [task], "next_cursor": None}


async def test_the_crew_works_by_the_clock_and_clones_a_repair(render: Render) -> None:
    subsector = await render.tasked()
    assert await render.states(subsector) == {"investigation": "blueprinted"}
    await render.clock.advance(50)
    assert await render.states(subsector) == {"investigation": "released"}
    await render.clock.advance(45)
    _, body, _ = await render.ask("GET", f"tasks?subsector_id={subsector}")
    investigation, repair = body["items"]
    assert repair["cloned_from"] == investigation["id"]
    assert repair["external_reference"] is None
    await render.clock.advance(60)
    assert await render.states(subsector) == {"investigation": "completed", "repair": "completed"}


async def test_an_unchanged_list_is_not_sent_again(render: Render) -> None:
    subsector = await render.tasked()
    path = f"tasks?subsector_id={subsector}"
    _, _, headers = await render.ask("GET", path)
    tag = headers["ETag"]
    status, _, headers = await render.ask("GET", path, **{"If-None-Match": tag})
    assert status == 304
    assert headers["ETag"] == tag
    await render.clock.advance(15)
    status, _, headers = await render.ask("GET", path, **{"If-None-Match": tag})
    assert status == 200
    assert headers["ETag"] != tag


async def test_long_lists_come_in_pages_under_one_etag(render: Render) -> None:
    subsector_id = await render.tasked()
    project = render.mock.render.projects["P"]
    subsector = project.subsector(subsector_id)
    assert subsector is not None
    for number in range(120):
        project.add_task(subsector, kind="repair", name=f"Repair {number}")
    path = f"tasks?subsector_id={subsector_id}"
    _, first, one = await render.ask("GET", path)
    _, rest, two = await render.ask("GET", f"{path}&cursor={first['next_cursor']}")
    assert (len(first["items"]), len(rest["items"])) == (100, 21)
    assert rest["next_cursor"] is None
    assert one["ETag"] == two["ETag"]
    status, body, _ = await render.ask("GET", f"{path}&cursor=x")
    assert status == 400
    assert body["error"]["code"] == "invalid_cursor"


async def test_an_unknown_subsector_is_not_found(render: Render) -> None:
    await render.log_in()
    for method, path, body in (
        ("GET", "tasks?subsector_id=ss_none", None),
        ("POST", "tasks", TASK | {"subsector_id": "ss_none"}),
    ):
        status, answer, _ = await render.ask(method, path, body)
        assert status == 404
        assert answer["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"external_reference": ""}, "external_reference"),
        ({"geometry": {"type": "Circle"}}, "geometry.type"),
        ({"name": None}, "name"),
    ],
)
async def test_a_wrong_body_says_where(render: Render, change: dict[str, Any], field: str) -> None:
    await render.log_in()
    status, body, _ = await render.ask("POST", "subsectors", SUBSECTOR | change)
    assert status == 400
    assert body["error"]["code"] == "invalid_request"
    assert field in body["error"]["message"]


async def test_render_failure_fails_every_creation_for_good_but_not_the_token(
    broken_render: Render,
) -> None:
    assert (await broken_render.log_in())[0] == 200
    for _ in range(3):
        status, body, _ = await broken_render.ask("POST", "subsectors", SUBSECTOR)
        assert status == 503
        assert body["error"]["code"] == "unavailable"
        await broken_render.clock.advance(600)
    assert broken_render.mock.render.projects == {}


async def test_tasks_are_shown_by_the_control_api(render: Render) -> None:
    subsector = await render.tasked()
    async with render.http.get(f"{render.mock.url}/_mock/tasks") as answer:
        (task,) = (await answer.json())["tasks"]
    assert task["project"] == "P"
    assert task["subsector"]["id"] == subsector


async def test_the_scenario_says_how_long_a_token_is_good_and_what_vanishes() -> None:
    steps = (
        {"after_seconds": 5, "adds": {"label": "repair", "name": "Splice"}},
        {"after_seconds": 10, "task": "investigation", "state": "completed"},
        {"after_seconds": 15, "task": "investigation", "state": "released"},
        {"after_seconds": 20, "removes": "repair"},
    )
    scenario = load("pager-timeout").model_dump() | {
        "crew": {"steps": steps},
        "render": {"token_seconds": 60},
    }
    async for render in playing(Scenario.model_validate(scenario)):
        subsector = await render.tasked()
        found = []
        for _ in range(4):
            await render.clock.advance(5)
            found.append(await render.states(subsector))
        assert found == [
            {"investigation": "blueprinted", "repair": "blueprinted"},
            {"investigation": "completed", "repair": "blueprinted"},
            {"investigation": "released", "repair": "blueprinted"},
            {"investigation": "released"},
        ]
        await render.clock.advance(41)
        assert (await render.ask("GET", f"tasks?subsector_id={subsector}"))[0] == 401
