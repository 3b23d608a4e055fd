"""The console in a real browser: every part of Strike a process of its own, login at the gateway.

These tests need Debian's Chromium (`apt-get install chromium`); `.ci/run` installs it.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from strike_app.demo.world import World, open_world
from strike_mock.scenarios import load
from tests.console.callouts import Noc
from tests.console.person import Person, Screen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Without the windows that nobody sees, where Debian has it so: half of the processor time.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")

DESKTOP, PHONE = Screen("desktop", 1280, 860), Screen("phone", 390, 844, is_touch=True)

SPEED = 20.0
"""Simulated seconds in a real one: a phone rings for a second and a half."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not CHROMIUM:
        for item in items:
            if "tests/console" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="needs Chromium (apt install chromium)"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed in a browser shows what was in the browser."""
    report = yield
    if report.failed and call.when == "call":
        for person in getattr(item, "funcargs", {}).get("people", []):
            with suppress(Exception):
                report.sections.append(("in the browser", person.seen()))
    return report


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Strike with the demo's companies, in which the second person of each list accepts."""
    with open_world(load("second-accepts"), SPEED) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=lambda screen: screen.name)
def screen(request: pytest.FixtureRequest) -> Screen:
    """Each test that asks for it runs on both."""
    chosen: Screen = request.param
    return chosen


@pytest.fixture
def people(world: World, browser: Browser) -> Iterator[list[Person]]:
    """Those who were logged in; at the end none of them may have seen an error."""
    known: list[Person] = []
    yield known
    for one in known:
        one.leave()
    assert [fault for one in known for fault in one.faults] == []


@pytest.fixture
def noc(world: World) -> Iterator[Noc]:
    """The operator of the first NOC, as another program asks for them."""
    opened = Noc(world.gateway_url)
    yield opened
    opened.close()


@pytest.fixture
def operator(world: World, browser: Browser, people: list[Person]) -> Person:
    """Olivia Park of Bluestem Backbone NOC, on a desktop, on the board."""
    return log_in(world, browser, people, "olivia@bluestem.example", DESKTOP)


@pytest.fixture
def dispatcher(world: World, browser: Browser, people: list[Person]) -> Person:
    """The dispatcher (and admin) of Front Range Fibre Works, on a desktop, on the board."""
    return log_in(world, browser, people, "dispatch@303.example", DESKTOP)


def log_in(
    world: World, browser: Browser, people: list[Person], email: str, screen: Screen
) -> Person:
    person = Person.open(browser, world.gateway_url, screen)
    people.append(person)
    person.log_in(email)
    return person
