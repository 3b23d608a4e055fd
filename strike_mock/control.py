"""The control API under /_mock/: for tests, the demo, and people who watch."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from strike_mock.calls import CallBook
from strike_mock.clock import Clock
from strike_mock.errors import ScenarioError
from strike_mock.proxy import Proxy
from strike_mock.render import RenderApi
from strike_mock.scenarios import Scenario, load
from strike_mock.stage import Stage


class ControlApi:
    """Shows what happened and changes what will."""

    def __init__(
        self, clock: Clock, stage: Stage, book: CallBook, render: RenderApi, proxy: Proxy
    ) -> None:
        self._clock = clock
        self._stage = stage
        self._book = book
        self._render = render
        self._proxy = proxy

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes; they have no names, so no fault touches them."""
        router.add_get("/_mock/health", self._health)
        router.add_get("/_mock/calls", self._calls)
        router.add_get("/_mock/tasks", self._tasks)
        router.add_get("/_mock/scenario", self._scenario)
        router.add_post("/_mock/scenario", self._change_scenario)
        router.add_post("/_mock/upstream", self._change_upstream)

    async def _health(self, request: web.Request) -> web.Response:
        now, name = self._clock.now().isoformat(), self._stage.scenario.name
        return web.json_response({"status": "ok", "now": now, "scenario": name})

    async def _calls(self, request: web.Request) -> web.Response:
        return web.json_response({"calls": [call.as_story() for call in self._book.all()]})

    async def _tasks(self, request: web.Request) -> web.Response:
        tasks = [
            task.as_json() | {"project": name, "subsector": subsector.as_json()}
            for name, project in self._render.projects.items()
            for subsector in project.subsectors()
            for task in subsector.tasks
        ]
        return web.json_response({"tasks": tasks})

    async def _scenario(self, request: web.Request) -> web.Response:
        return web.json_response(_described(self._stage.scenario))

    async def _change_scenario(self, request: web.Request) -> web.Response:
        try:
            self._stage.scenario = load(str((await _object(request)).get("name")))
        except ScenarioError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(_described(self._stage.scenario))

    async def _change_upstream(self, request: web.Request) -> web.Response:
        url = (await _object(request)).get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            return web.json_response({"error": "url must be an http(s) URL"}, status=400)
        self._proxy.upstream = url
        return web.json_response({"url": url})


def _described(scenario: Scenario) -> dict[str, Any]:
    return scenario.model_dump(mode="json")


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"not JSON: {error}") from error
    return body if isinstance(body, dict) else {}
