"""What somebody who was texted does on their phone, while it rings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_app.demo.seed import CONTRACTORS
from strike_app.demo.world import World, open_world
from strike_mock.scenarios import load
from strike_mock.testing import everybody_by_hand
from tests.console.accessible import violations
from tests.console.callouts import Noc, until
from tests.console.conftest import PHONE
from tests.console.person import Person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SLOW = 2.0
"""A phone rings for fifteen real seconds: somebody looks at the page meanwhile."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Strike with the demo's companies. Who is rung is texted, and does nothing by themselves."""
    with open_world(load("second-accepts"), SLOW) as opened:
        by_hand = everybody_by_hand().model_dump(mode="json")
        asked = httpx.post(f"{opened.mock_url}/_mock/scenario", json={"scenario": by_hand})
        asked.raise_for_status()
        with open_pool(opened.database_url) as pool:
            directory = PostgresDirectory(pool)
            for one in directory.lists_of(CONTRACTORS[0].id):
                numbers = frozenset(person.phone for person in one.contacts)
                directory.save_list(one.model_copy(update={"texted": numbers}))
        yield opened


@pytest.fixture
def technician(world: World, browser: Browser, people: list[Person]) -> Person:
    """Somebody with a phone, who is logged in nowhere."""
    person = Person.open(browser, world.strike_url, PHONE)
    people.append(person)
    return person


def told(world: World, what: str) -> list[dict[str, Any]]:
    """The calls, or texts, of the mock."""
    found: list[dict[str, Any]] = httpx.get(f"{world.mock_url}/_mock/{what}").json()[what]
    return found


def texts_about(world: World, eco: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in told(world, "texts") if eco["jobNumber"] in one["body"]]


def link_in(text: dict[str, Any]) -> str:
    return str(text["body"].split()[-1])


def is_stopped(world: World, number: str) -> Callable[[], bool]:
    def stopped() -> bool:
        last = [one for one in told(world, "calls") if one["to"] == number][-1]
        return bool(last["status"] == "canceled")

    return stopped


def test_a_job_is_accepted_and_reported_on_by_the_link_while_the_phone_rings(
    world: World, noc: Noc, technician: Person
) -> None:
    eco = noc.create("A digger went through it. " + "Long words about where. " * 20)
    page = technician.page
    until(lambda: bool(texts_about(world, eco)), page)
    (text,) = texts_about(world, eco)
    page.goto(link_in(text))
    assert eco["jobNumber"] in page.get_by_role("heading", level=1).inner_text()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.get_by_role("link", name="Navigate").get_attribute("href") == (
        "geo:40.01000,-105.27000?q=40.01000,-105.27000"
    )
    page.get_by_role("button", name="Accept").click()
    page.get_by_text("The job is yours").wait_for()
    until(is_stopped(world, text["to"]), page)
    assert violations(page) == []
    page.get_by_role("button", name="I am on my way").click()
    page.get_by_text("You said that you are on the way").wait_for()
    page.get_by_role("button", name="The work is done").click()
    page.get_by_text("You said that the work is done").wait_for()
    assert violations(page) == []
    # The list's second person was neither rung nor texted.
    assert texts_about(world, eco) == [text | {"status": "delivered"}]


def test_without_scripts_a_job_is_declined_and_the_next_one_is_asked(
    world: World, noc: Noc, browser: Browser, technician: Person
) -> None:
    eco = noc.create()
    page = technician.page
    until(lambda: bool(texts_about(world, eco)), page)
    first = texts_about(world, eco)[0]
    plain = browser.new_context(java_script_enabled=False, base_url=world.strike_url)
    try:
        old_phone = plain.new_page()
        old_phone.goto(link_in(first))
        old_phone.get_by_role("button", name="Decline").click()
        old_phone.get_by_text("You declined").wait_for()
    finally:
        plain.close()
    until(lambda: len(texts_about(world, eco)) == 2, page)
    second = texts_about(world, eco)[1]
    page.goto(link_in(second))
    page.get_by_role("button", name="Accept").click()
    page.get_by_text("The job is yours").wait_for()
    page.goto(link_in(first))
    page.get_by_text("already has this job").wait_for()
    assert violations(page) == []


def test_a_link_that_was_not_copied_whole_says_what_to_do(technician: Person) -> None:
    page = technician.page
    page.goto("/j/AAAA")
    page.get_by_text("Open it as it stands in the text").wait_for()
    assert violations(page) == []
    # The browser itself tells that a page was not found.
    assert technician.faults and all("404" in one for one in technician.faults)
    technician.faults.clear()
