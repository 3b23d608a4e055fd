"""The dashboard: what it can be told, and a page accepted by hand in a real browser."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_mock import dashboard
from strike_mock.ids import Ids
from strike_mock.scenarios import FaultRule, Phone, Scenario
from strike_mock.server import Mock
from strike_mock.settings import DEFAULT_ACCOUNT, MockSettings
from strike_mock.tasks import Project
from strike_mock.testing import everybody_by_hand
from tests.integration.chromium import needs_chromium, page
from tests.listening import listening

ANA = "+13035550101"
LONG = 15_000_000
"""Bytes: more than a socket holds, so that somebody has to take them."""


class StrikeOnTheLine:
    """A server of TwiML; `pressed` holds the keys that it was told."""

    def __init__(self) -> None:
        self.pressed: list[str] = []
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/voice", self._voice)
        return app

    async def _voice(self, request: web.Request) -> web.Response:
        digits = (await request.post()).get("Digits")
        if digits:
            self.pressed.append(str(digits))
            return _twiml("<Say>Thank you, Ana. The job is yours.</Say>")
        ask = "<Say>Fibre cut &lt;b&gt;near Boulder&lt;/b&gt;. To accept, press 1.</Say>"
        return _twiml(f'<Gather numDigits="1" timeout="60">{ask}</Gather>')


def _twiml(verbs: str) -> web.Response:
    return web.Response(text=f"<Response>{verbs}</Response>", content_type="text/xml")


class Desk:
    """A mock over HTTP, whose control API is asked."""

    def __init__(self, mock: Mock, session: aiohttp.ClientSession, strike: StrikeOnTheLine) -> None:
        self.mock = mock
        self.session = session
        self.strike = strike

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.mock.url}/_mock/{path}") as answer:
            return await answer.json()

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        url = f"{self.mock.url}/_mock/{path}"
        async with self.session.post(url, data=json.dumps(body)) as answer:
            return answer.status, await answer.json()

    async def call(self, to: str = ANA) -> str:
        """Place a call with the official SDK; its sid."""
        client = Client(DEFAULT_ACCOUNT.sid, DEFAULT_ACCOUNT.token)
        client.api.base_url = self.mock.url
        voice = f"{self.strike.url}/voice"
        order = {"to": to, "from_": "+13035550100", "url": voice, "timeout": 600}
        return str((await asyncio.to_thread(client.calls.create, **order)).sid)

    async def ask(self, method: str, path: str) -> int:
        """Ask Twilio without the SDK; the HTTP status."""
        auth = aiohttp.encode_basic_auth(DEFAULT_ACCOUNT.sid, DEFAULT_ACCOUNT.token)
        url = f"{self.mock.url}/2010-04-01/Accounts/{DEFAULT_ACCOUNT.sid}/{path}"
        async with self.session.request(method, url, headers={"Authorization": auth}) as answer:
            return answer.status

    def put_task(self, name: str) -> tuple[str, str]:
        """A field task that Strike made; its id, and its subsector's."""
        project = Project(self.mock.clock, Ids(1))
        self.mock.render.projects["P"] = project
        subsector, _ = project.make_subsector("eco-1", "ECO 26-0001")
        task, _ = project.make_task("eco-1", subsector, "investigation", name)
        return task.id, subsector.id

    async def status(self, sid: str) -> str:
        calls = (await self.get("calls"))["calls"]
        return str(next(one["status"] for one in calls if one["sid"] == sid))

    async def requests(self, answered: int) -> list[dict[str, Any]]:
        """The requests so far, once so many have been answered."""
        for _ in range(500):
            found: list[dict[str, Any]] = (await self.get("requests"))["requests"]
            if sum(one["answer"] != "" for one in found) >= answered:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"not {answered} answers: {await self.get('requests')}")

    async def until(self, sid: str, status: str) -> None:
        for _ in range(500):
            if await self.status(sid) == status:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"never {status}: {await self.get('calls')}")


