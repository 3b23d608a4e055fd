"""The control API under /_mock/: for tests, the demo, the dashboard, and people who watch."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from strike_mock.clock import SteppedClock
from strike_mock.errors import NotNow, ScenarioError
from strike_mock.proxy import Proxy
from strike_mock.scenarios import Scenario, TaskState, load, names
from strike_mock.whole import Whole

Body = TypeVar("Body", bound=BaseModel)


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pick(_Asked):
    """Which scenario is played from now on: one that ships, or a whole one."""

    name: str | None = None
    scenario: Scenario | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Pick:
        if (self.name is None) == (self.scenario is None):
            raise ValueError("give either name or scenario")
        return self


class ByHand(_Asked):
    """What the person at the phone does."""

    does: Literal["pick_up", "reject", "press", "put_down"]
    key: str | None = Field(default=None, pattern=r"^[0-9*#]$")

    @model_validator(mode="after")
    def _a_key_to_press(self) -> ByHand:
        if (self.does == "press") != (self.key is not None):
            raise ValueError("key goes with press, and only with it")
        return self


class Move(_Asked):
    """The state that a task enters."""

    state: TaskState


class NewTask(_Asked):
    """A task that the crew adds; `clones` is the id of the one that it follows on."""

    subsector_id: str
    name: str = Field(min_length=1)
    kind: str = "repair"
    clones: str | None = None


class Time(_Asked):
    """What the clock is told; each only if it is given. `skip` in simulated seconds."""

    paused: bool | None = None
    speed: float | None = Field(default=None, gt=0, le=10_000)
    skip: float | None = Field(default=None, gt=0, le=864_000)
    step: bool = False


class ControlApi:
    """Shows what happened and changes what will."""

    def __init__(self, whole: Whole, proxy: Proxy) -> None:
        self._whole = whole
        self._proxy = proxy

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes; they have no names, so no fault touches them."""
        router.add_get("/_mock/health", self._health)
        router.add_get("/_mock/state", self._state)
        router.add_get("/_mock/calls", self._calls)
        router.add_post("/_mock/calls/{sid}", self._by_hand)
        router.add_get("/_mock/texts", self._texts)
        router.add_get("/_mock/tasks", self._tasks)
        router.add_post("/_mock/tasks", self._add_task)
        router.add_post("/_mock/tasks/{id}", self._move_task)
        router.add_get("/_mock/scenario", self._scenario)
        router.add_post("/_mock/scenario", self._change_scenario)
        router.add_get("/_mock/scenarios", self._scenarios)
        router.add_get("/_mock/clock", self._clock)
        router.add_post("/_mock/clock", self._change_clock)
        router.add_get("/_mock/faults", self._faults)
        router.add_get("/_mock/requests", self._requests)
        router.add_post("/_mock/upstream", self._change_upstream)

    async def _health(self, request: web.Request) -> web.Response:
        now, name = self._whole.clock.now().isoformat(), self._whole.stage.scenario.name
        return web.json_response({"status": "ok", "now": now, "scenario": name})

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self._whole.as_json())

    async def _calls(self, request: web.Request) -> web.Response:
        return web.json_response({"calls": self._whole.calls()})

    async def _by_hand(self, request: web.Request) -> web.Response:
        asked = await read(request, ByHand)
        exchange = self._whole.exchange
        sid = request.match_info["sid"]
        call = next((one for one in exchange.book.all() if one.sid == sid), None)
        if call is None:
            return _refuse(404, f"there is no call {sid}")
        try:
            if asked.does == "press":
                exchange.press(call, str(asked.key))
            else:
                {
                    "pick_up": exchange.pick_up,
                    "reject": exchange.reject,
                    "put_down": exchange.put_down,
                }[asked.does](call)
        except NotNow as error:
            return _refuse(409, str(error))
        return web.json_response(call.as_story())

    async def _texts(self, request: web.Request) -> web.Response:
        return web.json_response({"texts": self._whole.texts()})

    async def _tasks(self, request: web.Request) -> web.Response:
        return web.json_response({"tasks": self._whole.tasks()})

    async def _move_task(self, request: web.Request) -> web.Response:
        asked = await read(request, Move)
        wanted = request.match_info["id"]
        for _, project, _, task in self._whole.find_tasks():
            if task.id == wanted:
                project.move(task, asked.state)
                return web.json_response(task.as_json())
        return _refuse(404, f"there is no task {wanted}")

    async def _add_task(self, request: web.Request) -> web.Response:
        asked = await read(request, NewTask)
        for project in self._whole.render.projects.values():
            subsector = project.subsector(asked.subsector_id)
            if subsector is None:
                continue
            origins = {None} | {task.id for task in subsector.tasks}
            if asked.clones not in origins:
                return _refuse(404, f"there is no task {asked.clones} in that subsector")
            task = project.add_task(
                subsector, kind=asked.kind, name=asked.name, cloned_from=asked.clones
            )
            return web.json_response(task.as_json(), status=201)
        return _refuse(404, f"there is no subsector {asked.subsector_id}")

    async def _scenario(self, request: web.Request) -> web.Response:
        return web.json_response(_described(self._whole.stage.scenario))

    async def _scenarios(self, request: web.Request) -> web.Response:
        shown = {"name", "title", "story", "ending"}
        all_of_them = [load(name).model_dump(mode="json", include=shown) for name in names()]
        return web.json_response({"scenarios": all_of_them})

    async def _change_scenario(self, request: web.Request) -> web.Response:
        asked = await read(request, Pick)
        try:
            self._whole.stage.scenario = asked.scenario or load(str(asked.name))
        except ScenarioError as error:
            return _refuse(400, str(error))
        return web.json_response(_described(self._whole.stage.scenario))

    async def _clock(self, request: web.Request) -> web.Response:
        return web.json_response(self._whole.time())

    async def _change_clock(self, request: web.Request) -> web.Response:
        asked = await read(request, Time)
        clock = self._whole.clock
        if not isinstance(clock, SteppedClock):
            return _refuse(409, "the clock of this mock is moved by whoever started it")
        if asked.speed is not None:
            clock.set_speed(asked.speed)
        if asked.paused is not None:
            (clock.pause if asked.paused else clock.resume)()
        if asked.step:
            await clock.step()
        if asked.skip is not None:
            await clock.skip(asked.skip)
        return web.json_response(self._whole.time())

    async def _faults(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": dict(self._whole.faults.counts)})

    async def _requests(self, request: web.Request) -> web.Response:
        return web.json_response({"requests": self._whole.requests()})

    async def _change_upstream(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            body = None
        url = body.get("url") if isinstance(body, dict) else None
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            return _refuse(400, "url must be an http(s) URL")
        self._proxy.upstream = url
        return web.json_response({"url": url})


def _described(scenario: Scenario) -> dict[str, Any]:
    return scenario.model_dump(mode="json")


def _refuse(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)


async def read(request: web.Request, model: type[Body]) -> Body:
    """The body as `model`, no body as an empty object; else 400 with every wrong field and why."""
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        problems = error.errors(include_url=False)
        wrong = "; ".join(".".join(map(str, p["loc"])) + ": " + p["msg"] for p in problems)
        body = f'{{"error": {_quoted(wrong)}}}'
        raise web.HTTPBadRequest(text=body, content_type="application/json") from error


def _quoted(text: str) -> str:
    return web.json_response(text).text or '""'
