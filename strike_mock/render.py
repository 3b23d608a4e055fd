"""Render Networks over HTTP, as docs/render-contract.md describes it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Literal, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, Field, ValidationError

from strike_mock.clock import Clock
from strike_mock.credentials import basic_credentials
from strike_mock.crew import Crew
from strike_mock.ids import Ids
from strike_mock.settings import RenderClient
from strike_mock.stage import Stage
from strike_mock.tasks import Project, Subsector, Tokens

PAGE_SIZE = 100

Body = TypeVar("Body", bound=BaseModel)


class Geometry(BaseModel, extra="allow"):
    """A GeoJSON geometry, taken on trust beyond its type."""

    type: Literal[
        "Point",
        "LineString",
        "Polygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "GeometryCollection",
    ]


class NewSubsector(BaseModel):
    """Body of a subsector's creation."""

    external_reference: str = Field(min_length=1, max_length=200)
    name: str = Field(min_length=1)
    geometry: Geometry


class NewTask(BaseModel):
    """Body of a task's creation."""

    external_reference: str = Field(min_length=1, max_length=200)
    subsector_id: str
    kind: Literal["investigation"]
    name: str = Field(min_length=1)
    description: str
    geometry: Geometry


class RenderRefusal(Exception):
    """Answered as the contract's error form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RenderApi:
    """The routes, and the projects behind them."""

    def __init__(
        self, clock: Clock, stage: Stage, ids: Ids, clients: Mapping[str, RenderClient]
    ) -> None:
        self.crew = Crew(clock)
        self.projects: dict[str, Project] = {}
        self._clock = clock
        self._stage = stage
        self._ids = ids
        self._clients = clients
        self._tokens = Tokens(clock, ids)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes, named for the edge they are."""
        project = "/api/v1/projects/{project}"
        router.add_post("/oauth/token", self._token, name="render.token")
        router.add_post(f"{project}/subsectors", self._make_subsector, name="render.subsectors")
        router.add_post(f"{project}/tasks", self._make_task, name="render.tasks")
        router.add_get(f"{project}/tasks", self._list, name="render.list")

    async def _token(self, request: web.Request) -> web.Response:
        if not self._is_client(request):
            return web.json_response({"error": "invalid_client"}, status=401)
        if (await request.post()).get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        seconds = self._stage.scenario.render.token_seconds
        answer = {"token_type": "Bearer", "expires_in": int(seconds)}
        return web.json_response({"access_token": self._tokens.issue(seconds)} | answer)

    async def _make_subsector(self, request: web.Request) -> web.Response:
        self._authorize(request)
        body = await _body(request, NewSubsector)
        made, new = self._project(request).make_subsector(body.external_reference, body.name)
        return web.json_response(made.as_json(), status=201 if new else 200)

    async def _make_task(self, request: web.Request) -> web.Response:
        self._authorize(request)
        body = await _body(request, NewTask)
        project = self._project(request)
        subsector = _known(project, body.subsector_id)
        task, new = project.make_task(body.external_reference, subsector, body.kind, body.name)
        if new:
            self.crew.send(self._stage.scenario, project, subsector, task)
        return web.json_response(task.as_json(), status=201 if new else 200)

    async def _list(self, request: web.Request) -> web.Response:
        self._authorize(request)
        subsector = _known(self._project(request), request.query.get("subsector_id", ""))
        tag = subsector.etag()
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers={"ETag": tag})
        start = _start(request.query.get("cursor"), len(subsector.tasks))
        end = start + PAGE_SIZE
        page = {
            "items": [task.as_json() for task in subsector.tasks[start:end]],
            "next_cursor": str(end) if end < len(subsector.tasks) else None,
        }
        return web.json_response(page, headers={"ETag": tag})

    def _is_client(self, request: web.Request) -> bool:
        user, secret = basic_credentials(request.headers.get("Authorization", ""))
        client = self._clients.get(user)
        return client is not None and hmac.compare_digest(client.secret.encode(), secret.encode())

    def _authorize(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._tokens.accepts(token):
            raise RenderRefusal(401, "invalid_token", "the access token is unknown or expired")

    def _project(self, request: web.Request) -> Project:
        name = request.match_info["project"]
        return self.projects.setdefault(name, Project(self._clock, self._ids))


async def refusals_in_form(edge: str, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer RenderRefusal in the contract's error form (a Fault, so that it sits on the edge)."""
    try:
        return await handler(request)
    except RenderRefusal as refusal:
        return _error(refusal.status, refusal.code, str(refusal))


async def _body(request: web.Request, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        problems = error.errors(include_url=False)
        where = [".".join(map(str, p["loc"])) + ": " + p["msg"] for p in problems]
        raise RenderRefusal(400, "invalid_request", "; ".join(where)) from error


def _known(project: Project, subsector_id: str) -> Subsector:
    subsector = project.subsector(subsector_id)
    if subsector is None:
        raise RenderRefusal(404, "not_found", f"subsector {subsector_id} does not exist")
    return subsector


def _start(cursor: str | None, length: int) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or not 0 < int(cursor) <= length:
        raise RenderRefusal(400, "invalid_cursor", f"no such cursor: {cursor}")
    return int(cursor)


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