def by_hand() -> Scenario:
    ana = Phone(number=ANA, who="Ana <i>Reyes</i>", by_hand=True)
    scenario = everybody_by_hand()
    return scenario.model_copy(update={"phones": (ana, *scenario.phones)})


def refusing(edge: str) -> dict[str, Any]:
    refusal = FaultRule(edge=edge, kind="refuse", status=503)
    return by_hand().model_copy(update={"faults": (refusal,)}).model_dump(mode="json")


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    strike = StrikeOnTheLine()
    async with (
        listening(strike.app()) as strike.url,
        Mock(MockSettings(seed=1, speed=20), scenario=by_hand()) as mock,
        aiohttp.ClientSession() as session,
    ):
        yield Desk(mock, session, strike)


async def test_a_call_is_answered_and_a_key_pressed_by_hand(desk: Desk) -> None:
    sid = await desk.call()
    await desk.until(sid, "ringing")
    status, answer = await desk.post(f"calls/{sid}", {"does": "press", "key": "1"})
    assert status == 409 and "ringing" in answer["error"]
    assert (await desk.post(f"calls/{sid}", {"does": "pick_up"}))[0] == 200
    await desk.until(sid, "in-progress")
    for _ in range(500):
        if (await desk.get("state"))["calls"][0]["waits_for_key"]:
            break
        await asyncio.sleep(0.02)
    assert (await desk.post(f"calls/{sid}", {"does": "press", "key": "1"}))[0] == 200
    await desk.until(sid, "completed")
    assert desk.strike.pressed == ["1"]


async def test_a_call_is_rejected_and_another_hung_up(desk: Desk) -> None:
    first, second = await desk.call(), await desk.call()
    await desk.until(first, "ringing")
    await desk.post(f"calls/{first}", {"does": "reject"})
    assert await desk.status(first) == "busy"
    await desk.until(second, "ringing")
    await desk.post(f"calls/{second}", {"does": "pick_up"})
    await desk.post(f"calls/{second}", {"does": "put_down"})
    assert await desk.status(second) == "completed"


@pytest.mark.parametrize(
    ("path", "body", "status", "complaint"),
    [
        ("calls/CA0", {"does": "pick_up"}, 404, "no call CA0"),
        ("calls/CA0", {"does": "sing"}, 400, "does"),
        ("calls/CA0", {"does": "press"}, 400, "key goes with press"),
        ("calls/CA0", {"does": "press", "key": "12"}, 400, "key"),
        ("tasks/tk", {"state": "released"}, 404, "no task tk"),
        ("tasks/tk", {"state": "resting"}, 400, "state"),
        ("tasks", {"subsector_id": "ss", "name": "Splice"}, 404, "no subsector ss"),
        ("scenario", {"name": "never-told"}, 400, "no scenario 'never-told'"),
        ("scenario", {}, 400, "either name or scenario"),
        ("scenario", {"scenario": {"name": "x"}}, 400, "scenario.title"),
        ("clock", {"speed": 0}, 400, "speed"),
        ("clock", {"skip": -5}, 400, "skip"),
        ("clock", [], 400, "object"),
    ],
)
async def test_what_cannot_be_done_is_said(
    desk: Desk, path: str, body: Any, status: int, complaint: str
) -> None:
    answer = await desk.post(path, body)
    assert answer[0] == status
    assert complaint in answer[1]["error"]


async def test_a_scenario_is_picked_by_name_or_given_whole(desk: Desk) -> None:
    names = [one["name"] for one in (await desk.get("scenarios"))["scenarios"]]
    assert len(names) >= 16
    assert (await desk.post("scenario", {"name": "no-list"}))[0] == 200
    assert (await desk.get("scenario"))["name"] == "no-list"
    whole = by_hand().model_dump(mode="json") | {"name": "my-own"}
    assert (await desk.post("scenario", {"scenario": whole}))[0] == 200
    assert (await desk.get("state"))["scenario"]["name"] == "my-own"


