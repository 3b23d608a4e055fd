"""Takes the pictures of docs/console.md anew: `tox -e pictures`, then look at each of them.

A night of the demo's companies in Debian's Chromium. Times and job numbers differ from run to run;
what is on a picture does not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright
from rich.progress import track

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_app.demo.seed import CONTRACTORS
from strike_app.demo.world import World, open_world
from strike_mock.scenarios import Scenario, load
from strike_mock.testing import everybody_by_hand
from tests.console.callouts import Noc, until
from tests.console.conftest import CHROMIUM, DESKTOP, PHONE
from tests.console.person import Person, Screen

FOLDER = Path(__file__).parents[2] / "docs" / "images"

SPEED = 6.0

NOC, OSP = "olivia@bluestem.example", "dispatch@303.example"

EARLIER = (
    (0, (-105.27, 40.01), "Digger at Pearl Street, two ducts open.", "CRITICAL"),
    (0, (-104.99, 39.74), "No light between Union Station and 16th Street.", "HIGH"),
    (1, (-122.68, 45.52), "Pole down on Burnside, cable on the road.", "NORMAL"),
    (2, (-96.80, 32.78), "Rodent damage in the hand hole at Main and Ervay.", "LOW"),
)

NOBODY_TAKES = (1, (-121.31, 44.06), "Splice case under water after the rain.", "NORMAL")


class Studio:
    """A browser, and the pages of whoever is logged in."""

    def __init__(self, world: World, browser: Browser) -> None:
        self.world = world
        self._browser = browser

    @contextmanager
    def seen_by(self, email: str, screen: Screen = DESKTOP) -> Iterator[Page]:
        person = Person.open(self._browser, self.world.gateway_url, screen)
        person.log_in(email)
        yield person.page
        person.leave()

    def choose(self, page: Page, name: str, value: str) -> None:
        """A language, or light."""
        page.locator("details.choices > summary").click()
        page.locator(f'button[name="{name}"][value="{value}"]').click()
        page.wait_for_load_state()

    def go(self, page: Page, *parts: str) -> None:
        tenant = page.url.split("/t/")[1].split("/")[0]
        page.goto("/".join([f"/t/{tenant}", *parts]))
        page.wait_for_load_state("networkidle" if "eco" not in parts else "load")
        page.wait_for_timeout(1_200)

    def take(self, page: Page, name: str, *, whole: bool = False) -> None:
        page.screenshot(path=FOLDER / f"console-{name}.png", full_page=whole)


def settle(world: World, noc: Noc, page: Page) -> None:
    """Callouts of earlier this night: worked on, accepted; and one that nobody took."""
    order(noc, *EARLIER[0])
    until(lambda: "IN_PROGRESS" in states(noc, "status"), page, 120)
    for one in EARLIER[1:]:
        order(noc, *one)
    until(lambda: "RUNNING" not in states(noc, "pagingState"), page, 120)
    play(world, load("all-decline"))
    order(noc, *NOBODY_TAKES)
    until(lambda: "EXHAUSTED" in states(noc, "pagingState"), page, 120)


def order(noc: Noc, contractor: int, place: tuple[float, float], what: str, priority: str) -> None:
    point = {"type": "Point", "coordinates": list(place)}
    noc.create(what, ospId=str(CONTRACTORS[contractor].id), location=point, priority=priority)


def states(noc: Noc, name: str) -> set[str]:
    asked = f"query {{ ecos(first: 50) {{ edges {{ node {{ {name} }} }} }} }}"
    return {one["node"][name] for one in noc.ask(asked)["ecos"]["edges"]}


def play(world: World, scenario: Scenario) -> None:
    told = {"scenario": scenario.model_dump(mode="json")}
    httpx.post(f"{world.mock_url}/_mock/scenario", json=told).raise_for_status()


def all_texted(world: World) -> None:
    """Whoever is rung from now on gets a text, too, and does nothing by themselves."""
    play(world, everybody_by_hand())
    with open_pool(world.database_url) as pool:
        directory = PostgresDirectory(pool)
        for one in directory.lists_of(CONTRACTORS[0].id):
            numbers = frozenset(person.phone for person in one.contacts)
            directory.save_list(one.model_copy(update={"texted": numbers}))


def ringing(noc: Noc) -> dict[str, Any]:
    """A callout whose first person is being rung right now."""
    line = [[-105.28, 40.01], [-105.26, 40.015], [-105.25, 40.03]]
    return noc.create(
        "Road works cut the feeder along Broadway; 1,200 customers dark.",
        location={"type": "LineString", "coordinates": line},
        priority="CRITICAL",
        affectedCustomers=1200,
        ticket="INC-20417",
    )


def board(studio: Studio, noc: Noc) -> None:
    with studio.seen_by(NOC) as page:
        settle(studio.world, noc, page)
        all_texted(studio.world)
        ringing(noc)
        studio.go(page, "board")
        studio.take(page, "board")
        page.keyboard.press("v")
        page.wait_for_timeout(1_500)
        studio.take(page, "board-map")
    with studio.seen_by(NOC, PHONE) as page:
        studio.go(page, "board")
        studio.take(page, "board-phone")


def one_callout(studio: Studio, noc: Noc) -> None:
    with studio.seen_by(NOC) as page:
        studio.choose(page, "theme", "dark")
        eco = ringing(noc)
        studio.go(page, "eco", eco["id"])
        studio.take(page, "eco-dark")
    with studio.seen_by(OSP) as page:
        studio.choose(page, "language", "es")
        studio.go(page, "eco", ringing(noc)["id"])
        studio.take(page, "eco-es")
    with studio.seen_by(NOC, PHONE) as page:
        studio.go(page, "eco", ringing(noc)["id"])
        studio.take(page, "eco-phone")


def new_callout(studio: Studio, noc: Noc) -> None:
    with studio.seen_by(NOC) as page:
        studio.go(page, "new")
        page.fill("#place", "40.0150, -105.2705")
        page.locator(".contractor").first.wait_for()
        page.fill("#description", "A digger went through the cable at Pearl Street.")
        page.wait_for_timeout(1_000)
        studio.take(page, "new", whole=True)


def job(studio: Studio, noc: Noc) -> None:
    """The page of a text's link, on a phone, without login."""
    eco = ringing(noc)
    with studio.seen_by(NOC, PHONE) as page:
        texts: list[dict[str, Any]] = []

        def is_sent() -> bool:
            found = httpx.get(f"{studio.world.mock_url}/_mock/texts").json()["texts"]
            texts[:] = [one for one in found if eco["jobNumber"] in one["body"]]
            return bool(texts)

        until(is_sent, page)
        page.goto(texts[0]["body"].split()[-1])
        studio.take(page, "job-phone")