async def test_time_is_stopped_and_skipped(desk: Desk) -> None:
    status, clock = await desk.post("clock", {"paused": True})
    assert status == 200 and clock["paused"] is True
    sid = await desk.call()
    assert await desk.status(sid) == "queued"
    _, clock = await desk.post("clock", {"step": True})
    await desk.post("clock", {"skip": 5, "speed": 3})
    assert await desk.status(sid) == "ringing"
    later = await desk.get("clock")
    assert later["now"] > clock["now"] and later["speed"] == 3


async def test_a_task_is_moved_and_followed_on_by_hand(desk: Desk) -> None:
    task_id, subsector_id = desk.put_task("Investigate ECO 26-0001")
    status, task = await desk.post(f"tasks/{task_id}", {"state": "released"})
    assert (status, task["state"]) == (200, "released")
    new = {"subsector_id": subsector_id, "name": "Splice", "clones": task_id}
    status, clone = await desk.post("tasks", new)
    assert (status, clone["cloned_from"]) == (201, task_id)
    tasks = (await desk.get("tasks"))["tasks"]
    assert [(one["name"], one["state"]) for one in tasks] == [
        ("Investigate ECO 26-0001", "released"),
        ("Splice", "blueprinted"),
    ]
    status, answer = await desk.post("tasks", new | {"clones": "tk_never"})
    assert status == 404 and "tk_never" in answer["error"]


async def test_what_went_wrong_is_counted(desk: Desk) -> None:
    assert (await desk.get("faults"))["faults"] == {}
    await desk.post("scenario", {"scenario": refusing("twilio.calls.list")})
    await desk.ask("GET", "Calls.json")
    assert (await desk.get("faults"))["faults"] == {"twilio.calls.list refuse": 1}


async def test_requests_are_listed_as_strike_sees_them(desk: Desk) -> None:
    await desk.post("scenario", {"scenario": refusing("twilio.calls.list")})
    await desk.ask("GET", "Calls.json?To=secret")
    sid = await desk.call()
    await desk.until(sid, "ringing")
    await desk.post(f"calls/{sid}", {"does": "pick_up"})
    requests = await desk.requests(answered=3)
    calls = f"/2010-04-01/Accounts/{DEFAULT_ACCOUNT.sid}/Calls.json"
    assert [
        (one["asked_by"], one["asked"], one["method"], one["path"], one["answer"])
        for one in requests
    ] == [
        ("Strike", "Twilio", "GET", calls, "503"),
        ("Strike", "Twilio", "POST", calls, "201"),
        ("Twilio", "Strike", "POST", "/voice", "200"),
    ]


async def test_onlookers_are_told_what_changes_and_sent_home_at_the_end(desk: Desk) -> None:
    path = f"{desk.mock.url}/_mock/events"
    async with desk.session.get(path) as events, desk.session.get(path) as others:
        assert events.content_type == "text/event-stream"
        assert (await _next(events))["calls"] == []
        await desk.call()
        for stream in (events, others):
            while not (calls := (await _next(stream))["calls"]):
                pass
            assert calls[0]["to"] == ANA
        await desk.mock.stop()
        # Reads to the end of the stream: a listener that is not sent home would never see one.
        await asyncio.wait_for(events.content.read(), 10)


async def test_an_onlooker_is_told_nothing_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "LOOK_EVERY", 0.01)
    await desk.post("clock", {"paused": True})
    async with desk.session.get(f"{desk.mock.url}/_mock/events") as events:
        await _next(events)
        await asyncio.sleep(0.5)
        await desk.post("clock", {"speed": 7})
        assert (await _next(events))["clock"]["speed"] == 7