def contractor(studio: Studio, noc: Noc) -> None:
    with studio.seen_by(OSP) as page:
        studio.go(page, "lists")
        studio.take(page, "lists", whole=True)
        page.get_by_role("link", name="Boulder County").first.click()
        page.locator("#region-map[data-ready]").wait_for()
        page.wait_for_timeout(1_000)
        studio.take(page, "list", whole=True)
        for name in ("render", "jobs", "tokens", "audit"):
            studio.go(page, "settings", name)
            studio.take(page, f"settings-{name}", whole=True)


def operations_centre(studio: Studio, noc: Noc) -> None:
    with studio.seen_by(NOC) as page:
        studio.go(page, "links")
        studio.take(page, "links", whole=True)
        studio.go(page, "times")
        studio.take(page, "times", whole=True)
        for name in ("", "twilio"):
            studio.go(page, "settings", *([name] if name else []))
            studio.take(page, f"settings-{name or 'company'}", whole=True)


SCENES: tuple[Callable[[Studio, Noc], None], ...] = (
    board,
    one_callout,
    new_callout,
    job,
    contractor,
    operations_centre,
)


def main() -> None:
    if not CHROMIUM:
        sys.exit("This needs Chromium (apt install chromium).")
    with (
        open_world(load("second-accepts"), SPEED) as world,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        noc = Noc(world.gateway_url)
        studio = Studio(world, browser)
        for scene in track(SCENES, "Taking pictures"):
            scene(studio, noc)
        noc.close()
        browser.close()


if __name__ == "__main__":
    main()