async def test_an_onlooker_who_takes_nothing_is_dropped_and_the_others_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "SLOW_SECONDS", 0.5)
    host, port = desk.mock.url.removeprefix("http://").split(":")
    loop, short = asyncio.get_running_loop(), by_hand()
    with socket.create_connection((host, int(port))) as sleepy:
        sleepy.setblocking(False)
        desk.mock.stage.scenario = short.model_copy(update={"story": "x" * LONG})
        await loop.sock_sendall(
            sleepy, f"GET /_mock/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        )
        received = len(await loop.sock_recv(sleepy, 100))
        desk.mock.stage.scenario = short
        async with desk.session.get(f"{desk.mock.url}/_mock/events") as events:
            await _next(events)
            await desk.post("scenario", {"name": "no-list"})
            while (await _next(events))["scenario"]["name"] != "no-list":
                pass
        await asyncio.sleep(1)
        received += await asyncio.wait_for(_read_to_the_end(sleepy), 10)
        assert received < LONG


async def _read_to_the_end(connection: socket.socket) -> int:
    """How much came until the other side closed."""
    received = 0
    while some := await asyncio.get_running_loop().sock_recv(connection, 2**20):
        received += len(some)
    return received


async def test_who_has_left_is_noticed_without_news(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "QUIET_SECONDS", 0.01)
    async with desk.session.get(f"{desk.mock.url}/_mock/events") as events:
        await _next(events)
        assert (await events.content.readline()).strip() == b""
        assert await events.content.readline() == b": still here\n"


async def _next(events: aiohttp.ClientResponse) -> dict[str, Any]:
    async for line in events.content:
        if line.startswith(b"data: "):
            state: dict[str, Any] = json.loads(line[6:])
            return state
    raise AssertionError("the stream ended")


async def test_the_page_may_load_nothing_from_elsewhere(desk: Desk) -> None:
    for path in ("", "dashboard.css", "dashboard.js"):
        async with desk.session.get(f"{desk.mock.url}/_mock/{path}") as page:
            assert page.status == 200
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
            text = await page.text()
            assert "http://" not in text and "https://" not in text
            assert "innerHTML" not in text


@needs_chromium
async def test_a_page_is_accepted_by_hand_in_a_browser(desk: Desk, tmp_path: Path) -> None:
    await desk.call()
    heard = await asyncio.to_thread(_accept_by_hand, f"{desk.mock.url}/_mock/", tmp_path)
    assert "Fibre cut <b>near Boulder</b>. To accept, press 1." in heard
    assert desk.strike.pressed == ["1"]


def _accept_by_hand(url: str, folder: Path) -> str:
    """Pick up, listen, press 1 by keyboard, and see the call over; what was heard."""
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By

    with page(url, folder) as (browser, wait):
        card = f"[data-number='{ANA}']"

        def text_of(selector: str) -> str:
            return browser.find_element(By.CSS_SELECTOR, selector).text

        def inner(element: str) -> str:
            # Text for screen readers only, which the driver takes to be invisible.
            found = browser.find_element(By.ID, element).get_attribute("textContent")
            return str(found)

        pick_up = f"{card} [data-key='pick_up']:not(:disabled)"
        wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, pick_up))
        assert "Ana <i>Reyes</i> is being rung." in inner("ringing")
        browser.find_element(By.CSS_SELECTOR, pick_up).click()
        said = wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, f"{card} .heard li"))
        heard = said[0].text
        assert "Ana <i>Reyes</i>" in text_of(card)
        wait.until(lambda b: "waits for a key" in text_of(card))
        in_focus = browser.switch_to.active_element
        assert in_focus.get_attribute("aria-label") == "Press 1"
        in_focus.send_keys(Keys.ENTER)
        wait.until(lambda b: "The job is yours" in text_of("#history"))
        assert "The job is yours" in text_of(card), "What was heard stays to be read."
        assert "Twilio asks Strike: POST /voice (key 1) 200" in text_of("#requests")
        assert browser.execute("getLog", {"type": "browser"})["value"] == [], (
            "Nothing was refused by the policy or missing."
        )
        browser.set_window_size(390, 800)
        wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not browser.execute_script(wide), "A phone's screen is wide enough."
        return heard
